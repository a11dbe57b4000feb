"""Captions an hour of synthetic conversation through ``aligncap caption``, and checks what comes out.

    python benchmarks/hour.py --keep hour/
    python benchmarks/hour.py --minutes 180 --formats jsonl

Makes a recording (FLAC, 16 kHz): scenes of two to seven minutes in which two to four speakers talk in turns, each
scene with an emotion of its own in most of its utterances. The utterances are the example recordings, resampled for
each speaker (faster and higher, or slower and lower) and each time anew at another pace and level; pauses are from a
tenth of a second to most of a minute; pink noise lies under all of it. The same seed makes the same samples.

Each format is a run of the program, as a user starts it. Measured of each: wall time with loading, processor time,
RTFx (seconds of recording a second), the most memory that the process held. Checked: stretches and declared silence
cover the recording without gap or overlap; how much of what was spoken lies in declared silence; the TextGrid opens
in praatio, is the same after it was written and read again, and says what the JSON Lines say. Prints Markdown; exits
with 1 where a check fails. Needs the extras ``plots`` and ``annotations``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import soundfile
import soxr

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RATE = 16_000
NOISE_DBFS = -58.0
SUFFIXES = {"jsonl": "jsonl", "textgrid": "TextGrid", "csv": "csv", "srt": "srt", "vtt": "vtt", "eaf": "eaf"}
GAP = 0.0011  # times are written in milliseconds


@dataclass(frozen=True)
class Run:
    """What a run of the program took."""

    wall: float
    cpu: float
    peak_mib: float
    status: int


def main() -> None:
    """Make, caption, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--formats", nargs="+", default=["jsonl", "textgrid"], choices=SUFFIXES)
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m aligncap caption")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write everything there, and leave it")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = (
            arguments.keep.resolve() if arguments.keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        folder.mkdir(parents=True, exist_ok=True)
        recording = folder / "conversation.flac"
        spoken = record(recording, arguments.minutes * 60, np.random.default_rng(arguments.seed))
        seconds = soundfile.info(recording).duration
        print(
            f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"seed {arguments.seed}: {seconds / 60:.1f} min, {len(spoken)} utterances, "
            f"{sum(end - start for start, end in spoken) / 60:.1f} min of them\n"
        )
        print("| format | wall time | RTFx | processor time | peak memory | exit code |\n|---|--:|--:|--:|--:|--:|")
        outputs = {}
        problems: list[str] = []
        for kind in arguments.formats:
            outputs[kind] = folder / f"captions.{SUFFIXES[kind]}"
            plot = ["--plot", "timeline.png"] if kind == arguments.formats[0] else []
            command = [*shlex.split(arguments.command), recording.name, "-o", outputs[kind].name, "--overwrite", *plot]
            run = measured(command, folder, folder / f"{kind}.log")
            rtfx = seconds / run.wall
            print(
                f"| {kind} | {run.wall:.0f} s | {rtfx:.1f} | {run.cpu:.0f} s | {run.peak_mib:.0f} MiB | {run.status} |",
                flush=True,
            )
            problems += [f"{kind}: exit code {run.status}, see {kind}.log"] if run.status else []
        print()
        if "jsonl" in outputs and outputs["jsonl"].exists():
            problems += check_records(outputs["jsonl"], seconds, spoken)
        if "textgrid" in outputs and outputs["textgrid"].exists():
            problems += check_textgrid(outputs["textgrid"], seconds, outputs.get("jsonl"))
    print("\n".join(f"- WRONG: {problem}" for problem in problems) or "All checks passed.")
    sys.exit(1 if problems else 0)


def record(path: Path, seconds: float, random: np.random.Generator) -> list[tuple[float, float]]:
    """Write a conversation; where in it somebody talks, in seconds."""
    voices = {source.stem: soundfile.read(source, dtype="float32")[0] for source in sorted(EXAMPLES.glob("*.flac"))}
    names = list(voices)
    spoken: list[tuple[float, float]] = []
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        total, place = round(seconds * RATE), 0

        def write(samples: np.ndarray) -> int:
            block = samples[: total - place] + noise(min(len(samples), total - place), random)
            file.write(np.clip(block, -1, 1))
            return len(block)

        while place < total:
            scene_end = place + round(random.uniform(120, 420) * RATE)
            mood = names[random.integers(len(names))]
            paces = random.uniform(0.92, 1.12, random.integers(2, 5))  # one for each speaker
            while place < min(scene_end, total):
                pace, level = random.choice(paces), 10 ** (random.uniform(-8, 2) / 20)
                for _ in range(random.integers(1, 4)):
                    name = mood if random.random() < 0.7 else names[random.integers(len(names))]
                    rate = RATE / (pace * random.uniform(0.98, 1.02))
                    begin = place
                    place += write(level * soxr.resample(voices[name], rate, RATE))
                    spoken.append((begin / RATE, place / RATE))
                    place += write(np.zeros(round(random.uniform(0.1, 0.7) * RATE), np.float32))
                pause = min(random.lognormal(-0.2, 0.9), 6) if random.random() < 0.96 else random.uniform(8, 45)
                place += write(np.zeros(round(pause * RATE), np.float32))
    return [(begin, end) for begin, end in spoken if end > begin]


def noise(count: int, random: np.random.Generator) -> np.ndarray:
    """Pink noise at the floor's level."""
    if count < 2:
        return np.zeros(count, np.float32)
    spectrum = np.fft.rfft(random.standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    samples = np.fft.irfft(spectrum, count)
    return (samples / (samples.std() + 1e-12) * 10 ** (NOISE_DBFS / 20)).astype(np.float32)


def measured(command: list[str], folder: Path, log: Path) -> Run:
    """Run a program; its own peak memory and processor time, not those of others before it."""
    begin = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)


def check_records(path: Path, seconds: float, spoken: list[tuple[float, float]]) -> list[str]:
    """What is wrong with the parts of the recording; prints what they are."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    errors = [record for record in records if "error" in record]
    parts = sorted((record for record in records if "error" not in record), key=lambda record: record["start"])
    silences = [(part["start"], part["end"]) for part in parts if part.get("silence")]
    stretches = [part for part in parts if not part.get("silence")]
    ends = [0.0, *(part["end"] for part in parts)]
    joins = [part["start"] - end for part, end in zip(parts, ends, strict=False)] + [seconds - ends[-1]]
    lost = sum(max(0.0, min(end, last) - max(start, first)) for start, end in spoken for first, last in silences)
    lengths = [part["end"] - part["start"] for part in stretches]
    wordings = len({part["caption"] for part in stretches})
    print(f"- {len(stretches)} stretches of {min(lengths):.1f} to {max(lengths):.1f} s (mean {np.mean(lengths):.1f} s)")
    print(f"- {wordings} different captions; {sum('doubts' in part for part in stretches)} with doubts")
    print(f"- {len(silences)} silences, {sum(end - start for start, end in silences):.0f} s in all")
    print(f"- of {sum(end - start for start, end in spoken):.0f} s of utterances, {lost:.1f} s are declared silence")
    print(f"- {(errors and len(errors)) or 'no'} error records; largest gap or overlap {max(map(abs, joins)):.3f} s\n")
    problems = [f"{len(errors)} error records"] if errors else []
    if max(map(abs, joins)) > GAP:
        problems.append(f"stretches and silences do not cover the recording: {max(joins, key=abs):+.3f} s")
    return problems


def check_textgrid(path: Path, seconds: float, jsonl: Path | None) -> list[str]:
    """What is wrong with the TextGrid, as praatio reads it."""
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    again = path.with_suffix(".again.TextGrid")
    grid.save(str(again), format="long_textgrid", includeBlankSpaces=False, reportingMode="error")
    same = textgrid.openTextgrid(str(again), includeEmptyIntervals=True, reportingMode="error") == grid
    again.unlink()
    problems = [] if same else ["TextGrid: it is another after praatio wrote it"]
    for tier in grid.tiers:
        ends = [0.0, *(entry.end for entry in tier.entries)]
        joins = [entry.start - end for entry, end in zip(tier.entries, ends, strict=False)] + [seconds - ends[-1]]
        print(f"- TextGrid tier {tier.name!r}: {len(tier.entries)} intervals, {ends[-1]:.3f} s")
        if max(map(abs, joins)) > GAP:
            problems.append(f"TextGrid: the tier {tier.name!r} does not cover the recording")
    if jsonl is not None:
        records = [json.loads(line) for line in jsonl.read_text(encoding="utf-8").splitlines()]
        told = [(record["start"], record["end"], record["caption"]) for record in records if "caption" in record]
        shown = [tuple(entry) for entry in grid.getTier("caption").entries if entry.label]
        equal = len(told) == len(shown) and all(
            abs(a[0] - b[0]) < GAP and abs(a[1] - b[1]) < GAP and a[2] == b[2] for a, b in zip(told, shown, strict=True)
        )
        problems += [] if equal else ["TextGrid: its captions are not those of the JSON Lines"]
    return problems


if __name__ == "__main__":
    main()
