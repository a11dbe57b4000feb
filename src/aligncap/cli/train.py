"""``aligncap train``: run a training recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.errors import MissingExtraError

__all__ = ["train"]


def train(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value pairs that override the recipe, keys dotted.")
    ] = None,
    config: Annotated[Path, typer.Option(help="The recipe (YAML).")] = Path("configs/embedded.yaml"),
) -> None:
    """Train a model: features of the frozen encoder, warm start of the bridge, captions, checkpoint.

    An interrupted run goes on where it stopped when the same command is given again.

    \b
    aligncap train --config configs/embedded.yaml manifest=data/manifest.csv
    aligncap train --config configs/embedded.yaml manifest=data/manifest.csv output=runs/short captions.steps=100
    """
    from aligncap.training.recipe import load_recipe

    recipe = load_recipe(config, overrides or [])
    try:
        from aligncap.training.run import train as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("training", "train") from error

    typer.echo(f"checkpoint: {run(recipe)}")
