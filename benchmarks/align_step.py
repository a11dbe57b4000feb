"""An align step as it is done here against other ways to write it, at the shape of a real language model.

    python benchmarks/align_step.py --batch 16 --prompt 64 --response 30

Ours: the teacher's hidden states come from the cache, the head is run on the response tokens alone, in chunks. Plain:
the teacher is run in every step, and student and teacher logits of the whole sequence are held. In the manner of TRL's
GKDTrainer: the same, but the logits are cut to the response before the losses. In the manner of Liger's fused linear
losses: the teacher is run in every step, and the head is run on all tokens in chunks whose gradient is taken at once,
so that no chunk's logits are kept. Both are our own few lines, not those libraries. All: forward and backward through
the same randomly initialised model with LoRA, the same tokens, the same losses. Time: medians over interleaved
repetitions in one process, ratios too. Memory: highest resident size of a process of its own during its steps, beyond
what it was with the model loaded (on a GPU: of the allocator).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from aligncap.model import LoraSettings
from aligncap.model.lora import TEACHER, add_lora
from aligncap.model.responses import response_states
from aligncap.objectives import align_loss_from_hidden
from aligncap.training.networks import as_teacher, teacher_states

SHAPES = {  # of the public models
    "smollm2-135m": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "vocab_size": 4096,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
    },
}
WAYS = {
    "plain": "plain",
    "cut": "in the manner of TRL's GKDTrainer",
    "fused": "in the manner of Liger's fused linear losses",
    "live": "ours, live teacher",
    "ours": "ours",
}
CHUNK = 256  # tokens, of the fused way


def random_model(arguments: argparse.Namespace) -> Any:
    """A language model of a public one's shape, of random weights, with LoRA."""
    torch.manual_seed(arguments.seed)
    config = LlamaConfig(**SHAPES[arguments.shape])
    model: Any = LlamaForCausalLM(config).to(getattr(torch, arguments.dtype)).to(arguments.device)
    if model.dtype == torch.bfloat16 and model.device.type == "cpu":
        model.set_attn_implementation("eager")  # as in training (aligncap.training.stage); all ways are faster with it
    model.requires_grad_(False)
    add_lora(model, LoraSettings(rank=16, alpha=32, dropout=0.0))
    return model


def divergence(taught: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over labelled tokens of KL(teacher ‖ student)."""
    p, q = taught.log_softmax(-1), logits.log_softmax(-1)
    return ((p.exp() * (p - q)).sum(-1) * (labels != -100)).sum()


class Step:
    """Model, tokens and the ways of a step."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.model = random_model(arguments)
        self.device = self.model.device
        add_lora(self.model, LoraSettings(rank=16, alpha=32, dropout=0.0), TEACHER)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in name and TEACHER not in name)
        self.student = self._tokens(arguments.batch, arguments.prompt, arguments.response)
        self.teacher = self._tokens(arguments.batch, arguments.prompt, arguments.response)
        self.teacher["labels"][:, -arguments.response :] = self.student["labels"][:, -arguments.response :]
        self.cached = teacher_states(self.model, self.teacher).cpu()

    def _tokens(self, batch: int, prompt: int, response: int) -> dict[str, Tensor]:
        ids = torch.randint(0, self.model.config.vocab_size, (batch, prompt + response), device=self.device)
        labels = ids.clone()
        labels[:, :prompt] = -100
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}

    def plain(self) -> Tensor:
        """Live teacher, logits of whole sequences."""
        return self._whole(0)

    def cut(self) -> Tensor:
        """Live teacher, logits of whole sequences, of which the losses see the response alone."""
        labels = self.student["labels"][0]
        return self._whole(int((labels == -100).sum()) - 1)

    def _whole(self, first: int) -> Tensor:
        with torch.no_grad(), as_teacher(self.model):
            taught = self.model(**self._inputs(self.teacher), use_cache=False).logits[:, first:-1].float()
        logits = self.model(**self._inputs(self.student), use_cache=False).logits[:, first:-1].float()
        labels = self.student["labels"][:, first + 1 :]
        ce = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
        return (divergence(taught, logits, labels) + ce) / (labels != -100).sum()

    def fused(self) -> Tensor:
        """Live teacher, all tokens, in chunks whose gradient is taken at once."""
        with torch.no_grad(), as_teacher(self.model):
            taught = self._hidden(self.teacher).flatten(0, 1)
        hidden = self._hidden(self.student).flatten(0, 1)
        labels = self.student["labels"][:, 1:].flatten()
        head = self.model.get_output_embeddings()
        total, gradients = torch.zeros((), device=self.device), []
        for rows in torch.arange(len(labels), device=self.device).split(CHUNK):
            chunk = hidden[rows].detach().requires_grad_()
            logits = head(chunk).float()
            loss = functional.cross_entropy(logits, labels[rows], reduction="sum")
            loss = loss + divergence(head(taught[rows]).float(), logits, labels[rows])
            gradients += torch.autograd.grad(loss, chunk)
            total += loss.detach()
        product = (hidden * torch.cat(gradients)).sum()
        return (total + product - product.detach()) / (labels != -100).sum()

    def _hidden(self, tokens: dict[str, Tensor]) -> Tensor:
        body = self.model.get_decoder()
        return body(**self._inputs(tokens), use_cache=False).last_hidden_state[:, :-1]

    def _inputs(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def live(self) -> Tensor:
        """Live teacher, response tokens alone."""
        return self._ours(teacher_states(self.model, self.teacher))

    def ours(self) -> Tensor:
        """Cached teacher, response tokens alone."""
        return self._ours(self.cached.to(self.device))

    def _ours(self, taught: Tensor) -> Tensor:
        embedded = self.model.get_input_embeddings()(self.student["input_ids"])
        hidden, targets = response_states(self.model, embedded, self.student["attention_mask"], self.student["labels"])
        kd, ce = align_loss_from_hidden(hidden, taught, self.model.get_output_embeddings().weight, targets)
        return (kd + ce) / len(targets)

    def run(self, way: str) -> float:
        """One step, forward and backward; returns the loss."""
        loss = getattr(self, way)()
        loss.backward()
        self.model.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return float(loss.detach())


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def peak_memory(arguments: argparse.Namespace) -> int:
    """Extra bytes at the peak of three steps of one way."""
    step = Step(arguments)
    if step.device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            step.run(arguments.way)
        return torch.cuda.max_memory_allocated() - before
    before = highest = resident()
    running = True

    def watch() -> None:
        nonlocal highest
        while running:
            highest = max(highest, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(3):
        step.run(arguments.way)
    running = False
    watcher.join()
    return highest - before


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=64, help="tokens before the response")
    parser.add_argument("--response", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--way", choices=WAYS, help="measure the memory of one way alone (used by this script itself)")
    arguments = parser.parse_args()
    if arguments.way:
        print(peak_memory(arguments))
        return
    step = Step(arguments)
    losses = {way: step.run(way) for way in WAYS}  # also warms up
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.repeat):
        for way in WAYS:
            begun = time.perf_counter()
            step.run(way)
            times[way].append(time.perf_counter() - begun)
    memory = {}
    for way in WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
        memory[way] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    seconds = {way: statistics.median(values) for way, values in times.items()}
    print(
        f"{arguments.shape}, {arguments.dtype}, {arguments.device}, {torch.get_num_threads()} threads; batch "
        f"{arguments.batch}, {arguments.prompt} + {arguments.response} tokens; {date.today().isoformat()}, torch "
        f"{torch.__version__}, seed {arguments.seed}, medians of {arguments.repeat}\n"
    )
    print("| way | seconds a step | times as long as ours | extra memory at the peak (MB) | times ours | loss |")
    print("|---|--:|--:|--:|--:|--:|")
    for way, name in WAYS.items():
        ratio = statistics.median(a / b for a, b in zip(times[way], times["ours"], strict=True))
        share = memory[way] / max(memory["ours"], 1)
        cells = f"{seconds[way]:.2f} | {ratio:.2f} | {memory[way] / 2**20:.0f} | {share:.2f} | {losses[way]:.4f}"
        print(f"| {name} | {cells} |")
    print(json.dumps({"seconds": times, "memory": memory}), file=sys.stderr)


if __name__ == "__main__":
    main()
