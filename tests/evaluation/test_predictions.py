from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligncap.corpora import ManifestError, Row
from aligncap.evaluation.notes import KINDS, Note
from aligncap.evaluation.prediction import LONGEST, Prediction, Supported
from aligncap.evaluation.predictions import System, read_system
from aligncap.evaluation.references import read_references, read_rows, with_references

ROWS = [
    Row("c/one", "audio/one.wav"),
    Row("c/two", "audio/two.flac"),
    Row("d/two", "other/two.flac"),
    Row("c/ü", "audio/ü.wav"),
]

Read = Callable[..., System]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """``read(record or line or bytes, …)``: a system with these lines, matched with `ROWS`."""

    def run(*lines: Any, rows: list[Row] = ROWS, suffix: str = ".jsonl", **options: Any) -> System:
        path = tmp_path / f"system{suffix}"
        path.write_bytes(b"".join(_line(line) + b"\n" for line in lines))
        return read_system(path, rows, **options)

    return run


def _line(line: Any) -> bytes:
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line)).encode()


def kinds(system: System) -> dict[str, list[str]]:
    """Kind of note → ids, without the rows that no test here gives a prediction for."""
    found: dict[str, list[str]] = {}
    for note in system.notes:
        if note.kind != "missing":
            found.setdefault(note.kind, []).append(note.id)
    return found


def captions(system: System) -> dict[str, str]:
    return {name: prediction.caption for name, prediction in system.predictions.items()}


@pytest.mark.parametrize(
    ("record", "row", "by_path"),
    [
        ({"id": "c/one"}, "c/one", 0),
        ({"id": " c/one "}, "c/one", 0),
        ({"id": "one"}, "c/one", 1),
        ({"id": "/elsewhere/one.mp3"}, "c/one", 1),
        ({"audio": "C:\\clips\\one.WAV"}, "c/one", 1),
        ({"id": "/data/audio/two.flac", "audio": "/data/audio/two.flac"}, "c/two", 1),
        ({"audio": "other/two.wav"}, "d/two", 1),
        ({"id": "c/ü"}, "c/ü", 0),
    ],
)
def test_a_prediction_finds_its_row(read: Read, record: dict[str, str], row: str, by_path: int) -> None:
    system = read({**record, "caption": "Sad."})
    assert captions(system) == {row: "Sad."}
    assert system.by_path == by_path


def test_the_id_counts_before_the_recording(read: Read) -> None:
    assert captions(read({"id": "c/two", "audio": "one.wav", "caption": "Sad."})) == {"c/two": "Sad."}


def test_a_dot_in_an_id_is_no_suffix(read: Read) -> None:
    rows = [Row("a.1", "a.1"), Row("a.2", "a.2")]
    system = read({"id": "a.3", "caption": "Sad."}, rows=rows)
    assert not system.predictions
    assert kinds(system) == {"extra": ["a.3"]}


def test_what_fits_several_rows_or_none_is_named(read: Read) -> None:
    system = read({"id": "two", "caption": "a"}, {"id": "nine", "caption": "b"}, {"caption": "c"})
    assert kinds(system) == {"ambiguous": ["two"], "extra": ["nine"], "no id": ["line 3"]}


BAD = {
    "not text": [
        *('{"id": "c/one"}', '{"id": "c/one", "caption": NaN}', '{"id": "c/one", "caption": null}'),
        *('{"id": "c/one", "caption": ["a"]}', '{"id": "c/one", "caption": 3}'),
    ],
    "encoding": [{"id": "c/one", "caption": "half \ud83d"}, b'{"id": "c/one", "caption": "caf\xe9"}'],
    "failed": [{"id": "c/one", "error": {"type": "AudioTooShortError", "message": "too short"}}],
    "malformed": ['{"id": "c/one", "caption": "Sad"', '"c/one"'],
}


@pytest.mark.parametrize(("kind", "line"), [(kind, line) for kind, lines in BAD.items() for line in lines])
def test_what_cannot_be_scored_is_named_and_the_others_are_scored(read: Read, kind: str, line: Any) -> None:
    system = read(line, {"id": "c/two", "caption": "Glad."})
    assert captions(system) == {"c/two": "Glad."}
    [name] = kinds(system)[kind]
    assert name in ("c/one", "line 1")
    assert KINDS[kind]


def test_a_failure_is_not_told_a_second_time_as_missing(read: Read) -> None:
    system = read({"id": "c/one", "error": {"message": "too short"}}, rows=ROWS[:1])
    assert system.notes == (Note("failed", "c/one", "too short; not scored"),)


def test_every_row_is_scored_or_named(read: Read) -> None:
    system = read({"id": "c/one", "caption": "Sad."}, {"id": "c/two", "caption": None})
    named = {note.id for note in system.notes}
    assert {row.id for row in ROWS} == set(system.predictions) | named
    assert [note.id for note in system.notes if note.kind == "missing"] == ["d/two", "c/ü"]


def test_missing_rows_may_count_as_empty_captions(read: Read) -> None:
    system = read({"id": "c/one", "caption": "Sad."}, missing_is_empty=True)
    assert captions(system) == {"c/one": "Sad.", "c/two": "", "d/two": "", "c/ü": ""}
    assert all("scored as an empty caption" in note.message for note in system.notes)


def test_the_first_of_duplicates_is_scored(read: Read) -> None:
    system = read({"id": "c/one", "caption": "Sad."}, {"id": "one", "caption": "Glad."})
    assert captions(system) == {"c/one": "Sad."}
    assert kinds(system) == {"duplicate": ["one"]}


def test_empty_and_odd_captions_are_scored(read: Read) -> None:
    system = read({"id": "c/one", "caption": " "}, {"id": "c/two", "caption": "😀 sad \u0000 高兴"})
    assert captions(system) == {"c/one": " ", "c/two": "😀 sad \u0000 高兴"}
    assert kinds(system) == {"empty": ["c/one"]}


def test_of_ten_megabytes_the_beginning_is_scored(read: Read) -> None:
    system = read({"id": "c/one", "caption": "sad " * 2_500_000})
    assert captions(system)["c/one"] == ("sad " * 2_500_000)[:LONGEST]
    assert kinds(system) == {"overlong": ["c/one"]}


def test_emotions_become_the_taxonomys_labels_and_sum_to_one(read: Read) -> None:
    system = read({"id": "c/one", "caption": "Sad.", "emotions": {"Anger": 1, "angry": 1, "sad": 2}, "label": "Joy"})
    prediction = system.predictions["c/one"]
    assert prediction.emotions == {"angry": 0.5, "sad": 0.5}
    assert prediction.label == "happy"


@pytest.mark.parametrize(
    "emotions", ['{"sad": NaN}', '{"sad": 2, "angry": -1}', '{"sad": "x"}', '{"sad": 0}', '["sad"]', "7", '"x"']
)
def test_bad_emotions_leave_the_caption(read: Read, emotions: str) -> None:
    system = read(f'{{"id": "c/one", "caption": "Sad.", "emotions": {emotions}}}')
    assert captions(system) == {"c/one": "Sad."}
    assert not system.predictions["c/one"].emotions
    assert kinds(system) == {"bad emotions": ["c/one"]}


CLAIM = {"text": "sad", "kind": "emotion", "target": "sad", "support": 0.6}


def test_claims_are_read_with_their_support(read: Read) -> None:
    denied = {"text": "angry", "kind": "emotion", "support": 1, "denied": True}
    found = read({"id": "c/one", "caption": "Sad.", "claims": [CLAIM, denied]}, {"id": "c/two", "caption": "Sad."})
    claims = (Supported("sad", "emotion", 0.6), Supported("angry", "emotion", 1.0, denied=True))
    assert found.predictions["c/one"].claims == claims
    assert found.predictions["c/two"].claims is None
    row = b'"c/one","Sad.","[{""text"": ""sad"", ""kind"": ""emotion"", ""support"": 0.6}]"'
    found = read(b"id,caption,claims", row, b"c/two,Sad.,", suffix=".csv")
    assert [one.claims for one in found.predictions.values()] == [claims[:1], None]


def test_one_that_abstains_claims_nothing_and_is_known_for_it(read: Read) -> None:
    found = read({"id": "c/one", "caption": "The emotion is unclear.", "abstained": True})
    assert found.predictions["c/one"] == Prediction("The emotion is unclear.", claims=(), abstained=True)


@pytest.mark.parametrize(
    "claims",
    ["3", '"sad"', "[3]", "[{}]", "{}"]
    + [f'[{{"text": "sad", "support": {support}}}]' for support in ("NaN", "-0.1", "1.01", "true", "null", '"0.5"')]
    + ['[{"text": "\\ud800", "support": 0.5}]'],
)
def test_bad_claims_leave_the_caption(read: Read, claims: str) -> None:
    system = read(f'{{"id": "c/one", "caption": "Sad.", "claims": {claims}}}')
    assert kinds(system) == {"bad claims": ["c/one"]}
    assert system.predictions["c/one"] == Prediction("Sad.")


def test_stretches_of_a_recording_become_one(read: Read) -> None:
    parts = [
        {"id": "one.wav#0", "audio": "one.wav", "start": 0, "end": 3, "caption": "Sad.", "emotions": {"sad": 1.0}},
        {"id": "one.wav#1", "audio": "one.wav", "start": 3, "end": 4, "caption": "Glad.", "emotions": {"happy": 1.0}},
    ]
    prediction = read(*parts).predictions["c/one"]
    assert prediction.caption == "Sad. Glad."
    assert prediction.emotions == {"sad": 0.75, "happy": 0.25}
    assert (prediction.claims, prediction.abstained) == (None, False)
    first, second = {**parts[0], "claims": [CLAIM], "abstained": True}, {**parts[1], "claims": [{**CLAIM, "text": "s"}]}
    prediction = read(first, second).predictions["c/one"]
    assert [claim.text for claim in prediction.claims or ()] == ["sad", "s"]
    assert not prediction.abstained  # one of the stretches says something
    assert read(first, {**second, "abstained": True}).predictions["c/one"].abstained
    assert kinds(read(first, {**second, "claims": "sad"})) == {"bad claims": ["one.wav"]}


def test_a_failed_stretch_does_not_hide_the_others(read: Read) -> None:
    failed = {"id": "one.wav#1", "audio": "one.wav", "error": {"message": "silent"}}
    assert captions(read({"id": "one.wav#0", "audio": "one.wav", "caption": "Sad."}, failed)) == {"c/one": "Sad."}
    assert kinds(read({**failed, "id": "one.wav#0"}, failed)) == {"failed": ["one.wav"]}


def test_rows_that_were_not_asked_for_are_counted_and_not_extra(read: Read) -> None:
    system = read({"id": "c/one", "caption": "a"}, {"id": "c/two", "caption": "b"}, rows=ROWS[:1], others=ROWS[1:])
    assert captions(system) == {"c/one": "a"}
    assert (system.lines, system.elsewhere, system.notes) == (2, 1, ())


def test_csv_and_other_encodings_are_read(read: Read) -> None:
    system = read("id,caption,emotions", 'c/one,"Sad, low.","{""sad"": 1}"', suffix=".csv")
    assert captions(system) == {"c/one": "Sad, low."}
    assert system.predictions["c/one"].emotions == {"sad": 1.0}
    assert captions(read(b'{"id": "c/one", "caption": "caf\xe9"}', encoding="latin-1")) == {"c/one": "café"}


def test_a_file_that_is_no_text_is_refused(read: Read) -> None:
    with pytest.raises(ManifestError, match="not text"):
        read(b"\x00\x01\xff\xfe\x00rubbish\x00")


def test_references_need_no_audio_and_may_have_more_columns(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [
        {"id": "a", "captions": ["Sad.", "", "Low."], "speaker": "s", "emotion": "sad"},
        {"id": "b", "caption": "Glad."},
        {"id": "a", "captions": ["Other."]},
        {"captions": ["Nobody's."]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    rows, notes = read_references(path)
    assert [(row.id, row.captions, row.speaker) for row in rows] == [
        ("a", ("Sad.", "Low."), "s"),
        ("b", ("Glad.",), ""),
    ]
    assert [note.id for note in notes] == ["a", "line 4", "line 5"]
    assert {note.kind for note in notes} == {"bad row"}


def test_duplicate_and_bad_rows_of_a_manifest_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,audio\na,a.wav\na,b.wav\nc,\n")
    rows, notes = read_rows(path)
    assert [row.audio for row in rows] == ["a.wav"]
    assert [note.id for note in notes] == ["a", "c"]


def test_references_supply_the_captions_of_a_manifest() -> None:
    rows, notes = with_references(ROWS[:2], [Row("c/one", "", captions=("Sad.",)), Row("x", "")])
    assert [row.captions for row in rows] == [("Sad.",), ()]
    assert [note.id for note in notes] == ["x"]
