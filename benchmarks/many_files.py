"""Runs ``aligncap caption DIR/ -o out.jsonl`` over 100,000 files with a model that answers at once.

    python benchmarks/many_files.py
    python benchmarks/many_files.py --files 20000 --voice

It measures the bookkeeping of a collection, **not the model**: finding the files, decoding them, bringing those of like
length together, writing, and checking what was written before. The command is the real one, in processes of its own;
only its captioner is replaced, by one that reads batches ahead as the real one does and gives the same caption at once.
Voices are not measured either, unless ``--voice`` is given (some 5 ms a file).

Makes a folder of different recordings of 0.2 to 1 s in folders of 1,000, with broken ones among them and one folder of
nothing but broken ones. Then: a tenth of them and all of them, each without a break; all of them again, ended with
SIGKILL when half is written, and gone on with by the same command; and once more when there is nothing left to do. At
the end every file must be there once, and the file that was gone on with must be, byte for byte, that of the run
without a break. Prints times, the CPU's seconds too (the others say little on a busy machine), and
the most memory that each process held; exits with 1 where something is wrong. Needs Linux for the memory. The
same seed makes the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000
FOLDER = 1_000  # files in a folder
BROKEN = 2  # the folder in which all are
CAPTION = "The speaker sounds calm and content. The voice is low-pitched and steady, and the pace is even."
LABELS = ("angry", "calm", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


def main() -> None:
    """Make the files, run, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--voice", action="store_true", help="measure voices, as the real captioner does")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    few, many = max(arguments.files // 10, 1), arguments.files
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.perf_counter()
        broken = make(folder / "clips", many, arguments.seed)
        size = sum(path.stat().st_size for path in (folder / "clips").rglob("*.wav"))
        print(
            f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"seed {arguments.seed}\n{many} files, {size / 1e6:.0f} MB, {broken} of them broken "
            f"(made in {time.perf_counter() - begin:.0f} s)\nno model: every caption is the same; voices are "
            f"{'' if arguments.voice else 'not '}measured",
            flush=True,
        )
        run = partial(start, folder, arguments.batch_size, arguments.voice)
        some = sorted(item.as_posix() for item in (folder / "clips").iterdir())[: max(few // FOLDER, 1)]
        runs = [
            run("a tenth of them", [Path(item).relative_to(folder).as_posix() for item in some], "few.jsonl"),
            run("all", ["clips"], "whole.jsonl"),
        ]
        half = (folder / "whole.jsonl").stat().st_size // 2
        runs += [
            run("killed half-way", ["clips"], "out.jsonl", kill_at=half),
            run("gone on with", ["clips"], "out.jsonl"),
            run("nothing left to do", ["clips"], "out.jsonl"),
        ]
        problems = [*check(runs, broken), *compare(folder)]
    print("\n".join(f"WRONG: {problem}" for problem in problems) or "every file once, byte for byte the same")
    sys.exit(1 if problems else 0)


@dataclass(frozen=True)
class Run:
    """What became of a process.

    Attributes:
        status: its exit code.
        before: bytes that were written before it started.
        after: bytes when it had ended.
        memory: the most that it held, in bytes.
    """

    status: int
    before: int
    after: int
    memory: int


def make(folder: Path, count: int, seed: int) -> int:
    """Write recordings, all different, in folders; return how many are broken."""
    random = np.random.default_rng(seed)
    noise = (2000 * random.standard_normal(60 * RATE)).astype("<i2")
    broken = 0
    for number in range(count):
        place = folder / f"{number // FOLDER:04d}"
        if not number % FOLDER:
            place.mkdir(parents=True)
            print(f"\rmaking files: {number}", end="", file=sys.stderr, flush=True)
        length = int(random.uniform(0.2, 1.0) * RATE)
        at = int(random.integers(len(noise) - length))
        samples = noise[at : at + length].tobytes()
        data = _header(len(samples)) + samples
        if number // FOLDER == BROKEN or number % 97 < 2:
            data = [b"", b"this is no audio", data[:30], data[: len(data) // 2]][number % 4]
            broken += 1
        (place / f"{number:06d}.wav").write_bytes(data)
    print("\r" + 40 * " ", end="\r", file=sys.stderr)
    return broken


def _header(size: int) -> bytes:
    """Of a WAV file with so many bytes of mono 16-bit samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def start(
    folder: Path, batch_size: int, voice: bool, title: str, recordings: list[str], name: str, kill_at: int | None = None
) -> Run:
    """Run the command and print what it took.

    Args:
        folder: to run it in.
        batch_size: an option of the command.
        voice: whether voices are measured.
        title: what to call the run.
        recordings: arguments of the command.
        name: of the output.
        kill_at: bytes in the output at which the process is killed; None: never.
    """
    output = folder / name
    before = output.stat().st_size if output.exists() else 0
    lines_before = _lines(output)
    command = [sys.executable, __file__, "--run", "voice" if voice else "no-voice", "caption", *recordings]
    options = ["--batch-size", str(batch_size), "--quiet", "-o", name]
    begin = time.monotonic()
    process = subprocess.Popen([*command, *options], cwd=folder, stdout=subprocess.PIPE, text=True)
    first, memory = 0.0, 0
    cpu = _cpu()
    while process.poll() is None:
        now = time.monotonic()
        size = output.stat().st_size if output.exists() else 0
        memory = max(memory, _peak(process.pid))
        if not first and size > before:
            first = now - begin
        if kill_at is not None and size >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005 if not first else 0.05)
    told = process.communicate()[0]
    took = time.monotonic() - begin
    cpu = _cpu() - cpu
    records = _lines(output) - lines_before
    marks = {key: (float(at) - begin, float(used)) for key, at, used in map(str.split, told.splitlines())}
    parts = [f"{title}: {records} records in {took:.1f} s ({cpu:.1f} s of CPU)"]
    for key, what in {"up": "modules imported", "load": "files found, earlier records checked"}.items():
        if key in marks:
            parts.append("{} after {:.1f} s ({:.1f} of CPU)".format(what, *marks[key]))
    if first:
        parts.append(f"first record after {first:.1f} s, then {records / max(took - first, 1e-9):.0f} files/s")
    parts.append(f"peak memory {memory / 1e6:.0f} MB")
    parts.append(f"output {output.stat().st_size / 1e6:.1f} MB")
    print("; ".join(parts), flush=True)
    return Run(process.returncode, before, output.stat().st_size, memory)


def _peak(pid: int) -> int:
    """The most memory that a process has held so far, in bytes (Linux; elsewhere 0)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _cpu() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def check(runs: list[Run], broken: int) -> list[str]:
    """What is wrong with how the processes ended."""
    few, whole, killed, gone_on, nothing = runs
    problems = []
    if killed.status != -signal.SIGKILL:
        problems.append("the run that was to be killed had ended: give more --files")
    expected = 1 if broken else 0
    problems += [f"exit code {run.status}" for run in (whole, gone_on, nothing) if run.status != expected]
    if few.status not in (0, 1):
        problems.append(f"exit code {few.status}")
    if nothing.after != nothing.before:
        problems.append("the run with nothing to do wrote something")
    return problems


def compare(folder: Path) -> list[str]:
    """What is lost, or there twice, in the output that was gone on with."""
    with (folder / "out.jsonl").open("rb") as file:
        times = Counter(json.loads(line)["audio"] for line in file)
    names = {path.relative_to(folder).as_posix() for path in (folder / "clips").rglob("*.wav")}
    twice = [name for name, count in times.items() if count > 1]
    problems = [f"{len(twice)} files are there twice, as {twice[0]}"] if twice else []
    if lost := names - times.keys():
        problems.append(f"{len(lost)} files are missing, as {min(lost)}")
    if (folder / "out.jsonl").read_bytes() != (folder / "whole.jsonl").read_bytes():
        problems.append("the output differs from that of the run without a break")
    return problems


class Instant:
    """Stands in for the captioner: reads ahead as it does, and answers at once."""

    max_seconds = 10.0

    def stream(self, clips: Iterable[Any], *, batch_size: int, **_: object) -> Iterator[Any]:
        """One result for each stretch."""
        from aligncap.captioner.clips import Clip
        from aligncap.captioner.results import Caption
        from aligncap.captioner.stretches import batches

        emotions = dict.fromkeys(LABELS, 1 / len(LABELS))
        with closing(batches(clips, 10.0, batch_size)) as read:
            for item in (item for batch in read for item in batch):
                if isinstance(item, Clip):
                    times = (item.segment.start, item.segment.end)
                    yield Caption(item.id, item.audio, *times, CAPTION, emotions, "Feeling: calm.", "none")
                else:
                    yield item


def run(voice: bool) -> None:
    """The command line, with the stand-in; tells when it is up, and when the model would be loaded."""
    import aligncap.captioner.collection
    import aligncap.captioner.cutting
    import aligncap.captioner.stretches
    import aligncap.cli

    if not voice:
        aligncap.captioner.stretches._measured = lambda item: item

    def load(*_: object, **__: object) -> Instant:
        print("load", time.monotonic(), time.process_time(), flush=True)
        return Instant()

    loading = types.ModuleType("aligncap.captioner.loading")
    loading.__dict__.update(load=load, pick_device=lambda device: device)
    sys.modules[loading.__name__] = loading
    print("up", time.monotonic(), time.process_time(), flush=True)
    aligncap.cli.main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        how = sys.argv[2]
        sys.argv[:3] = ["aligncap"]
        run(how == "voice")
    else:
        main()
