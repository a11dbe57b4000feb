"""Clips a second of ``aligncap caption`` in one process and in several on Ray, and how fast recordings are decoded.

    pip install 'aligncap[ray]'
    python benchmarks/ray_workers.py --copies 24 --rounds 5

Captions copies of the example recordings with the embedded model on the CPU: with the local engine at one thread and at
at all of ``--threads``, and on a Ray cluster of this machine with one worker and with as many as threads, which are
shared out. All engines are loaded first and run once uncounted; then each runs once a round, in another order each
round, and the medians are told, with the slowest and the fastest. The last row is what the process that hands out the
work does alone: reading and cutting the recordings. Exits with 1 where captions differ between engines whose processes
have as many threads (sums of floats depend on their number).
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=24, help="of each example")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="in all")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # before they are imported
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = copies(Path(folder), arguments.copies)
        ways = engines(stack, paths, arguments.threads, arguments.batch_size)
        told = {name: way() for name, way in ways.items()}
        seconds = rounds(ways, arguments.rounds, random.Random(arguments.seed))
    print(heading(len(paths), arguments))
    print("\n".join(table(seconds, len(paths))))
    for number in {1, arguments.threads}:
        local, ray = f"local, {counted(arguments.threads // number)}", f"Ray, {counted(number, 'worker')} of "
        if any(told[local] != value for name, value in told.items() if name.startswith(ray)):
            sys.exit(f"captions differ: {local} and {ray}…")


def copies(folder: Path, count: int) -> list[Path]:
    """So many copies of each example, in a new folder."""
    examples = sorted(EXAMPLES.glob("*.flac"))
    return [Path(shutil.copy(path, folder / f"{number}-{path.name}")) for number in range(count) for path in examples]


def engines(
    stack: ExitStack, paths: Sequence[Path], threads: int, batch_size: int
) -> dict[str, Callable[[], list[str]]]:
    """What is compared: each captions all recordings, and returns the captions (the last: none)."""
    import torch

    import aligncap
    from aligncap.captioner.collection import Engine, caption_cuts
    from aligncap.captioner.cutting import cut_recordings
    from aligncap.captioner.ray_cluster import Workers
    from aligncap.captioner.ray_engine import RayEngine

    def run(engine: Engine, threads_here: int) -> list[str]:
        torch.set_num_threads(threads_here)
        return [result.to_dict()["caption"] for result in caption_cuts(cut_recordings(paths), engine, batch_size)]

    def decode() -> list[str]:
        for _ in cut_recordings(paths):
            pass
        return []

    captioner = aligncap.load(device="cpu", threads=threads)
    local = partial(captioner.stream, batch_size=batch_size)
    ways: dict[str, Callable[[], list[str]]] = {
        f"local, {counted(count)}": partial(run, local, count) for count in sorted({1, threads})
    }
    load = partial(aligncap.load, "embedded")
    for number in sorted({1, threads}):
        workers = Workers(number, threads // number, device="cpu")
        # workers of the others are idle while these are timed
        engine = stack.enter_context(RayEngine(load, {}, batch_size=batch_size, workers=workers))
        assert engine.max_seconds
        assert workers.threads
        name = f"Ray, {counted(number, 'worker')} of {counted(workers.threads)}"
        ways[name] = partial(run, engine, 1)
    return ways | {"reading and cutting alone": decode}


def counted(number: int, what: str = "thread") -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number} {what}{'s' if number != 1 else ''}"


def rounds(ways: dict[str, Callable[[], list[str]]], count: int, chance: random.Random) -> dict[str, list[float]]:
    """Seconds of each, one figure a round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name in chance.sample(list(ways), len(ways)):
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def heading(clips: int, arguments: argparse.Namespace) -> str:
    """What was measured, where and when."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
    return (
        f"{date.today()}; {processor}; Python {platform.python_version()}; {clips} recordings, batches of "
        f"{arguments.batch_size}, {arguments.rounds} rounds, seed {arguments.seed}; load at the end: "
        f"{os.getloadavg()[0]:.1f}\n"
    )


def table(seconds: dict[str, list[float]], clips: int) -> list[str]:
    """Markdown: clips a second, and the median over the rounds of the ratio to the first row."""
    first = next(iter(seconds.values()))
    lines = ["| engine | clips/s | slowest to fastest | times the first |", "|---|--:|--:|--:|"]
    for name, taken in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(first, taken, strict=True))
        middle = clips / statistics.median(taken)
        lines.append(f"| {name} | {middle:.1f} | {clips / max(taken):.1f} to {clips / min(taken):.1f} | {ratio:.2f} |")
    return lines


if __name__ == "__main__":
    main()
