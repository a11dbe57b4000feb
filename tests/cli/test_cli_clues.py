"""``aligncap clues``: inputs, formats, references, pictures, exit codes."""

from __future__ import annotations

import csv
import io
import json
import sys
import wave
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from aligncap.clues import MeasuredClues

RATE = 16_000
NUMBERS = [field.name for field in fields(MeasuredClues)]


def speech(hz: float, seconds: float = 1.6, gain: float = 0.3) -> bytes:
    """A WAV file with a voice of four syllables a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    swing = 10 ** (20 * (-0.5 - 0.5 * np.cos(2 * np.pi * 4 * time)) / 20)
    voice = sum(np.cos(2 * np.pi * k * hz * time) / k for k in range(1, int(4000 / hz))) * swing
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((gain * voice / np.abs(voice).max() * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture
def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, data in {
        "high.wav": speech(330.0),
        "low.wav": speech(95.0),
        "alto.wav": speech(180.0),
        "tenor.wav": speech(210.0),
        "long.wav": speech(150.0, 12.0),
        "text.wav": b"not audio at all",
        "calls/a.wav": speech(180.0),
        "calls/sub/ü 音.wav": speech(330.0),
        "calls/notes.txt": b"not a recording",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


pytestmark = pytest.mark.usefixtures("voices")


def test_text_says_the_words_and_why(cli: Callable) -> None:
    done = cli("clues", "high.wav", "low.wav")
    assert done.code == 0
    high, low = done.lines
    assert high.startswith("high.wav: high-pitched (330 Hz), flat (0.0 semitones)")
    assert low.startswith("low.wav: low-pitched (95 Hz), flat")
    assert done.err.startswith("measured 2 of 2 recordings in ")


def test_json_lines_are_rows_of_a_manifest(cli: Callable) -> None:
    done = cli("clues", "high.wav", "calls", "-f", "jsonl", "-q")
    rows = [json.loads(line) for line in done.lines]
    assert [row["id"] for row in rows] == ["high.wav", "calls/a.wav", "calls/sub/ü 音.wav"]
    assert list(rows[0]) == ["id", "audio", "start", "end", "clues"]
    assert list(rows[0]["clues"]) == [*NUMBERS, "words"]
    assert rows[0]["clues"]["f0_median_hz"] == pytest.approx(330.0, abs=1.0)
    assert rows[0]["clues"]["words"][:2] == ["pitch:high", "melody:flat"]
    assert done.err == ""


def test_what_could_not_be_measured_is_null(cli: Callable) -> None:
    noise = (np.random.default_rng(0).standard_normal(RATE) * 3000).astype("<i2").tobytes()
    with wave.open("hiss.wav", "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(noise)
    clues = json.loads(cli("clues", "hiss.wav", "-f", "jsonl").out)["clues"]
    assert clues["f0_median_hz"] is None
    assert clues["words"] == []
    assert clues["duration_s"] == 1.0
    assert cli("clues", "hiss.wav").out == "hiss.wav: no voice found\n"


def test_csv_has_a_column_for_each_number(cli: Callable) -> None:
    done = cli("clues", "high.wav", "text.wav", "-f", "csv")
    assert done.code == 1
    good, bad = csv.DictReader(io.StringIO(done.out))
    assert list(good) == ["id", "audio", "start", "end", *NUMBERS, "words", "warnings", "error"]
    assert float(good["f0_median_hz"]) == pytest.approx(330.0, abs=1.0)
    assert good["words"].split()[0] == "pitch:high"
    assert bad["f0_median_hz"] == ""
    assert bad["error"].startswith("AudioUnreadableError: ")


def test_bad_files_are_named_and_skipped(cli: Callable) -> None:
    done = cli("clues", "text.wav", "gone.wav", "high.wav")
    assert done.code == 1
    assert len(done.lines) == 1
    assert "error: text.wav: " in done.err
    assert "error: gone.wav: " in done.err
    assert done.err.splitlines()[-1].startswith("measured 1 of 3 recordings in ")
    assert done.err.splitlines()[-1].endswith("; 2 failed")


def test_long_recordings_are_cut_into_stretches(cli: Callable) -> None:
    done = cli("clues", "long.wav", "-f", "jsonl")
    rows = [json.loads(line) for line in done.lines]
    assert [(row["id"], row["start"], row["end"]) for row in rows] == [
        ("long.wav#0", 0.0, 6.0),
        ("long.wav#1", 6.0, 12.0),
    ]
    assert cli("clues", "long.wav").lines[1].startswith("long.wav [6.0–12.0 s]: ")  # noqa: RUF001


def test_standard_input(cli: Callable) -> None:
    done = cli("clues", "-", "-f", "jsonl", stdin=speech(330.0))
    assert json.loads(done.out)["id"] == "<stdin>"
    assert json.loads(done.out)["clues"] == json.loads(cli("clues", "high.wav", "-f", "jsonl").out)["clues"]


def test_output_file(cli: Callable) -> None:
    assert cli("clues", "high.wav", "-o", "out.jsonl").out == ""
    before = Path("out.jsonl").read_text(encoding="utf-8")
    assert json.loads(before)["id"] == "high.wav"
    done = cli("clues", "low.wav", "-o", "out.jsonl")
    assert done.code == 2
    assert "it exists" in done.err
    assert Path("out.jsonl").read_text(encoding="utf-8") == before
    assert cli("clues", "low.wav", "-o", "out.jsonl", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [set(), set()]),
        (("--gender", "female"), [{"pitch:low"}, set()]),
        (("--gender", "male"), [set(), {"pitch:high"}]),
    ],
)
def test_gender_moves_the_reference(cli: Callable, options: tuple[str, ...], expected: list[set[str]]) -> None:
    done = cli("clues", "alto.wav", "tenor.wav", "-f", "jsonl", *options)
    words = [{word for word in json.loads(line)["clues"]["words"] if word.startswith("pitch")} for line in done.lines]
    assert words == expected


def test_relative_to_the_speaker(cli: Callable) -> None:
    for name, hz, gain in (("a", 150, 0.3), ("b", 152, 0.3), ("c", 148, 0.3), ("d", 150, 0.3), ("e", 220, 0.9)):
        Path(f"calls/speaker_{name}.wav").write_bytes(speech(hz, gain=gain))
    names = [f"calls/speaker_{name}.wav" for name in "abcde"]
    done = cli("clues", *names, "--relative", "-f", "jsonl")
    words = [json.loads(line)["clues"]["words"] for line in done.lines]
    assert {"pitch:high", "loudness:loud"} <= set(words[-1])
    for others in words[:-1]:
        assert not {"pitch:high", "pitch:low", "loudness:loud", "loudness:quiet"} & set(others)
    alone = json.loads(cli("clues", names[-1], "-f", "jsonl").out)["clues"]["words"]
    assert not {"pitch:high", "loudness:loud"} & set(alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("high.wav", "low.wav", "--relative"), "takes at least 5 recordings"),
        (("high.wav", "--relative", "--gender", "male"), "not both"),
        (("high.wav", "-o", "out.xyz"), "does not tell the format"),
        (("",), "a name is empty"),
        (("high.wav", "--plot", "text.wav"), "cannot be made"),
        (("high.wav", "--gender", "robot"), "robot"),
    ],
)
def test_wrong_usage(cli: Callable, arguments: tuple[str, ...], message: str) -> None:
    done = cli("clues", *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", "").split())
    assert done.out == ""


def test_pictures(cli: Callable) -> None:
    done = cli("clues", "high.wav", "text.wav", "calls", "--plot", "pictures/new")
    assert done.code == 1
    names = sorted(path.name for path in Path("pictures/new").iterdir())
    assert names == ["0000_high.wav.png", "0002_calls_a.wav.png", "0003_calls_sub_ü_音.wav.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in Path("pictures/new").iterdir())


def test_pictures_without_matplotlib(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cli("clues", "high.wav", "--plot", "pictures")
    assert done.code == 3
    assert "pip install 'aligncap[plots]'" in done.err
    assert done.out == ""
