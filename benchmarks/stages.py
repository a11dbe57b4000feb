"""Where the time of captioning goes, stage by stage, and how near to the machine's limits each stage comes.

    python benchmarks/stages.py --exported EXPORTED_FOLDER

For one clip and for a batch of 16 (5 s each, from the example recordings): the median of several warm runs of each
stage. Reading and measuring the voice run beside the rest, in threads of their own; so do the clips of a batch where a
model is exported, whose stages are therefore seconds of threads.

Limits, measured in the same run: operations per second of a large matrix product in float32 and in 8-bit integers, and
the bytes per second at which as many bytes as the language model's weights are summed, again and again (its weights are
read once for each pass of decoding). A stage's operations are two for each weight of its layers and each frame or
token; attention's and the convolutions' own are left out, so that shares are a little too low.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from speed import RATE, five_second_clips, machine
from torch import nn

import aligncap
from aligncap.captioner import captioner as shared_module
from aligncap.captioner import stretches as reading_module
from aligncap.captioner import torch_captioner as torch_module
from aligncap.captioner.exported import captioner as exported_module
from aligncap.captioner.exported.language_model import Row
from aligncap.model.int8 import Int8Linear

Totals = dict[str, float]
Wrapped = tuple[Any, str, str]
"""An object, the name of a function of it, and the stage that it is."""


class Clock:
    """Adds up the seconds and calls of functions."""

    def __init__(self) -> None:
        self.seconds: Totals = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def wrap(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] += time.perf_counter() - start
                self.calls[stage] += 1

        return timed

    @contextmanager
    def over(self, functions: list[Wrapped]) -> Iterator[None]:
        with ExitStack() as patches:
            for owner, name, stage in functions:
                patches.enter_context(mock.patch.object(owner, name, self.wrap(getattr(owner, name), stage)))
            yield


BESIDE = ("read and cut (beside)", "measure the voice (beside)")


def shared_functions() -> list[Wrapped]:
    return [
        (reading_module, "_measured", BESIDE[1]),
        (shared_module, "doubts", "verify"),
        (shared_module, "supports", "verify"),
    ]


def torch_functions(captioner: Any) -> list[Wrapped]:
    model = captioner.model
    return [
        *shared_functions(),
        (captioner.processor, "features", "features (log-mel)"),
        (model.speech_encoder, "forward", "speech encoder"),
        (model.bridge, "forward", "bridge"),
        (captioner.processor, "prompts", "prompts"),
        (torch_module, "run_prefix", "read the prompt"),
        (torch_module, "label_probabilities", "ask for the emotion"),
        (model, "generate", "write"),
        (model.lean, "_go_on", "(passes)"),
    ]


def exported_functions(captioner: Any) -> list[Wrapped]:
    return [
        *shared_functions(),
        (exported_module, "log_mel", "features (log-mel)"),
        (captioner._hearing, "run", "speech encoder"),
        (captioner, "_prompt", "prompts"),
        (Row, "read_prompt", "read the prompt"),
        (Row, "write", "write"),
    ]


def profile(captioner: Any, functions: list[Wrapped], count: int, runs: int) -> dict[str, Any]:
    """Median seconds of each stage, in all, and the passes of decoding."""
    clips = [(clip, RATE) for clip in five_second_clips(16)[:count]]
    captioner.caption(clips, batch_size=count)
    found, totals, passes = defaultdict(list), [], 0
    for _ in range(runs):
        clock = Clock()
        start = time.perf_counter()
        with clock.over(functions):
            captioner.caption(clips, batch_size=count)
        totals.append(time.perf_counter() - start)
        passes = clock.calls.get("(passes)", 0)
        for stage in dict.fromkeys(stage for *_, stage in functions):
            found[stage].append(clock.seconds.get(stage, 0.0))
    stages = {stage: statistics.median(seconds) for stage, seconds in found.items() if stage != "(passes)"}
    total = statistics.median(totals)
    stages = {stage: seconds for stage, seconds in stages.items() if seconds}
    stages["everything else"] = total - sum(seconds for stage, seconds in stages.items() if stage not in BESIDE)
    return {"stages": stages, "total": total, "passes": passes, "clips": count}


def limits(weights: int, threads: int) -> dict[str, float]:
    """Operations and bytes a second that this machine reaches."""
    side = 2048
    floats = torch.randn(side, side), torch.randn(side, side)
    integers = [torch.randint(-100, 100, (side, side), dtype=torch.int8) for _ in range(2)]
    array = torch.ones(weights // 4)
    large = torch.ones(2**28)
    return {
        "float32_gflops": 2 * side**3 / best(lambda: floats[0] @ floats[1]) / 1e9,
        "int8_gops": 2 * side**3 / best(lambda: torch._int_mm(*integers)) / 1e9,
        "weights_gb_s": 4 * len(array) / best(array.sum) / 1e9,
        "memory_gb_s": 4 * len(large) / best(large.sum) / 1e9,
        "weights_mb": weights / 1e6,
        "threads": threads,
    }


def best(call: Callable[[], object], runs: int = 7) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def linear_weights(module: nn.Module) -> tuple[int, int]:
    """Weights of the linear layers of a module, and their bytes."""
    layers = [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear | Int8Linear)]
    return sum(weight.numel() for weight in layers), sum(weight.numel() * weight.element_size() for weight in layers)


def shares(captioner: Any, one: dict[str, Any], found: dict[str, float]) -> list[str]:
    """Rows of a Markdown table: what the stages of one profile reach of the limits."""
    model, stages, clips = captioner.model, one["stages"], one["clips"]
    batch = captioner.processor.features([five_second_clips(1)[0]])
    frames = batch["features"].shape[-1] // 2
    encoder = 2 * linear_weights(model.speech_encoder)[0] * frames * clips
    language_weights, language_bytes = linear_weights(model.language_model)
    peak = found["int8_gops"] if captioner.number_format == "int8" else found["float32_gflops"]
    rows = []
    reached = encoder / stages["speech encoder"] / 1e9
    rows.append(
        f"| speech encoder, {clips} | {reached:.0f} GFLOP/s | {found['float32_gflops']:.0f} | "
        f"{reached / found['float32_gflops']:.2f} |"
    )
    heard = one["prompt_tokens"]
    head = model.language_model.get_output_embeddings().weight.numel()
    read = 2 * (language_weights - head) * heard
    reached = read / stages["read the prompt"] / 1e9
    rows.append(
        f"| read the prompt, {clips} ({heard} tokens) | {reached:.0f} GOP/s | {peak:.0f} | {reached / peak:.2f} |"
    )
    reached = language_bytes * (one["passes"] + 1) / stages["write"] / 1e9
    rows.append(
        f"| write, {clips} ({one['passes'] + 1} passes) | {reached:.0f} GB/s of weights | "
        f"{found['weights_gb_s']:.0f} | {reached / found['weights_gb_s']:.2f} |"
    )
    return rows


def prompt_tokens(captioner: Any, count: int) -> int:
    """Tokens that are run when so many clips are listened to: the shared beginning is kept from before."""
    clips = [(clip, RATE) for clip in five_second_clips(16)[:count]]
    seen = 0
    read = captioner.model.read

    def counted(embeddings: Any, mask: Any, state: Any = None) -> Any:
        nonlocal seen
        seen += int(mask[:, mask.shape[1] - embeddings.shape[1] :].sum())
        return read(embeddings, mask, state)

    with mock.patch.object(captioner.model, "read", counted):
        captioner.caption(clips, batch_size=count, verify=False)
    return seen


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--dtype", nargs="+", default=["float32", "int8"])
    parser.add_argument("--exported", type=Path, nargs="+", default=[], help="folders that `aligncap export` wrote")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    profiles, reached, found = {}, [], {}
    for dtype in arguments.dtype:
        captioner = aligncap.load(arguments.checkpoint, device="cpu", dtype=dtype, threads=arguments.threads)
        with torch.inference_mode():
            found = limits(linear_weights(captioner.model.language_model)[1], arguments.threads)
        for count in (1, 16):
            one = profile(captioner, torch_functions(captioner), count, arguments.runs)
            one["prompt_tokens"] = prompt_tokens(captioner, count)
            one["limits"] = found
            profiles[f"{dtype}, {count}"] = one
            reached += [row.replace("| ", f"| {dtype}: ", 1) for row in shares(captioner, one, found)]
    for folder in arguments.exported:
        captioner = aligncap.load(str(folder), threads=arguments.threads)
        for count in (1, 16):
            one = profile(captioner, exported_functions(captioner), count, arguments.runs)
            profiles[f"exported in {captioner.number_format}, {count}"] = one
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "profiles": profiles}, indent=2) + "\n")
    print(f"{machine()}, {arguments.threads} threads, medians of {arguments.runs} runs, milliseconds\n")
    stages = list(dict.fromkeys(stage for one in profiles.values() for stage in one["stages"]))
    print("| stage | " + " | ".join(profiles) + " |\n|---|" + "--:|" * len(profiles))
    for stage in [*stages, "in all"]:
        cells = [one["total"] if stage == "in all" else one["stages"].get(stage) for one in profiles.values()]
        print(f"| {stage} | " + " | ".join("" if cell is None else f"{1000 * cell:.0f}" for cell in cells) + " |")
    print("\n| stage | reached | limit | share |\n|---|--:|--:|--:|")
    print("\n".join(reached))
    print("\nlimits:", json.dumps({key: round(value, 1) for key, value in found.items()}))


if __name__ == "__main__":
    main()
