"""``aligncap corpora``: the corpora that AlignCap knows, and manifests made of them."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aligncap.cli.output import MANIFESTS, check_output

if TYPE_CHECKING:
    from aligncap.corpora.adapters import Reading, Remark
    from aligncap.corpora.known import Corpus
    from aligncap.corpora.row import Row

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="As `aligncap corpora` lists it.", show_default=False)]
_SHOWN = 20  # remarks about lost clips


def _record(corpus: Corpus) -> dict[str, object]:
    names = ("name", "title", "languages", "clips", "speakers", "emotions", "licence", "homepage", "citation")
    record = {name: getattr(corpus, name) for name in (*names, "obtain", "layout", "note")}
    return record | {"labels": dict(corpus.labels.values())}


def _print_list(as_json: bool) -> None:
    from aligncap.corpora.known import corpus_names, load_corpus

    corpora = [load_corpus(name) for name in corpus_names()]
    if as_json:
        print(json.dumps([_record(corpus) for corpus in corpora], indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "language", "clips", "speakers", "licence", "title"):
        side: Literal["left", "right"] = "right" if title in ("clips", "speakers") else "left"
        table.add_column(title, justify=side, no_wrap=title not in ("licence", "title"), overflow="fold")
    for corpus in corpora:
        sizes = (f"{size:,}" if size else "-" for size in (corpus.clips, corpus.speakers))
        table.add_row(corpus.name, ", ".join(corpus.languages), *sizes, corpus.licence, corpus.title)
    # a pipe has no width to fit into
    Console(width=None if sys.stdout.isatty() else 10_000, highlight=False).print(table)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, as_json: _Json = False) -> None:
    """Known corpora: list them, how to obtain and cite them, and read them into a manifest.

    \b
    Examples:
      aligncap corpora
      aligncap corpora show crema_d
      aligncap corpora read crema_d CREMA-D/ -o crema_d.jsonl
    """
    if context.invoked_subcommand is None:
        _print_list(as_json)


@app.command("list")
def list_corpora(as_json: _Json = False) -> None:
    """List the corpora: language, size, licence."""
    _print_list(as_json)


@app.command()
def show(name: _Name, as_json: _Json = False) -> None:
    """Tell what a corpus is, how to obtain it, how to cite it, and what its labels become."""
    from aligncap.corpora.known import load_corpus

    corpus = load_corpus(name)
    if as_json:
        print(json.dumps(_record(corpus), indent=2, ensure_ascii=False))
        return
    wrap = textwrap.TextWrapper(110, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)
    print(corpus.title)
    size = " of ".join(
        f"{count:,} {what}" for count, what in ((corpus.clips, "clips"), (corpus.speakers, "speakers")) if count
    )
    split = "by its authors (--split corpus), or " if corpus.has_own_split else ""
    split += "by speaker" if corpus.default_split == "speakers" else "not by speaker: speakers are not told apart"
    for title, text in {
        "languages": ", ".join(corpus.languages),
        "size": size or "varies",
        "licence": corpus.licence,
        "homepage": corpus.homepage,
        "obtain": corpus.obtain,
        "cite": corpus.citation,
        "files": corpus.layout,
        "split": split,
        "note": corpus.note,
        "read": f"aligncap corpora read {corpus.name} FOLDER -o {corpus.name}.jsonl",
    }.items():
        if text:
            print(wrap.fill(f"{title:<11}{text}"))
    if corpus.labels:
        print("labels")
    for label, emotion in dict.fromkeys(corpus.labels.values()):
        print(f"           {label} → {emotion or 'no emotion of the taxonomy'}")


@app.command()
def read(
    name: _Name,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The corpus, as it is distributed.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The manifest: .jsonl, .csv or .parquet.", show_default=False
        ),
    ],
    split: Annotated[
        Literal["speakers", "corpus", "none", "train", "dev", "test", "zero_shot"] | None,
        typer.Option(
            help="speakers: train and dev, no speaker in both; corpus: as its authors split it; none; or one split "
            "for all. [default: speakers, where they are known]",
            show_default=False,
        ),
    ] = None,
    dev_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, metavar="X", help="Share of the speakers that go to dev.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draw of the dev speakers.")] = 0,
    decode: Annotated[
        bool, typer.Option("--decode/--no-decode", help="Decode every recording, and leave out what is damaged.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help=f"Name every file that was left out, not the first {_SHOWN}.")
    ] = False,
) -> None:
    """Read a corpus into a manifest.

    DIR may be the whole corpus, one of its folders, or a folder around it. The corpus's own label is kept as `label`
    beside the `emotion` that it stands for. What cannot be used is named on standard error and left out: recordings
    that are damaged, silent or strangely named, and clips that the corpus lists and that are not there.

    Paths in the manifest are relative to it where DIR is in its folder, else absolute.

    \b
    Examples:
      aligncap corpora read ravdess corpora/RAVDESS -o corpora/ravdess.jsonl
      aligncap corpora read crema_d CREMA-D/ -o crema_d.csv --split zero_shot
      aligncap corpora read meld MELD.Raw/ -o meld.jsonl --split corpus

    \b
    Exit codes:
      0  every clip is in the manifest
      1  some were left out; the others are written
      2  wrong usage, no such corpus in DIR; nothing is written
    """
    from aligncap.corpora.adapters import assign_splits, read_corpus

    check_output(output, overwrite, "--output", suffixes=MANIFESTS)
    reading = read_corpus(name, folder)
    assign_splits(reading.rows, reading.corpus, split or "", dev_share=dev_share, seed=seed)  # fail before the work
    if decode:
        _decode(reading)
    _tell(reading.remarks, verbose)
    lost = sum(remark.lost for remark in reading.remarks)
    if not reading.rows:
        print(f"{name}: nothing is written: no recording can be used", file=sys.stderr)
        raise typer.Exit(1)
    rows = assign_splits(reading.rows, reading.corpus, split or "", dev_share=dev_share, seed=seed)
    from aligncap.corpora.manifest import write_manifest

    write_manifest(_located(rows, folder, output), output, overwrite=overwrite)
    print(_summary(name, rows, lost, output), file=sys.stderr)
    if lost:
        raise typer.Exit(1)


def _decode(reading: Reading) -> None:
    """Keep the rows whose recordings can be decoded, and add remarks on the others; with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from aligncap.corpora.adapters import check_audio
    from aligncap.corpora.row import Row

    console = Console(stderr=True)
    items = track(
        check_audio(reading),
        f"decoding {reading.corpus.name}",
        total=len(reading.rows),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    rows: list[Row] = []
    for item in items:
        if isinstance(item, Row):
            rows.append(item)
        else:
            reading.remarks.append(item)
    reading.rows[:] = rows


def _tell(remarks: Iterable[Remark], verbose: bool) -> None:
    lost = [remark for remark in remarks if remark.lost]
    shown = lost if verbose else lost[:_SHOWN]
    for remark in (*(remark for remark in remarks if not remark.lost), *shown):
        print(str(remark).encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    if len(shown) < len(lost):
        print(f"… and {len(lost) - len(shown):,} more (--verbose names them all)", file=sys.stderr)


def _located(rows: Sequence[Row], folder: Path, output: Path) -> list[Row]:
    """Audio paths relative to the manifest where the corpus is in its folder."""
    home = output.parent.absolute()
    if not folder.absolute().is_relative_to(home):
        return list(rows)
    return [replace(row, audio=os.path.relpath(row.audio, home).replace(os.sep, "/")) for row in rows]


def _summary(name: str, rows: Sequence[Row], lost: int, output: Path) -> str:
    speakers = len({row.speaker for row in rows if row.speaker})
    splits = Counter(row.split for row in rows if row.split)
    parts = f" ({', '.join(f'{split} {count:,}' for split, count in sorted(splits.items()))})" if splits else ""
    of = f" of {speakers:,} speaker{'s' if speakers != 1 else ''}" if speakers else ""
    left = f"; {lost:,} left out" if lost else ""
    return f"{name}: {len(rows):,} clips{of}{parts} in {output}{left}"
