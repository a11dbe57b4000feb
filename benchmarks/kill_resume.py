"""Kills ``aligncap caption DIR -o out.jsonl`` twenty times, goes on with the same command, and looks for what was lost.

    python benchmarks/kill_resume.py
    python benchmarks/kill_resume.py --files 2000 --kills 50

Makes a folder of short recordings (the examples, each time at another pace and level, some cut short, some joined to
more than the model takes at once) with broken files among them, and captions it once without a break. Then it starts
the program anew as often as there are kills, and ends each with SIGKILL at a random moment: some while the model is
being loaded, most some time after the first new record. A last start is left to end. At the end every recording must be
there once, no record twice, no line torn, and captions and errors must be those of the run without a break.
Prints a log; exits with 1 where something is wrong. The same seed makes the same recordings and draws the same delays;
where a kill hits depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RATE = 16_000
WHILE_LOADING = 0.15  # share of the kills


def main() -> None:
    """Make the folder, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=240)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m aligncap caption")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = make(folder / "clips", arguments.files, random)
        bad = sum("bad" in one for one in names)
        print(
            f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, seed {arguments.seed}: "
            f"{len(names)} files, {bad} of them broken"
        )
        command = [*shlex.split(arguments.command), "clips", "--batch-size", str(arguments.batch_size), "--quiet", "-o"]
        begin = time.perf_counter()
        status = start([*command, "whole.jsonl"], folder).wait()
        whole = time.perf_counter() - begin
        print(f"without a break: {len(lines(folder / 'whole.jsonl')[0])} records in {whole:.1f} s, exit code {status}")
        killed = sum(
            kill(number, [*command, "out.jsonl"], folder, random, whole / len(names) * arguments.batch_size)
            for number in range(1, arguments.kills + 1)
        )
        last = start([*command, "out.jsonl"], folder).wait()
        print(f"left to end: {len(lines(folder / 'out.jsonl')[0])} records, exit code {last}")
        problems = compare(folder, names)
    if status != (1 if bad else 0) or last != status:
        problems.append(f"exit codes {status} and {last}")
    if killed < arguments.kills * 3 // 4:
        problems.append(f"only {killed} runs were killed before they ended: give more --files")
    print("\n".join(f"WRONG: {problem}" for problem in problems) or "nothing lost, nothing twice, the same captions")
    sys.exit(1 if problems else 0)


def make(folder: Path, count: int, random: np.random.Generator) -> list[str]:
    """Write recordings, all different; their names as the program tells them."""
    folder.mkdir()
    sources = [soundfile.read(source, dtype="float32")[0] for source in sorted(EXAMPLES.glob("*.flac"))]
    names = []
    for number in range(count):
        pace = random.uniform(0.9, 1.1)
        samples = soxr.resample(sources[number % len(sources)], RATE * pace, RATE) * random.uniform(0.3, 1.0)
        samples = samples[: round(random.uniform(1.5, 3.5) * RATE)]
        broken = number % 20 == 7
        path = folder / f"{number:04d}{'-bad' if broken else ''}.wav"
        if number % 25 == 3:
            samples = np.tile(samples, round(12 * RATE / len(samples)) + 1)  # cut into stretches
        soundfile.write(path, samples, RATE)
        if broken:
            data = path.read_bytes()
            path.write_bytes([b"", b"this is no audio", data[:30], data[:3000]][number // 20 % 4])
        names.append(f"clips/{path.name}")
    return names


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(number: int, command: list[str], folder: Path, random: np.random.Generator, batch: float) -> bool:
    """Start, wait, kill; whether there was still something to kill.

    Args:
        number: of the kill.
        command: to start.
        folder: to start it in.
        random: draws the delay.
        batch: seconds that a batch takes, loading included.
    """
    output = folder / "out.jsonl"
    before = len(lines(output)[0])
    loading = random.random() < WHILE_LOADING
    delay = random.uniform(0.1, 4.0) if loading else random.uniform(0, 0.6 * batch)
    begin = time.monotonic()
    process = start(command, folder)
    while not loading and process.poll() is None and len(lines(output)[0]) <= before:
        time.sleep(0.002)
    if process.poll() is None:
        time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    status = process.wait()
    took = time.monotonic() - begin
    records, torn = lines(output)
    tail = f", {torn} bytes of a torn line" if torn else ""
    grown = f"{len(records)} records (+{len(records) - before})"
    what = "killed" if status == -signal.SIGKILL else f"it had ended ({status})"
    print(f"{number:2d}. {what} after {took:5.1f} s: {grown}{tail}", flush=True)
    return status == -signal.SIGKILL


def lines(path: Path) -> tuple[list[bytes], int]:
    """Complete lines, and the number of bytes after the last one."""
    if not path.exists():
        return [], 0
    *whole, rest = path.read_bytes().split(b"\n")
    return whole, len(rest)


def compare(folder: Path, names: list[str]) -> list[str]:
    """What differs between the run that was killed and the one that was not."""
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for which in ("whole", "out"):
        whole, torn = lines(folder / f"{which}.jsonl")
        records = [json.loads(line) for line in whole]
        times = Counter(record["id"] for record in records)
        twice = [name for name, count in times.items() if count > 1]
        lost = set(names) - {record["audio"] for record in records}
        problems += [f"{which}: {len(twice)} records are there twice, as {twice[0]}"] if twice else []
        problems += [f"{which}: {len(lost)} files are missing, as {min(lost)}"] if lost else []
        problems += [f"{which}: {torn} bytes of a torn line at its end"] if torn else []
        found[which] = {record["id"]: record for record in records}
    first, second = found.values()
    if first.keys() != second.keys():
        problems.append(f"{len(first.keys() ^ second.keys())} records are in one of the two only")
    both = first.keys() & second.keys()
    other = [name for name in both if told(first[name]) != told(second[name])]
    problems += [f"{len(other)} records say something else, as {min(other)}"] if other else []
    apart = [
        abs(value - second[name]["emotions"][label])
        for name in both
        for label, value in first[name].get("emotions", {}).items()
    ]
    byte_for_byte = (folder / "whole.jsonl").read_bytes() == (folder / "out.jsonl").read_bytes()
    print(
        f"probabilities differ by {max(apart):.4f} at most; byte for byte the same: {'yes' if byte_for_byte else 'no'}"
    )
    return problems


def told(record: dict[str, Any]) -> tuple[Any, ...]:
    """What a record says, but for probabilities, whose last digit may depend on the batch."""
    return tuple(record.get(key) for key in ("audio", "start", "end", "caption", "silence", "error"))


if __name__ == "__main__":
    main()
