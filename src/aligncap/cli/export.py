"""``aligncap export``: a checkpoint as a folder that runs without PyTorch."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from aligncap.cli.options import CalibrationFile, Checkpoint, Quiet
from aligncap.errors import MissingExtraError

__all__ = ["export"]


def export(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write; must be new.")],
    checkpoint: Checkpoint = "embedded",
    form: Annotated[
        Literal["onnx"], typer.Option("--format", metavar="FORMAT", help="onnx: for ONNX Runtime, on any CPU.")
    ] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="The language model in 8 bits: a third of the size.")] = False,
    int4: Annotated[bool, typer.Option("--int4", help="In 4 bits: smaller still, and captions suffer.")] = False,
    calibration: CalibrationFile = None,
    quiet: Quiet = False,
) -> None:
    """Export a model, to caption and classify without PyTorch.

    The folder holds all that is needed, base weights included (mind their licences). It starts in a second or two and
    takes a third of the memory: pip install 'aligncap[onnx]' suffices where it runs. Captions of a float32 export are
    those of the checkpoint; in 8 bits one in five is worded differently (docs: Export).

    \b
    Examples:
      aligncap export -o aligncap-int8 --int8
      aligncap caption talk.wav --checkpoint aligncap-int8
      aligncap classify talk.wav --labels furious,cheerful,tense --checkpoint aligncap-int8

    \b
    Exit codes:
      0  the folder was written
      1  it could not be written, or the model cannot be exported
      2  wrong usage
      3  the checkpoint, base weights or Python packages are missing
    """
    if int8 and int4:
        raise typer.BadParameter("choose one of --int8 and --int4", param_hint="--int4")
    if output.exists():
        raise typer.BadParameter(f"{output}: it exists: choose another name", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"{output}: its parent folder does not exist", param_hint="--output")

    def say(what: str) -> None:
        if not quiet:
            print(f"exporting: {what} …", file=sys.stderr, flush=True)

    say("loading the checkpoint")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from aligncap.captioner.calibration import Calibration
        from aligncap.captioner.loading import locate
        from aligncap.captioner.torch_loading import load_checkpoint
        from aligncap.export.onnx_writer import export_onnx
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("exporting", "export") from error
    found = None if calibration is None else Calibration.load(calibration)
    source, name = locate(checkpoint)
    captioner = load_checkpoint(source, name, device="cpu", dtype="float32")
    bits = 8 if int8 else 4 if int4 else None
    export_onnx(captioner, output, bits=bits, calibration=found, say=say)
    if (card := Path(source) / "README.md").is_file():
        shutil.copy(card, output)
    if not quiet:
        size = sum(file.stat().st_size for file in output.iterdir()) / 1e6
        print(f"wrote {output} ({size:.0f} MB); try: aligncap caption FILE --checkpoint {output}", file=sys.stderr)
