"""Results as JSON Lines, CSV and text."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from aligncap.captioner.results import Caption, Failure, Formatter
from aligncap.errors import AudioTooShortError

PLAIN = Caption("a.wav", "a.wav", 0.0, 1.23456, "He sounds sad.", {"sad": 0.75, "calm": 0.25}, "Feeling: sad.", "m")
RICH = Caption(
    "b, c.wav#1",
    "b, c.wav",
    10.0,
    20.0,
    'A "loud" voice; ärgerlich.',
    {"angry": 1.0},
    "",
    "m",
    ("Or so.", "Or so, too."),
    ("it is clipped",),
)
FAILED = Failure.of(AudioTooShortError("/tmp/d.wav", "it is 50 ms long"), "d.wav")


def test_json_lines(check_record) -> None:
    lines = [Formatter("jsonl")(result) for result in (PLAIN, RICH, FAILED)]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    records = [json.loads(line) for line in lines]
    assert records == [
        {
            "id": "a.wav",
            "audio": "a.wav",
            "start": 0.0,
            "end": 1.235,
            "caption": "He sounds sad.",
            "emotions": {"sad": 0.75, "calm": 0.25},
            "clues": "Feeling: sad.",
            "model": "m",
        },
        {
            "id": "b, c.wav#1",
            "audio": "b, c.wav",
            "start": 10.0,
            "end": 20.0,
            "caption": 'A "loud" voice; ärgerlich.',
            "emotions": {"angry": 1.0},
            "clues": "",
            "model": "m",
            "alternatives": ["Or so.", "Or so, too."],
            "warnings": ["it is clipped"],
        },
        {"id": "d.wav", "audio": "d.wav", "error": {"type": "AudioTooShortError", "message": "it is 50 ms long"}},
    ]
    for record in records:
        check_record(record)
    assert "ärgerlich" in lines[1]


def test_json_has_no_nan() -> None:
    broken = Caption("a", "a", 0, 1, "c", {"sad": float("nan")}, "", "m")
    with pytest.raises(ValueError, match="not JSON compliant"):
        Formatter("jsonl")(broken)


def test_json_with_a_name_that_is_not_unicode() -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    line = Formatter("jsonl")(Failure(name, name, "E", "m"))
    assert line.isascii()
    assert os.fsencode(json.loads(line)["id"]) == b"caf\xe9.wav"


def test_csv() -> None:
    formatter = Formatter("csv")
    text = formatter.header + "".join(map(formatter, (PLAIN, RICH, FAILED)))
    plain, rich, failed = csv.DictReader(io.StringIO(text))
    assert plain == {
        "id": "a.wav",
        "audio": "a.wav",
        "start": "0.000",
        "end": "1.235",
        "caption": "He sounds sad.",
        "alternatives": "",
        "emotion": "sad",
        "probability": "0.7500",
        "clues": "Feeling: sad.",
        "model": "m",
        "warnings": "",
        "error": "",
    }
    assert rich["caption"] == 'A "loud" voice; ärgerlich.'
    assert rich["alternatives"] == "Or so. | Or so, too."
    assert rich["warnings"] == "it is clipped"
    assert (failed["id"], failed["caption"]) == ("d.wav", "")
    assert failed["error"] == "AudioTooShortError: it is 50 ms long"


def test_text() -> None:
    formatter = Formatter("text")
    assert formatter.header == ""
    assert formatter(PLAIN) == "a.wav: He sounds sad.\n"
    assert formatter(RICH) == (
        'b, c.wav [10.0–20.0 s]: A "loud" voice; ärgerlich.\n    or: Or so.\n    or: Or so, too.\n'  # noqa: RUF001
    )
    assert formatter(FAILED) == ""


def test_text_keeps_control_characters_from_the_terminal() -> None:
    nasty = Caption("a\x1b[31m\n#.wav", "a\x1b[31m\n#.wav", 0, 1, "c\x07", {"sad": 1.0}, "", "m")
    assert Formatter("text")(nasty) == "a�[31m�#.wav: c�\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("two\n  lines"), "two lines"), (MemoryError(), "no reason given"), (KeyError("f0"), "'f0'")],
)
def test_failures_have_one_line(error: Exception, message: str) -> None:
    assert Failure.of(error, "x") == Failure("x", "x", type(error).__name__, message)
