"""``aligncap baseline``: train a simple system to compare with."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from aligncap.errors import MissingExtraError

__all__ = ["baseline"]


class Kind(str, Enum):
    """Baselines that have a command of their own."""

    FUNCTIONALS = "functionals"
    PROBE = "probe"
    ENCODER_DECODER = "encoder-decoder"


def baseline(
    kind: Annotated[Kind, typer.Argument(help="What to train.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override fields of the recipe, keys dotted, values YAML."),
    ] = None,
    config: Annotated[Path, typer.Option(help="The recipe (YAML).")] = Path("configs/embedded.yaml"),
) -> None:
    """Train a simple system on the data of a recipe, to compare with.

    \b
    functionals      measured clues as numbers → linear classifier → its label and the clues, by the caption grammar
    probe            mean states of the frozen speech encoder → the same
    encoder-decoder  a small transformer from log-mel frames to words, from scratch, on the same captions

    It leaves the folder OUTPUT/KIND, which `aligncap benchmark --system OUTPUT/KIND` runs. Given again after an
    interruption, the command goes on where it stopped. A fourth baseline, window Q-Former + frozen language model +
    cross-entropy, is a recipe of `aligncap train`: configs/baselines/secap_like.yaml.

    \b
    Examples:
      aligncap baseline functionals manifest=corpus/manifest.csv output=runs/baselines
      aligncap baseline probe manifest=corpus/manifest.csv output=runs/baselines base=runs/embedded
      aligncap baseline encoder-decoder --config configs/baselines/encoder_decoder.yaml manifest=corpus/manifest.csv
      aligncap benchmark corpus/manifest.csv -o out --split dev --system embedded --system runs/baselines/probe
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from aligncap.training.recipe import load_recipe

    recipe = load_recipe(config, overrides or [])
    try:
        from aligncap.baselines.train import train_baseline
        from aligncap.training.stage import Stopped
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("training", "train") from error
    try:
        folder = train_baseline(kind.value, recipe)
    except Stopped as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(stopped.exit_code) from None
    typer.echo(f"baseline: {folder}")
