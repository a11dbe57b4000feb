"""Manifests: what is written is read again, in every format; odd files are read, or refused in one line."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
import tracemalloc
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.corpora import ManifestError, Problem, Row, audio_path, read_manifest, rebase, write_manifest
from aligncap.corpora.fields import COLUMNS, parse_record, to_record
from aligncap.corpora.problems import KINDS
from aligncap.errors import MissingExtraError

FULL = Row(
    id="c/1",
    audio="audio/ü 音.wav",
    start=0.5,
    end=2.25,
    corpus="c",
    language="en-IN",
    speaker="s1",
    gender="female",
    emotion="sad",
    label="sadness",
    intensity="strong",
    votes={"sad": 0.75, "neutral": 0.25},
    transcript='She said "no", twice;\nthen left.',
    captions=("A sad voice.", "Sad, and\ttired."),
    clues={"f0_median_hz": 201.5, "words": ["high-pitched"], "pitch": None},
    split="dev",
    licence="CC-BY-4.0",
    extra={"duration_s": 2.5, "note": "[laughs]\ragain", "take": 3},
)
SUFFIXES = [".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"]


def read(path: Path, text: str | bytes, **options) -> tuple[list[Row], list[Problem]]:
    """Rows and problems of a file with this text."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    problems: list[Problem] = []
    return list(read_manifest(path, on_problem=problems.append, **options)), problems


def kinds(problems: list[Problem]) -> list[str]:
    return [problem.kind for problem in problems]


# ---------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".parquet"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    assert write_manifest([FULL, Row("2", "b.wav")], path) == 2
    assert list(read_manifest(path)) == [FULL, Row("2", "b.wav")]
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_extra_columns_are_text_in_csv(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    write_manifest([FULL, Row("2", "b.wav", extra={"more": {"a": [1]}})], path)
    first, second = read_manifest(path)
    assert first.extra == {"duration_s": "2.5", "note": "[laughs]\ragain", "take": "3"}
    assert second.extra == {"more": '{"a": [1]}'}
    assert to_record(first) | {"duration_s": 2.5, "take": 3} == to_record(FULL)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).map(str.strip)
WORD = TEXT.filter(bool)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda item: st.lists(item, max_size=3) | st.dictionaries(WORD, item, max_size=3),
    max_leaves=4,
)
ROWS = st.builds(
    Row,
    id=WORD,
    audio=WORD.filter(lambda text: "\\" not in text),
    start=st.none() | st.floats(0, 100),
    end=st.none() | st.floats(101, 1000),
    language=st.sampled_from(["", "en", "zh-Hant-TW"]),
    speaker=TEXT,
    gender=st.sampled_from(["", "female", "male"]),
    emotion=TEXT,
    label=TEXT,
    votes=st.dictionaries(WORD, st.floats(0, 0.25), max_size=4),
    transcript=TEXT,
    captions=st.lists(WORD, max_size=3).map(tuple),
    clues=st.dictionaries(WORD, JSON, max_size=3),
    split=st.sampled_from(["", "train", "zero_shot"]),
    extra=st.dictionaries(WORD.filter(lambda name: name not in COLUMNS), WORD, max_size=3),
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(ROWS, max_size=4), suffix=st.sampled_from(SUFFIXES))
def test_any_rows_survive_any_format(rows: list[Row], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"m{suffix}")
        assert write_manifest(rows, path) == len(rows)
        assert list(read_manifest(path)) == rows


@settings(max_examples=100, deadline=None)
@given(record=st.dictionaries(st.sampled_from([*COLUMNS, "other"]) | TEXT, JSON | st.floats(), max_size=8))
def test_any_record_is_a_row_or_named(record: dict[str, object]) -> None:
    row, faults = parse_record(record)
    assert all(fault.kind in KINDS and fault.message for fault in faults)
    if row is None:
        assert KINDS[faults[-1].kind].remedy == "left out"
    else:
        again, _ = parse_record(json.loads(json.dumps(to_record(row), allow_nan=False)))
        assert again == row


def test_columns_are_the_fields_of_a_row() -> None:
    assert [*COLUMNS, "extra"] == [item.name for item in fields(Row)]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    import pyarrow.parquet

    rows = [
        Row("1", "a.wav", extra={"i": 1, "mixed": 1, "number": 1, "yes": True, "huge": 2**70, "list": [1]}),
        Row("2", "b.wav", votes={"sad": 1.0}, extra={"mixed": "x", "number": 1.5, "huge": 3, "list": ["a"]}),
    ]
    write_manifest(rows, tmp_path / "m.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "m.parquet")
    found = {
        name: str(schema.field(name).type).split(" (")[0]
        for name in ("i", "mixed", "number", "yes", "huge", "list", "votes")
    }
    text = dict.fromkeys(("mixed", "huge", "list"), "string")
    assert found == {**text, "i": "int64", "number": "double", "yes": "bool", "votes": "map<string, double"}
    first, second = read_manifest(tmp_path / "m.parquet")
    assert first.extra == {"i": 1, "mixed": "1", "number": 1.0, "yes": True, "huge": str(2**70), "list": "[1]"}
    assert second.votes == {"sad": 1.0}


def test_not_a_number_is_null(tmp_path: Path) -> None:
    write_manifest([Row("1", "a.wav", clues={"f0_median_hz": float("nan")})], tmp_path / "m.jsonl")
    assert json.loads((tmp_path / "m.jsonl").read_text())["clues"] == {"f0_median_hz": None}


# ---------------------------------------------------------------------------------- laziness


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("manifest", "records"):
        monkeypatch.setattr(f"aligncap.corpora.{module}._BATCH", 100)

    def peak(count: int) -> int:
        path = tmp_path / f"{count}{suffix}"
        rows = (Row(f"c/{i}", "audio/x.wav", transcript="x" * 900) for i in range(count))
        tracemalloc.start()
        write_manifest(rows, path)
        assert sum(1 for _ in read_manifest(path)) == count
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    write_manifest([FULL], tmp_path / f"first{suffix}")  # what it imports is not counted
    assert list(read_manifest(tmp_path / f"first{suffix}"))
    assert peak(1000) < 1.2 * peak(200) + 100_000  # 1,000 rows have 1,000,000 characters


def test_reading_is_lazy(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": "1", "audio": "a.wav"}\nbroken\n')
    rows = read_manifest(tmp_path / "m.jsonl")
    assert next(rows).id == "1"
    with pytest.raises(ManifestError, match=r"row 2: malformed row: .*aligncap manifest check"):
        next(rows)


# ---------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("given", "field", "value", "kind"),
    [
        ({"gender": "F"}, "gender", "female", "spelling"),
        ({"gender": "robot"}, "gender", "", "unknown value"),
        ({"intensity": "HI"}, "intensity", "strong", "spelling"),
        ({"split": "validation"}, "split", "dev", "spelling"),
        ({"split": "trian"}, "split", "", "unknown split"),
        ({"audio": "audio\\x.wav"}, "audio", "audio/x.wav", "path"),
        ({"speaker": 12}, "speaker", "12", None),
        ({"speaker": 12.0}, "speaker", "12", None),
        ({"speaker": float("nan")}, "speaker", "", None),
        ({"start": " 1.5 "}, "start", 1.5, None),
        ({"end": None}, "end", None, None),
        ({"id": ""}, "id", "a", "no id"),
        ({"id": "", "start": 2}, "id", "a#2", "no id"),
        ({"captions": "One."}, "captions", ("One.",), None),
        ({"captions": '["One.", "Two."]'}, "captions", ("One.", "Two."), None),
        ({"captions": "[laughs] One."}, "captions", ("[laughs] One.",), None),
        ({"captions": ["One.", " ", ""]}, "captions", ("One.",), "empty caption"),
        ({"captions": [""]}, "captions", (), "empty caption"),
        ({"captions": "[]"}, "captions", (), None),
        ({"votes": '{"sad": 0.5}'}, "votes", {"sad": 0.5}, None),
        ({"votes": {"sad": None, "happy": 1}}, "votes", {"happy": 1.0}, None),
        ({"votes": {"sad": 3}}, "votes", {}, "bad votes"),
        ({"votes": {"sad": 0.7, "happy": 0.7}}, "votes", {}, "bad votes"),
        ({"votes": {"sad": -0.1}}, "votes", {}, "bad votes"),
        ({"language": "en-in/hi"}, "language", "en-in/hi", "odd language"),
        ({"transcript": "Gr\N{REPLACEMENT CHARACTER}n"}, "transcript", "Gr\N{REPLACEMENT CHARACTER}n", "damaged text"),
        ({"audio": {"path": "a.wav", "bytes": None}}, "audio", "a.wav", None),
    ],
)
def test_values_are_taken_as_they_are_meant(given: dict, field: str, value: object, kind: str | None) -> None:
    row, faults = parse_record({"id": "1", "audio": "a.wav", **given})
    assert row is not None
    assert getattr(row, field) == value
    assert [fault.kind for fault in faults] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ({"audio": None}, "missing value", "audio"),
        ({"audio": " "}, "missing value", "audio"),
        ({"audio": 5}, "wrong type", "audio"),
        ({"id": ["x"]}, "wrong type", "id must be text"),
        ({"speaker": True}, "wrong type", "speaker"),
        ({"transcript": 1.5}, "wrong type", "transcript"),
        ({"start": "soon"}, "wrong type", "start"),
        ({"start": True}, "wrong type", "start"),
        ({"end": float("inf")}, "wrong type", "end"),
        ({"end": 10**400}, "wrong type", "end"),
        ({"start": -1}, "bad times", "before"),
        ({"start": 2, "end": 1}, "bad times", "2 s to 1 s"),
        ({"end": 0.05}, "bad times", "0.1 s"),
        ({"votes": [1]}, "wrong type", "votes"),
        ({"votes": "{"}, "wrong type", "votes"),
        ({"clues": "high"}, "wrong type", "clues"),
        ({"captions": '["One.'}, "wrong type", "captions"),
        ({"captions": {"en": "x"}}, "wrong type", "captions"),
        ({"captions": [1]}, "wrong type", "captions"),
        ({"transcript": "a\0b"}, "NUL byte", "a\\x00b"),
        ({"other": {"deep": ["\0"]}}, "NUL byte", ""),
        ({"transcript": "\ud800"}, "encoding", "half a character"),
        ({"captions": ["\udcfc"]}, "encoding", "0xFC"),
    ],
)
def test_rows_that_cannot_be_used(given: dict, kind: str, says: str) -> None:
    row, faults = parse_record({"id": "1", "audio": "a.wav", **given})
    assert row is None
    assert faults[-1].kind == kind
    assert says in faults[-1].message


def test_what_a_field_may_not_hold_is_kept_beside_it() -> None:
    row, _ = parse_record({"id": "1", "audio": "a", "intensity": "XX", "votes": {"sad": 4}, "split": "a"})
    assert row is not None
    assert row.extra == {"intensity_raw": "XX", "votes_raw": {"sad": 4}, "split_raw": "a"}


def test_unwritable_extra_values_are_named_and_removed() -> None:
    row, faults = parse_record({"id": "1", "audio": "a", "raw": b"\1", "n": 2})
    assert row is not None
    assert row.extra == {"n": 2}
    assert [fault.kind for fault in faults] == ["unwritable value"]


# ---------------------------------------------------------------------------------- odd files

LINE = '{"id": "Jürgen", "audio": "a.wav", "transcript": "Grüße"}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_unicode_encodings_are_recognised(tmp_path: Path, encoding: str, suffix: str) -> None:
    text = LINE if suffix == ".jsonl" else "id,audio,transcript\r\nJürgen,a.wav,Grüße\r\n"
    rows, problems = read(tmp_path / f"m{suffix}", text.encode(encoding))
    assert [(row.id, row.transcript) for row in rows] == [("Jürgen", "Grüße")]
    assert kinds(problems) == ([] if "utf-8" in encoding else ["odd encoding"])


def test_other_encodings_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows, problems = read(path, (LINE + '{"id": "2", "audio": "b.wav"}\n').encode("latin-1"))
    assert [row.id for row in rows] == ["2"]
    assert [(item.row, item.kind) for item in problems] == [(1, "encoding")]
    assert "byte 0xFC cannot be decoded" in problems[0].message
    assert str(problems[0]).isprintable()
    assert [row.id for row in read_manifest(path, encoding="latin-1")] == ["Jürgen", "2"]
    with pytest.raises(ManifestError, match="no encoding 'latin-x'"):
        list(read_manifest(path, encoding="latin-x"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "x", "audio": }', "expecting value at character 22"),
        ("[1, 2]", "a row is a JSON object"),
        ('"text"', "a row is a JSON object"),
        ('{"id": "x", "id": "y", "audio": "a"}', "'id' is given twice"),
        ("[" * 100_000, "recursion"),
        ('{"id": "x", "start": ' + "9" * 5000 + "}", "digits"),
        ('{"id": "x\0", "audio": "a"}', "control character"),
    ],
)
def test_broken_json_lines(tmp_path: Path, line: str, says: str) -> None:
    text = f'{{"id": "1", "audio": "a"}}\n\n{line}\n{{"id": "3", "audio": "c"}}'
    rows, problems = read(tmp_path / "m.jsonl", text)
    assert [row.id for row in rows] == ["1", "3"]
    assert [(item.row, item.line, item.kind) for item in problems] == [(2, 3, "malformed row")]
    assert says in problems[0].message.lower() or says in problems[0].message
    assert len(problems[0].message) < 250


def test_a_broken_row_is_named_by_its_id(tmp_path: Path) -> None:
    _, problems = read(tmp_path / "m.jsonl", '{"id": "corpus/7", "audio": \n')
    assert problems[0].id == "corpus/7"


def test_a_line_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aligncap.corpora.records._MAX_LINE", 100)
    for suffix, first in ((".jsonl", ""), (".csv", "id,audio\n")):
        good = '{"id": "1", "audio": "a"}\n' if suffix == ".jsonl" else "1,a\n"
        rows, problems = read(tmp_path / f"m{suffix}", first + "x" * 950 + "\n" + good)
        assert [row.id for row in rows] == ["1"]
        assert kinds(problems) == ["malformed row"]
        assert "characters" in problems[0].message


@pytest.mark.parametrize(
    ("text", "ids", "lines"),
    [
        ('id,audio\n1,a\n2,"b\n3,c\n4,d\n', ["1", "3", "4"], [3]),  # would swallow the rest
        ('id,audio\n1,"a\n2,"b"\n3,c\n', ["2", "3"], [2]),
        ('id,audio\n1,"a"x\n2,b\n', ["2"], [2]),
        ("id,audio\n1,a,b\n2\n3,c\n", ["3"], [2, 3]),
        ("id,audio\n\n1,a\n\n\n2,b", ["1", "2"], []),
        ('id,audio\n1,"a\nb"\n2\n', ["1"], [4]),  # the quoted one has two lines
        ("id;audio\n1;a\n", ["1"], []),
        ("id\taudio\r1\ta\r", ["1"], []),
    ],
)
def test_odd_csv(tmp_path: Path, text: str, ids: list[str], lines: list[int]) -> None:
    rows, problems = read(tmp_path / "m.csv", text)
    assert [row.id for row in rows] == ids
    assert [item.line for item in problems] == lines
    assert set(kinds(problems)) <= {"malformed row"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.jsonl", None, "no such file"),
        ("m.json", "{}", "one object a line"),
        ("m.xlsx", "", "ends in .jsonl"),
        ("m.jsonl", '[\n{"id": "1"}]', "one JSON list"),
        ("m.jsonl", b"RIFF\xff\xfe\0\0\x01", "not text"),
        ("m.jsonl", b"PAR1....", "name it .parquet"),
        ("m.csv", "", "empty"),
        ("m.csv", "\n\n", "empty"),
        ("m.csv", "id,path\n1,a\n", "no column 'audio'; it has id, path"),
        ("m.csv", "id,audio,id\n", "'id' is there twice"),
        ("m.csv", 'id,"audio\n', "not closed"),
        ("m.parquet", b"PAR1 and nothing", "not a Parquet file"),
        ("m.parquet", b"", "not a Parquet file"),
    ],
)
def test_files_that_are_no_manifest(tmp_path: Path, name: str, content: str | bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ManifestError, match=r"m\.[a-z]+: ") as caught:
        list(read_manifest(tmp_path / name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").mkdir()
    with pytest.raises(ManifestError, match="directory"):
        list(read_manifest(tmp_path / "m.jsonl"))


def test_an_empty_jsonl_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "m.jsonl", "") == ([], [])


# ---------------------------------------------------------------------------------- columns


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_columns_may_have_other_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    if suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"file": ["a.wav"], "mood": ["sad"], "emotion": ["3"]}), path)
    elif suffix == ".csv":
        path.write_text("file,mood,emotion\na.wav,sad,3\n")
    else:
        path.write_text('{"file": "a.wav", "mood": "sad", "emotion": "3"}\n')
    rows = read_manifest(path, columns={"audio": "file", "emotion": "mood", "label": "mood", "id": "file"})
    assert list(rows) == [Row("a.wav", "a.wav", emotion="sad", label="sad", extra={"emotion_raw": "3"})]


def test_wrong_columns(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,audio\n1,a\n")
    with pytest.raises(ManifestError, match="no column 'file'"):
        list(read_manifest(path, columns={"audio": "file"}))
    with pytest.raises(ManifestError, match="a manifest has no column 'mood'"):
        list(read_manifest(path, columns={"mood": "audio"}))


def test_columns_without_a_name_are_kept(tmp_path: Path) -> None:
    rows, problems = read(tmp_path / "m.csv", ",id,audio\n0,1,a\n")  # as pandas writes it
    assert rows[0].extra == {"column_1": "0"}
    assert problems == []


# ---------------------------------------------------------------------------------- writing


def test_nothing_is_overwritten_or_left_half_done(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("mine")
    with pytest.raises(ManifestError, match="it exists"):
        write_manifest([FULL], path)

    def failing():
        yield FULL
        raise RuntimeError("in between")

    with pytest.raises(RuntimeError):
        write_manifest(failing(), path, overwrite=True)
    assert path.read_text() == "mine"
    write_manifest([FULL], path, overwrite=True)
    assert next(csv.DictReader(io.StringIO(path.read_text("utf-8"))))["id"] == "c/1"
    assert [item.name for item in tmp_path.iterdir()] == ["m.csv"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be written: no such file"):
        write_manifest([FULL], tmp_path / "none" / "m.jsonl")
    with pytest.raises(ManifestError, match=r"\\udcfc: it holds text that is not valid Unicode"):
        write_manifest([Row("\udcfc", "a")], tmp_path / "m.jsonl")
    with pytest.raises(ManifestError, match="1: clues holds bytes"):
        write_manifest([Row("1", "a", clues={"x": b""})], tmp_path / "m.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (
        lambda: list(read_manifest(tmp_path / "m.parquet")),
        lambda: write_manifest([], tmp_path / "n.parquet"),
    ):
        with pytest.raises(MissingExtraError, match=r"pip install 'aligncap\[data\]'"):
            call()


# ---------------------------------------------------------------------------------- paths


def test_paths_follow_the_manifest(tmp_path: Path) -> None:
    rows = [Row("1", "audio/a.wav"), Row("2", "/data/b.wav"), Row("3", "C:/data/c.wav"), Row("4", "https://x.org/d")]
    moved = list(rebase(rows, tmp_path / "corpus", tmp_path / "work" / "here"))
    assert [row.audio for row in moved] == ["../../corpus/audio/a.wav", *(row.audio for row in rows[1:])]
    assert list(rebase(moved, tmp_path / "work" / "here", tmp_path / "corpus")) == rows
    (tmp_path / "work").mkdir()
    write_manifest(rows[:1], tmp_path / "work" / "m.jsonl", folder=tmp_path / "corpus")
    assert next(read_manifest(tmp_path / "work" / "m.jsonl")).audio == "../corpus/audio/a.wav"


def test_names_composed_otherwise_are_found(tmp_path: Path) -> None:
    composed, decomposed = "m\u00fcde", "mu\u0308de"
    on_disk = tmp_path / decomposed / f"{decomposed}.wav"
    on_disk.parent.mkdir()
    on_disk.write_bytes(b"")
    for name in (f"{composed}/{composed}.wav", f"{composed}/{decomposed}.wav", f"{decomposed}/{decomposed}.wav "):
        assert audio_path(name, tmp_path) == on_disk
    assert audio_path(f"{composed}/none.wav", tmp_path) == tmp_path / composed / "none.wav"
    on_disk.rename(on_disk.with_name(f"{composed}.wav"))  # what was seen before is not taken for granted
    assert audio_path(f"{composed}/{decomposed}.wav", tmp_path) == on_disk.with_name(f"{composed}.wav")
