"""What a run tells the user: progress bars with an ETA on a terminal, a few quiet lines elsewhere."""

from __future__ import annotations

import os

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["is_main_process", "process_count", "progress_bar", "say"]


def is_main_process() -> bool:
    """Whether this is the first of the processes that a launcher (torchrun, accelerate) started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """Number of processes that a launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def say(text: str) -> None:
    """Print a line on standard error, from the main process alone."""
    if is_main_process():
        Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def progress_bar() -> Progress:
    """A progress bar with elapsed and remaining time, on standard error; hidden where that is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console.is_terminal and is_main_process()
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown)
