"""``aligncap card``: model cards and dataset cards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aligncap.checkpoints import EMBEDDED
from aligncap.cli.output import Output, check_output

if TYPE_CHECKING:
    from aligncap.cards.counts import Counts
    from aligncap.corpora import Problem, Row

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write a model card or a dataset card, as Markdown that the Hugging Face Hub understands.",
)

_TOLD = 10

_Out = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="OUT", help="A .md file. [default: standard output]")
]
_Title = Annotated[str | None, typer.Option(metavar="TEXT", help="[default: the folder's or file's name]")]
_Licence = Annotated[
    str, typer.Option(metavar="NAME", help="Of the whole, such as CC-BY-4.0. [default: what the rows say]")
]
_Split = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only rows of this split; repeatable.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")]


@app.command()
def model(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A folder, or embedded.", show_default=False)],
    manifest: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="What it was trained on: counted by corpus and label.")
    ] = None,
    split: _Split = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `aligncap evaluate --json FILE` wrote.")
    ] = None,
    title: _Title = None,
    licence: _Licence = "",
    output: _Out = None,
    overwrite: _Overwrite = False,
) -> None:
    """Write the card of a checkpoint: parts, training data, scores, use, limits, licence.

    What no program can know stands there in italics: read the card before you publish it.

    \b
    Examples:
      aligncap card model runs/mine --manifest data/manifest.csv --split train -o runs/mine/README.md
      aligncap card model runs/mine --manifest m.csv --scores scores.json --title "AlignCap, mine"

    Exit codes: 0 all well, 1 some rows of the manifest were left out, 2 wrong usage, 3 no such checkpoint.
    """
    from aligncap.cards.model import model_card, read_checkpoint

    given = [path for path in (manifest, scores) if path is not None]
    _check(output, overwrite, given)
    if split and manifest is None:
        raise typer.BadParameter("it is of a manifest: give --manifest", param_hint="--split")
    folder = EMBEDDED if checkpoint == "embedded" else Path(checkpoint).expanduser()
    read = read_checkpoint(folder)
    tables = _tables(scores) if scores is not None else ""
    counts, bad = _counts(manifest, split, "--manifest") if manifest is not None else (None, 0)
    name = title or (f"AlignCap {checkpoint}" if checkpoint == "embedded" else folder.resolve().name)
    _write(model_card(read, name, counts=counts, scores=tables, licence=licence), output, overwrite)
    if bad:
        raise typer.Exit(1)


@app.command()
def dataset(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A .jsonl, .csv, .tsv or .parquet file.", show_default=False)
    ],
    split: _Split = None,
    title: _Title = None,
    licence: _Licence = "",
    output: _Out = None,
    overwrite: _Overwrite = False,
) -> None:
    """Write the card of a corpus: clips, speakers, labels and licences as the manifest's rows have them.

    What no program can know stands there in italics: read the card before you publish it.

    \b
    Examples:
      aligncap card dataset data/manifest.csv -o data/README.md --title "My corpus"
      aligncap card dataset mine.jsonl --licence CC-BY-4.0

    Exit codes: 0 all well, 1 some rows were left out, 2 wrong usage.
    """
    from aligncap.cards.dataset import dataset_card

    _check(output, overwrite, [manifest])
    counts, bad = _counts(manifest, split, "MANIFEST")
    _write(dataset_card(counts, title or manifest.stem, licence=licence), output, overwrite)
    if bad:
        raise typer.Exit(1)


def _check(output: Path | None, overwrite: bool, sources: Sequence[Path]) -> None:
    if output is not None:
        check_output(output, overwrite, "--output", suffixes=(".md", ".markdown"), sources=sources)


def _counts(manifest: Path, split: Sequence[str] | None, hint: str) -> tuple[Counts, int]:
    """The counts, and how many rows were left out."""
    from aligncap.cards.counts import count_rows
    from aligncap.corpora import ManifestError, read_manifest

    bad = 0

    def tell(problem: Problem) -> None:
        nonlocal bad
        if problem.remedy == "left out":
            bad += 1
            if bad <= _TOLD and sys.stderr is not None:
                print(f"error: {manifest}: {problem}", file=sys.stderr)

    def wanted() -> Iterator[Row]:
        for row in read_manifest(manifest, on_problem=tell):
            if not split or row.split in split:
                yield row

    try:
        counts = count_rows(wanted())
    except ManifestError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None
    if bad > _TOLD and sys.stderr is not None:
        print(f"error: {manifest}: {bad - _TOLD} more rows left out", file=sys.stderr)
    if not counts.total.rows:
        raise typer.BadParameter(
            f"{manifest}: no rows{' of split ' + ', '.join(split) if split else ''}", param_hint=hint
        )
    return counts, bad


def _tables(scores: Path) -> str:
    """The tables of an evaluation, one level of headings deeper and without their title."""
    from aligncap.evaluation.tables import markdown

    try:
        data: Any = json.loads(scores.read_text(encoding="utf-8"))
        text = markdown(data)
    except OSError as error:
        raise typer.BadParameter(f"{scores}: {(error.strerror or str(error)).lower()}", param_hint="--scores") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        told = f"{scores}: it is not what `aligncap evaluate --json` writes"
        raise typer.BadParameter(told, param_hint="--scores") from None
    lines = text.splitlines()[1:]
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in lines)


def _write(card: str, output: Path | None, overwrite: bool) -> None:
    out = Output(output, overwrite)
    out.write(card)
    out.close()
    if output is not None and sys.stderr is not None:
        print(f"wrote {output}; what is in italics there is for you to say", file=sys.stderr)
