"""``aligncap annotate``: captions for a manifest that has labels only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from aligncap.cli.output import MANIFESTS, check_output, progress_bar
from aligncap.errors import AlignCapError, AudioError

if TYPE_CHECKING:
    from aligncap.captions.annotate import Annotator
    from aligncap.corpora.problems import Problem
    from aligncap.corpora.row import Row

__all__ = ["annotate"]

_TOLD = 20  # problems that are told one by one


def annotate(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A .jsonl, .csv, .tsv or .parquet file.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="To be written: .jsonl, .csv, .tsv or .parquet."),
    ],
    captions: Annotated[int, typer.Option(min=1, max=20, metavar="N", help="Captions of each clip.")] = 3,
    answers: Annotated[
        int,
        typer.Option(min=0, max=50, metavar="N", help="Instructions with answers, too, in a column of that name."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed, the same captions.")] = 0,
    with_gender: Annotated[
        bool,
        typer.Option("--with-gender", help='Captions may say "she" or "the man", where the sex is known.'),
    ] = False,
    no_measure: Annotated[
        bool,
        typer.Option("--no-measure", help="Do not listen to clips that have no clues."),
    ] = False,
    renew: Annotated[bool, typer.Option("--renew", help="New captions also for clips that have some.")] = False,
    rewriter: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An OpenAI-compatible endpoint that says each caption in other words."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The endpoint's model.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT, and what an interrupted run with other options left.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no statistics.")] = False,
) -> None:
    """Write captions for the clips of a manifest that has labels only.

    A caption says what the row tells: emotion, intensity, what listeners voted for, and what was measured in the
    voice (clips without clues are measured on the way). It never tells what is said. Every caption is read again by
    the claim checker, and drawn anew where it says more than is known. No text is used twice.

    Interrupted, it goes on where it stopped when the same command is given again.

    \b
    Examples:
      aligncap annotate corpus/manifest.csv -o corpus/captioned.jsonl
      aligncap annotate manifest.jsonl -o captioned.jsonl --captions 5 --with-gender --seed 1
      aligncap annotate manifest.jsonl -o captioned.parquet --answers 4
      aligncap annotate manifest.jsonl -o captioned.jsonl --rewriter http://localhost:8000/v1 --model my-model

    The rewriter gets captions only: no audio, no transcript, no names. What it returns is checked as the captions
    are; where it says more, the caption stays as it was. If it wants a key, put it into the environment variable
    ALIGNCAP_API_KEY.

    \b
    Exit codes:
      0  every row was read, and has captions if it has an emotion
      1  some rows could not be read, have an emotion that nobody knows, or a recording that cannot be measured
      2  wrong usage; nothing was done
    """
    if (rewriter is None) != (model is None):
        raise typer.BadParameter("--rewriter and --model belong together", param_hint="--rewriter")
    if not manifest.is_file():
        raise typer.BadParameter(f"{manifest}: there is no such file", param_hint="MANIFEST")
    check_output(output, overwrite, "--output", suffixes=MANIFESTS, sources=[manifest])

    from aligncap.captions.annotate import Annotator
    from aligncap.captions.rewrite import EndpointRewriter
    from aligncap.corpora import read_manifest, write_manifest

    annotator = Annotator(
        captions,
        seed,
        answers=answers,
        with_gender=with_gender,
        rewriter=EndpointRewriter(rewriter, model, seed=seed) if rewriter and model else None,
        renew=renew,
    )
    settings = {"manifest": manifest.name, "captions": captions, "answers": answers, "seed": seed}
    settings |= {"with_gender": with_gender, "measure": not no_measure, "renew": renew}
    settings |= {"rewriter": rewriter, "model": model}
    told = _Told()
    total = 0
    for _ in read_manifest(manifest, on_problem=told.problem):
        total += 1
    partial = _Partial(output.with_name(f".{output.name}.annotating"), settings, overwrite)
    with partial, _bar(quiet, total) as advance:
        for row in read_manifest(manifest, on_problem=lambda _: None):
            done = partial.next()
            if done is not None:
                if done.id != row.id:
                    raise AlignCapError(f"{partial.path}: left by a run on other rows; add --overwrite to begin anew")
                annotator.resume(done)
            else:
                partial.write(_annotated(row, annotator, None if no_measure else manifest.parent, told))
            advance()
    write_manifest(partial.rows(), output, folder=manifest.parent, overwrite=overwrite)
    partial.path.unlink()
    told.unknown_emotions(annotator)
    told.end()
    if not quiet:
        for name, figure in annotator.statistics.summary().items():
            print(f"{name + ':':18} {figure}")
        print(f"wrote {output}")
    if told.bad or annotator.statistics.contradictions:
        for reason in annotator.statistics.contradictions[:_TOLD]:
            print(f"contradiction: {reason}", file=sys.stderr)
        raise typer.Exit(1)


def _annotated(row: Row, annotator: Annotator, folder: Path | None, told: _Told) -> Row:
    """The row with clues, where they can be measured, and captions."""
    if folder is not None and "words" not in row.clues and annotator.wants(row):
        try:
            row = replace(row, clues={**row.clues, **_measured(row, folder)})
        except AudioError as error:
            told.tell(f"{row.id}: not measured: {error}")
    try:
        return annotator.annotate(row)
    except AlignCapError as error:
        told.tell(f"{row.id}: no captions: {error}")
        return row


def _measured(row: Row, folder: Path) -> dict[str, Any]:
    """Clues of the row's part of its recording: numbers, and the words for them."""
    from aligncap.audio import RATE, read_audio
    from aligncap.clues import DIMENSIONS, clue_record, clue_words, measure
    from aligncap.corpora import audio_path

    samples = read_audio(audio_path(row.audio, folder), name=row.audio).samples
    start = round((row.start or 0.0) * RATE)
    clues = measure(samples[start : None if row.end is None else round(row.end * RATE)])
    return clue_record(clues, clue_words(clues, dimensions=DIMENSIONS))


class _Told:
    """Says on standard error which rows are bad, the first of them one by one.

    Attributes:
        bad: how many.
    """

    def __init__(self) -> None:
        self.bad = 0
        self._odd = 0

    def problem(self, problem: Problem) -> None:
        """Take note of a problem of the manifest: of rows that are left out by name, of others by number."""
        if problem.remedy == "left out":
            self.tell(str(problem))
        else:
            self._odd += 1

    def tell(self, line: str) -> None:
        """Say what is wrong with a row, and count it."""
        self.bad += 1
        if self.bad <= _TOLD:
            print(f"error: {line}", file=sys.stderr)

    def unknown_emotions(self, annotator: Annotator) -> None:
        """Say which emotions of rows without captions nobody knows."""
        from aligncap.captions.taxonomy import categories

        for emotion, count in annotator.statistics.without.items():
            if emotion and emotion not in categories():
                self.tell(f"{emotion!r} is no emotion of the taxonomy: {count} rows have no captions")

    def end(self) -> None:
        """Say how many were not named."""
        if self.bad > _TOLD:
            print(f"… and {self.bad - _TOLD} more", file=sys.stderr)
        if self._odd:
            print(f"{self._odd} oddities of the manifest; to see them: aligncap manifest check", file=sys.stderr)


class _Partial:
    """Rows done so far, in a file beside the output: settings in the first line, then a row each.

    Args:
        path: of the file. One that is there is gone through first; its last line may be broken off.
        settings: of this run.
        overwrite: whether a file of other settings is replaced; else it is refused.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
        self.path = path
        self._writer: IO[str] | None = None
        header = json.dumps(settings)
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):
                del lines[-1]
            if lines and lines[0].decode("utf-8", "replace").strip() == header:
                path.write_bytes(b"".join(lines))
            elif not overwrite:
                raise AlignCapError(f"{path}: left by a run with other options; give the same, or add --overwrite")
            else:
                path.unlink()
        if not path.exists():
            path.write_text(header + "\n", encoding="utf-8")
        self._done: Iterator[Row] = self.rows()

    def __enter__(self) -> _Partial:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def next(self) -> Row | None:
        """The next row that was done before; None after the last."""
        return next(self._done, None) if self._writer is None else None

    def write(self, row: Row) -> None:
        """Add a row."""
        from aligncap.corpora.fields import to_record

        if self._writer is None:
            self._writer = self.path.open("a", encoding="utf-8", newline="\n")
        self._writer.write(json.dumps(to_record(row), ensure_ascii=False) + "\n")
        self._writer.flush()

    def rows(self) -> Iterator[Row]:
        """All rows that are done."""
        from aligncap.corpora.fields import parse_record

        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                row, _ = parse_record(json.loads(line))
                if row is None:
                    raise AlignCapError(f"{self.path}: damaged; delete it to begin anew")
                yield row


def _bar(quiet: bool, total: int) -> Any:
    """A context that gives a function to call after each row."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from contextlib import contextmanager

    @contextmanager
    def shown() -> Iterator[Any]:
        with progress_bar("annotating", total) as bar:
            yield lambda: bar.advance(bar.task_ids[0])

    return shown()
