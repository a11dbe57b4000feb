"""``aligncap manifest``: check, convert, from-folder, from-dataset."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from aligncap.cli import manifest as command
from aligncap.corpora import Row, read_manifest, write_manifest


def record(path: Path, seconds: float = 0.5, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * 16_000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a corpus of three recordings, and a manifest with two bad rows and a warning."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("angry/a.wav", "sad/b.wav", "sad/ü.wav")):
        record(Path("corpus/audio") / name, seed=seed)
    rows = [
        Row("1", "audio/angry/a.wav", emotion="angry", speaker="x", split="train"),
        Row("2", "audio/sad/b.wav", emotion="low", speaker="y", split="dev", extra={"duration_s": 0.5}),
        Row("3", "audio/none.wav", emotion="sad"),
    ]
    write_manifest(rows, "corpus/m.csv")
    return tmp_path


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """``cli("check", …)`` as a process would run it; errors of ours raise."""
    app = typer.Typer()
    app.add_typer(command.app, name="manifest")

    def run(*arguments: object) -> object:
        return CliRunner().invoke(app, ["manifest", *map(str, arguments)])

    return run


def lines(done) -> list[str]:
    return done.stdout.splitlines()


def test_check_names_bad_rows_and_counts_them(cli, here: Path) -> None:
    done = cli("check", "corpus/m.csv")
    assert done.exit_code == 1
    assert lines(done)[:3] == [
        "warning: row 2 (line 3) 2: unknown column: 'duration_s' is kept as it is",
        "error: row 2 (line 3) 2: unknown emotion: 'low': the taxonomy does not have it",
        "error: row 3 (line 4) 3: missing file: audio/none.wav: there is no such file",
    ]
    assert lines(done)[3] == "corpus/m.csv: 3 rows, 1 good, 2 bad"
    assert lines(done)[-1] == "--fix OUT would write 2 rows, 1 of them repaired; 1 left out"
    assert any("unknown emotion" in line and "(low 1)" in line for line in lines(done)[4:])
    assert done.stderr == ""


def test_check_goes_on_with_own_labels(cli, here: Path) -> None:
    done = cli("check", "corpus/m.csv", "--emotion", "low", "--no-audio")
    assert done.exit_code == 0
    assert "3 rows, 3 good, 0 bad" in done.stdout


def test_fix_writes_the_good_rows(cli, here: Path) -> None:
    done = cli("check", "corpus/m.csv", "--fix", "good.jsonl")
    assert done.exit_code == 1
    assert lines(done)[-1] == "wrote good.jsonl: 2 rows, 1 of them repaired; 1 left out"
    first, second = read_manifest("good.jsonl")
    assert first == Row("1", "corpus/audio/angry/a.wav", emotion="angry", speaker="x", split="train")
    assert (second.emotion, second.label, second.extra) == ("", "low", {"duration_s": "0.5"})
    again = cli("check", "good.jsonl")
    assert again.exit_code == 0
    assert lines(again)[1] == "good.jsonl: 2 rows, 2 good, 0 bad"


def test_json(cli, here: Path) -> None:
    done = cli("check", "corpus/m.csv", "--json")
    assert done.exit_code == 1
    *problems, last = map(json.loads, lines(done))
    assert [(item["row"], item["id"], item["kind"], item["severity"]) for item in problems] == [
        (2, "2", "unknown column", "warning"),
        (2, "2", "unknown emotion", "error"),
        (3, "3", "missing file", "error"),
    ]
    assert last["summary"]["rows"] == 3
    assert last["summary"]["problems"] == {"unknown emotion": 1, "missing file": 1, "unknown column": 1}
    assert last["summary"]["values"] == {"unknown emotion": {"low": 1}, "unknown column": {"duration_s": 1}}


def test_many_warnings_are_counted(cli, here: Path) -> None:
    write_manifest([Row(str(i), "x", language="en_US") for i in range(20)], "m.jsonl")
    done = cli("check", "m.jsonl", "--no-audio", "--warnings", "3")
    assert done.exit_code == 0
    assert sum("en_US" in line for line in lines(done)) == 4  # and in the summary
    assert "warning: odd language: 17 more (--warnings 20 names all)" in done.stdout
    assert len(lines(cli("check", "m.jsonl", "--no-audio", "--json"))) == 21
    assert lines(cli("check", "m.jsonl", "--no-audio", "-q")) == []


def test_no_rows(cli, here: Path) -> None:
    Path("m.jsonl").write_text("")
    assert cli("check", "m.jsonl").exit_code == 1


def test_names_cannot_harm_a_terminal(cli, here: Path) -> None:
    Path("m.jsonl").write_text(json.dumps({"id": "\x1b[31m\udcff", "audio": "x"}) + "\n")
    done = cli("check", "m.jsonl", "--no-audio")
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m\\udcff: encoding" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "corpus/m.csv", "--fix", "good.txt"], "does not tell the format"),
        (["check", "corpus/m.csv", "--fix", "corpus/m.csv", "--overwrite"], "the very file"),
        (["check", "corpus/m.csv", "--fix", "there.jsonl"], "it exists"),
        (["check", "corpus/m.csv", "--fix", "none/good.jsonl"], "no directory none"),
        (["check", "corpus/m.csv", "--column", "audio"], "NAME=VALUE"),
        (["convert", "corpus/m.csv", "corpus"], "does not tell the format"),
        (["check"], "MANIFEST"),
    ],
)
def test_wrong_usage(cli, here: Path, arguments: list[str], says: str) -> None:
    Path("there.jsonl").write_text("")
    done = cli(*arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())
    assert Path("there.jsonl").read_text() == ""


def test_no_manifest(cli, here: Path) -> None:
    done = cli("check", "none.csv")
    assert str(done.exception) == "none.csv: it cannot be read: no such file or directory"
    assert done.exception.exit_code == 2


def test_convert(cli, here: Path) -> None:
    Path("corpus/list.csv").write_bytes("file;mood;who\naudio/sad/b.wav;sad;Zoë\naudio/x.wav\n".encode("latin-1"))
    options = ["--column", "audio=file", "--column", "emotion=mood", "--encoding", "latin-1"]
    done = cli("convert", "corpus/list.csv", "m.parquet", *options)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "warning: row 1 (line 2) audio/sad/b: no id: 'audio/sad/b' is taken",
        "error: row 2 (line 3): malformed row: it has 1 fields, and there are 3 column names",
        "wrote m.parquet: 1 row; 1 left out",
    ]
    assert list(read_manifest("m.parquet")) == [
        Row("audio/sad/b", "corpus/audio/sad/b.wav", emotion="sad", extra={"who": "Zoë"})
    ]
    assert cli("convert", "m.parquet", "m.csv").exit_code == 0
    assert cli("convert", "m.parquet", "m.csv").exit_code == 2
    assert cli("convert", "m.parquet", "m.csv", "--overwrite").exit_code == 0


def test_from_folder(cli, here: Path) -> None:
    record(Path("corpus/stray.wav"))
    done = cli("from-folder", "corpus", "corpus/new.csv", "--pattern", "audio/{emotion}/*", "--set", "corpus=mine")
    assert done.exit_code == 1
    assert "stray.wav: unmatched name: its path does not fit 'audio/{emotion}/*'" in done.stderr
    assert done.stderr.splitlines()[-1] == "wrote corpus/new.csv: 3 rows; 1 left out"
    rows = list(read_manifest("corpus/new.csv"))
    assert [(row.id, row.audio, row.emotion, row.label) for row in rows] == [
        ("mine/audio/angry/a", "audio/angry/a.wav", "angry", "angry"),
        ("mine/audio/sad/b", "audio/sad/b.wav", "sad", "sad"),
        ("mine/audio/sad/ü", "audio/sad/ü.wav", "sad", "sad"),
    ]
    assert cli("check", "corpus/new.csv").exit_code == 0


@pytest.mark.parametrize(
    ("pattern", "row"),
    [
        ("", {}),
        ("{split}/{speaker}_*_{emotion}", {"split": "train", "speaker": "s1", "emotion": "sad", "label": "sad"}),
        ("training/{speaker}_{take}_*", {"speaker": "s1", "extra": {"take": "07"}}),
        ("*/{id}", {"id": "s1_07_sad"}),
    ],
)
def test_patterns(here: Path, pattern: str, row: dict[str, object]) -> None:
    from aligncap.corpora import from_folder

    record(Path("mine/training/s1_07_sad.wav"))
    expected = {"id": "training/s1_07_sad", "audio": "training/s1_07_sad.wav", **row}
    assert list(from_folder("mine", pattern)) == [Row(**expected)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none", "m.csv"], "there is no such folder"),
        (["empty", "m.csv"], "there are no recordings"),
        (["corpus", "m.csv", "--pattern", "{a b}/*"], "{a b} is no column"),
        (["corpus", "m.csv", "--pattern", "{votes}/*"], "{votes} is no column"),
        (["corpus", "m.csv", "--set", "mood=x"], "no column 'mood'"),
    ],
)
def test_folders_that_make_no_manifest(cli, here: Path, arguments: list[str], says: str) -> None:
    Path("empty").mkdir()
    done = cli("from-folder", *arguments)
    assert says in str(done.exception)
    assert not Path("m.csv").exists()


def test_names_that_are_not_utf_8(cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [Path("mine/\udcfc.wav"), Path("mine/a.wav")]  # not every system can have such a file
    monkeypatch.setattr("aligncap.audio.find_audio", lambda _: names)
    Path("mine").mkdir()
    done = cli("from-folder", "mine", "m.csv")
    assert done.exit_code == 1
    assert "\\udcfc.wav: encoding: its name is not UTF-8: rename it" in done.stderr
    assert [row.id for row in read_manifest("m.csv")] == ["a"]


def dataset(files: list[dict[str, object]]):
    """A dataset with recordings, class labels and texts."""
    import datasets

    count = len(files)
    columns = {"file": files, "mood": [1, -1, 0, 0][:count], "text": ["Hello", None, "", "x"][:count]}
    found = datasets.Dataset.from_dict({**columns, "take": list(range(count))})
    found = found.cast_column("mood", datasets.ClassLabel(names=["angry", "sad"]))
    return found.cast_column("file", datasets.Audio(decode=False)).cast_column("file", datasets.Audio())


def test_from_dataset(cli, here: Path) -> None:
    import datasets

    data = Path("corpus/audio/sad/b.wav").read_bytes()
    train = dataset([{"path": "../../b.wav", "bytes": data}, {"path": None, "bytes": data}])
    datasets.DatasetDict({"train": train, "validation": train.select([0])}).save_to_disk("saved")
    done = cli("from-dataset", "saved", "corpus/m.jsonl", "--column", "emotion=mood", "--column", "transcript=text")
    assert done.exit_code == 0
    rows = list(read_manifest("corpus/m.jsonl"))
    assert [(row.id, row.audio, row.emotion, row.transcript, row.split) for row in rows] == [
        ("train/000000_b", "audio/train-000000.wav", "sad", "Hello", "train"),
        ("train/000001", "audio/train-000001.wav", "", "", "train"),
        ("validation/000000_b", "audio/validation-000000.wav", "sad", "Hello", "dev"),
    ]
    assert Path("corpus/audio/train-000001.wav").read_bytes() == data
    assert rows[1].extra == {"take": 1}
    assert cli("check", "corpus/m.jsonl").exit_code == 0
    assert cli("from-dataset", "saved", "new.csv", "--split", "train", "--column", "label=mood").exit_code == 0
    assert [row.split for row in read_manifest("new.csv")] == ["train", "train"]


def test_recordings_that_are_files_stay_where_they_are(here: Path) -> None:
    from aligncap.corpora import from_dataset

    files = [{"path": str(here / "corpus/audio/sad/b.wav"), "bytes": None}, {"path": "gone.wav", "bytes": None}]
    assert [row.audio for row in from_dataset(dataset(files), "corpus")] == ["audio/sad/b.wav", "gone.wav"]
    assert [row.audio for row in from_dataset(dataset(files), "other")] == [files[0]["path"], "gone.wav"]
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("saved", ["--split", "test"], "no split 'test'; it has train"),
        ("saved", ["--column", "emotion=mood"], "no column 'mood'; it has audio, text"),
        ("saved-texts", [], "no audio column"),
        ("nowhere/at all", [], "the dataset cannot be loaded"),
    ],
)
def test_datasets_that_make_no_manifest(
    cli, here: Path, source: str, options: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    texts = datasets.Dataset.from_dict({"audio": ["a.wav"], "text": ["x"]})
    datasets.DatasetDict({"train": texts}).save_to_disk("saved")
    texts.remove_columns("audio").save_to_disk("saved-texts")
    done = cli("from-dataset", source, "m.csv", *options)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)


def test_without_datasets(cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    done = cli("from-dataset", "x", "m.csv")
    assert str(done.exception) == "reading a dataset needs extra packages: pip install 'aligncap[data]'"


def test_rows_of_a_dataset_in_memory(here: Path) -> None:
    import datasets

    from aligncap.corpora import ManifestError, from_dataset

    path = str(here / "corpus/audio/sad/b.wav")
    dataset = datasets.Dataset.from_dict({"audio": [path, path], "start": [0.0, -1.0]})
    rows = from_dataset(dataset.to_iterable_dataset(), here)
    assert next(rows) == Row("000000_b", "corpus/audio/sad/b.wav", start=0.0)
    with pytest.raises(ManifestError, match="row 2 000001_b: bad times"):
        next(rows)
