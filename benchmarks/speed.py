"""Speed and memory of captioning with the embedded model.

    python benchmarks/speed.py --exported EXPORTED_FOLDER

Measured: warm captioning of one 5 s clip; a batch of 16 such clips, also without verifying the captions (see
`aligncap.captioner.verify`; how many are written again depends on the recordings); a cold `aligncap caption one.wav`
in a new process (wall time and peak memory). Each figure is the median of several runs, with the fastest and the
slowest. The clips are cut from the example recordings, joined end to end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from aligncap.captioner.exported import Exported

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RATE = 16_000


PLAIN = ("≤ 8 s, ≤ 1.5 GB", "≤ 1.2 s", "≥ 5 clips/s")
FAST = ("≤ 2 s, ≤ 0.7 GB", "≤ 0.35 s", "≥ 15 clips/s")


@dataclass(frozen=True)
class Way:
    """A way to run the model, and its goals: cold, one clip, a batch."""

    name: str
    checkpoint: str
    dtype: str
    goals: tuple[str, str, str] = PLAIN


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--dtype", nargs="+", default=["float32", "int8"])
    parser.add_argument("--exported", type=Path, nargs="+", default=[], help="folders that `aligncap export` wrote")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    clips = five_second_clips(16)
    rows = {}
    ways = [Way(dtype, str(arguments.checkpoint), dtype) for dtype in arguments.dtype]
    ways += [Way(f"exported in {Exported.load(d).number_format}", str(d), "auto", FAST) for d in arguments.exported]
    for way in ways:
        rows[f"cold `aligncap caption one.wav`, {way.name}"] = cold(clips[0], arguments, way)

    import torch

    import aligncap

    for way in ways:
        captioner = aligncap.load(way.checkpoint, device="cpu", dtype=way.dtype, threads=arguments.threads)
        one = timed(partial(captioner.caption, (clips[0], RATE)), arguments.runs)
        rows[f"one 5 s clip, warm, {way.name}"] = {"seconds": one, "goal": way.goals[1]}
        batch = [(clip, RATE) for clip in clips]
        for verify in (True, False):
            many = timed(partial(captioner.caption, batch, batch_size=16, verify=verify), arguments.runs)
            name = f"16 clips of 5 s, one batch, warm, {way.name}{'' if verify else ', not verified'}"
            rows[name] = {"seconds": many, "clips_per_s": 16 / many[1], "goal": way.goals[2]}
        del captioner

    report = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "threads": arguments.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "runs": arguments.runs,
        "rows": rows,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


def five_second_clips(count: int) -> list[np.ndarray]:
    """Different stretches of 5 s from the examples, joined and wrapped around."""
    speech = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in sorted(EXAMPLES.glob("*.flac"))])
    size = 5 * RATE
    starts = np.linspace(0, len(speech) - 1, count, endpoint=False).astype(int)
    return [np.take(speech, np.arange(start, start + size), mode="wrap") for start in starts]


def timed(call: Callable[[], object], runs: int) -> tuple[float, float, float]:
    """Fastest, median and slowest of several runs after one that is not counted, in seconds."""
    call()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), statistics.median(seconds), max(seconds)


def cold(clip: np.ndarray, arguments: argparse.Namespace, way: Way) -> dict[str, object]:
    """A new process for each run; the first, which warms the file cache, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.wav"
        soundfile.write(path, clip, RATE)
        command = [sys.executable, "-m", "aligncap", "caption", str(path)]
        command += ["--checkpoint", way.checkpoint, "--dtype", way.dtype]
        command += ["--threads", str(arguments.threads)]
        peaks: list[float] = []

        def run() -> None:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"{' '.join(command)}: failed")
            peaks.append(used.ru_maxrss / 1e6)

        seconds = timed(run, arguments.runs)
    peak = max(peaks)
    return {"seconds": seconds, "peak_gb": peak, "goal": way.goals[0]}


def machine() -> str:
    """Processor and cores in words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def table(report: dict[str, object]) -> str:
    """The report as Markdown."""
    lines = [
        f"{report['date']}; {report['machine']}, {report['threads']} threads; Python {report['python']}, torch "
        f"{report['torch']}; {report['runs']} runs after one that is not counted. Peak memory is that of the process.",
        "",
        "| what | median | fastest to slowest | peak memory | goal |",
        "|---|--:|--:|--:|---|",
    ]
    rows = report["rows"]
    assert isinstance(rows, dict)
    for name, row in rows.items():
        low, middle, high = row["seconds"]
        rate = f" ({row['clips_per_s']:.1f} clips/s)" if "clips_per_s" in row else ""
        peak = f"{row['peak_gb']:.2f} GB" if "peak_gb" in row else ""
        lines.append(f"| {name} | {middle:.2f} s{rate} | {low:.2f} to {high:.2f} s | {peak} | {row['goal']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
