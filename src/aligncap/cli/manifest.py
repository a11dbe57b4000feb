"""``aligncap manifest``: check, convert and make manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aligncap.cli.output import MANIFESTS, check_output

if TYPE_CHECKING:
    from aligncap.cli.problems import Teller
    from aligncap.corpora import Row

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Manifests: the rows of a corpus, as JSON Lines, CSV or Parquet. Check them, convert them, make them.",
)

_Manifest = Annotated[Path, typer.Argument(metavar="MANIFEST", help="A .jsonl, .csv, .tsv or .parquet file.")]
_Out = Annotated[Path, typer.Argument(metavar="OUT", help="To be written: .jsonl, .csv, .tsv or .parquet.")]
_Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="OURS=THEIRS", help="The file's name for a column: audio=path. Repeatable."),
]
_Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a text file that is not in UTF-8: latin-1, cp1252, …")
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")]
_Warnings = Annotated[
    int, typer.Option("--warnings", min=0, metavar="N", help="Name at most N rows for each kind of warning.")
]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, and no more than the errors.")]


@app.command()
def check(
    manifest: _Manifest,
    fix: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the rows that can be used, repaired, to this manifest.")
    ] = None,
    overwrite: _Overwrite = False,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Do not read the recordings, nor ask whether they exist.")
    ] = False,
    emotions: Annotated[
        list[str] | None,
        typer.Option("--emotion", metavar="LABEL", help="Accept a label that the taxonomy does not have. Repeatable."),
    ] = None,
    columns: _Columns = None,
    encoding: _Encoding = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each problem, and one with the summary.")
    ] = False,
    warnings: _Warnings = 10,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="That read recordings. [default: one a processor, 8 at most]")
    ] = None,
    quiet: _Quiet = False,
) -> None:
    """Name every bad row of a manifest, by its number and id, and count them by kind.

    Bad are rows that cannot be read, whose recording is missing, damaged or too short, whose id is taken, whose
    speaker is in another split too, whose emotion nobody knows, … Odd but usable rows get a warning. OUT gets the
    rows that can be used: what cannot be repaired is left out, and the summary says what and how many.

    \b
    Examples:
      aligncap manifest check corpus/manifest.csv
      aligncap manifest check corpus/manifest.csv --fix corpus/good.jsonl
      aligncap manifest check mine.csv --column audio=path --emotion sarcasm --no-audio
      aligncap manifest check manifest.parquet --json | jq -r 'select(.kind == "missing file").id'

    \b
    Exit codes:
      0  every row is good
      1  some are bad (they are named, and OUT is written all the same), or there are none
      2  wrong usage, or the file is no manifest; nothing was done
    """
    from aligncap.cli.output import Output
    from aligncap.cli.problems import Teller
    from aligncap.corpora import Report, check_manifest, survey_manifest, taxonomy_label

    names = _columns(columns)
    if fix is not None:
        check_output(fix, overwrite, "--fix", suffixes=MANIFESTS, sources=[manifest])
    survey = survey_manifest(manifest, columns=names, encoding=encoding)
    teller = Teller(Output(None, False), warnings, as_json, quiet)
    report, own = Report(), set(emotions or ())

    def rows() -> Iterator[Row]:
        checked_rows = check_manifest(
            manifest,
            label_of=lambda word: word if word in own else taxonomy_label(word),
            audio=not no_audio,
            threads=threads,
            columns=names,
            encoding=encoding,
            survey=survey,
        )
        for checked in checked_rows:
            report.add(checked)
            for problem in checked.problems:
                teller.tell(problem)
            teller.advance(report.rows)
            if checked.row is not None:
                yield checked.row

    with teller.bar("checking", survey.rows):
        _write(rows(), fix, manifest.parent, overwrite)
    teller.summary(manifest, report, fix)
    if report.bad or not report.rows:
        raise typer.Exit(1)


@app.command()
def convert(
    manifest: _Manifest,
    out: _Out,
    columns: _Columns = None,
    encoding: _Encoding = None,
    overwrite: _Overwrite = False,
    warnings: _Warnings = 10,
    quiet: _Quiet = False,
) -> None:
    """Write a manifest in another format, or from another folder, or with the columns renamed.

    Rows that cannot be read are named and left out; recordings and labels are not looked at (see check). Audio paths
    stay right: they are rewritten where OUT is in another folder.

    \b
    Examples:
      aligncap manifest convert manifest.csv manifest.parquet
      aligncap manifest convert metadata.csv manifest.jsonl --column audio=file_name --column captions=caption
      aligncap manifest convert export.csv manifest.jsonl --encoding latin-1

    Exit codes: 0 every row was written, 1 some were left out, 2 wrong usage.
    """
    from aligncap.cli.problems import Teller
    from aligncap.corpora import read_manifest

    check_output(out, overwrite, "OUT", suffixes=MANIFESTS, sources=[manifest])
    teller = Teller(None, warnings, False, quiet)
    rows = read_manifest(manifest, columns=_columns(columns), encoding=encoding, on_problem=teller.tell)
    _make(rows, out, manifest.parent, overwrite, teller)


@app.command("from-folder")
def folder_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Searched for recordings at any depth.")],
    out: _Out,
    pattern: Annotated[
        str,
        typer.Option(metavar="PATTERN", help="What names and folders say: '{speaker}/{emotion}/*' (* for anything)."),
    ] = "",
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=VALUE", help="The same for all rows: corpus=mine. Repeatable."),
    ] = None,
    overwrite: _Overwrite = False,
    warnings: _Warnings = 10,
    quiet: _Quiet = False,
) -> None:
    """Make a manifest of a folder of recordings.

    PATTERN is the path in the folder without its suffix; nothing in it reaches beyond a /. Recordings that it does
    not fit are named and left out.

    \b
    Examples:
      aligncap manifest from-folder calls/ calls/manifest.jsonl
      aligncap manifest from-folder mine/ mine/manifest.csv --pattern '{emotion}/*' --set corpus=mine --set language=en
      aligncap manifest from-folder act/ act.jsonl --pattern '{split}/{speaker}_*_{emotion}'

    Exit codes: 0 every recording has a row, 1 some were left out, 2 wrong usage.
    """
    from aligncap.cli.problems import Teller
    from aligncap.corpora import from_folder

    check_output(out, overwrite, "OUT", suffixes=MANIFESTS)
    teller = Teller(None, warnings, False, quiet)
    rows = from_folder(folder, pattern, on_problem=teller.tell, **_pairs(values, "--set"))
    _make(rows, out, folder, overwrite, teller)


@app.command("from-dataset")
def dataset_command(
    source: Annotated[
        str, typer.Argument(metavar="NAME|DIR", help="On the Hugging Face Hub, or made by save_to_disk.")
    ],
    out: _Out,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="[default: all]")] = None,
    config: Annotated[str | None, typer.Option(metavar="NAME", help="Of a dataset that has several.")] = None,
    columns: _Columns = None,
    overwrite: _Overwrite = False,
    warnings: _Warnings = 10,
    quiet: _Quiet = False,
) -> None:
    """Make a manifest of a dataset of the `datasets` library.

    Recordings inside the dataset are written beside OUT, into audio/. Class labels become their names.

    \b
    Examples:
      aligncap manifest from-dataset owner/corpus corpus/manifest.jsonl --column emotion=label --column transcript=text
      aligncap manifest from-dataset saved/ manifest.parquet --split train

    Exit codes: 0 every row was written, 1 some were left out, 2 wrong usage, 3 the extra `data` is missing.
    """
    from aligncap.cli.problems import Teller
    from aligncap.corpora import from_dataset

    check_output(out, overwrite, "OUT", suffixes=MANIFESTS, sources=[Path(source)])
    teller = Teller(None, warnings, False, quiet)
    names = _columns(columns)
    rows = from_dataset(source, out.parent, split=split, config=config, columns=names, on_problem=teller.tell)
    _make(rows, out, out.parent, overwrite, teller)


def _columns(pairs: list[str] | None) -> dict[str, str]:
    return _pairs(pairs, "--column")


def _pairs(pairs: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for pair in pairs or ():
        name, sign, value = pair.partition("=")
        if not (name and sign and value):
            raise typer.BadParameter(f"{pair!r} is not of the form NAME=VALUE", param_hint=option)
        found[name.strip()] = value.strip()
    return found


def _write(rows: Iterable[Row], out: Path | None, folder: Path, overwrite: bool) -> int:
    from aligncap.corpora import write_manifest

    if out is None:
        return sum(1 for _ in rows)
    return write_manifest(rows, out, folder=folder, overwrite=overwrite)


def _make(rows: Iterable[Row], out: Path, folder: Path, overwrite: bool, teller: Teller) -> None:
    """Write rows while a bar counts them, and say what came of it."""
    from aligncap.cli.problems import count_of
    from aligncap.corpora.problems import KINDS

    def counted() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            teller.advance(number)
            yield row

    with teller.bar("writing", None):
        written = _write(counted(), out, folder, overwrite)
    left_out = sum(count for kind, count in teller.counts.items() if KINDS[kind].remedy == "left out")
    teller.end(f"wrote {out}: {count_of(written, 'row')}" + (f"; {left_out:,} left out" if left_out else ""))
    if left_out or not written:
        raise typer.Exit(1)
