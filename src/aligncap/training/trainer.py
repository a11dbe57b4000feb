"""``transformers.Trainer`` with sums of losses, the global number of response tokens, and checkpoints that are safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from aligncap.errors import AlignCapError, CheckpointError
from aligncap.training.checkpoints import latest, prune, seal
from aligncap.training.networks import Reader, Student
from aligncap.training.policy import Policy
from aligncap.training.progress import process_count, say
from aligncap.training.recipe import Optimisation

__all__ = ["StageTrainer", "training_arguments"]

_WEIGHTS = "model.safetensors"
_PER_EXAMPLE = ("head", "contrastive")  # the other losses are sums over response tokens


def training_arguments(stage: Optimisation, folder: Path, seed: int) -> TrainingArguments:
    """The stage's settings as transformers wants them; the global batch is split over the processes.

    Raises:
        AlignCapError: the batch cannot be split evenly.
    """
    processes = process_count()
    share, rest = divmod(stage.batch_size, processes)
    micro = stage.micro_batch or share
    if rest or micro < 1 or share % micro:
        raise AlignCapError(
            f"batch_size {stage.batch_size} cannot be split over {processes} processes with micro_batch "
            f"{stage.micro_batch}: choose numbers that divide it"
        )
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=share // micro,
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(stage.warmup * stage.steps),
        max_grad_norm=stage.max_grad_norm,
        save_strategy="steps",
        save_steps=stage.save_every,
        logging_steps=min(stage.log_every, stage.steps),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=seed,
    )
    args._n_gpu = min(args.n_gpu, 1)  # several GPUs are used through a launcher, never by threads of one process
    return args


class StageTrainer(Trainer):
    """Trains a module of `networks` on the examples of a stage.

    The loss is a weighted sum of means over all response tokens (or clips) of the optimiser step, over all
    accumulation steps and processes. Dropout is seeded by the number of a batch's first example, so that a resumed
    run drops what an uninterrupted one would have dropped.

    Args:
        network: gives sums of losses by name.
        stage: see `Optimisation`.
        folder: of the stage.
        data: examples in order.
        collate: a list of examples → the network's inputs, with ``ids`` and ``numbers`` of the examples.
        weights: loss name → weight; one whose weight is 0 is not optimised.
        rates: part of a parameter's name → its peak learning rate, where it is another one.
        key: hash of all that the run's state depends on.
        seed: of dropout.
        callbacks: of transformers.
    """

    def __init__(
        self,
        network: Student | Reader | Policy,
        stage: Optimisation,
        folder: Path,
        data: Dataset[Any],
        collate: Callable[[list[Any]], dict[str, Any]],
        weights: Mapping[str, float],
        rates: Mapping[str, float],
        key: str,
        seed: int,
        callbacks: list[TrainerCallback],
    ) -> None:
        args = training_arguments(stage, folder, seed)
        self.network = network
        self.stage = stage
        self.folder = folder
        self.weights = dict(weights)
        self.rates = dict(rates)
        self.key = key
        self._sums: dict[str, Tensor] = {}
        self._batches = 0
        super().__init__(network, args, collate, data, callbacks=callbacks)
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = True  # so that the response tokens are counted, and nothing divided twice

    def run(self) -> list[dict[str, float]]:
        """Train, going on from the last usable checkpoint.

        Returns:
            The log: ``step``, ``loss``, each part of it, ``grad_norm`` and ``learning_rate`` of each point.
        """
        found = latest(self.folder, self.key, say)
        if found is not None:
            say(f"going on from {found}")
        self.train(resume_from_checkpoint=None if found is None else str(found))
        return [entry for entry in self.state.log_history if "loss" in entry]

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; adapters do not decay, and parts may have their own learning rates."""
        optimizer: torch.optim.Optimizer | None = self.optimizer  # type: ignore[has-type]
        if optimizer is None:
            groups: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name, parameter in (model or self.model).named_parameters():
                if parameter.requires_grad:
                    rate = next((r for part, r in self.rates.items() if part in name), self.stage.learning_rate)
                    decay = 0.0 if "lora_" in name else self.stage.weight_decay
                    groups.setdefault((rate, decay), []).append(parameter)
            optimizer = self.optimizer = torch.optim.AdamW(
                [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
            )
        return optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This micro-batch's part of the step's loss, times the number of processes (which are averaged over)."""
        ids, numbers = inputs.pop("ids"), inputs.pop("numbers")
        torch.manual_seed(self.args.seed * 1_000_003 + numbers[0])
        sums = model(**inputs)
        assert num_items_in_batch is not None
        parts = {}
        for name, value in sums.items():
            parts[name] = value / (self.stage.batch_size if name in _PER_EXAMPLE else num_items_in_batch)
        loss = torch.stack([self.weights[name] * part for name, part in parts.items() if self.weights[name]]).sum()
        if not bool(torch.isfinite(loss)):
            self._stop(float(loss.detach()), ids, numbers)
        for name, part in {**parts, "loss": loss}.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(part)) + part.detach()
        self._batches += 1
        loss = loss * self.args.world_size
        return (loss, parts) if return_outputs else loss

    def _stop(self, loss: float, ids: list[str], numbers: list[int]) -> None:
        path = self.folder / f"bad_batch-{self.state.global_step}-rank{self.args.process_index}.json"
        content = {"step": self.state.global_step, "loss": str(loss), "clips": ids, "examples": numbers}
        path.write_text(json.dumps(content, indent=2) + "\n")
        raise AlignCapError(f"the loss is {loss} in step {self.state.global_step + 1}; its clips are listed in {path}")

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """What is logged of the means of the parts over the steps since the last time."""
        return means

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss and its parts, as means over the steps since the last time."""
        if "loss" in logs and self._sums:
            steps = self._batches / self.args.gradient_accumulation_steps
            names = sorted(self._sums)
            sums = torch.stack([self._sums[name].float() for name in names])
            sums = self.accelerator.reduce(sums, "sum") / steps
            logs.update(self.figures(dict(zip(names, sums.tolist(), strict=True))))
            self._sums, self._batches = {}, 0
        super().log(logs, start_time)

    # ---------------------------------------------------------------- checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._part())

    def _part(self) -> Path:
        return self.folder / f"checkpoint-{self.state.global_step}.part"

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        part = self._part()
        final = part.with_suffix("")
        if self.args.should_save:
            shutil.rmtree(part, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            seal(part / final.name, self.key)
            shutil.rmtree(final, ignore_errors=True)
            (part / final.name).replace(final)
            prune(self.folder, self.stage.keep)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        state = self.network.state_dict() if state_dict is None else state_dict
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items() if self.network.is_own(name)}
        folder = Path(output_dir or self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(own, folder / _WEIGHTS, metadata={"format": "pt"})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        tensors = load_file(Path(resume_from_checkpoint) / _WEIGHTS)
        wanted = {name for name in self.network.state_dict() if self.network.is_own(name)}
        if wanted != tensors.keys():
            name = min(wanted ^ tensors.keys())
            raise CheckpointError(f"{resume_from_checkpoint}: does not fit the model ({name})")
        self.network.load_state_dict(tensors, strict=False)

    def _save_rng_state(self, output_dir: str) -> None:
        """Nothing to save: every draw is seeded by the number of an example."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """See `_save_rng_state`."""
