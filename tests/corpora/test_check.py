"""Every bad row is named by number and id, and what comes back makes a good manifest."""

from __future__ import annotations

import json
import shutil
import threading
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from aligncap.captions import EMOTIONS
from aligncap.corpora import (
    ManifestError,
    Report,
    Row,
    check_manifest,
    read_manifest,
    survey_manifest,
    taxonomy_label,
    write_manifest,
)
from aligncap.corpora.check import Checked
from aligncap.corpora.problems import KINDS


def record(path: Path, seconds: float = 1.0, seed: int = 0) -> None:
    """A WAV file with noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * 16_000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with recordings of 1 s."""
    for seed, name in enumerate("abcd"):
        record(tmp_path / "audio" / f"{name}.wav", seed=seed)
    return tmp_path


def manifest(folder: Path, rows: Iterable[dict[str, object]]) -> Path:
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def found(checked: Iterable[Checked]) -> list[tuple[int, str, str]]:
    return [(item.row, item.id, item.kind) for each in checked for item in each.problems]


def test_good_rows(corpus: Path) -> None:
    rows = [Row(name, f"audio/{name}.wav", emotion=emotion) for name, emotion in zip("abcd", EMOTIONS, strict=False)]
    write_manifest(rows, corpus / "m.csv")
    checked = list(check_manifest(corpus / "m.csv"))
    assert [item.row for item in checked] == rows
    assert found(checked) == []


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        ({"audio": "audio/none.wav"}, "missing file", "no such file"),
        ({"audio": "https://example.org/a.wav"}, "missing file", "addresses are not fetched"),
        ({"audio": "audio/text.wav"}, "unreadable audio", "no decoder"),
        ({"audio": "audio/empty.wav"}, "unreadable audio", "0 bytes"),
        ({"audio": "audio/short.wav"}, "unreadable audio", "50 ms"),
        ({"audio": "audio/header.wav"}, "unreadable audio", "without audio"),
        ({"audio": "audio"}, "unreadable audio", "not a file"),
        ({"audio": "audio/a.wav", "end": 1.2}, "beyond the recording", "end is 1.2 s, and the recording has 1.00 s"),
        ({"audio": "audio/a.wav", "start": 5}, "beyond the recording", "start is 5 s"),
        ({"audio": "audio/a.wav", "start": 0.5, "end": 0.2}, "bad times", "less than 0.1 s"),
    ],
)
def test_rows_whose_recording_is_of_no_use(corpus: Path, row: dict[str, object], kind: str, says: str) -> None:
    (corpus / "audio/text.wav").write_bytes(b"not audio")
    (corpus / "audio/empty.wav").write_bytes(b"")
    record(corpus / "audio/short.wav", 0.05)
    whole = (corpus / "audio/a.wav").read_bytes()
    (corpus / "audio/header.wav").write_bytes(whole[:44])
    path = manifest(corpus, [{"id": "good", "audio": "audio/b.wav"}, {"id": "x/bad", **row}])
    good, bad = check_manifest(path)
    assert good.row is not None
    assert bad.row is None
    assert bad.bad
    assert found([bad]) == [(2, "x/bad", kind)]
    assert says in bad.problems[0].message
    unheard = list(check_manifest(path, audio=False))[1]
    assert (unheard.row is None) == (kind == "bad times")


def test_times_may_be_rounded(corpus: Path) -> None:
    path = manifest(corpus, [{"id": "a", "audio": "audio/a.wav", "start": 0.5, "end": 1.05}])
    assert found(check_manifest(path)) == []


def test_duplicates(corpus: Path) -> None:
    shutil.copy(corpus / "audio/a.wav", corpus / "audio/copy.wav")
    rows = [
        {"id": "m\u00fcde", "audio": "audio/a.wav", "split": "train"},
        {"id": "mu\u0308de", "audio": "audio/b.wav"},  # the same to the eye
        {"id": "lost", "audio": "audio/none.wav"},
        {"id": "lost", "audio": "audio/c.wav"},  # the first to have a recording
        {"id": "copy", "audio": "audio/copy.wav", "split": "test"},
        {"id": "part", "audio": "audio/a.wav", "end": 0.5},
        {"id": "same part", "audio": "audio/copy.wav", "start": 0, "end": 0.5},
    ]
    checked = list(check_manifest(manifest(corpus, rows)))
    assert found(checked) == [
        (2, "mu\u0308de", "duplicate id"),
        (3, "lost", "missing file"),
        (5, "copy", "duplicate audio"),
        (7, "same part", "duplicate audio"),
    ]
    assert checked[4].problems[0].message == "row 1 has the same recording under another id, in split train"
    assert [item.row is not None for item in checked] == [True, False, False, True, True, True, True]


def test_speakers_in_two_splits(corpus: Path) -> None:
    def row(number: int, corpus_name: str, speaker: str, split: str) -> dict[str, object]:
        return {"id": str(number), "audio": "x.wav", "corpus": corpus_name, "speaker": speaker, "split": split}

    path = manifest(
        corpus,
        [
            row(1, "c", "1", "test"),
            row(2, "c", "1", "train"),
            row(3, "c", "1", "train"),  # most of this speaker
            row(4, "d", "1", "dev"),  # someone else
            row(5, "c", "2", "dev"),
            row(6, "c", "2", "train"),  # as many: train comes first
            row(7, "c", "", "dev"),
            row(8, "c", "", "train"),  # nobody knows who
            row(9, "c", "1", ""),
        ],
    )
    assert survey_manifest(path).rows == 9
    assert survey_manifest(path).splits == {("c", "1"): "train", ("c", "2"): "train"}
    checked = list(check_manifest(path, audio=False))
    assert found(checked) == [(1, "1", "speaker in two splits"), (5, "5", "speaker in two splits")]
    assert checked[0].problems[0].message == "'1' is in test, and with more rows in train"


@pytest.mark.parametrize(
    ("word", "label"),
    [
        *((emotion, emotion) for emotion in EMOTIONS),
        ("anger", "angry"),
        ("Happy", "happy"),
        ("sadness", "sad"),
        ("surprised", "surprise"),
        ("frustrated", "frustrated"),  # finer than the model's labels, and known
        ("sarcasm", "sarcasm"),
        ("low", None),
        ("", None),
    ],
)
def test_labels_of_words(word: str, label: str | None) -> None:
    assert taxonomy_label(word) == label


def test_unknown_emotions_keep_their_label(corpus: Path) -> None:
    rows = [
        {"id": "1", "audio": "x", "emotion": "low"},
        {"id": "2", "audio": "x", "emotion": "Anger"},
        {"id": "3", "audio": "x", "emotion": "low", "label": "0"},
        {"id": "4", "audio": "x", "emotion": "", "label": "low"},
        {"id": "5", "audio": "x", "emotion": "sad", "votes": {"sadness": 0.5, "sad": 0.25, "low": 0.25}},
    ]
    path = manifest(corpus, rows)
    checked = list(check_manifest(path, audio=False))
    assert found(checked) == [(number, str(number), "unknown emotion") for number in (1, 2, 3, 5, 5)]
    assert [item.row for item in checked] == [
        Row("1", "x", label="low"),
        Row("2", "x", emotion="angry", label="Anger"),
        Row("3", "x", label="0", extra={"emotion_raw": "low"}),
        Row("4", "x", label="low"),
        Row("5", "x", emotion="sad", votes={"sad": 0.75}, extra={"votes_raw": rows[4]["votes"]}),
    ]
    report = Report()
    for item in checked:
        report.add(item)
    assert (report.rows, report.bad, report.left_out, report.repaired) == (5, 4, 0, 4)
    assert report.values["unknown emotion"] == {"low": 3, "Anger": 1, "sadness": 1}
    own = check_manifest(path, audio=False, label_of={"low": "low", "sad": "sad", "sadness": "sad"}.get)
    assert found(own) == [(2, "2", "unknown emotion"), (5, "5", "unknown emotion")]


def test_paths_are_written_as_they_are_on_disk(corpus: Path) -> None:
    record(corpus / "audio/mu\u0308de.wav", seed=9)
    rows = [{"id": "1", "audio": "audio\\b.wav"}, {"id": "2", "audio": "audio/m\u00fcde.wav"}]
    checked = list(check_manifest(manifest(corpus, rows)))
    assert found(checked) == [(1, "1", "path"), (2, "2", "path")]
    assert [item.row and item.row.audio for item in checked] == ["audio/b.wav", "audio/mu\u0308de.wav"]
    assert not any(item.bad for item in checked)


def test_odd_recordings_are_kept(corpus: Path) -> None:
    shutil.copy(corpus / "audio/a.wav", corpus / "audio/a.flac")
    (item,) = check_manifest(manifest(corpus, [{"id": "1", "audio": "audio/a.flac"}]))
    assert found([item]) == [(1, "1", "odd audio")]
    assert item.row is not None


def test_columns_that_the_schema_does_not_have_are_named_once(corpus: Path) -> None:
    rows = [{"id": str(i), "audio": "x", "duration_s": 1, "emotoin": "sad", "intensity_raw": "2"} for i in range(3)]
    checked = list(check_manifest(manifest(corpus, rows), audio=False))
    assert sorted(item.message for item in checked[0].problems) == [
        "'duration_s' is kept as it is",
        "'emotoin' is kept as it is (is it 'emotion'? then --column emotion=emotoin)",
    ]
    assert found(checked[1:]) == []
    assert checked[2].row is not None
    assert checked[2].row.extra["duration_s"] == 1


def test_what_comes_back_is_good(corpus: Path) -> None:
    shutil.copy(corpus / "audio/a.wav", corpus / "audio/copy.wav")
    rows: list[dict[str, object]] = [
        {"id": "1", "audio": "audio/a.wav", "emotion": "LOW", "split": "valid", "speaker": "x", "captions": ["", "A."]},
        {"id": "1", "audio": "audio/b.wav", "split": "train", "speaker": "x"},
        {"id": "3", "audio": "audio\\b.wav", "split": "train", "speaker": "x", "votes": {"sad": 2}, "gender": "?"},
        {"id": "4", "audio": "audio/none.wav", "split": "train", "speaker": "x"},
        {"audio": "audio/copy.wav", "intensity": "7", "split": "?"},
        {"id": "6"},
        {"id": "7", "audio": "audio/c.wav", "end": 9},
    ]
    first = [item.row for item in check_manifest(manifest(corpus, rows)) if item.row is not None]
    assert [row.id for row in first] == ["1", "3", "audio/copy"]
    for suffix in ("jsonl", "csv", "parquet"):
        write_manifest(first, corpus / f"good.{suffix}")
        again = list(check_manifest(corpus / f"good.{suffix}"))
        assert not any(item.bad for item in again)
        assert {kind for _, _, kind in found(again)} <= {"duplicate audio"}
        assert [item.row for item in again] == list(read_manifest(corpus / f"good.{suffix}"))


def test_threads_do_not_change_the_order(corpus: Path) -> None:
    names = [f"audio/{'abcd'[i % 4]}.wav" if i % 7 else "audio/none.wav" for i in range(60)]
    path = manifest(corpus, [{"id": str(i), "audio": name, "start": 0, "end": 0.5} for i, name in enumerate(names)])
    one, four = (list(check_manifest(path, threads=threads)) for threads in (1, 4))
    assert one == four
    assert [item.problems[0].kind for item in one[::7]] == ["missing file"] * 9


def test_a_shared_recording_is_read_once_and_few_are_read_ahead(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aligncap import audio

    opened: list[str] = []
    lock = threading.Lock()
    real = audio.read_audio

    def counting(source, **options):
        with lock:
            opened.append(str(source))
        return real(source, **options)

    monkeypatch.setattr(audio, "read_audio", counting)
    rows = [{"id": f"a{i}", "audio": "audio/a.wav", "start": i / 100} for i in range(50)]
    rows += [{"id": f"n{i}", "audio": f"audio/none{i}.wav"} for i in range(300)]
    checking = check_manifest(manifest(corpus, rows), threads=1)
    next(checking)
    checking.close()
    assert len(opened) == 1
    assert sum(1 for item in check_manifest(manifest(corpus, rows), threads=1) if item.row) == 50
    assert len([name for name in opened if name.endswith("a.wav")]) == 2


def test_stopping_early_leaves_no_threads(corpus: Path) -> None:
    before = threading.active_count()
    checking = check_manifest(manifest(corpus, [{"id": str(i), "audio": "audio/a.wav"} for i in range(200)]), threads=2)
    next(checking)
    checking.close()
    assert threading.active_count() == before


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        list(check_manifest(tmp_path / "none.jsonl"))


def test_documented_kinds() -> None:
    docs = Path(__file__).parents[2] / "docs" / "manifest.md"
    lines = [line for line in docs.read_text("utf-8").splitlines() if line.startswith("| ")]
    table = {cells[1].strip(): cells[2].strip() for line in lines if len(cells := line.split("|")) == 6}
    expected = {kind: f"{about.severity}, {about.remedy}" for kind, about in KINDS.items()}
    assert {kind: said for kind, said in table.items() if kind in KINDS} == expected
