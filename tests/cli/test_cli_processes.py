"""The command line as a process: pipes, terminals, signals, full disks. The captioner is a stand-in."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recordings import sound

COMMAND = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with recordings, of which the stand-in reads only the names, and the times."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    for name in ("a.wav", "b.wav", "bad.wav", "slow.wav"):
        (tmp_path / name).write_bytes(sound(0.2))
    return tmp_path


def aligncap(*arguments: str | bytes, **options) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **options.pop("env", {})}
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*COMMAND, *arguments], env=environment, timeout=60, check=False, **options)


def start(*arguments: str, **options) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **options.pop("env", {})}
    # a test run in the background of a shell ignores Ctrl-C, and its children would inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen([*COMMAND, *arguments], env=environment, **options)
    finally:
        signal.signal(signal.SIGINT, before)


def test_stdout_is_clean_and_stderr_has_no_bar_in_pipes() -> None:
    done = aligncap("caption", "a.wav", "bad.wav", "b.wav")
    assert done.returncode == 1
    assert done.stdout.decode() == "a.wav: Sounds fine, naïve…\nb.wav: Sounds fine, naïve…\n"
    error, summary = done.stderr.decode().splitlines()
    assert error == "error: bad.wav: it is silent"
    assert summary.startswith("captioned 2 of 3 recordings in ")
    assert summary.endswith("s; 1 failed")


def test_utf8_whatever_the_locale() -> None:
    done = aligncap("caption", "a.wav", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "a.wav: Sounds fine, naïve…\n"


def test_a_name_that_is_not_unicode(folder: Path) -> None:
    name = b"caf\xe9.wav"
    Path(os.fsdecode(name)).write_bytes(sound(0.2))
    assert aligncap("caption", name).stdout.startswith(name + b": Sounds")
    record = json.loads(aligncap("caption", name, "-f", "jsonl").stdout)
    assert os.fsencode(record["id"]) == name
    assert aligncap("caption", name, "-o", "out.csv").returncode == 0
    assert name in Path("out.csv").read_bytes()


def test_head(folder: Path) -> None:
    (folder / "many").mkdir()
    short = sound(0.1)
    for place in range(3000):  # more lines than a pipe holds
        (folder / "many" / f"{place:04d}-{'x' * 60}.wav").write_bytes(short)
    with start("caption", "many", "-q", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"many/0000-")
        process.stdout.close()
        rest = process.stderr.read().decode()
        assert process.wait(60) != 0
    assert [line for line in rest.splitlines() if not line.startswith("error: ")] == []
    assert "Traceback" not in rest
    assert "Broken" not in rest


def test_lines_come_at_once() -> None:
    with start("caption", "a.wav", "slow.wav", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        came = select.select([process.stdout], [], [], 45)[0]
        process.kill()
        assert came
        assert process.stdout.readline().startswith(b"a.wav:")


def test_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        done = aligncap("caption", "a.wav", stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode() == "error: standard output: it cannot be written: No space left on device\n"
    done = aligncap("caption", "a.wav", "-o", "/dev/full", "-f", "csv")
    assert done.returncode == 1
    assert done.stderr.decode() == "error: /dev/full: it cannot be written: No space left on device\n"


def test_closed_streams() -> None:
    command = " ".join(map(shlex.quote, COMMAND))
    done = subprocess.run(["bash", "-c", f"{command} caption a.wav >&-"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"standard output is closed" in done.stderr
    done = subprocess.run(["bash", "-c", f"{command} caption a.wav 2>&-"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout.decode() == "a.wav: Sounds fine, naïve…\n"


def test_interrupt_loses_nothing() -> None:
    with start("caption", "a.wav", "slow.wav", "-o", "out.jsonl", stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        until = time.monotonic() + 45
        while not (Path("out.jsonl").exists() and Path("out.jsonl").read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        written = Path("out.jsonl").read_text()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.wait(60) == 130
    assert said.startswith("interrupted: captioned 1 of 2 recordings")
    assert said.count("\n") == 1
    assert json.loads(written)["id"] == "a.wav"
    assert Path("out.jsonl").read_text() == written


@pytest.mark.parametrize(("kind", "code"), [("WeightsUnavailableError", 3), ("AlignCapError", 1)])
def test_errors_are_one_line(kind: str, code: int) -> None:
    done = aligncap("caption", "a.wav", "-o", "out.jsonl", env={"STAND_IN_ERROR": kind})
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode() == "error: first line second line\n"
    assert not Path("out.jsonl").exists(), "an empty file would be in the way of the next try"


def on_terminal(*arguments: str, stdout_too: bool = True) -> tuple[int, str, bytes]:
    """Run on a pseudo-terminal; return the exit code, what the terminal got, and what a pipe got."""
    ours, theirs = pty.openpty()
    process = start(
        *arguments,
        stdin=theirs,
        stdout=theirs if stdout_too else subprocess.PIPE,
        stderr=theirs,
        env={"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            block = os.read(ours, 4096)
        except OSError:  # the other end was closed
            break
        if not block:
            break
        seen += block
    os.close(ours)
    piped = process.communicate(timeout=60)[0] or b""
    return process.returncode, seen.decode(), piped


def test_bar_on_a_terminal() -> None:
    code, seen, _ = on_terminal("caption", "a.wav", "bad.wav", "b.wav")
    assert code == 1
    assert "loading the model" in seen
    assert "captioning" in seen
    assert "2/3" in seen
    lines = [line.rpartition("\x1b[2K")[2].rpartition("\r")[2] for line in seen.replace("\r\n", "\n").split("\n")]
    assert "a.wav: Sounds fine, naïve…" in lines
    assert "error: bad.wav: it is silent" in lines


def test_bar_beside_a_pipe() -> None:
    code, seen, piped = on_terminal("caption", "a.wav", "b.wav", "-f", "jsonl", stdout_too=False)
    assert code == 0
    assert "captioning" in seen
    assert [json.loads(line)["id"] for line in piped.splitlines()] == ["a.wav", "b.wav"]


def test_quiet_on_a_terminal() -> None:
    code, seen, piped = on_terminal("caption", "a.wav", "bad.wav", "-q", stdout_too=False)
    assert code == 1
    assert seen == "error: bad.wav: it is silent\r\n"
    assert piped.decode() == "a.wav: Sounds fine, naïve…\n"


def test_standard_input_must_not_be_a_terminal() -> None:
    code, seen, _ = on_terminal("caption", "-")
    assert code == 2
    assert "pipe one into it" in seen
