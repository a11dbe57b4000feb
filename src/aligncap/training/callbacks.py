"""Callbacks of the trainer: progress, stopping on a signal, logs of others."""

from __future__ import annotations

import importlib.util
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from aligncap.errors import AlignCapError
from aligncap.training.progress import progress_bar, say

__all__ = ["Bar", "StopOnSignal", "reporters"]


class Bar(TrainerCallback):
    """A progress bar with the loss and an ETA; where there is no terminal, a line now and then.

    Args:
        name: of the stage.
        pause: least seconds between two lines where there is no terminal.
    """

    def __init__(self, name: str, pause: float = 30.0) -> None:
        self.name = name
        self.pause = pause
        self.bar = progress_bar()
        self.task: Any = None
        self._begun = self._said = time.monotonic()
        self._first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        self._begun = self._said = time.monotonic()
        self._first = state.global_step
        self.bar.start()
        self.task = self.bar.add_task(self.name, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the losses."""
        if not logs or "loss" not in logs:
            return
        losses = ", ".join(
            f"{name} {logs[name]:.3f}" for name in ("loss", "kd", "ce", "head", "contrastive") if name in logs
        )
        self.bar.update(self.task, description=f"{self.name} ({losses})")
        now = time.monotonic()
        if self.bar.disable and (now - self._said >= self.pause or state.global_step == state.max_steps):
            pace = (now - self._begun) / max(state.global_step - self._first, 1)
            left = pace * (state.max_steps - state.global_step)
            say(f"{self.name}: step {state.global_step} of {state.max_steps}, {losses}, {left / 60:.0f} min left")
            self._said = now

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the bar away."""
        self.bar.stop()


class StopOnSignal(TrainerCallback):
    """On SIGINT or SIGTERM: finish the step, save, and stop. A second SIGINT stops at once.

    Attributes:
        received: number of the signal; 0 while there was none.
    """

    def __init__(self) -> None:
        self.received = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block the signals are caught."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop all processes if one of them received a signal."""
        if args.world_size > 1:
            flag = torch.tensor(self.received, device=args.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            self.received = int(flag)
        if self.received and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True


def reporters(names: Sequence[str]) -> list[TrainerCallback]:
    """Callbacks that write TensorBoard or W&B logs.

    Raises:
        AlignCapError: an unknown name, or a package other than TensorBoard (which is optional) that is missing.
    """
    from transformers.integrations import TensorBoardCallback, WandbCallback

    known = {"tensorboard": TensorBoardCallback, "wandb": WandbCallback}
    out = []
    for name in names:
        if name not in known:
            raise AlignCapError(f"report_to: unknown {name!r}; choose among {', '.join(known)}")
        if importlib.util.find_spec(name) is None:
            if name == "tensorboard":
                say("no TensorBoard logs: pip install 'aligncap[train]'")
                continue
            raise AlignCapError(f"report_to: {name} is not installed (pip install {name})")
        out.append(known[name]())
    return out
