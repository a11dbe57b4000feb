"""Options that several commands have, so that they are called, explained and checked alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "CalibrationFile",
    "Checkpoint",
    "Device",
    "Dtype",
    "Engine",
    "GpusPerWorker",
    "Quiet",
    "RayAddress",
    "Threads",
    "Verify",
    "Workers",
]

Checkpoint = Annotated[str, typer.Option(metavar="NAME|DIR", help="embedded, a folder, or a Hub name.")]
CalibrationFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Made by `aligncap calibrate`.", show_default=False)
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="auto: a GPU where there is one.")]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16", "int8"],
    typer.Option(help="auto: bfloat16 on CUDA, int8 on CPUs that are fast in it, else float32."),
]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="CPU threads.")]
Verify = Annotated[
    Literal["off", "on", "strict"],
    typer.Option(
        help="on: write a caption again that says what neither the model hears nor the measurements show, or the same "
        "twice. strict: also drop what is still doubtful, and tell no emotion where none is likely enough.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors.")]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(help="local: in this process. ray: in several, on this machine or a cluster (docs/collections.md)."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="With ray: processes with a model each; --threads is then of each. [default: one for each GPU, or for "
        "every 4 CPU cores]",
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(min=0, metavar="X", help="With ray: 0.5 lets two workers share a GPU. [default: 1 on cuda, else 0]"),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT|ray://HOST:PORT",
        help="With ray: the cluster to use. [default: one is started on this machine, and stopped in the end]",
    ),
]
