"""``aligncap caption``: describe the emotion in recordings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aligncap.captioner.results import Caption, Failure, Format, Formatter, printable
from aligncap.captioner.sampling import Sampling
from aligncap.cli.output import Console, Output
from aligncap.errors import AlignCapError, AudioError, AudioNotFoundError, AudioUnreadableError

if TYPE_CHECKING:
    from aligncap.captioner import Captioner
    from aligncap.captioner.calibration import Calibration
    from aligncap.captioner.captioner import Source

__all__ = ["caption", "check_recordings_output", "collect", "describe", "format_of", "load_captioner"]

_SUFFIXES: dict[str, Format] = {".txt": "text", ".jsonl": "jsonl", ".csv": "csv"}


def caption(
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
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to ask of the model, instead of a description.")
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Stretches captioned together: more is faster, and bigger."),
    ] = 8,
    num_captions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Captions of each stretch; above 1 they are sampled.")
    ] = 1,
    temperature: Annotated[
        float | None, typer.Option(metavar="X", help="Sample; higher is more varied. [default: 0.7]")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="X", help="Sample, from the likeliest tokens of this share. [default: 0.9]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Sample; the same seed, the same captions. [default: 0]")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(help="Write a caption again that says what neither the model hears nor the measurements show."),
    ] = True,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="embedded, a folder, or a Hub name.")
    ] = "embedded",
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|self",
            help="Made by `aligncap calibrate`; self: calibrate on these recordings, of one source and of "
            "different emotions, first.",
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="auto: a GPU where there is one.")
    ] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "int8"],
        typer.Option(help="auto: bfloat16 on CUDA, else float32. int8: faster on the CPU, in other words at times."),
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, metavar="N", help="CPU threads.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors.")] = False,
) -> None:
    """Describe the emotion in recordings.

    Prints a line for each recording; one longer than 10 s is cut into stretches, with a line and times each.
    Without sampling options the same recording always gets the same caption, alone or among others.

    \b
    Examples:
      aligncap caption interview.wav
      aligncap caption calls/ -o calls.jsonl
      ffmpeg -i talk.mkv -f wav - | aligncap caption -
      aligncap caption *.mp3 --num-captions 3 --seed 1 --format csv > captions.csv

    A line of JSON holds id, audio, start, end (seconds), caption, emotions (label: probability), clues, model
    and, where there are any, calibrated (true), alternatives, doubts and warnings; for a recording that failed,
    id, audio and error (type, message).

    \b
    Exit codes:
      0  every recording was captioned
      1  some failed; the others are written (or nothing could be written)
      2  wrong usage; nothing was done
      3  the checkpoint, base weights or Python packages are missing
    """
    if prompt is not None and not prompt.strip():
        raise typer.BadParameter("it is empty: say what to describe, or leave it out", param_hint="--prompt")
    if output is None and sys.stdout is None:
        raise typer.BadParameter("standard output is closed: name a file", param_hint="--output")
    if "" in recordings:
        raise typer.BadParameter("a name is empty", param_hint="FILE|DIR|-")
    sampling = _sampling(temperature, top_p, seed)
    form = format or format_of(output)
    sources = collect(recordings)
    if output is not None:
        check_recordings_output(output, overwrite, sources)

    console = Console(len(sources), quiet)
    failures = [source for source in sources if isinstance(source, Failure)]
    results: Iterable[Caption | Failure] = failures
    if len(failures) < len(sources):
        console.loading()
        captioner = load_captioner(checkpoint, device, dtype, threads)
        if calibration is not None:
            _calibrate(captioner, calibration, sources, batch_size, console)
        asked = {} if prompt is None else {"prompt": prompt}
        results = captioner.stream(
            sources, batch_size=batch_size, num_captions=num_captions, sampling=sampling, verify=verify, **asked
        )
    if not _write(results, form, Output(output, overwrite), console):
        raise typer.Exit(1)


def _sampling(temperature: float | None, top_p: float | None, seed: int | None) -> Sampling | None:
    """None for greedy decoding, which is what happens unless one of them is given."""
    given = {"temperature": temperature, "top_p": top_p, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return Sampling(**given) if given else None  # type: ignore[arg-type]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


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


def _calibrate(
    captioner: Captioner, calibration: str, sources: Sequence[Source], batch_size: int, console: Console
) -> None:
    from aligncap.captioner.calibration import Calibration

    if calibration != "self":
        captioner.calibration = Calibration.load(Path(calibration))
        return
    captioner.calibration = captioner.calibrate(sources, batch_size=batch_size)
    console.say(describe(captioner.calibration))


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
    from aligncap.captioner import load  # first: it says which packages are missing
    from aligncap.captioner.loading import pick_device

    try:
        device = pick_device(device)
    except AlignCapError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
    return load(checkpoint, device=device, dtype=dtype, threads=threads)


def _write(results: Iterable[Caption | Failure], form: Format, output: Output, console: Console) -> bool:
    """Write the results as they come; return whether nothing failed."""
    formatter = Formatter(form)
    header = formatter.header
    tally = _Tally()
    try:
        with console.bar():
            for result in results:
                news = tally.add(result)
                console.advance(len(tally.whole) - 1, tally.captions)
                if form == "text":
                    say = console.complain if isinstance(result, Failure) else console.say
                    for line in news:
                        say(line)
                text, header = header + formatter(result), ""
                with console.paused() if text and output.on_terminal else nullcontext():
                    output.write(text)
    except KeyboardInterrupt:
        console.say(f"interrupted: {tally.summary(console)}")
        raise
    finally:
        output.close()
    console.say(tally.summary(console))
    return all(tally.whole.values())


@dataclass
class _Tally:
    """What became of the recordings.

    Attributes:
        whole: recording → whether nothing of it failed.
        captions: stretches captioned.
    """

    whole: dict[str, bool] = field(default_factory=dict)
    captions: int = 0
    _told: set[str] = field(default_factory=set)

    def add(self, result: Caption | Failure) -> list[str]:
        """Count a result; return what a reader of captions should be told about it, each warning once."""
        fine = isinstance(result, Caption)
        self.captions += fine
        self.whole[result.audio] = fine and self.whole.get(result.audio, True)
        if isinstance(result, Failure):
            return [printable(f"error: {result.id}: {result.message}")]
        lines = [printable(f"warning: {result.audio}: {warning}") for warning in result.warnings]
        lines += [printable(f"doubtful: {result.id}: {doubt}") for doubt in result.doubts]
        news = [line for line in lines if line not in self._told]
        self._told.update(news)
        return news

    def summary(self, console: Console) -> str:
        """One line."""
        good = sum(self.whole.values())
        failed = len(self.whole) - good
        parts = [f"captioned {good} of {console.total} recording{'' if console.total == 1 else 's'}"]
        if self.captions > good:
            parts.append(f"({self.captions} stretches)")
        parts.append(f"in {console.seconds:.1f} s")
        return " ".join(parts) + (f"; {failed} failed" if failed else "")
