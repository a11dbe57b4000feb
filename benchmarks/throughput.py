"""How fast many recordings are captioned, as clips grow longer, batches larger and threads more.

    python benchmarks/throughput.py --exported EXPORTED_FOLDER --plot docs/assets/throughput.svg

Clips are cut from the example recordings (synthetic speech). Measured, after a warm-up: 200 clips of 1 to 10 s by
`Captioner.stream`, with 1 thread and with 2; clips of one length; batches of one size. RTFx: seconds of audio captioned
in a second. A cost model, seconds = a · clips + b · seconds of audio, is fitted to the one-length rows by least
squares, and checked against the 200 clips, which it has not seen.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from speed import EXAMPLES, RATE, machine

import aligncap

LENGTHS = (1.5, 3.0, 5.0, 7.5, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32)


def clips_of(lengths: list[float], seed: int = 0) -> list[tuple[np.ndarray, int]]:
    """Stretches of the examples, joined end to end and wrapped around."""
    speech = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in sorted(EXAMPLES.glob("*.flac"))])
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(speech), size=len(lengths))
    return [
        (np.take(speech, np.arange(start, start + int(length * RATE)), mode="wrap"), RATE)
        for start, length in zip(starts, lengths, strict=True)
    ]


def seconds(captioner: Any, clips: list[tuple[np.ndarray, int]], batch: int, runs: int) -> float:
    """Median seconds to caption all."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in captioner.stream(clips, batch_size=batch):
            pass
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--exported", type=Path, help="a folder that `aligncap export` wrote")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    mixed = clips_of(list(np.random.default_rng(1).uniform(1, 10, 200)))
    audio = sum(len(samples) for samples, _ in mixed) / RATE
    rows: list[dict[str, Any]] = []

    def add(what: str, captioner: Any, clips: list[Any], batch: int, threads: int, runs: int) -> None:
        spent = seconds(captioner, clips, batch, runs)
        heard = sum(len(samples) for samples, _ in clips) / RATE
        rows.append(
            {"what": what, "clips": len(clips), "audio_s": heard, "batch": batch, "threads": threads, "seconds": spent}
        )
        print(f"| {what} | {threads} | {batch} | {len(clips) / spent:.1f} | {heard / spent:.0f} |", flush=True)

    print(f"{machine()}; {arguments.runs} runs\n")
    print("| what | threads | batch | clips/s | RTFx |\n|---|--:|--:|--:|--:|")
    for threads in sorted({1, cores}, reverse=True):
        torch.set_num_threads(threads)
        captioner = aligncap.load(arguments.checkpoint, device="cpu", threads=threads)
        seconds(captioner, mixed[:16], 16, 1)
        add(f"200 clips of 1 to 10 s, {captioner.number_format}", captioner, mixed, 16, threads, arguments.runs)
        if threads == cores:
            for length in LENGTHS:
                name = f"16 clips of {length:g} s, {captioner.number_format}"
                add(name, captioner, clips_of([length] * 16), 16, threads, arguments.runs)
            for batch in BATCHES:
                name = f"32 clips of 5 s, {captioner.number_format}"
                add(name, captioner, clips_of([5.0] * 32), batch, threads, arguments.runs)
        if arguments.exported:
            exported = aligncap.load(str(arguments.exported), threads=threads)
            seconds(exported, mixed[:4], 4, 1)
            name = f"200 clips of 1 to 10 s, exported in {exported.number_format}"
            add(name, exported, mixed, 16, threads, min(3, arguments.runs))

    fitted = [row for row in rows if row["what"].startswith("16 clips")]
    known = np.array([[row["clips"], row["audio_s"]] for row in fitted])
    spent = np.array([row["seconds"] for row in fitted])
    (per_clip, per_second), *_ = np.linalg.lstsq(known, spent, rcond=None)
    guess = per_clip * len(mixed) + per_second * audio
    real = next(row["seconds"] for row in rows if row["what"].startswith("200 clips"))
    print(
        f"\nmodel: {1000 * per_clip:.0f} ms a clip + {1000 * per_second:.1f} ms a second of audio; "
        f"200 clips ({audio:.0f} s): {guess:.1f} s by the model, {real:.1f} s measured"
    )
    for hours in (10_000, 1_000_000):
        whole = hours * 3600 / 8 * (per_clip + 8 * per_second)
        print(
            f"{hours:,} h in stretches of 8 s: {whole / 3600:,.0f} machine hours, {whole / 3600 / 24:,.1f} machine days"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.2f} GB")
    report = {"machine": machine(), "rows": rows, "per_clip_s": per_clip, "per_audio_s": per_second, "peak_gb": peak}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.plot:
        plot(rows, per_clip, per_second, arguments.plot)


def plot(rows: list[dict[str, Any]], per_clip: float, per_second: float, path: Path) -> None:
    """Cost of a clip by its length, and clips a second by the batch."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "aligncap"
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    lengths = [row for row in rows if row["what"].startswith("16 clips")]
    x = [row["audio_s"] / row["clips"] for row in lengths]
    left.plot(x, [1000 * row["seconds"] / row["clips"] for row in lengths], "o", label="measured")
    line = np.linspace(0, 10, 2)
    left.plot(line, 1000 * (per_clip + per_second * line), label="model")
    left.set(xlabel="length of a clip (s)", ylabel="ms a clip, in batches of 16", ylim=(0, None))
    left.legend()
    batches = [row for row in rows if row["what"].startswith("32 clips")]
    right.plot([row["batch"] for row in batches], [row["clips"] / row["seconds"] for row in batches], "o-")
    right.set(xlabel="batch", ylabel="clips of 5 s a second", ylim=(0, None), xscale="log", xticks=BATCHES)
    right.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
