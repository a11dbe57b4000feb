"""``aligncap caption``: describe the emotion in recordings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aligncap.captioner.journal import Done
from aligncap.captioner.sampling import VERIFY, Sampling
from aligncap.cli.captioning import Job, anywhere, checkpoint_identity, content_hash, open_journal, ray_workers
from aligncap.cli.options import (
    Checkpoint,
    Device,
    Dtype,
    Engine,
    GpusPerWorker,
    Quiet,
    RayAddress,
    Threads,
    Verify,
    Workers,
)
from aligncap.cli.output import Console
from aligncap.cli.recordings import check_recordings_output, collect, describe, format_of, load_captioner, names_of
from aligncap.cli.sinks import CaptionFormat, Place, caption_format, make_sinks
from aligncap.cli.tally import Tally, write

if TYPE_CHECKING:
    from aligncap.audio import Turn
    from aligncap.captioner.captioner import Source

__all__ = ["caption", "check_recordings_output", "collect", "describe", "format_of", "load_captioner"]


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
        CaptionFormat | None,
        typer.Option("--format", "-f", help="[default: by the suffix of OUT, else text]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Write to this file (.jsonl, .csv, .txt, .parquet; of one recording .srt, .vtt, .TextGrid, .eaf); or, "
            "with one of the last four as --format, a file for each recording into this directory.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there; do not refuse to, or go on with it.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Also draw the emotions over time: of one recording into this file (.png, .svg, .pdf), or of each "
            "into this directory.",
        ),
    ] = None,
    segmentation: Annotated[
        Literal["auto", "vad", "fixed"],
        typer.Option(
            help="auto: a recording that the model can take whole is one stretch; in longer ones speech is found. "
            "vad: speech is found in all. fixed: longer ones are cut into equal windows."
        ),
    ] = "auto",
    segments: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Caption these turns: RTTM, TextGrid, SRT or WebVTT; for several recordings an RTTM of all, or a "
            "directory of files named as they are.",
        ),
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Tier of a TextGrid with turns; repeat for more speakers.")
    ] = None,
    max_stretch: Annotated[
        float | None,
        typer.Option(metavar="X", min=0.5, help="Seconds of the longest stretch. [default, and most: 10]"),
    ] = None,
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
        float | None,
        typer.Option(metavar="X", help="Sample; higher is more varied, 0: the likeliest words. [default: 0.7]"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="X", help="Sample, from the likeliest tokens of this share. [default: 0.9]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Sample; the same seed, the same captions. [default: 0]")
    ] = None,
    verify: Verify = "on",
    checkpoint: Checkpoint = "embedded",
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|self",
            help="Made by `aligncap calibrate`; self: calibrate on these recordings, of one source and of "
            "different emotions, first.",
        ),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = None,
    engine: Engine = "local",
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    ray_address: RayAddress = None,
    quiet: Quiet = False,
) -> None:
    """Describe the emotion in recordings.

    Prints a line for each recording; in one longer than 10 s speech is found, and each stretch of it gets a line
    with its times. Without sampling options the same recording always gets the same caption, alone or among others.

    \b
    Examples:
      aligncap caption interview.wav
      aligncap caption calls/ -o calls.jsonl
      ffmpeg -i talk.mkv -f wav - | aligncap caption -
      aligncap caption interview.wav -o interview.TextGrid --plot interview.png
      aligncap caption *.mp3 --num-captions 3 --seed 1 --format csv > captions.csv
      aligncap caption corpus/ -o corpus.jsonl --engine ray --workers 4

    A line of JSON holds id, audio, start, end (seconds), caption, emotions (label: probability), clues, model
    and, where there are any, abstained, alternatives, calibrated, claims, doubts, speaker and warnings; for a part
    without speech, id, audio, start, end and silence (true); for a recording that failed, id, audio and error
    (type, message). All formats: docs/caption-format.md.

    A run into a .jsonl file that was cut short goes on where it was when the same command is given again.

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
    sampling = _sampling(temperature, top_p, seed, num_captions)
    form = caption_format(format, output)
    ray = ray_workers(engine, workers, gpus_per_worker, ray_address, device, threads)
    sources = collect(recordings)
    asked: dict[str, Any] = {"num_captions": num_captions, "verify": VERIFY[verify]}
    if prompt is not None:
        asked["prompt"] = prompt

    def made_with() -> dict[str, Any]:
        """The options on which the captions depend."""
        return {
            **asked,
            "sampling": sampling and vars(sampling),
            "checkpoint": checkpoint_identity(checkpoint),
            "calibration": calibration if calibration in {None, "self"} else content_hash(Path(str(calibration))),
            "dtype": dtype,
            "segmentation": segmentation,
            "segments": segments and content_hash(segments),
            "tier": tier or [],
            "max_stretch": max_stretch,
        }

    job = Job(
        sources,
        {**asked, "sampling": sampling},
        batch_size=batch_size,
        method=segmentation,
        max_seconds=max_stretch,
        turns=_turns(segments, tier or [], sources),
        calibration=calibration,
        load=partial(load_captioner, anywhere(checkpoint) if ray else checkpoint, dtype=dtype),
        device=device,
        threads=threads,
        ray=ray,
    )
    console = Console(len(sources), quiet)
    with ExitStack() as open_files:
        journal = open_journal(output, form, overwrite, sources, made_with, open_files)
        place = Place(form, output, overwrite, plot, speakers=segments is not None)
        sinks = make_sinks(place, names_of(sources), console, journal)
        before = journal.before if journal is not None else Done()
        tally = Tally(console, names_of(sources), before)
        fine = write(job.results(before, console, open_files), sinks, form == "text", job.durations, tally)
    if not fine:
        raise typer.Exit(1)


def _sampling(temperature: float | None, top_p: float | None, seed: int | None, captions: int) -> Sampling | None:
    """None, for the captioner's default, unless one of them is given."""
    if temperature == 0 and captions > 1:
        raise typer.BadParameter(
            "at temperature 0 all captions would be the same: ask for one", param_hint="--num-captions"
        )
    given = {"temperature": temperature, "top_p": top_p, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return Sampling(**given) if given else None  # type: ignore[arg-type]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _turns(
    segments: Path | None, tiers: Sequence[str], sources: Sequence[Source]
) -> Callable[[str], Sequence[Turn]] | None:
    if segments is None:
        if tiers:
            raise typer.BadParameter("it is of a TextGrid: name that with --segments", param_hint="--tier")
        return None
    from aligncap.captioner.turns import TurnsError, turns_of

    try:
        return turns_of(segments, names_of(sources), tiers)
    except TurnsError as error:
        raise typer.BadParameter(str(error), param_hint="--segments") from None
