"""Where captions go: lines, tables, a document for each recording, pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import typer

from aligncap.captioner.results import Caption, Formatter, Result
from aligncap.cli.output import Console, Output
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.captioner.formats.parquet import ParquetFile
    from aligncap.cli.captioning import Journal

__all__ = ["DOCUMENT_FORMATS", "CaptionFormat", "Place", "Sink", "caption_format", "make_sinks"]

CaptionFormat = Literal["text", "jsonl", "csv", "parquet", "srt", "vtt", "textgrid", "eaf"]

DOCUMENT_FORMATS = ("srt", "vtt", "textgrid", "eaf")
"""Formats of which a file holds one recording."""

_SUFFIXES: dict[str, CaptionFormat] = {".txt": "text", **{f".{form.lower()}": form for form in get_args(CaptionFormat)}}


@dataclass(frozen=True)
class Place:
    """Where captions are to go, and as what.

    Attributes:
        form: of the file or files.
        output: a file, or a directory for a file of each recording; None: standard output.
        overwrite: whether files may be replaced.
        plot: a picture, or a directory for one of each recording.
        speakers: whether captions have speakers.
    """

    form: CaptionFormat
    output: Path | None = None
    overwrite: bool = False
    plot: Path | None = None
    speakers: bool = False


def caption_format(given: CaptionFormat | None, output: Path | None) -> CaptionFormat:
    """The format that was asked for, else the one that the name of OUT tells, else text.

    Raises:
        typer.BadParameter: there is no telling, or it cannot go there.
    """
    if given is None and output is not None and output.suffix.lower() not in _SUFFIXES:
        how = "add --format" if output.is_dir() else f"end it in {', '.join(_SUFFIXES)}, or add --format"
        raise typer.BadParameter(f"{output}: its name does not tell the format: {how}", param_hint="--output")
    form = given or (_SUFFIXES[output.suffix.lower()] if output is not None else "text")
    if form == "parquet" and output is None:
        raise typer.BadParameter("Parquet needs a file: name one with --output", param_hint="--format")
    return form


def make_sinks(place: Place, names: Sequence[str], console: Console, journal: Journal | None) -> list[Sink]:
    """What takes the results of the named recordings.

    Raises:
        typer.BadParameter: a file is in the way, or would have to hold several recordings.
        MissingExtraError: packages are missing.
    """
    sinks: list[Sink] = []
    form, output = place.form, place.output
    if form in ("text", "jsonl", "csv"):
        append, begin = (bool(journal.before.ids), journal.begin) if journal is not None else (False, None)
        file = Output(output, place.overwrite, append=append, begin=None if append else begin)
        sinks.append(Lines(Formatter(form, speakers=place.speakers), file, console))
    elif form == "parquet":
        sinks.append(Table(output or Path()))
    else:
        from aligncap.captioner.formats import DOCUMENTS, SUFFIX_OF

        render = DOCUMENTS[form]
        render([])  # whether its packages are there
        if output is None:
            if len(names) != 1:
                problem = f"it is for one recording, and there are {len(names)}: name a directory with --output"
                raise typer.BadParameter(f"{form}: {problem}", param_hint="--format")
            printed = Output(None, False)
            sinks.append(PerRecording(lambda _, results: printed.write(render(results))))
        else:
            files = targets(output, names, SUFFIX_OF[form], place.overwrite, "--output")
            sinks.append(PerRecording(lambda name, results: save_text(files[name], render(results))))
    if place.plot is not None:
        from aligncap.captioner.timeline import SUFFIXES, check_available, save_timeline

        check_available()
        if not place.plot.is_dir() and place.plot.suffix.lower() not in SUFFIXES:
            problem = f"its name does not tell the format: end it in {', '.join(SUFFIXES)}, or name a directory"
            raise typer.BadParameter(f"{place.plot}: {problem}", param_hint="--plot")
        pictures = targets(place.plot, names, ".png", place.overwrite, "--plot")
        sinks.append(PerRecording(lambda name, results: save_timeline(pictures[name], results)))
    return sinks


class Sink(Protocol):
    """Takes results in the order of the recordings."""

    def add(self, result: Result) -> None:
        """Take a result."""

    def close(self) -> None:
        """Finish, after an interruption too: what was captioned is kept."""


class Lines:
    """Each result at once, as a line."""

    def __init__(self, formatter: Formatter, output: Output, console: Console) -> None:
        self._formatter = formatter
        self._output = output
        self._console = console
        self._header = formatter.header

    def add(self, result: Result) -> None:
        """Write it."""
        text, self._header = self._header + self._formatter(result), ""
        with self._console.paused() if text and self._output.on_terminal else nullcontext():
            self._output.write(text)

    def close(self) -> None:
        """Close the file."""
        self._output.close()


class Table:
    """All results in one Parquet file, which is made with the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: ParquetFile | None = None

    def add(self, result: Result) -> None:
        """Take it into the table."""
        if self._file is None:
            from aligncap.captioner.formats.parquet import ParquetFile

            self._file = ParquetFile(self._path)
        self._file.add(result)

    def close(self) -> None:
        """Write what is there."""
        if self._file is not None:
            self._file.close()


class PerRecording:
    """Something made of all the results of a recording, as soon as the next one begins.

    Args:
        make: is given the recording's name and its results, of which at least one is a caption.
    """

    def __init__(self, make: Callable[[str, Sequence[Result]], None]) -> None:
        self._make = make
        self._results: list[Result] = []

    def add(self, result: Result) -> None:
        """Keep it; make what is due."""
        if self._results and self._results[0].audio != result.audio:
            self._flush()
        self._results.append(result)

    def close(self) -> None:
        """Make what is due for the last recording."""
        self._flush()

    def _flush(self) -> None:
        results, self._results = self._results, []
        if any(isinstance(item, Caption) for item in results):
            self._make(results[0].audio, results)


def save_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all.

    Raises:
        AlignCapError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise AlignCapError(f"{path}: it cannot be written: {error.strerror or error}") from error


def targets(out: Path, names: Sequence[str], suffix: str, overwrite: bool, option: str) -> dict[str, Path]:
    """The file for each recording: ``out`` itself for a single one, else in the directory ``out``.

    There, a file is called as the recording, with another suffix; where that does not tell two apart, with both.

    Raises:
        typer.BadParameter: a file is there already, or cannot be made.
    """
    folder = out.is_dir()
    if not folder and len(names) != 1:
        problem = f"it is for one recording, and there are {len(names)}: name a directory that is there"
        raise typer.BadParameter(f"{out}: {problem}", param_hint=option)
    if not folder:
        found = {names[0]: out}
    else:
        stems = Counter(Path(name).stem for name in names)
        found = {}
        for name in names:
            own = Path(name).stem if stems[Path(name).stem] == 1 else _flat(name)
            found[name] = out / f"{own.lstrip('.') or 'recording'}{suffix}"
        if len(set(found.values())) < len(found):
            raise typer.BadParameter("two recordings would get files of the same name", param_hint=option)
    for path in found.values():
        if not path.parent.is_dir():
            raise typer.BadParameter(f"{path}: there is no directory {path.parent}: make it first", param_hint=option)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise typer.BadParameter(f"{path}: it may not be written: no permission", param_hint=option)
        if path.exists() and not overwrite:
            raise typer.BadParameter(f"{path}: it exists: choose another name, or add --overwrite", param_hint=option)
    return found


def _flat(name: str) -> str:
    """A path as one name."""
    return "_".join(part for part in Path(name).parts if part not in {"/", ".", ".."})
