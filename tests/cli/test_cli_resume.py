"""A run into a JSON Lines file goes on after it was cut short: nothing is lost, nothing is there twice."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from recordings import sound

HERE = Path(__file__).parent
COMMAND = [sys.executable, str(HERE / "stand_in.py"), "caption"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """120 recordings: most short, some cut into stretches, some bad."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    short, long = sound(0.3), sound(23.0, 2)
    for place in range(120):
        kind = "bad" if place % 17 == 5 else "ok"
        (tmp_path / "in" / f"{place:03d}-{kind}.wav").write_bytes(long if place % 10 == 3 else short)
    (tmp_path / "in" / "060-ok.wav").write_bytes(b"broken")
    return tmp_path


def aligncap(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--segmentation", "fixed", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_killed_twenty_times() -> None:
    """Torn lines, half recordings: whatever a SIGKILL leaves, the end is as of one run, byte for byte."""
    assert aligncap("in", "-o", "whole.jsonl").returncode == 1
    command = [sys.executable, str(HERE / "kill_runner.py"), "20", "caption", "in", "-o", "out.jsonl"]
    command += ["--segmentation", "fixed", "--batch-size", "2", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert int(done.stdout) >= 15, "most runs were over before they were killed"
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert sorted(item.name for item in Path().iterdir()) == [
        *("in", "out.jsonl", "out.jsonl.run.json", "whole.jsonl", "whole.jsonl.run.json")
    ]


@pytest.fixture
def begun() -> list[str]:
    """A file of which all but the first 20 lines are gone; the lines of the whole."""
    aligncap("in", "-o", "out.jsonl")
    lines = Path("out.jsonl").read_text().splitlines(keepends=True)
    Path("out.jsonl").write_text("".join(lines[:20]))
    return lines


def test_what_is_there_is_kept(begun: list[str]) -> None:
    """What was done is neither done again nor retold."""
    first = json.loads(begun[0]) | {"mine": 1}
    Path("out.jsonl").write_text(json.dumps(first) + "\n" + "".join(begun[1:20]) + begun[20][:30])
    done = aligncap("in", "-o", "out.jsonl")
    assert done.returncode == 1
    assert "were done before; " in done.stderr
    assert done.stderr.endswith("; 8 failed\n")
    assert Path("out.jsonl").read_text().splitlines(keepends=True) == [json.dumps(first) + "\n", *begun[1:]]
    again = aligncap("in", "-o", "out.jsonl")
    assert "120 were done before; 8 failed" in again.stderr
    assert Path("out.jsonl").read_text().splitlines(keepends=True)[1:] == begun[1:]


def test_new_recordings_are_added(begun: list[str]) -> None:
    Path("in/000-a.wav").write_bytes(sound(0.3))
    aligncap("in", "-o", "out.jsonl")
    ids = [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()]
    assert sorted(ids) == sorted([*(json.loads(line)["id"] for line in begun), "in/000-a.wav"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--prompt", "What?"], "prompt"),
        (["--seed", "1"], "sampling"),
        (["--verify", "strict"], "verify"),
        (["--dtype", "int8"], "dtype"),
        (["--max-stretch", "5"], "max_stretch"),
        (["--segmentation", "vad"], "segmentation"),
    ],
)
def test_other_options_are_refused(options: list[str], named: str) -> None:
    Path("one.wav").write_bytes(sound(0.3))
    aligncap("one.wav", "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    done = aligncap("one.wav", "-o", "out.jsonl", *options)
    assert done.returncode == 2
    assert f"out.jsonl: it was begun with other options ({named}" in " ".join(done.stderr.replace("│", " ").split())
    assert Path("out.jsonl").read_bytes() == before


def test_what_makes_no_difference_is_not_compared() -> None:
    Path("one.wav").write_bytes(sound(0.3))
    aligncap("one.wav", "-o", "out.jsonl")
    done = aligncap("one.wav", "-o", "out.jsonl", "--batch-size", "3", "--threads", "2")
    assert done.returncode == 0
    assert "1 were done before" in done.stderr


def test_overwrite_begins_anew(begun: list[str]) -> None:
    done = aligncap("in/001-ok.wav", "-o", "out.jsonl", "--overwrite", "--prompt", "What?")
    assert done.returncode == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 1
    assert json.loads(Path("out.jsonl.run.json").read_text())["prompt"] == "What?"


def test_damage_in_the_middle_is_refused(begun: list[str]) -> None:
    Path("out.jsonl").write_text("".join([*begun[:5], "garbage\n", *begun[5:9]]))
    done = aligncap("in", "-o", "out.jsonl")
    assert done.returncode == 2
    assert "line 6: it is no record, and there are others after it" in " ".join(done.stderr.replace("│", " ").split())


def test_a_file_that_no_run_began_is_kept() -> None:
    Path("one.wav").write_bytes(sound(0.3))
    Path("out.jsonl").write_text("{}\n")
    done = aligncap("one.wav", "-o", "out.jsonl")
    assert done.returncode == 2
    assert "it exists" in done.stderr
    assert Path("out.jsonl").read_text() == "{}\n"


def test_one_run_at_a_time() -> None:
    Path("slow.wav").write_bytes(sound(0.3))
    Path("one.wav").write_bytes(sound(0.3))
    first = subprocess.Popen([*COMMAND, "one.wav", "slow.wav", "-o", "out.jsonl"], stderr=subprocess.PIPE)
    try:
        while not (Path("out.jsonl").exists() and Path("out.jsonl").read_text()):
            assert first.poll() is None
        done = subprocess.run([*COMMAND, "one.wav", "-o", "out.jsonl"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "another run is writing it now" in done.stderr
    finally:
        first.kill()
        first.communicate()


# ---------------------------------------------------------------------------------- other outputs


def test_a_half_recording_comes_before_those_that_were_added(folder: Path) -> None:
    """However often it is cut short: what follows a half recording's records must not make it look whole."""
    aligncap("in", "-o", "out.jsonl")
    lines = Path("out.jsonl").read_text().splitlines(keepends=True)
    half = next(number for number, line in enumerate(lines, 1) if '"id": "in/023-ok.wav#0"' in line)
    Path("out.jsonl").write_text("".join(lines[:half]))
    (folder / "in" / "000-added.wav").write_bytes(sound(0.3))
    aligncap("in", "-o", "out.jsonl")
    ids = [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()]
    assert ids[half - 1 : half + 3] == [*(f"in/023-ok.wav#{place}" for place in range(3)), "in/000-added.wav"]
    assert sorted(ids) == sorted({*ids} | {json.loads(line)["id"] for line in lines})


def test_documents_into_a_directory() -> None:
    Path("out").mkdir()
    Path("a.wav").write_bytes(sound(0.3))
    Path("sub").mkdir()
    Path("sub/a.wav").write_bytes(sound(12.0))
    Path("b.mp3").write_bytes(sound(0.3))
    done = aligncap("a.wav", "sub", "b.mp3", "in/005-bad.wav", "-f", "srt", "-o", "out", "--plot", "out", "-q")
    assert done.returncode == 1, done.stderr
    names = [f"{name}.{kind}" for name in ("a.wav", "b", "sub_a.wav") for kind in ("png", "srt")]
    assert sorted(item.name for item in Path("out").iterdir()) == names
    assert Path("out/sub_a.wav.srt").read_text().count("-->") == 2
    refused = aligncap("b.mp3", "-f", "srt", "-o", "out")
    assert (refused.returncode, "it exists" in refused.stderr) == (2, True)


@pytest.mark.parametrize("kind", ["srt", "vtt", "textgrid", "eaf"])
def test_a_document_on_standard_output(kind: str) -> None:
    Path("a.wav").write_bytes(sound(0.3))
    done = aligncap("a.wav", "-f", kind)
    assert done.returncode == 0, done.stderr
    assert "Sounds fine, naïve…" in done.stdout


def test_parquet_and_turns() -> None:
    from pyarrow import parquet as pq

    Path("a.wav").write_bytes(sound(3.0))
    Path("a.rttm").write_text("SPEAKER a 1 0.5 1.0 <NA> <NA> ann <NA> <NA>\n")
    done = aligncap("a.wav", "-o", "a.parquet", "--segments", "a.rttm")
    assert done.returncode == 0, done.stderr
    rows = pq.read_table("a.parquet").to_pylist()
    assert [(row["start"], row["end"], row["speaker"], row["silence"]) for row in rows] == [
        *((0, 0.5, None, True), (0.5, 1.5, "ann", False), (1.5, 3.0, None, True))
    ]
    csv = aligncap("a.wav", "-f", "csv", "--segments", "a.rttm").stdout.splitlines()
    assert csv[0].startswith("id,audio,start,end,speaker,caption")
    assert csv[2].startswith("a.wav#0,a.wav,0.500,1.500,ann,")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in", "-o", "x.srt"], "it is for one recording, and there are 120"),
        (["in", "-f", "vtt"], "it is for one recording, and there are 120"),
        (["in", "-f", "parquet"], "Parquet needs a file"),
        (["in", "-o", "in"], "does not tell the format: add --format"),
        (["in/000-ok.wav", "--plot", "x.gif"], "does not tell the format"),
        (["in/000-ok.wav", "--plot", "gone/x.png"], "there is no directory gone"),
        (["in/000-ok.wav", "--tier", "x"], "name that with --segments"),
        (["in/000-ok.wav", "--segments", "gone.srt"], "there is no such file"),
        (["in/000-ok.wav", "--max-stretch", "11"], "more than the model takes: 10 s"),
        (["in/000-ok.wav", "--verify", "never"], "'off', 'on', 'strict'"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str) -> None:
    done = aligncap(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.replace("│", " ").split())


def test_a_stream_through_a_pipe() -> None:
    data = io.BytesIO()
    soundfile.write(data, soundfile.read(io.BytesIO(sound(1.0)))[0], 16_000, format="FLAC")
    done = subprocess.run([*COMMAND, "-"], input=data.getvalue(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
