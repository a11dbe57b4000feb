"""Running one stage under the trainer: callbacks, signals, log and plot."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import TrainerCallback

from aligncap.training.callbacks import Bar, StopOnSignal, reporters
from aligncap.training.networks import Reader, Student
from aligncap.training.plot import plot_losses
from aligncap.training.policy import Policy
from aligncap.training.progress import is_main_process, say
from aligncap.training.recipe import Optimisation
from aligncap.training.trainer import StageTrainer

__all__ = ["Stopped", "run_stage"]

LOG = "log.json"


class Stopped(Exception):  # noqa: N818 (not an error: the user asked for it)
    """A run was stopped by a signal, and what it had reached was saved.

    Args:
        message: what was saved and how to go on.
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


def run_stage(
    name: str,
    network: Student | Reader | Policy,
    stage: Optimisation,
    folder: Path,
    data: Dataset[Any],
    collate: Callable[[list[Any]], dict[str, Any]],
    weights: Mapping[str, float],
    rates: Mapping[str, float],
    key: str,
    seed: int,
    *,
    trainer_class: type[StageTrainer] = StageTrainer,
    more: Sequence[TrainerCallback] = (),
) -> Sequence[Mapping[str, float]]:
    """Train a network; see `StageTrainer` for the arguments; ``more`` are further callbacks.

    Returns:
        The log, which is also written into the folder, with a plot of the losses.

    Raises:
        Stopped: SIGINT or SIGTERM came; a checkpoint was saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bar, stop = Bar(name), StopOnSignal()
    callbacks = [bar, *more, stop, *reporters(stage.report_to)]
    if stage.gradient_checkpointing:
        network.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    language_model = getattr(network, "language_model", None)
    if language_model is not None and language_model.dtype == torch.bfloat16 and language_model.device.type == "cpu":
        language_model.set_attn_implementation("eager")  # PyTorch's fused attention is many times slower there
    trainer = trainer_class(network, stage, folder, data, collate, weights, rates, key, seed, callbacks)
    try:
        with stop.listening():
            log = trainer.run()
    finally:
        bar.bar.stop()
    if is_main_process():
        (folder / f"{LOG}.part").write_text(json.dumps(log, indent=1) + "\n")
        (folder / f"{LOG}.part").replace(folder / LOG)
    step = trainer.state.global_step
    if stop.received and step < stage.steps:
        why = signal.Signals(stop.received).name
        raise Stopped(
            f"{why}: stopped after step {step} of {stage.steps} and saved {folder}/checkpoint-{step}; "
            "give the same command again to go on",
            stop.received,
        )
    if is_main_process() and not plot_losses(log, folder / "losses.png", name):
        say("no plot of the losses: pip install 'aligncap[train]'")
    return log
