"""The judging page: questions, votes, agreement, export."""

from __future__ import annotations

import io
import json
import math
import wave
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from fake import sound
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from aligncap.corpora.row import Row
from aligncap.errors import AlignCapError
from aligncap.preferences.votes import choices, read_votes
from aligncap.server.judging.agreement import krippendorff_alpha
from aligncap.server.judging.app import create_app
from aligncap.server.judging.export import summary, vote_records
from aligncap.server.judging.questions import Question, order, questions, swapped, with_checks
from aligncap.server.judging.store import Store

ROWS = [Row("c/1", "sad-1.wav"), Row("c/2", "long.wav", start=0.5, end=1.25), Row("c/3", "x/three.wav")]


def make(*records: dict, problems: list[str] | None = None, **options: int) -> list[Question]:
    told = problems if problems is not None else []
    return questions(
        [(f"f:{at}", one) for at, one in enumerate(records, 1)], ROWS, Path("/data"), told.append, **options
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "sad-1.wav").write_bytes(sound(0.5, 1))
    (tmp_path / "long.wav").write_bytes(sound(2, 2))
    store = Store(tmp_path / "votes.sqlite")
    asked = questions(
        [
            ("1", {"id": "c/1", "chosen": "The speaker sounds sad.", "rejected": "The speaker sounds cross."}),
            ("2", {"id": "c/2", "a": "Calm.", "b": "Afraid."}),
        ],
        ROWS,
        tmp_path,
        pytest.fail,
    )
    store.add(asked, 7)
    return store


@pytest.fixture
def client(store: Store) -> TestClient:
    return TestClient(create_app(store, 7))


def vote(client: TestClient, rater: str, key: str, choice: str = "left", seconds: object = 1.0) -> int:
    body = {"rater": rater, "key": key, "choice": choice, "seconds": seconds}
    return client.post("/api/votes", json=body).status_code


def keys(client: TestClient, rater: str = "ann") -> list[str]:
    return [one["key"] for one in client.get("/api/session", params={"rater": rater}).json()["questions"]]


# ---------------------------------------------------------------------------------- questions


def test_questions_of_every_kind() -> None:
    problems: list[str] = []
    found = make(
        {"candidates": {"model": "x"}},
        {"id": "c/1", "chosen": "Sad.", "rejected": "Happy.", "instruction": "One word?"},
        {"id": "c/1", "chosen": "Happy.", "rejected": "Sad.", "instruction": "One word?"},
        {"id": "c/2", "captions": [{"instruction": "Q", "caption": "A."}, {"instruction": "Q", "caption": "B."}]},
        {
            "id": "x/three.wav",
            "audio": "x/three.wav",
            "start": 0,
            "end": 4.5,
            "caption": "Calm.",
            "alternatives": ["Angry."],
        },
        {"id": "c/9", "a": "A.", "b": "B."},
        {"id": "c/1", "a": "A  b.", "b": "A b."},
        {"id": "c/1", "error": {"type": "x"}},
        {"id": "c/1", "text": "x"},
        ["no object"],
        {"id": "c/3", "caption": "Alone."},
        problems=problems,
    )
    assert found == [
        Question("c/1", "One word?", "Happy.", "Sad.", "/data/sad-1.wav"),
        Question("c/2", "Q", "A.", "B.", "/data/long.wav", 0.5, 1.25),
        Question("x/three.wav", "Describe the emotion in the voice.", "Angry.", "Calm.", "/data/x/three.wav"),
    ]
    assert [problem.partition(": ")[0] for problem in problems] == ["f:6", "f:7", "f:8", "f:9", "f:10", "c/3"]


def test_stretches_of_a_recording_are_cut_out() -> None:
    record = {"audio": "sad-1.wav", "start": 8.0, "end": 16.0, "caption": "A.", "alternatives": ["B."]}
    (found,) = make({"id": "sad-1.wav#1", **record})
    assert (found.id, found.start, found.end) == ("sad-1.wav#1", 8.0, 16.0)


def test_pairs_are_drawn_from_many_captions() -> None:
    record = {"id": "c/1", "caption": "A.", "alternatives": ["B.", "C.", "D."]}
    assert len(make(record)) == 1
    assert len(make(record, per_clip=4)) == 4
    assert len(make(record, per_clip=99)) == 6
    assert make(record, per_clip=3, seed=1) == make(record, per_clip=3, seed=1) != make(record, per_clip=3, seed=2)


def test_order_and_sides_are_random_for_each_listener() -> None:
    names = [f"q{at}" for at in range(200)]
    assert order(names, "ann", 0) == order(reversed(names), "ann", 0)
    assert sorted(order(names, "ann", 0)) == sorted(names)
    assert order(names, "ann", 0) != order(names, "bob", 0) != order(names, "bob", 1)
    for rater in ("ann", "bob"):
        assert 70 < sum(swapped(name, rater, 0) for name in names) < 130
    both = sum(swapped(name, "ann", 0) == swapped(name, "bob", 0) for name in names)
    assert 70 < both < 130


def test_checks() -> None:
    asked = [Question(f"c/{at}", "Q", f"The voice {at} sounds quite sad.", "Z.", "a.wav") for at in range(20)]
    found = with_checks(asked, 0.2)
    checks = [question for question in found if question.check]
    assert found[:20] == asked
    assert len(checks) == 4
    for check in checks:
        right, wrong = (check.a, check.b) if check.check == "a" else (check.b, check.a)
        assert right in {question.a for question in asked}
        assert sorted(right.lower().rstrip(".").split()) == sorted(wrong.lower().rstrip(".").split())
        assert right.lower() != wrong.lower()
    assert with_checks(asked, 0) == asked
    assert len({question.key for question in found}) == 24


# ---------------------------------------------------------------------------------- the page's server


def test_a_question_is_blind(client: TestClient, store: Store) -> None:
    for key, question in store.questions().items():
        shown = client.get(f"/api/questions/{key}", params={"rater": "ann"}).json()
        assert set(shown) == {"key", "instruction", "left", "right"}
        assert {shown["left"], shown["right"]} == {question.a, question.b}
        assert question.id not in json.dumps(shown)
        assert question.id not in key


def test_audio_is_the_clip_as_wav(client: TestClient, store: Store) -> None:
    for key, question in store.questions().items():
        answer = client.get(f"/api/audio/{key}")
        assert answer.headers["content-type"] == "audio/wav"
        assert "disposition" not in str(answer.headers)
        with wave.open(io.BytesIO(answer.content)) as file:
            assert file.getnframes() / file.getframerate() == {"c/1": 0.5, "c/2": 0.75}[question.id]


def test_votes_are_kept_as_captions_not_as_sides(client: TestClient, store: Store) -> None:
    for rater in ("ann", "bob", "cleo", "dan"):
        for key in keys(client, rater):
            shown = client.get(f"/api/questions/{key}", params={"rater": rater}).json()
            liked = "left" if "a" in shown["left"].split()[0].lower() and shown["left"][0] in "AT" else "right"
            assert vote(client, rater, key, liked) == 200
            question = store.questions()[key]
            held = next(one for one in store.votes() if (one.rater, one.question.key) == (rater, key))
            assert getattr(question, held.choice) == shown[liked]
            assert getattr(question, held.left) == shown["left"]
            session = client.get("/api/session", params={"rater": rater}).json()["questions"]
            assert {one["key"]: one["choice"] for one in session}[key] == liked


def test_coming_back(store: Store, client: TestClient) -> None:
    first, second = keys(client)
    assert vote(client, "ann", first, "both_wrong") == 200
    again = TestClient(create_app(Store(store.path), store.add([], 99)))  # the seed of the file holds
    session = again.get("/api/session", params={"rater": " ann "}).json()
    assert session == {
        "rater": "ann",
        "questions": [{"key": first, "choice": "both_wrong"}, {"key": second, "choice": None}],
    }
    assert vote(again, "ann", first, "tie") == 200
    assert [one.choice for one in store.votes()] == ["tie"]


@pytest.mark.parametrize(
    "body",
    [
        {"choice": "a"},
        {"rater": ""},
        {"rater": "llm:gpt"},
        {"rater": "x" * 61},
        {"rater": "a\x00b"},
        {"seconds": -1},
        {"seconds": "soon"},
        {"extra": 1},
        {"key": 5},
    ],
)
def test_bad_votes(client: TestClient, store: Store, body: dict) -> None:
    good = {"rater": "ann", "key": keys(client)[0], "choice": "left", "seconds": 1}
    answer = client.post("/api/votes", json={**good, **body})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert store.votes() == []


def test_other_bad_requests(client: TestClient, store: Store) -> None:
    body = json.dumps({"rater": "ann", "key": keys(client)[0], "choice": "left", "seconds": 1})
    # as a form of another site could send it, without being asked whether it may
    assert client.post("/api/votes", content=body, headers={"content-type": "text/plain"}).status_code == 422
    assert client.post("/api/votes", content=b"x" * 20_000).status_code == 413
    assert vote(client, "ann", "no-such-key") == 404
    assert client.get("/api/audio/../../etc/passwd").status_code == 404
    assert client.get("/api/questions/x", params={"rater": "ann"}).status_code == 404
    assert store.votes() == []


def test_a_vote_that_cannot_be_saved_is_not_acknowledged(client: TestClient, store: Store) -> None:
    key = keys(client)[0]
    store.path.unlink()
    Path(f"{store.path}-wal").unlink(missing_ok=True)
    store.path.mkdir()
    assert vote(client, "ann", key) == 503


# ---------------------------------------------------------------------------------- the store


def test_every_vote_is_synced(store: Store) -> None:
    import sqlite3

    with sqlite3.connect(store.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with store._open() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 50)
    with pytest.raises(AlignCapError, match="text: the database says: file is not a database"):
        Store(tmp_path / "text")
    with pytest.raises(AlignCapError, match="there is no such file"):
        Store(tmp_path / "none", new=False)
    (tmp_path / "empty").touch()
    with pytest.raises(AlignCapError, match="holds no votes"):
        Store(tmp_path / "empty", new=False)


# ---------------------------------------------------------------------------------- agreement and export


@given(st.lists(st.lists(st.sampled_from(["a", "b", "tie", None]), min_size=4, max_size=4), min_size=1, max_size=12))
def test_alpha_is_krippendorffs(table: list[list[str | None]]) -> None:
    """Units in rows, raters in columns; None: no vote."""
    codes = {"a": 0.0, "b": 1.0, "tie": 2.0, None: math.nan}
    units = [[value for value in row if value is not None] for row in table]
    paired = [value for unit in units if len(unit) > 1 for value in unit]
    mine = krippendorff_alpha(units)
    if len(set(paired)) < 2:
        assert math.isnan(mine)
        return
    data = np.array([[codes[value] for value in row] for row in table if sum(v is not None for v in row) > 1]).T
    theirs = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal", value_domain=[0.0, 1.0, 2.0])
    assert mine == pytest.approx(theirs, abs=1e-12)


def test_alpha_by_hand() -> None:
    """Krippendorff's own example of nominal data with two observers: 0.095."""
    first, second = "0100000010", "1110010000"
    assert krippendorff_alpha(list(zip(first, second, strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_export_is_read_by_preferences(tmp_path: Path) -> None:
    asked = make({"id": "c/1", "a": "A b c d.", "b": "Z."}, {"id": "c/3", "a": "C.", "b": "D."})
    store = Store(tmp_path / "v.sqlite")
    store.add(with_checks(asked, 0.5), 0)
    by_id = {(one.id, bool(one.check)): one for one in store.questions().values()}
    one, other, check = by_id["c/1", False], by_id["c/3", False], by_id["c/1", True]
    wrong = "b" if check.check == "a" else "a"
    given = [("ann", "a", "both_wrong", check.check), ("bob", "a", "a", check.check), ("eve", "b", "b", wrong)]
    for rater, of_one, of_other, of_check in given:
        store.vote(one.key, rater, of_one, "a", 2.0)
        store.vote(other.key, rater, of_other, "b", 1.0)
        store.vote(check.key, rater, of_check, "a", 1.0)
    votes = store.votes()
    found = summary(votes, 0.8)
    assert found.left_out == ("eve",)
    assert (found.votes, found.ties, found.both_wrong, found.shared) == (4, 0, 1, 2)
    # a a | both_wrong a: D_o = 2 of 4; D_e = 6 of 12
    assert found.alpha == pytest.approx(1 - 2 * 3 / 6)
    assert [(rater.name, rater.votes, rater.checks, rater.passed) for rater in found.raters] == [
        ("ann", 2, 1, 1),
        ("bob", 2, 1, 1),
        ("eve", 2, 1, 0),
    ]
    records = vote_records(votes, found.left_out)
    assert [record.get("both_wrong") for record in records] == [None, True, None, None]
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    told: list[str] = []
    read = list(read_votes(path, told.append))
    assert [(one.id, one.choice, one.rater) for one in read] == [
        ("c/1", "a", "ann"),
        ("c/3", "tie", "ann"),
        ("c/1", "a", "bob"),
        ("c/3", "a", "bob"),
    ]
    made = {one.id: (one.chosen, one.margin) for one in choices(read, told.append)}
    assert made == {"c/1": ("A b c d.", 1.0), "c/3": ("C.", 0.5)}
    assert told == []


def test_nobody_voted(store: Store) -> None:
    found = summary(store.votes())
    assert (found.raters, found.votes) == ((), 0)
    assert math.isnan(found.alpha)
