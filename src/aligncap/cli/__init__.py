"""The command line. Its modules import little: PyTorch and the rest come with the command that needs them."""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Annotated

import typer

from aligncap.cli import (
    annotate,
    baseline,
    benchmark,
    calibrate,
    caption,
    card,
    classify,
    clues,
    config,
    corpora,
    evaluate,
    export,
    info,
    judge,
    manifest,
    pairs,
    serve,
    train,
    weights,
)
from aligncap.errors import AlignCapError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # plain help, which keeps its lines where it is piped
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(caption.caption)
app.command()(classify.classify)
app.command()(calibrate.calibrate)
app.command()(export.export)
app.command()(clues.clues)
app.command()(annotate.annotate)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(baseline.baseline)
app.command()(serve.serve)
app.command()(info.info)
app.add_typer(card.app, name="card")
app.add_typer(judge.app, name="judge")
app.add_typer(corpora.app, name="corpora")
app.add_typer(manifest.app, name="manifest")
app.add_typer(pairs.app, name="pairs")
app.add_typer(weights.app, name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        from aligncap import __version__

        print(f"aligncap {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Listens to speech and describes, in natural language, the emotion it hears.

    Begin with: aligncap caption RECORDING
    """
    config.apply_config(context)


def main() -> None:
    """Run the command line and exit; errors of ours become one line and an exit code."""
    _spare_the_collector()
    try:
        app()
    except AlignCapError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


def _spare_the_collector() -> None:
    """Look for garbage more rarely, and not at the end: of what imports make nothing is.

    With PyTorch and transformers that is a fifth of the time that a cold ``aligncap caption`` takes.
    """
    gc.set_threshold(20_000, 10, 10)
    atexit.register(gc.freeze)
