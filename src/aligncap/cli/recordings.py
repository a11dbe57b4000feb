"""What the commands that take recordings have in common: finding them, checking where results go, loading the model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aligncap.captioner.results import Failure, Format
from aligncap.errors import AudioError, AudioNotFoundError, AudioUnreadableError, DeviceError

if TYPE_CHECKING:
    from aligncap.captioner import Captioner
    from aligncap.captioner.calibration import Calibration
    from aligncap.captioner.captioner import Source

__all__ = ["check_recordings_output", "collect", "describe", "format_of", "load_captioner", "names_of"]

_SUFFIXES: dict[str, Format] = {".txt": "text", ".jsonl": "jsonl", ".csv": "csv"}


def format_of(output: Path | None) -> Format:
    """The format that a file's name tells.

    Raises:
        typer.BadParameter: it tells none.
    """
    if output is None:
        return "text"
    if output.suffix.lower() not in _SUFFIXES:
        raise typer.BadParameter(
            f"{output}: its name does not tell the format: end it in .jsonl, .csv or .txt, or add --format",
            param_hint="--output",
        )
    return _SUFFIXES[output.suffix.lower()]


def check_recordings_output(output: Path, overwrite: bool, sources: Sequence[Source]) -> None:
    """Refuse what would fail, or do harm, only after minutes of work."""
    problem = None
    if output.is_dir():
        problem = "it is a directory: name a file in it"
    elif not output.parent.is_dir():
        problem = f"there is no directory {output.parent}: make it first"
    elif not os.access(output if output.exists() else output.parent, os.W_OK):
        problem = "it may not be written: no permission"
    elif _identity(str(output)) in {_identity(path) for path in sources if isinstance(path, str)}:
        problem = "it is one of the recordings"
    elif output.is_file() and not overwrite:
        problem = "it exists: choose another name, or add --overwrite"
    if problem:
        raise typer.BadParameter(f"{output}: {problem}", param_hint="--output")


def collect(arguments: Sequence[str]) -> list[Source]:
    """The recordings in order, each once; what is known to be unusable as a failure."""
    found: dict[str, Source] = {}
    for argument in arguments:
        if argument == "-":
            found["-"] = found.get("-") or _standard_input()
        elif os.path.isdir(argument):  # noqa: PTH112 (as given: Path would rewrite it)
            for item in _directory(argument):
                found.setdefault(_identity(item if isinstance(item, str) else item.audio), item)
        else:
            found.setdefault(_identity(argument), _present(argument))
    return list(found.values())


def names_of(sources: Sequence[Source]) -> list[str]:
    """What the collected recordings are called in results."""
    from aligncap.captioner.clips import recording_name

    return [source.audio if isinstance(source, Failure) else recording_name(source, 0) for source in sources]


def _directory(directory: str) -> list[str | Failure]:
    from aligncap.audio import find_audio

    found: list[str | Failure] = []
    for path in find_audio(directory):
        unlisted = path.is_dir()
        error = AudioUnreadableError(str(path), "this directory may not be listed")
        found.append(Failure.of(error, path.as_posix()) if unlisted else path.as_posix())
    return found or [Failure.of(AudioNotFoundError(directory, "there are no recordings in this directory"), directory)]


def _present(path: str) -> str | Failure:
    """A path, or the failure if there is nothing: the model need not be loaded to say that."""
    if os.path.exists(path):  # noqa: PTH110 (never raises)
        return path
    from aligncap.audio import read_audio

    try:
        read_audio(path)
    except AudioError as error:
        return Failure.of(error, path)
    return path


def _standard_input() -> Source:
    from aligncap.audio import read_audio

    if sys.stdin is None or sys.stdin.isatty():
        raise typer.BadParameter("- reads a recording from standard input: pipe one into it")
    try:
        return read_audio(sys.stdin.buffer, name="<stdin>")
    except AudioError as error:
        return Failure.of(error, "<stdin>")


def _identity(path: str) -> str:
    """The same for all ways to write a path; links with names of their own stay apart."""
    folder, name = os.path.split(path.rstrip(os.sep))
    return os.path.join(os.path.realpath(folder or os.curdir), name)  # noqa: PTH118


def describe(calibration: Calibration) -> str:
    """What was learned, in a line."""
    return (
        f"calibrated on {calibration.recordings} stretches: {calibration.strength:.0%} of their distance from the "
        f"training recordings is taken off; heard most: {calibration.emotion} ({calibration.share:.0%})"
    )


def load_captioner(checkpoint: str, device: str, dtype: str, threads: int | None) -> Captioner:
    """Load the captioner, without other people's warnings and bars."""
    # before they are imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from aligncap.captioner import load

    try:
        return load(checkpoint, device=device, dtype=dtype, threads=threads)
    except DeviceError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
