"""``aligncap calibrate``: learn, from unlabelled recordings, what is of the microphone and not of the emotion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.captioner.results import Failure
from aligncap.cli.caption import collect, describe, load_captioner
from aligncap.cli.options import Checkpoint, Device, Quiet, Threads
from aligncap.cli.output import Console

__all__ = ["calibrate"]


def calibrate(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR...",
            help="At least 5 recordings, better 20, of one source and of different emotions.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The calibration, such as my.calib.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    checkpoint: Checkpoint = "embedded",
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Calibrate on your own recordings: no labels, no training.

    Microphone, room and language shift what the model hears in all recordings of a source alike. This learns the
    shift. Recordings of a single emotion would teach it that this emotion is normal: they are refused where the
    model notices. The file belongs to one checkpoint.

    \b
    Examples:
      aligncap calibrate studio/ -o studio.calib
      aligncap caption studio/take7.wav --calibration studio.calib

    \b
    Exit codes:
      0  the calibration was written
      1  too few usable recordings, or one emotion only; or the file could not be written
      2  wrong usage
      3  the checkpoint, base weights or Python packages are missing
    """
    if output.is_dir() or not output.parent.is_dir():
        raise typer.BadParameter(f"{output}: name a file in a directory that is there", param_hint="--output")
    if output.exists() and not overwrite:
        raise typer.BadParameter(f"{output}: it exists: choose another name, or add --overwrite", param_hint="--output")
    sources = collect(recordings)
    console = Console(len(sources), quiet)
    for source in sources:
        if isinstance(source, Failure):
            console.complain(f"passed over: {source.id}: {source.message}")
    console.loading()
    captioner = load_captioner(checkpoint, device, "auto", threads)
    calibration = captioner.calibrate(sources)
    calibration.save(output)
    console.say(f"{describe(calibration)}; written to {output}")
