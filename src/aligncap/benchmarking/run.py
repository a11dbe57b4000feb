"""One benchmark: rows chosen, captioned, classified, measured and scored; what is done is not done again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aligncap.benchmarking.captions import CAPTIONS, LABELS, drop_failures, fill, missing_rows
from aligncap.benchmarking.labels import label_map, needs_words, with_labels
from aligncap.benchmarking.record import SystemRecord, machine, now, versions
from aligncap.benchmarking.systems import Loading, Runner, SystemSpec, load_runner
from aligncap.captions.instructions import INSTRUCTIONS
from aligncap.corpora import audio_path
from aligncap.corpora.row import Row
from aligncap.errors import AlignCapError
from aligncap.evaluation.journal import Journal
from aligncap.evaluation.measures import Settings, labels_by_corpus
from aligncap.evaluation.notes import Note
from aligncap.evaluation.predictions import System, read_system
from aligncap.evaluation.scores import evaluate
from aligncap.evaluation.voices import measure_voices

__all__ = ["DEFAULT_PROMPT", "FORMAT", "SYSTEMS", "VOICES", "Benchmark", "Outcome", "choose", "run_benchmark"]

FORMAT = "aligncap-benchmark/1"
DEFAULT_PROMPT = next(iter(INSTRUCTIONS))
SYSTEMS, VOICES = "systems", "voices.jsonl"

Progress = Callable[[str, int], AbstractContextManager[Callable[[str], None]]]
"""Title and number of steps → a function to call after each step."""


@dataclass(frozen=True)
class Benchmark:
    """What to run.

    Attributes:
        manifest: whose recordings are captioned.
        folder: for everything that is made; it exists.
        systems: the first is the one with which the others are compared.
        loading: how they are run.
        settings: of the scores; voices are always measured.
        split: rows of this split; empty: all.
        corpora: rows of these corpora; empty: all.
        limit: at most so many rows of each corpus, drawn at random; those of a smaller limit are among those of a
            larger one.
        resamples: of the bootstrap.
        seed: of the draw, the bootstrap and the tests.
        retry: caption again what failed.
    """

    manifest: Path
    folder: Path
    systems: Sequence[SystemSpec]
    loading: Loading = field(default_factory=lambda: Loading(DEFAULT_PROMPT))
    settings: Settings = field(default_factory=Settings)
    split: str = ""
    corpora: Sequence[str] = ()
    limit: int | None = None
    resamples: int = 1000
    seed: int = 0
    retry: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        data: of `aligncap.evaluation.scores.evaluate`.
        contours: clip → what to draw of its voice.
        record: all that it takes to make the data again.
        systems: as they were scored, with what is wrong with their predictions.
        notes: what is wrong with the rows and their recordings.
    """

    data: dict[str, Any]
    contours: dict[str, dict[str, Any]]
    record: dict[str, Any]
    systems: list[System]
    notes: list[Note]


def choose(rows: Sequence[Row], limit: int | None, seed: int) -> list[Row]:
    """At most ``limit`` rows of each corpus, drawn at random, in their order."""
    if limit is None:
        return list(rows)
    chosen: set[str] = set()
    for corpus in sorted({row.corpus for row in rows}):
        members = [row for row in rows if row.corpus == corpus]
        chosen |= {members[i].id for i in np.random.default_rng(seed).permutation(len(members))[:limit]}
    return [row for row in rows if row.id in chosen]


def run_benchmark(
    benchmark: Benchmark, rows: Sequence[Row], others: Sequence[Row], notes: Sequence[Note], progress: Progress
) -> Outcome:
    """Run a benchmark, or what is missing of it.

    Models are loaded only where something is missing, so that scores can be computed again without them.

    Args:
        benchmark: what to run.
        rows: of the manifest, as chosen; ids are unique.
        others: its other rows.
        notes: what is wrong with the manifest.
        progress: shows how far the work is.

    Raises:
        AlignCapError: a system cannot be loaded, a folder belongs to another one, or nothing can be written.
    """
    records = {}
    for spec in benchmark.systems:
        if spec.kind == "baseline" and benchmark.loading.prompt != DEFAULT_PROMPT:
            raise AlignCapError(f"{spec.name}: a baseline knows no prompt but {DEFAULT_PROMPT!r}")
        if spec.kind != "predictions":
            records[spec.name] = SystemRecord.of(spec, benchmark.loading, benchmark.folder / SYSTEMS / spec.name)
    labels = labels_by_corpus(rows)
    for spec in benchmark.systems:
        if spec.name in records:
            _run_system(benchmark, spec, records[spec.name], rows, labels, progress)
    with progress("measuring voices", len(rows)) as advance:
        voices = measure_voices(rows, benchmark.manifest.parent, benchmark.folder / VOICES, advance=lambda: advance(""))
    systems = [_read(benchmark, spec, records.get(spec.name), rows, others, labels) for spec in benchmark.systems]
    if not any(system.predictions for system in systems):
        raise AlignCapError("no system said anything of any row: nothing can be scored")
    everything = [*notes, *voices.notes]
    with progress("scoring", 4 * len(systems)) as advance:
        data = evaluate(
            voices.rows,
            systems,
            benchmark.settings,
            notes=everything,
            resamples=benchmark.resamples,
            seed=benchmark.seed,
            advance=advance,
        )
    return Outcome(data, voices.contours, _record(benchmark, records, systems, rows, labels), systems, everything)


def _run_system(
    benchmark: Benchmark,
    spec: SystemSpec,
    record: SystemRecord,
    rows: Sequence[Row],
    labels: dict[str, list[str]],
    progress: Progress,
) -> None:
    """Caption what is not captioned, and ask for the words of labels that the emotions do not tell apart."""
    folder, root = record.path.parent, benchmark.manifest.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlignCapError(f"{folder}: it cannot be made: {error.strerror or error}") from error
    if benchmark.retry:
        for name in (CAPTIONS, LABELS):
            drop_failures(folder / name)
    loaded: list[Runner] = []

    def runner() -> Runner:
        if not loaded:
            loaded.append(load_runner(spec, benchmark.loading))
            record.loaded(spec, loaded[0])
        return loaded[0]

    todo = _by_size(missing_rows(rows, folder / CAPTIONS), root)
    if todo:
        caption = runner().caption
        with _session(record, f"{spec.name}: captions", len(todo), progress) as advance:
            fill(todo, root, folder / CAPTIONS, caption, advance=advance)
    for corpus, names in labels.items():
        if not record.emotions or not needs_words(names, record.emotions):
            continue
        answered = {one["audio"] for one in _answers(folder) if one.get("labels") == names or "error" in one}
        asked = _by_size([row for row in rows if row.corpus == corpus and row.id not in answered], root)
        classify = runner().classify if asked else None
        if classify is not None:
            ask = partial(classify, labels=names)
            with _session(record, f"{spec.name}: labels of {corpus}", len(asked), progress) as advance:
                fill(asked, root, folder / LABELS, ask, more={"labels": names}, advance=advance)


@contextmanager
def _session(record: SystemRecord, work: str, total: int, progress: Progress) -> Iterator[Callable[[], None]]:
    """A function to call after each row; when, where and how long is written down."""
    done = [0]
    started = time.monotonic()
    begun = {"date": now(), "work": work, "machine": machine(), "versions": versions()}
    with progress(work, total) as advance:

        def one() -> None:
            done[0] += 1
            advance("")

        try:
            yield one
        finally:
            seconds = round(time.monotonic() - started, 1)
            record.sessions.append(begun | {"rows": done[0], "seconds": seconds})
            record.save()


def _by_size(rows: Sequence[Row], root: Path) -> list[Row]:
    """Rows of like lengths together: batches are padded less."""

    def size(row: Row) -> float:
        if row.start is not None and row.end is not None:
            return row.end - row.start
        try:
            return audio_path(row.audio, root).stat().st_size
        except OSError:
            return 0

    return sorted(rows, key=size)


def _answers(folder: Path) -> list[dict[str, Any]]:
    return Journal(folder / LABELS, ("id", "audio"), "results of a benchmark").records


def _read(
    benchmark: Benchmark,
    spec: SystemSpec,
    record: SystemRecord | None,
    rows: Sequence[Row],
    others: Sequence[Row],
    labels: dict[str, list[str]],
) -> System:
    if record is None:
        return read_system(Path(spec.source), rows, name=spec.name, others=others)
    folder = record.path.parent
    system = read_system(folder / CAPTIONS, rows, name=spec.name, others=others)
    answers = [one for one in _answers(folder) if "labels" in one]
    return with_labels(system, rows, labels, record.emotions, answers)


def _record(
    benchmark: Benchmark,
    records: dict[str, SystemRecord],
    systems: Sequence[System],
    rows: Sequence[Row],
    labels: dict[str, list[str]],
) -> dict[str, Any]:
    told = []
    for spec, system in zip(benchmark.systems, systems, strict=True):
        record = records.get(spec.name)
        about: dict[str, Any] = {"name": spec.name, "kind": spec.kind}
        if record is None:
            about |= {"file": Path(spec.source).name, "sha256": spec.hashes()["predictions"]}
        else:
            about |= {**record.key, **record.numbers, "base_weights": record.base_weights, "sessions": record.sessions}
            maps = {corpus: label_map(names, record.emotions) for corpus, names in labels.items()}
            about["label_map"] = maps if record.emotions else {}
        about |= {"scored": len(system.predictions), "not_scored": len(rows) - len(system.predictions)}
        about["failed"] = sum(note.kind == "failed" for note in system.notes)
        told.append(about)
    counts = {corpus: sum(row.corpus == corpus for row in rows) for corpus in sorted({row.corpus for row in rows})}
    manifest = {"file": benchmark.manifest.name, "sha256": hashlib.sha256(benchmark.manifest.read_bytes()).hexdigest()}
    return {
        "format": FORMAT,
        "scored_on": {"date": now(), "machine": machine(), "versions": versions()},
        "manifest": manifest,
        "split": benchmark.split,
        "corpora": list(benchmark.corpora),
        "limit": benchmark.limit,
        "seed": benchmark.seed,
        "resamples": benchmark.resamples,
        "prompt": benchmark.loading.prompt,
        "verify": benchmark.loading.verify,
        "rows": counts,
        "rows_sha256": hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest(),
        "labels": labels,
        "systems": told,
    }
