"""``aligncap judge``: the page on which listeners choose between captions, and the votes that come of it."""

from __future__ import annotations

import json
import sys
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aligncap.cli.output import Output, check_output
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.server.judging.export import Summary

__all__ = ["app"]

_EXPORT = "export"


class _WithDefault(TyperGroup):
    """``aligncap judge PAIRS MANIFEST`` without naming a command, beside ``aligncap judge export``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["page", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_WithDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Let listeners choose between two captions of a clip, on a page in their browser.

\b
Examples:
  aligncap judge pairs.jsonl data/manifest.csv --db votes.sqlite
  aligncap judge export votes.sqlite -o votes.jsonl
  aligncap judge page --help

`aligncap judge PAIRS_OR_CAPTIONS MANIFEST` is short for `aligncap judge page ...`.""",
)


@app.command()
def page(
    captions: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS_OR_CAPTIONS",
            help="JSON Lines: pairs, candidates, or what `aligncap caption` wrote.",
            show_default=False,
        ),
    ],
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="It says where the recordings are.", show_default=False)
    ],
    db: Annotated[
        Path,
        typer.Option(metavar="FILE", help="SQLite file of the votes; one that is there is gone on with."),
    ] = Path("votes.sqlite"),
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0: on every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free.")] = 8001,
    per_clip: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of more than two captions of a clip: so many pairs of them.")
    ] = 1,
    checks: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Attention checks: 0.1 adds one for every ten questions."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Of pairs drawn, checks, orders and sides.")] = 0,
) -> None:
    """Serve the page. Ctrl-C ends it; started again, everybody goes on where they were.

    Listeners give a name, hear a clip, and choose a caption, "equally good" or "both wrong", by mouse or with the keys
    1 to 4. Which questions come first, and which caption stands first, is random and another for every listener.
    Nothing tells them where a caption comes from. A vote is on the disk before the page goes on.

    Everybody who can reach the page can vote, under any name: beyond this machine, put it behind something that knows
    who people are.

    \b
    Examples:
      aligncap judge pairs.jsonl data/manifest.csv --db votes.sqlite
      aligncap judge candidates.jsonl data/manifest.csv --per-clip 2 --checks 0.1
      aligncap caption clips/ --num-captions 2 -o two.jsonl && aligncap judge two.jsonl manifest.csv

    \b
    Exit codes:
      0  ended by a signal
      1  no question came of the files, or the address or the database cannot be had
      2  wrong usage
      3  Python packages are missing
    """
    from aligncap.server.run import address_of, bind, check_available, is_loopback, run

    check_available()
    from aligncap.corpora.manifest import read_manifest
    from aligncap.preferences.pairs import read_records
    from aligncap.server.judging.app import create_app
    from aligncap.server.judging.questions import questions, with_checks
    from aligncap.server.judging.store import Store
    from aligncap.server.logs import configure

    told = _Told()
    asked = questions(
        read_records(captions, told),
        read_manifest(manifest),
        manifest.parent,
        told,
        per_clip=per_clip,
        seed=seed,
    )
    told.end()
    if not asked:
        raise AlignCapError(f"{captions}: no question comes of it: it needs two captions of a clip of the manifest")
    missing = sorted({question.audio for question in asked if not Path(question.audio).is_file()})
    if missing:
        raise AlignCapError(f"{missing[0]}: there is no such recording ({len(missing)} are missing)")
    with bind(host, port) as taken:
        configure("warning")
        store = Store(db)
        seed = store.add(with_checks(asked, checks, seed), seed)
        served = create_app(store, seed)
        _say(f"{len(served.state.questions)} questions; votes go to {db}")
        if not is_loopback(taken):
            _say("warning: everybody who can reach this machine can hear the clips, and vote")
        _say(f"judging on {address_of(taken)} (Ctrl-C ends it)")
        run(served, taken, patience=5)


@app.command(_EXPORT)
def export(
    db: Annotated[Path, typer.Argument(metavar="FILE", help="SQLite file of the votes.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Votes as JSON Lines. [default: standard output]"),
    ] = None,
    min_checks: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Leave out raters who passed less of the attention checks."),
    ] = 0.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Write the votes as `aligncap pairs build --votes` reads them, and tell how far the raters agree.

    "Both wrong" prefers neither caption: it is written as a tie, with both_wrong (true) beside it. Attention checks are
    not written.

    \b
    Examples:
      aligncap judge export votes.sqlite -o votes.jsonl
      aligncap judge export votes.sqlite --min-checks 0.8 -o votes.jsonl

    \b
    Exit codes:
      0  all well
      1  there is no such database, or OUT cannot be written
      2  wrong usage
    """
    from aligncap.server.judging.export import summary, vote_records
    from aligncap.server.judging.store import Store

    if output is not None:
        check_output(output, overwrite, "--output", suffixes=(".jsonl", ".ndjson"), sources=[db])
    votes = Store(db, new=False).votes()
    found = summary(votes, min_checks)
    out = Output(output, overwrite)
    for record in vote_records(votes, found.left_out):
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
    out.close()
    for line in _lines(found):
        _say(line)


def _lines(found: Summary) -> list[str]:
    lines = []
    for rater in found.raters:
        checks = f", {rater.passed} of {rater.checks} checks passed" if rater.checks else ""
        left = "" if isnan(rater.left) else f", {rater.left:.0%} of the choices on the first caption"
        gone = "; left out" if rater.name in found.left_out else ""
        lines.append(f"{rater.name}: {rater.votes} votes{checks}{left}{gone}")
    agreement = "no question has two" if isnan(found.alpha) else f"Krippendorff's alpha {found.alpha:.3f}"
    lines.append(
        f"{found.votes} votes: {found.ties} ties, {found.both_wrong} both wrong; {agreement} "
        f"({found.shared} questions with two votes or more)"
    )
    return lines


class _Told:
    """Names the first problems, and counts the rest."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, problem: str) -> None:
        self.count += 1
        if self.count <= 10:
            _say(f"left out: {problem}")

    def end(self) -> None:
        if self.count > 10:
            _say(f"left out: {self.count - 10} more")


def _say(line: str) -> None:
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)
