"""``aligncap benchmark``: caption, classify and score a manifest, and write the report, in one command."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aligncap.cli.options import Device, Dtype, Threads, Verify
from aligncap.cli.scoring import Told, dumped, no_rows, save, scoring_bar, sentence_encoder
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.benchmarking.run import Outcome

__all__ = ["benchmark"]


def benchmark(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A .jsonl, .csv, .tsv or .parquet file.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for everything.", show_default=False)
    ],
    system: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]WHAT",
            help="embedded, a checkpoint's folder or Hub name, a baseline's folder, or a file of predictions; "
            "repeatable. [default: embedded]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only rows of this split.", show_default="all")
    ] = None,
    corpora: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Only these corpora.", show_default="all")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most so many clips of each corpus, drawn at random."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The instruction, if not the usual one.", show_default=False)
    ] = None,
    verify: Verify = "on",
    amount: Annotated[
        str,
        typer.Option(metavar="TEXT", help="What the numbers of systems called FAMILY@NUMBER count, such as steps."),
    ] = "amount",
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Stretches run together.")] = 8,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = None,
    similarity: Annotated[
        bool, typer.Option("--similarity", help="Also sentence similarity; needs its base weights.")
    ] = False,
    audio: Annotated[bool, typer.Option("--audio", help="Put recordings into the report, to listen to.")] = False,
    audio_limit: Annotated[
        float, typer.Option(min=0, metavar="MB", help="How much of them at most; worst captions first.")
    ] = 20.0,
    resamples: Annotated[int, typer.Option(min=10, max=100_000, metavar="N", help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the draw, the bootstrap and the tests.")] = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Caption again the recordings that failed.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")] = False,
) -> None:
    """Caption, classify and score the recordings of a manifest, with one system or several side by side.

    Every system captions every row; its emotion probabilities (or, for labels that these do not tell apart, the
    words themselves) choose one of the labels of the row's corpus; the voice is measured in every recording, so that
    what captions say of it is judged; then all is scored as by `aligncap evaluate`. The first system is the one with
    which the others are compared.

    What is done is kept, line by line. Interrupted, the same command goes on where it stopped; finished, it computes
    the scores again without loading a model.

    \b
    Examples:
      aligncap benchmark corpus/manifest.csv -o runs/benchmark --split zero_shot
      aligncap benchmark m.csv -o out --corpora emovo,cremad --split zero_shot --audio
      aligncap benchmark m.csv -o out --split dev --limit 50 --system embedded --system mine=runs/mine/checkpoint
      aligncap benchmark m.csv -o out --system embedded --system probe=runs/baselines/probe --system peer=peer.jsonl

    \b
    DIR then holds
      report.html, scores.json, scores.csv, tables.md, tables.tex   the scores
      run.json                      what it takes to make them again: hashes, prompt, label map, versions, machine
      systems/NAME/captions.jsonl   what each system said
      voices.jsonl                  what was measured

    \b
    Exit codes:
      0  every row was scored for every system
      1  some rows failed or could not be scored; they are named, the others are scored
      2  wrong usage; nothing was done
      3  a checkpoint, base weights or Python packages are missing
    """
    if not manifest.is_file():
        raise typer.BadParameter(f"{manifest}: there is no such file", param_hint="MANIFEST")
    if prompt is not None and not prompt.strip():
        raise typer.BadParameter("it is empty: say what to describe, or leave it out", param_hint="--prompt")
    wanted = [name.strip() for name in corpora.split(",") if name.strip()] if corpora is not None else []
    if corpora is not None and not wanted:
        raise typer.BadParameter("no corpus is named", param_hint="--corpora")
    # before they are imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    from aligncap.benchmarking.run import DEFAULT_PROMPT, Benchmark, choose, run_benchmark
    from aligncap.benchmarking.systems import Loading, parse_systems
    from aligncap.evaluation.measures import Settings
    from aligncap.evaluation.references import read_rows

    try:
        specs = parse_systems(system or ["embedded"])
    except AlignCapError as error:
        raise typer.BadParameter(str(error), param_hint="--system") from None
    everything, notes = read_rows(manifest)
    known = {row.corpus for row in everything}
    if absent := [name for name in wanted if name not in known]:
        there = ", ".join(sorted(known)) or "none"
        raise typer.BadParameter(f"no row is of {', '.join(absent)}; there are {there}", param_hint="--corpora")
    fitting = [row for row in everything if split in (None, row.split) and (not wanted or row.corpus in wanted)]
    rows = choose(fitting, limit, seed)
    if not rows:
        raise typer.BadParameter(no_rows(everything, [split] if split else None, wanted), param_hint="--split")
    _prepare(output)
    chosen = {row.id for row in rows}
    told = Told()
    told.notes(manifest, notes)
    task = Benchmark(
        manifest,
        output,
        specs,
        Loading(prompt or DEFAULT_PROMPT, device, dtype, threads, batch_size, verify),
        Settings(encoder=sentence_encoder(quiet) if similarity else None, amount=amount),
        split or "",
        wanted,
        limit,
        resamples,
        seed,
        retry,
    )
    if all(spec.kind != "predictions" for spec in specs):  # what others were asked is not known
        task = replace(task, settings=replace(task.settings, instruction=task.loading.prompt))

    def progress(title: str, steps: int) -> AbstractContextManager[Callable[[str], None]]:
        return scoring_bar(quiet, steps, title)

    outcome = run_benchmark(task, rows, [row for row in everything if row.id not in chosen], notes, progress)
    told.notes(manifest, [note for note in outcome.notes if note not in notes])
    for found in outcome.systems:
        told.notes(Path(found.name), found.notes)
    _write(outcome, output, manifest.parent if audio else None, audio_limit)
    if not quiet:
        from aligncap.evaluation.tables import text_table

        print(text_table(outcome.data))
        print(f"wrote {output / 'report.html'} and all else in {output}")
    if told.bad:
        raise typer.Exit(1)


def _prepare(output: Path) -> None:
    """Make the folder; refuse one that holds something else."""
    ours = ("systems", "voices.jsonl", "run.json")
    if output.exists() and not output.is_dir():
        raise typer.BadParameter(f"{output}: it is a file: name a folder", param_hint="--output")
    if output.is_dir() and any(output.iterdir()) and not any((output / name).exists() for name in ours):
        raise typer.BadParameter(f"{output}: it holds other things: name another folder", param_hint="--output")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{output}: it cannot be made: {error.strerror or error}"
        raise typer.BadParameter(problem, param_hint="--output") from error
    if not os.access(output, os.W_OK):
        raise typer.BadParameter(f"{output}: it may not be written: no permission", param_hint="--output")


def _write(outcome: Outcome, output: Path, recordings: Path | None, audio_megabytes: float) -> None:
    from aligncap.benchmarking.record import write_json
    from aligncap.evaluation import tables
    from aligncap.evaluation.report import render

    data: dict[str, Any] = outcome.data
    save(output / "scores.json", dumped(data))
    save(output / "scores.csv", tables.csv_scores(data))
    save(output / "tables.md", tables.markdown(data))
    save(output / "tables.tex", tables.latex(data))
    audio = int(audio_megabytes * 1e6)
    save(
        output / "report.html",
        render(data, folder=recordings, audio_bytes=audio if recordings else 0, contours=outcome.contours),
    )
    write_json(output / "run.json", outcome.record)
