"""``aligncap train``: run a training recipe, or one stage of it."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from aligncap.errors import MissingExtraError

__all__ = ["train"]


class Stage(str, Enum):
    """Stages of a run, in their order; each runs what it needs of the earlier ones."""

    FEATURES = "features"
    WARM_START = "warm-start"
    TEACHER = "teacher"
    ALIGN = "align"
    ALL = "all"
    HEAD = "head"
    PREFER = "prefer"


def train(
    stage: Annotated[Stage, typer.Argument(help="What to run, with whatever it needs that is not there yet.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override fields of the recipe, keys dotted, values YAML."),
    ] = None,
    config: Annotated[Path, typer.Option(help="The recipe (YAML).")] = Path("configs/embedded.yaml"),
) -> None:
    """Train a model: features of the frozen encoder, warm start of the bridge, teacher, align, checkpoint; prefer.

    \b
    features    what the frozen speech encoder makes of each recording
    warm-start  emotion heads and bridge, on the corpora's labels
    teacher     the language model that reads transcript and label learns to write captions
    align       the model that hears learns to answer like the teacher; then the checkpoint
    all         all of these
    head        a finished checkpoint gets another emotion head, from the recipe's labels, in minutes
    prefer      the checkpoint learns to prefer what hallucinates less, from pairs (aligncap pairs --help)

    Give the same command again after an interruption, and it goes on where it stopped. Any number of processes
    (accelerate launch, torchrun) gives the same run.

    \b
    aligncap train all --config configs/embedded.yaml manifest=data/manifest.csv
    aligncap train teacher manifest=data/manifest.csv output=runs/one teacher.steps=200
    aligncap train align manifest=data/manifest.csv base=runs/one output=runs/two align.lambda_ce=0
    aligncap train prefer manifest=data/manifest.csv output=runs/one prefer.pairs=pairs.jsonl
    aligncap train head manifest=my/manifest.csv output=runs/mine head.checkpoint=embedded
    accelerate launch --config_file configs/accelerate/fsdp.yaml -m aligncap train align --config configs/paper.yaml
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from aligncap.training.recipe import load_recipe

    recipe = load_recipe(config, overrides or [])
    try:
        from aligncap.training.run import train as run
        from aligncap.training.stage import Stopped
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("training", "train") from error

    try:
        made = run(recipe, stage.value)
    except Stopped as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(stopped.exit_code) from None
    typer.echo(
        f"{'checkpoint' if stage in (Stage.ALIGN, Stage.ALL, Stage.HEAD, Stage.PREFER) else stage.value}: {made}"
    )
