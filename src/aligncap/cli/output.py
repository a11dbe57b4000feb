"""Where results go: lines to standard output or a file, and word of the progress to standard error."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

import typer

from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.progress import Progress

__all__ = ["MANIFESTS", "Console", "Output", "check_output", "clock", "progress_bar"]


_EVERY = 60.0  # seconds between two lines about the progress

MANIFESTS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""Endings of the files that hold manifests."""


class Output:
    """Lines for standard output or a file, each written out at once.

    A file is made with its first line, so that a run that comes to nothing leaves none behind.

    Args:
        path: the file; None for standard output.
        overwrite: whether it may replace a file.
        append: whether lines come after those that are in the file.
        begin: called before the file is made.
    """

    def __init__(
        self, path: Path | None, overwrite: bool, *, append: bool = False, begin: Callable[[], None] | None = None
    ) -> None:
        self.path = path
        self._overwrite = overwrite
        self._append = append
        self._begin = begin
        self._stream: IO[str] | None = None

    def write(self, text: str) -> None:
        """Write whole lines.

        Raises:
            BrokenPipeError: nobody reads standard output any more.
            AlignCapError: it cannot be written: disk full, no permission.
        """
        if not text:
            return
        try:
            if self._stream is None:
                self._stream = _standard_output() if self.path is None else self._open(self.path)
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard output" if self.path is None else self.path
            _abandon(self._stream)
            raise AlignCapError(f"{name}: it cannot be written: {error.strerror or error}") from error

    @property
    def on_terminal(self) -> bool:
        """Whether the lines go to a terminal, where a bar would be in their way."""
        return self.path is None and _is_terminal(sys.stdout)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self.path is not None and self._stream is not None:
            self._stream.close()

    def _open(self, path: Path) -> IO[str]:
        if self._begin is not None:
            self._begin()
        # pipes and devices are there already
        replaced = self._overwrite or (path.exists() and not path.is_file())
        mode = "a" if self._append else "w" if replaced else "x"
        return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="\n")


def _standard_output() -> IO[str]:
    if isinstance(sys.stdout, io.TextIOWrapper):
        if _is_terminal(sys.stdout):
            sys.stdout.reconfigure(errors="backslashreplace")
        else:  # as in a file; names that are not valid UTF-8 come out as the bytes that they are
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    return sys.stdout


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()


def _abandon(stream: IO[str] | None) -> None:
    """Let what could not be written go to nowhere, or Python would complain about it once more at the end."""
    with suppress(OSError, ValueError):
        if stream is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def check_output(
    out: Path, overwrite: bool, hint: str, *, suffixes: Sequence[str] = (), sources: Iterable[Path] = ()
) -> None:
    """Refuse what would fail, or do harm, only after minutes of work.

    Args:
        out: the file to write.
        overwrite: whether it may replace a file.
        hint: the option or argument that names it.
        suffixes: endings that tell the format; none: any.
        sources: what is read, and must not be written over.

    Raises:
        typer.BadParameter: it cannot be written, or must not be.
    """
    problem = None
    if suffixes and out.suffix.lower() not in suffixes:
        problem = f"its name does not tell the format: end it in {', '.join(suffixes)}"
    elif out.is_dir():
        problem = "it is a directory: name a file in it"
    elif not out.parent.is_dir():
        problem = f"there is no directory {out.parent}: make it first"
    elif not os.access(out if out.exists() else out.parent, os.W_OK):
        problem = "it may not be written: no permission"
    elif out.exists() and any(source.exists() and out.samefile(source) for source in sources):
        problem = "it is the very file that is read: choose another name"
    elif out.exists() and not overwrite:
        problem = "it exists: choose another name, or add --overwrite"
    if problem:
        raise typer.BadParameter(f"{out}: {problem}", param_hint=hint)


def progress_bar(title: str, total: int | None) -> Progress:
    """A bar on standard error with one task; it leaves nothing behind."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=RichConsole(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task(title, total=total)
    return bar


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as in 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Console:
    """Says on standard error how far the work is: a bar where that is a terminal, and lines.

    Args:
        total: recordings to come.
        quiet: nothing but errors.
        doing: what the bar says.
    """

    def __init__(self, total: int, quiet: bool, doing: str = "captioning") -> None:
        self.total = total
        self._doing = doing
        self._quiet = quiet
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._begun = 0.0
        self._told = self._working = self._started

    def say(self, line: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            self.complain(line)

    def complain(self, line: str) -> None:
        """Print a line."""
        with self.paused():
            if sys.stderr is not None:  # closed by the caller
                print(line, file=sys.stderr, flush=True)

    def loading(self) -> None:
        """Say that it takes a while; what is loaded may show bars of its own."""
        if _is_terminal(sys.stderr):
            self.say("loading the model …")

    @contextmanager
    def bar(self, begun: float = 0.0) -> Iterator[None]:
        """Show a bar for as long as the block runs.

        Args:
            begun: recordings that were done before.
        """
        self._begun = begun
        self._told = self._working = time.monotonic()
        if self._quiet or not _is_terminal(sys.stderr):
            yield
            return
        self._bar = progress_bar(self._doing, self.total)
        self._bar.update(self._bar.task_ids[0], completed=begun)
        try:
            with self._bar:
                yield
        finally:
            self._bar = None

    def advance(self, recordings: float, captions: int | None = None, at: str = "") -> None:
        """Say how many recordings are done; where that is no terminal, in a line a minute.

        Args:
            recordings: done, with the part of the current one.
            captions: written, if any are.
            at: where in the current recording the work is.
        """
        doing = f"{self._doing} {at}".rstrip()
        if self._bar is not None:
            task = self._bar.task_ids[0]
            description = doing if captions is None else f"{doing} (captions: {captions})"
            self._bar.update(task, completed=recordings, description=description)
            return
        now = time.monotonic()
        if now - self._told >= _EVERY and recordings > self._begun:
            self._told = now
            left = (self.total - recordings) * (now - self._working) / (recordings - self._begun)
            some = f"{recordings:.1f} of {self.total} recording{'' if self.total == 1 else 's'}"
            self.say(f"{doing}: {some}, about {clock(left)} left")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar off the terminal for as long as the block runs, so that it can print there."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    @property
    def seconds(self) -> float:
        """Since this object was made."""
        return time.monotonic() - self._started
