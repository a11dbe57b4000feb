"""Time and memory of the alignment loss: from hidden states in chunks, against plain logits.

    python benchmarks/objectives.py
    python benchmarks/objectives.py --device cuda --chunk 1024 --json objectives.json

Loss and backward pass into the student's hidden states, for a batch of sequences of which a part is response, with
a frozen head. At SmolLM2-135M's shape by default. Compared:

* ``full``: student's and teacher's logits and losses at every position, masked afterwards;
* ``gathered``: the logits of the response positions, all at once;
* ``chunked``: `aligncap.objectives.align_loss_from_hidden`.

Every variant runs in a process of its own, in which nothing else happens; the variants take turns. Time is the
process's CPU time (on a GPU: wall time), so that other load on the machine matters little; memory is the peak beyond
what the inputs take. Values and gradients are compared, too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aligncap.objectives import align_loss_from_hidden, distillation, gather, nll, response_mask

VARIANTS = ("full", "gathered", "chunked")
LAMBDA_CE = 0.1


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=120, help="of each sequence")
    parser.add_argument("--response", type=int, default=30, help="response tokens of each sequence")
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--divergence", default="forward", choices=("forward", "reverse", "js"))
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)  # this process is a child
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments)))
        return
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for _ in range(arguments.runs):
        for name, results in rows.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--variant", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout))
    report = {"date": date.today().isoformat(), "machine": machine(arguments), "torch": torch.__version__}
    report |= {key: value for key, value in vars(arguments).items() if key not in ("json", "variant")}
    report["rows"] = rows
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """One variant: a run that is not counted, then one that is."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    device, dtype = torch.device(arguments.device), getattr(torch, arguments.dtype)
    head = (0.05 * torch.randn(arguments.vocabulary, arguments.width)).to(device, dtype)
    shape = (arguments.batch, arguments.tokens, arguments.width)
    student, teacher = (torch.randn(shape).to(device, dtype) for _ in range(2))
    student.requires_grad_()
    labels = torch.randint(arguments.vocabulary, shape[:2], device=device)
    labels[:, : -arguments.response] = -100

    def step() -> float:
        student.grad = None
        kd, ce = losses(arguments, student, teacher, head, labels)
        loss = kd + LAMBDA_CE * ce
        loss.backward()
        return loss.item()

    clock = time.process_time if device.type == "cpu" else time.perf_counter
    step()  # ends with a synchronisation, as `item` does
    before = reset_peak(device)
    start = clock()
    loss = step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = clock() - start
    assert student.grad is not None
    return {
        "seconds": seconds,
        "megabytes": (peak(device) - before) / 1e6,
        "loss": loss,
        "gradient": student.grad.double().norm().item(),
    }


def losses(
    arguments: argparse.Namespace, student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of divergence and cross-entropy, by the variant that was asked for."""
    kind = arguments.divergence
    if arguments.variant == "full":
        mask, wanted = response_mask(labels).flatten(), labels[:, 1:].flatten().clamp(min=0)
        logits, taught = ((hidden[:, :-1] @ head.T).flatten(0, 1) for hidden in (student, teacher))
        kd = distillation(logits, taught, divergence=kind, reduction="none")
        return kd[mask].sum(), nll(logits, wanted, "none")[mask].sum()
    hidden, targets = gather(student, labels)
    taught, _ = gather(teacher, labels)
    if arguments.variant == "gathered":
        logits = hidden @ head.T
        return distillation(logits, taught @ head.T, divergence=kind), nll(logits, targets)
    return align_loss_from_hidden(hidden, taught, head, targets, divergence=kind, chunk=arguments.chunk)


def reset_peak(device: torch.device) -> int:
    """Forget the peak so far; bytes in use now."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak of the resident memory
    return status("VmRSS")


def peak(device: torch.device) -> int:
    """Bytes in use at the peak."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else status("VmHWM")


def status(field: str) -> int:
    """A field of the process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def machine(arguments: argparse.Namespace) -> str:
    """What it ran on, in words."""
    if arguments.device == "cuda":
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {arguments.threads} thread(s)"


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"{report['date']}; {report['machine']}; torch {report['torch']}, {report['dtype']}; {report['batch']} x "
        f"{report['tokens']} tokens, {report['response']} of each response; vocabulary {report['vocabulary']}, width "
        f"{report['width']}; {report['divergence']} KL + {LAMBDA_CE} CE, chunk {report['chunk']}; median of "
        f"{report['runs']} processes; seed {report['seed']}.",
        "",
        "| variant | time | of full | peak memory | of full | loss | gradient norm |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    middle = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in report["rows"].items()
    }
    full = middle["full"]
    for name, row in middle.items():
        lines.append(
            f"| {name} | {row['seconds']:.3f} s | {row['seconds'] / full['seconds']:.2f} | {row['megabytes']:.0f} MB "
            f"| {row['megabytes'] / full['megabytes']:.3f} | {row['loss']:.4f} | {row['gradient']:.5f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
