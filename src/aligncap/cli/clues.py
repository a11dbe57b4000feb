"""``aligncap clues``: measure the voice in recordings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aligncap.captioner.results import Failure, Format, csv_line, json_line, printable
from aligncap.cli.caption import check_recordings_output, collect, format_of
from aligncap.cli.options import Quiet
from aligncap.cli.output import Console, Output
from aligncap.errors import AlignCapError, AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aligncap.captioner.captioner import Source
    from aligncap.clues import ClueWord, MeasuredClues, Population, SpeakerReference

__all__ = ["clues"]


def clues(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR|-...",
            help="Recordings; directories of them, searched at any depth; - for one from standard input.",
            show_default=False,
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="[default: by the suffix of OUT, else text]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write to this file (.jsonl, .csv or .txt), line by line."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    gender: Annotated[
        Literal["female", "male"] | None,
        typer.Option(help="Compare with women or with men. [default: with both]", show_default=False),
    ] = None,
    relative: Annotated[
        bool,
        typer.Option(
            "--relative",
            help="Compare with each other: five or more recordings of one speaker, made in one session.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also draw each recording into this folder, as PNG (needs matplotlib)."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure pitch, pace, pauses, dynamics and quality of the voice, and say what is out of the ordinary.

    Prints a line for each recording; one longer than 10 s is cut into stretches, with a line and times each.
    No model is needed. What each number means, and when it becomes a word: docs/clues.md.

    \b
    Examples:
      aligncap clues interview.wav
      aligncap clues calls/ -f csv -o calls.csv
      aligncap clues anna/*.wav --relative
      aligncap clues shout.flac --gender female --plot pictures/

    A line of JSON holds id, audio, start, end (seconds) and clues: numbers named with their unit
    (f0_median_hz: 212.4), null where they could not be measured, and words, a list of dimension:level. It is
    a row of a manifest. For a recording that failed it holds id, audio and error (type, message).

    \b
    Exit codes:
      0  every recording was measured
      1  some failed; the others are written (or nothing could be written)
      2  wrong usage; nothing was done
      3  --plot without matplotlib
    """
    if gender and relative:
        raise typer.BadParameter("give --gender or --relative, not both: a speaker is compared with one thing")
    if output is None and sys.stdout is None:
        raise typer.BadParameter("standard output is closed: name a file", param_hint="--output")
    if "" in recordings:
        raise typer.BadParameter("a name is empty", param_hint="FILE|DIR|-")
    form = format or format_of(output)
    if plot is not None:
        _prepare(plot)
    sources = collect(recordings)
    if output is not None:
        check_recordings_output(output, overwrite, sources)
    console = Console(len(sources), quiet, "measuring")
    results = _results(sources, gender or "pooled", relative, keep_samples=plot is not None, console=console)
    if not _write(results, form, Output(output, overwrite), plot, console):
        raise typer.Exit(1)


def _prepare(folder: Path) -> None:
    from aligncap.clues.picture import check_available

    check_available()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(
            f"{folder}: it cannot be made: {error.strerror or error}", param_hint="--plot"
        ) from error


@dataclass(frozen=True)
class _Measured:
    """One stretch of a recording."""

    id: str
    audio: str
    start: float
    end: float
    clues: MeasuredClues
    warnings: tuple[str, ...]
    samples: NDArray[np.float32] | None
    words: tuple[ClueWord, ...] = ()

    @property
    def name(self) -> str:
        """The recording, with the times of a stretch."""
        return self.audio if self.id == self.audio else f"{self.audio} [{self.start:.1f}–{self.end:.1f} s]"  # noqa: RUF001


def _results(
    sources: Sequence[Source], population: Population, relative: bool, *, keep_samples: bool, console: Console
) -> Iterator[_Measured | Failure]:
    """Measure each recording, and judge it: at once, or where they are compared with each other, at the end."""
    from aligncap.clues import speaker_reference

    with console.bar():
        console.advance(0)
        measured: Iterable[_Measured | Failure] = _measure(sources, keep_samples, console)
        reference: Population | SpeakerReference = population
        if relative:
            measured = list(measured)
            heard = [item.clues for item in measured if isinstance(item, _Measured)]
            try:
                reference = speaker_reference(heard)
            except AlignCapError as error:
                raise typer.BadParameter(str(error), param_hint="--relative") from error
        for item in measured:
            yield item if isinstance(item, Failure) else _judged(item, reference)


def _judged(item: _Measured, reference: Population | SpeakerReference) -> _Measured:
    from aligncap.clues import DIMENSIONS, clue_words

    return replace(item, words=clue_words(item.clues, dimensions=DIMENSIONS, reference=reference))


def _measure(sources: Sequence[Source], keep_samples: bool, console: Console) -> Iterator[_Measured | Failure]:
    from aligncap.audio import Audio, read_audio, segments
    from aligncap.clues import measure

    for index, source in enumerate(sources):
        if isinstance(source, Failure):
            yield source
            continue
        name = source.source if isinstance(source, Audio) else str(source)
        try:
            audio = source if isinstance(source, Audio) else read_audio(name)
        except AudioError as error:
            yield Failure.of(error, name)
            continue
        parts = segments(audio)
        for number, part in enumerate(parts):
            yield _Measured(
                name if len(parts) == 1 else f"{name}#{number}",
                name,
                part.start,
                part.end,
                measure(part.samples),
                audio.warnings if number == 0 else (),
                part.samples if keep_samples else None,
            )
        console.advance(index + 1)


def _write(
    results: Iterable[_Measured | Failure], form: Format, output: Output, plot: Path | None, console: Console
) -> bool:
    """Write the results as they come; return whether nothing failed."""
    whole: dict[str, bool] = {}
    header = csv_line(_columns()) if form == "csv" else ""
    try:
        for number, result in enumerate(results):
            whole[result.audio] = isinstance(result, _Measured) and whole.get(result.audio, True)
            if isinstance(result, Failure):
                if form == "text":
                    console.complain(printable(f"error: {result.id}: {result.message}"))
            else:
                for warning in result.warnings:
                    console.say(printable(f"warning: {result.audio}: {warning}"))
                if plot is not None:
                    _draw(result, plot / f"{number:04d}_{_file_name(result.id)}.png")
            text, header = header + _line(result, form), ""
            with console.paused() if text and output.on_terminal else nullcontext():
                output.write(text)
    finally:
        output.close()
    good = sum(whole.values())
    failed = len(whole) - good
    console.say(
        f"measured {good} of {console.total} recording{'' if console.total == 1 else 's'} in {console.seconds:.1f} s"
        + (f"; {failed} failed" if failed else "")
    )
    return failed == 0


def _draw(result: _Measured, path: Path) -> None:
    from aligncap.clues.picture import save_picture

    if result.samples is not None:
        save_picture(path, result.samples, result.clues, result.words, start=result.start, title=result.name)


def _file_name(clip_id: str) -> str:
    """A name that any file system takes; the number before it makes it unique."""
    safe = "".join(char if char.isalnum() or char in "-_.#" else "_" for char in clip_id)
    return safe[-100:].lstrip(".") if len(safe.encode()) <= 200 else safe.encode("ascii", "replace").decode()[-100:]


def _columns() -> tuple[str, ...]:
    from aligncap.clues import MeasuredClues

    return ("id", "audio", "start", "end", *(item.name for item in fields(MeasuredClues)), "words", "warnings", "error")


def _line(result: _Measured | Failure, form: Format) -> str:
    """One result as a line; a failure has none as text, where it goes to standard error."""
    if form == "text":
        return "" if isinstance(result, Failure) else printable(f"{result.name}: {_sentence(result)}") + "\n"
    record = result.to_dict() if isinstance(result, Failure) else _record(result)
    if form == "jsonl":
        return json_line(record)
    if isinstance(result, Failure):
        record["error"] = f"{result.type}: {result.message}"
    else:
        record.update(record["clues"], words=" ".join(record["clues"]["words"]), warnings=" | ".join(result.warnings))
    return csv_line(["" if record.get(name) is None else str(record[name]) for name in _columns()])


def _record(result: _Measured) -> dict[str, Any]:
    from aligncap.clues import clue_record

    times = {"start": round(result.start, 3), "end": round(result.end, 3)}
    record = {"id": result.id, "audio": result.audio, **times, "clues": clue_record(result.clues, result.words)}
    return {**record, "warnings": list(result.warnings)} if result.warnings else record


def _sentence(result: _Measured) -> str:
    """The words with the numbers behind them."""
    from aligncap.clues import said_with_number

    if isnan(result.clues.f0_median_hz):
        return "no voice found"
    words = ", ".join(said_with_number(word, result.clues) for word in result.words)
    return words or f"nothing out of the ordinary (median {result.clues.f0_median_hz:.0f} Hz)"
