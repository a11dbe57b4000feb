"""A step of preference optimisation with a precomputed reference, with a live one, and by TRL's DPOTrainer.

    python benchmarks/prefer_step.py --batch 8 --prompt 64 --response 30
    python benchmarks/prefer_step.py --trl        # needs: pip install trl

Text alone: the same randomly initialised model of a real one's shape with LoRA, the same tokens, the same loss (DPO),
forward and backward, in one process. TRL's is `DPOTrainer._compute_loss` with precomputed reference log-probabilities,
so its collating, logging and optimiser are left out, as are ours. Medians over interleaved repetitions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import torch
from align_step import SHAPES, random_model
from torch import Tensor

from aligncap.model.responses import response_states
from aligncap.objectives import dpo, per_response, token_log_probs

BETA = 0.1


class Step:
    """Model, pairs (chosen responses first), and the ways of a step."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.model = random_model(arguments)
        self.device = self.model.device
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in name)
        shape = (2 * arguments.batch, arguments.prompt + arguments.response)
        ids = torch.randint(0, self.model.config.vocab_size, shape, device=self.device)
        ids[arguments.batch :, : arguments.prompt] = ids[: arguments.batch, : arguments.prompt]
        self.inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        self.labels = ids.clone()
        self.labels[:, : arguments.prompt] = -100
        with torch.no_grad():
            found = self._log_probs()
            self.reference = found + torch.randn_like(found)  # as if the policy had moved
        self.trainer = _trainer(self.model, arguments) if arguments.trl else None

    def _log_probs(self) -> Tensor:
        embedded = self.model.get_input_embeddings()(self.inputs["input_ids"])
        hidden, targets = response_states(self.model, embedded, self.inputs["attention_mask"], self.labels)
        head = self.model.get_output_embeddings().weight
        return per_response(token_log_probs(hidden, head, targets), self.labels)[0]

    def _loss(self, reference: Tensor) -> Tensor:
        good, bad = (self._log_probs() - reference).chunk(2)
        return dpo(good, bad, beta=BETA, reduction="none").mean()

    def precomputed(self) -> Tensor:
        """As it is done here."""
        return self._loss(self.reference)

    def live(self) -> Tensor:
        """The reference is asked in every step (the model itself, as it is now: that costs as much)."""
        with torch.no_grad():
            reference = self._log_probs()
        return self._loss(reference)

    def trl(self) -> Tensor:
        """TRL's loss on the same tokens."""
        assert self.trainer is not None
        good, bad = self.reference.chunk(2)
        batch = {"completion_mask": (self.labels != -100).long(), "ref_chosen_logps": good, "ref_rejected_logps": bad}
        loss: Tensor = self.trainer._compute_loss(self.model, {**self.inputs, **batch}, False)
        return loss

    def run(self, way: str) -> float:
        """One step, forward and backward; returns the loss."""
        ways: dict[str, Callable[[], Tensor]] = {"precomputed": self.precomputed, "live": self.live, "TRL": self.trl}
        loss = ways[way]()
        loss.backward()
        self.model.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return float(loss)


def _trainer(model: Any, arguments: argparse.Namespace) -> Any:
    """TRL's trainer around the model; its data set plays no part."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from aligncap.model.base import load_tokenizer

    rows = Dataset.from_list([{"prompt": "a", "chosen": " b", "rejected": " c"}] * 2)
    settings = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        beta=BETA,
        precompute_ref_log_probs=True,
        per_device_train_batch_size=arguments.batch,
        gradient_checkpointing=False,
        bf16=arguments.dtype == "bfloat16",
        use_cpu=arguments.device == "cpu",
        report_to=[],
    )
    tokenizer = load_tokenizer("aligncap:smollm2-135m-instruct")
    return DPOTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8, help="pairs")
    parser.add_argument("--prompt", type=int, default=64, help="tokens before the response")
    parser.add_argument("--response", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trl", action="store_true", help="also TRL's DPOTrainer")
    arguments = parser.parse_args()
    step = Step(arguments)
    ways = ["precomputed", "live", *(["TRL"] if arguments.trl else [])]
    losses = {way: step.run(way) for way in ways}  # also warms up
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.repeat):
        for way in ways:
            begun = time.perf_counter()
            step.run(way)
            times[way].append(time.perf_counter() - begun)
    seconds = {way: statistics.median(values) for way, values in times.items()}
    print(
        f"{arguments.shape}, {arguments.dtype}, {arguments.device}, {torch.get_num_threads()} threads; batch "
        f"{arguments.batch} pairs, {arguments.prompt} + {arguments.response} tokens; {date.today().isoformat()}, torch "
        f"{torch.__version__}, seed {arguments.seed}, medians of {arguments.repeat}\n"
    )
    print("| way | seconds a step | precomputed / this | loss |\n|---|--:|--:|--:|")
    for way in ways:
        print(f"| {way} | {seconds[way]:.2f} | {seconds['precomputed'] / seconds[way]:.2f} | {losses[way]:.4f} |")
    print(json.dumps({"seconds": times}))


if __name__ == "__main__":
    main()
