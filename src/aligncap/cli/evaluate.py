"""``aligncap evaluate``: score captions and write a report."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aligncap.cli.output import check_output
from aligncap.cli.scoring import Told, dumped, encoding_of, no_rows, save, scoring_bar, sentence_encoder

if TYPE_CHECKING:
    from aligncap.corpora import Row
    from aligncap.evaluation.notes import Note

__all__ = ["evaluate"]

_TOKENIZERS = ("auto", "ptb", "ptb-java", "characters", "jieba", "words")


def evaluate(
    predictions: Annotated[
        list[str],
        typer.Argument(
            metavar="PRED...", help="Predictions of a system, or NAME=FILE to give it a name.", show_default=False
        ),
    ],
    systems: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="Further systems, compared with the first; more may follow."),
    ] = None,
    references: Annotated[
        Path | None, typer.Option(metavar="REF", help='Lines {"id": …, "captions": […]} to compare captions with.')
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(metavar="M", help="A manifest: emotions, votes, speakers, corpora, captions.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only rows of this split; repeatable.")
    ] = None,
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this corpus; repeatable.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="All scores, as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="OUT", help="The report: one file, to be looked at.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="OUT", help="The tables, as Markdown.")] = None,
    latex: Annotated[Path | None, typer.Option(metavar="OUT", help="The tables, as LaTeX (booktabs).")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="OUT", help="Every score on a line.")] = None,
    measure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure the voice in the manifest's recordings, so that what captions say of it is judged; the "
            "measurements are kept in this file (.jsonl).",
        ),
    ] = None,
    audio: Annotated[bool, typer.Option("--audio", help="Put recordings into the HTML, to listen to.")] = False,
    audio_limit: Annotated[
        float, typer.Option(min=0, metavar="MB", help="How much of them at most; worst captions first.")
    ] = 20.0,
    similarity: Annotated[
        bool, typer.Option("--similarity", help="Also sentence similarity; needs PyTorch and its base weights.")
    ] = False,
    meteor: Annotated[bool, typer.Option("--meteor", help="Also METEOR proper; needs Java.")] = False,
    spice: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also SPICE and SPIDEr, by the jars in this folder; needs Java.")
    ] = None,
    language: Annotated[
        str, typer.Option(metavar="TAG", help="Of the captions, such as en or zh; auto: that of the references.")
    ] = "auto",
    instruction: Annotated[
        str, typer.Option(metavar="TEXT", help="What the systems were asked; whether they obeyed is checked then.")
    ] = "",
    amount: Annotated[
        str,
        typer.Option(metavar="TEXT", help="What the numbers of systems called FAMILY@NUMBER count, such as steps."),
    ] = "amount",
    tokenizer: Annotated[str, typer.Option(metavar="NAME", help=", ".join(_TOKENIZERS) + ".")] = "auto",
    missing: Annotated[
        str, typer.Option(metavar="leave-out|empty", help="What to do with rows that a system says nothing of.")
    ] = "leave-out",
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Of text files that are not in UTF-8.")] = None,
    resamples: Annotated[int, typer.Option(min=10, max=100_000, metavar="N", help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the bootstrap and the tests.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")] = False,
) -> None:
    """Score captions, of AlignCap or of any other system.

    Captions are compared with references, and what they say of emotion with the labels or votes of a manifest. Every
    score has a 95 % interval (over speakers where there are five), by corpus, by language and over all. Further systems
    are compared with the first on the same clips. Nothing needs PyTorch but --similarity.

    \b
    Examples:
      aligncap evaluate captions.jsonl --manifest corpus/manifest.csv --split dev
      aligncap evaluate captions.jsonl --references references.jsonl --json scores.json --html report.html
      aligncap evaluate ours=a.jsonl --systems theirs=b.jsonl --manifest m.csv --html report.html --audio
      aligncap evaluate captions.jsonl --manifest m.csv --measure voices.jsonl --html report.html
      aligncap evaluate a.jsonl b.jsonl c.jsonl --manifest m.csv --markdown tables.md --latex tables.tex
      aligncap evaluate align@100=a.jsonl align@400=b.jsonl --manifest m.csv --amount steps --html curve.html

    PRED has lines {"id": "clip 1", "caption": "She sounds sad."}, with "emotions": {"sad": 0.8, "fear": 0.2} and
    "label": "sad" where the system gives them; or it is what `aligncap caption -o PRED.jsonl` writes. Ids are those of
    the manifest or references; else recordings are matched by their names. docs/evaluate.md has the formats.

    \b
    Exit codes:
      0  every row was scored for every system
      1  some predictions or rows could not be scored as they are; they are named, the others are scored
      2  wrong usage; nothing was done
      3  what an option needs is missing: PyTorch, base weights, Java
    """
    files = [predictions[0], *(systems or []), *predictions[1:]]
    named = [_named(file) for file in files]
    names = _names(named)
    if manifest is None and references is None:
        raise typer.BadParameter("give --manifest, --references or both", param_hint="--manifest")
    if measure is not None and manifest is None:
        raise typer.BadParameter("what to listen to is told by a manifest: give --manifest", param_hint="--measure")
    if tokenizer not in _TOKENIZERS:
        raise typer.BadParameter(f"{tokenizer!r}: use one of {', '.join(_TOKENIZERS)}", param_hint="--tokenizer")
    if missing not in ("leave-out", "empty"):
        raise typer.BadParameter(f"{missing!r}: leave-out or empty", param_hint="--missing")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise typer.BadParameter(f"there is no encoding {encoding!r}", param_hint="--encoding") from None
    inputs = [*(path for _, path in named), *(path for path in (manifest, references) if path)]
    hints = {manifest: "--manifest", references: "--references"}
    for path in inputs:
        if not path.is_file():
            raise typer.BadParameter(f"{path}: there is no such file", param_hint=hints.get(path, "PRED"))
    outputs = _Outputs(json_out, html, markdown, latex, csv)
    for hint, path in outputs.given():
        check_output(path, overwrite, hint, sources=inputs)
    if measure is not None:
        check_output(measure, True, "--measure", suffixes=(".jsonl",), sources=inputs)
        outputs.check_apart(measure, "--measure")
    outputs.check_different()

    from aligncap.evaluation.measures import Settings
    from aligncap.evaluation.predictions import read_system
    from aligncap.evaluation.scores import evaluate as score

    told = Told()
    everything, notes = _rows(manifest, references, encoding)
    rows = [row for row in everything if (not split or row.split in split) and (not corpus or row.corpus in corpus)]
    told.notes(manifest or references, notes)
    if not rows:
        hint = "--split" if split else "--manifest" if manifest else "--references"
        raise typer.BadParameter(no_rows(everything, split, corpus), param_hint=hint)
    wanted = {row.id for row in rows}
    others = [row for row in everything if row.id not in wanted]
    read = []
    for name, (_, path) in zip(names, named, strict=True):
        found = read_system(
            path,
            rows,
            name=name,
            others=others,
            encoding=encoding_of(path, encoding),
            missing_is_empty=missing == "empty",
        )
        told.notes(path, found.notes)
        read.append(found)
    if not any(one.predictions for one in read):
        faults = {note.kind for one in read for note in one.notes} - {"missing", "extra"}
        reason = "what is wrong is told above" if faults else "none fits any row: compare the ids"
        print(f"error: no prediction can be scored; {reason}", file=sys.stderr)
        raise typer.Exit(1)
    settings = Settings(
        tokenizer, language, instruction, sentence_encoder(quiet) if similarity else None, meteor, spice, amount
    )
    contours: dict[str, dict[str, Any]] = {}
    if measure is not None and manifest is not None:
        from aligncap.evaluation.voices import measure_voices

        with scoring_bar(quiet, len(rows), "measuring") as advance:
            voices = measure_voices(rows, manifest.parent, measure, advance=lambda: advance(""))
        rows, contours = voices.rows, voices.contours
        notes = [*notes, *voices.notes]
        told.notes(manifest, voices.notes)
    with scoring_bar(quiet, 4 * len(read)) as advance:
        data = score(rows, read, settings, notes=notes, resamples=resamples, seed=seed, advance=advance)
    outputs.write(data, (manifest or references or Path()).parent, audio_limit if audio else 0.0, contours)
    if not quiet:
        from aligncap.evaluation.tables import text_table

        print(text_table(data))
        for _, path in outputs.given():
            print(f"wrote {path}")
    if told.bad:
        raise typer.Exit(1)


def _named(argument: str) -> tuple[str, Path]:
    """``NAME=FILE`` or ``FILE``."""
    name, equals, file = argument.partition("=")
    if not equals or Path(argument).exists():
        return "", Path(argument)
    if not name.strip():
        raise typer.BadParameter(f"{argument!r}: the name is empty", param_hint="PRED")
    return name.strip(), Path(file)


def _names(files: Sequence[tuple[str, Path]]) -> list[str]:
    """What to call each system: the given name, else the file's, with its folder where that is needed."""
    stems = [name or path.stem for name, path in files]
    names = [
        name or (path.stem if stems.count(path.stem) == 1 else f"{path.resolve().parent.name}/{path.stem}")
        for name, path in files
    ]
    for name in names:
        if names.count(name) > 1:
            raise typer.BadParameter(f"two systems are called {name!r}: write NAME=FILE", param_hint="PRED")
    return names


def _rows(manifest: Path | None, references: Path | None, encoding: str | None) -> tuple[list[Row], list[Note]]:
    from aligncap.evaluation.references import read_references, read_rows, with_references

    if manifest is None:
        assert references is not None
        return read_references(references, encoding_of(references, encoding))
    rows, notes = read_rows(manifest, encoding_of(manifest, encoding))
    if references is None:
        return rows, notes
    captions, more = read_references(references, encoding_of(references, encoding))
    merged, unknown = with_references(rows, captions)
    return merged, [*notes, *more, *unknown]


@dataclass(frozen=True)
class _Outputs:
    """The files to write."""

    json: Path | None
    html: Path | None
    markdown: Path | None
    latex: Path | None
    csv: Path | None

    def given(self) -> list[tuple[str, Path]]:
        """Option and file, of those that are wanted."""
        return [(f"--{name}", path) for name, path in vars(self).items() if path is not None]

    def check_different(self) -> None:
        """Refuse one file for two things."""
        paths = [path.resolve() for _, path in self.given()]
        for hint, path in self.given():
            if paths.count(path.resolve()) > 1:
                raise typer.BadParameter(f"{path}: it is named twice", param_hint=hint)

    def check_apart(self, path: Path, hint: str) -> None:
        """Refuse a file that is another thing, too."""
        if path.resolve() in [other.resolve() for _, other in self.given()]:
            raise typer.BadParameter(f"{path}: it is named twice", param_hint=hint)

    def write(self, data: dict[str, Any], folder: Path, audio_megabytes: float, contours: dict[str, Any]) -> None:
        """Write them all."""
        from aligncap.evaluation import tables
        from aligncap.evaluation.report import render

        def html() -> str:
            audio = folder if audio_megabytes else None
            return render(data, folder=audio, audio_bytes=int(audio_megabytes * 1e6), contours=contours)

        makers: dict[str, Callable[[], str]] = {
            "json": lambda: dumped(data),
            "markdown": lambda: tables.markdown(data),
            "latex": lambda: tables.latex(data),
            "csv": lambda: tables.csv_scores(data),
            "html": html,
        }
        for name, path in vars(self).items():
            if path is not None:
                save(path, makers[name]())
