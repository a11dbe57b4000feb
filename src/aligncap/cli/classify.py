"""``aligncap classify``: which of any given labels fits each recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from aligncap.captioner.results import Classification, Failure, Format, Formatter, printable
from aligncap.cli.caption import check_recordings_output, collect, format_of, load_captioner
from aligncap.cli.options import CalibrationFile, Checkpoint, Device, Dtype, Quiet, Threads
from aligncap.cli.output import Console, Output

__all__ = ["classify"]


def classify(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR|-...",
            help="Recordings; directories of them, searched at any depth; - for one from standard input.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        str,
        typer.Option(
            "--labels", "-l", metavar="A,B,...", help="Two or more words or short phrases.", show_default=False
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="[default: by the suffix of OUT, else text]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format jsonl.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write to this file (.jsonl, .csv or .txt), line by line."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    batch_size: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Stretches classified together: more is faster, and bigger."),
    ] = 8,
    checkpoint: Checkpoint = "embedded",
    calibration: CalibrationFile = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Tell which of your labels fits each recording, and how probably.

    Prints a line for each recording; one longer than 10 s is cut into stretches, with a line and times each. Labels
    are any words. Those that name an emotion the model knows (angry, furious, anger, bored ...) are told apart by
    its emotion probabilities; any others by how likely the language model is to use the word of that voice, which
    is less reliable. How, and how well: docs/classify.md.

    \b
    Examples:
      aligncap classify interview.wav --labels angry,happy,sad,neutral
      aligncap classify calls/ --labels "irritated,calm,in despair" -o calls.csv
      ffmpeg -i talk.mkv -f wav - | aligncap classify - --labels proud,ashamed --json

    A line of JSON holds id, audio, start, end (seconds), label (the most probable), probabilities (label:
    probability), model and, where there are any, calibrated (true) and warnings; for a recording that failed, id,
    audio and error (type, message).

    \b
    Exit codes:
      0  every recording was classified
      1  some failed; the others are written (or nothing could be written)
      2  wrong usage; nothing was done
      3  the checkpoint, base weights or Python packages are missing
    """
    if output is None and sys.stdout is None:
        raise typer.BadParameter("standard output is closed: name a file", param_hint="--output")
    if "" in recordings:
        raise typer.BadParameter("a name is empty", param_hint="FILE|DIR|-")
    if json and format not in {None, "jsonl"}:
        raise typer.BadParameter(f"give --json or --format {format}, not both", param_hint="--json")
    words = _labels(labels)
    form: Format = "jsonl" if json else format or format_of(output)
    sources = collect(recordings)
    if output is not None:
        check_recordings_output(output, overwrite, sources)

    console = Console(len(sources), quiet, "classifying")
    failures = [source for source in sources if isinstance(source, Failure)]
    results: Iterable[Classification | Failure] = failures
    if len(failures) < len(sources):
        console.loading()
        captioner = load_captioner(checkpoint, device, dtype, threads)
        if calibration is not None:
            from aligncap.captioner.calibration import Calibration

            captioner.calibration = Calibration.load(calibration)
        results = captioner.classify_stream(sources, words, batch_size=batch_size)
    if not _write(results, Formatter(form, words), Output(output, overwrite), console):
        raise typer.Exit(1)


def _labels(given: str) -> tuple[str, ...]:
    from aligncap.captioner.labels import LabelSet

    try:
        return LabelSet.of(given.split(",")).words
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--labels") from None


def _write(results: Iterable[Classification | Failure], formatter: Formatter, output: Output, console: Console) -> bool:
    """Write the results as they come; return whether nothing failed."""
    whole: dict[str, bool] = {}
    told: set[str] = set()
    header = formatter.header
    try:
        with console.bar():
            for result in results:
                whole[result.audio] = isinstance(result, Classification) and whole.get(result.audio, True)
                console.advance(len(whole) - 1)
                if formatter.kind == "text":
                    _tell(result, told, console)
                text, header = header + formatter(result), ""
                with console.paused() if text and output.on_terminal else nullcontext():
                    output.write(text)
    except KeyboardInterrupt:
        console.say(f"interrupted: {_summary(whole, console)}")
        raise
    finally:
        output.close()
    console.say(_summary(whole, console))
    return all(whole.values())


def _tell(result: Classification | Failure, told: set[str], console: Console) -> None:
    """What a reader of labels should be told about a result, each warning once."""
    if isinstance(result, Failure):
        console.complain(printable(f"error: {result.id}: {result.message}"))
        return
    for warning in result.warnings:
        line = printable(f"warning: {result.audio}: {warning}")
        if line not in told:
            console.say(line)
        told.add(line)


def _summary(whole: dict[str, bool], console: Console) -> str:
    good, failed = sum(whole.values()), len(whole) - sum(whole.values())
    recordings = f"{console.total} recording{'' if console.total == 1 else 's'}"
    line = f"classified {good} of {recordings} in {console.seconds:.1f} s"
    return line + (f"; {failed} failed" if failed else "")
