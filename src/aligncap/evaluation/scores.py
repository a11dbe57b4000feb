"""Systems × data → report data: a plain dict of scores with intervals, comparisons, confusions, and every caption."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aligncap.corpora.row import Row
from aligncap.evaluation.comparisons import compare_systems
from aligncap.evaluation.coverage import coverage_curves
from aligncap.evaluation.curves import learning_curves
from aligncap.evaluation.details import Measured, about, breakdown, caption_record, confusions, system_record
from aligncap.evaluation.emotion_scores import (
    evidence_by_row,
    measure_emotions,
    measure_hallucination,
)
from aligncap.evaluation.estimates import Quantity, mean_interval
from aligncap.evaluation.measures import MEASURES, METHODS, Settings, labels_by_corpus
from aligncap.evaluation.notes import Note
from aligncap.evaluation.parts import LEVEL, Estimator, Part, parts_of
from aligncap.evaluation.predictions import System
from aligncap.evaluation.text_scores import measure_captions
from aligncap.metrics.statistics import Interval

__all__ = ["FORMAT", "evaluate"]

FORMAT = "aligncap-report/1"
"""What `evaluate` returns."""


def evaluate(
    rows: Sequence[Row],
    systems: Sequence[System],
    settings: Settings | None = None,
    *,
    notes: Sequence[Note] = (),
    resamples: int = 1000,
    seed: int = 0,
    advance: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Score systems.

    The same arguments (and versions of the packages) always give the same result.

    Args:
        rows: what is scored: labels, votes, references, speakers; ids are unique.
        systems: their predictions; the first is the one with which the others are compared.
        settings: what is measured beyond what needs nothing.
        notes: what is wrong with the rows, to be passed on.
        resamples: of the bootstrap.
        seed: of the bootstrap and the tests.
        advance: called with what was just done, four times a system.

    Returns:
        JSON values only, as docs/evaluate.md describes: ``scores`` is a list of records with ``system``, ``part``,
        ``name``, ``metric``, ``value``, ``low``, ``high`` (null where there is no interval) and ``clips``.
    """
    settings = (settings or Settings()).resolved(rows)
    evidence, unjudged = evidence_by_row(rows, settings)
    labels = labels_by_corpus(rows)
    measured = []
    for system in systems:
        captions = measure_captions(rows, system.predictions, settings)
        advance(f"{system.name}: text")
        emotions = measure_emotions(rows, system.predictions, labels, settings)
        advance(f"{system.name}: emotion")
        invented = measure_hallucination(rows, system.predictions, evidence)
        advance(f"{system.name}: hallucination")
        quantities = {one.name: one for one in (*captions, *emotions.quantities, *invented.quantities)}
        ordered = [quantities[name] for name in MEASURES if name in quantities]
        measured.append(Measured(system, ordered, emotions, invented))
    estimate = Estimator(rows, resamples, seed)
    parts = parts_of(rows)
    scores, coverage = [], []
    for one in measured:
        scores += _scores(one, parts, estimate)
        coverage += coverage_curves(rows, one, parts, estimate)
        advance(f"{one.system.name}: intervals")
    used = {score["metric"] for score in scores}
    first, *others = measured
    return {
        "format": FORMAT,
        "settings": {
            "seed": seed,
            "resamples": resamples,
            "level": LEVEL,
            "tokenizer": settings.tokenizer,
            "language": settings.language,
            "instruction": settings.instruction,
            "sentence_similarity": settings.encoder is not None,
            "amount": settings.amount,
        },
        "versions": _versions(),
        "rows": about(rows),
        "labels": labels,
        "notes": [vars(note) for note in (*notes, *unjudged)],
        "metrics": {name: _metric(name) for name in MEASURES if name in used},
        "methods": {name: METHODS[name] for name in METHODS if f"uar.{name}" in used},
        "systems": [system_record(one, rows) for one in measured],
        "scores": scores,
        "comparisons": [
            comparison
            for other in others
            for comparison in compare_systems(
                rows,
                (first.system.name, _comparable(first)),
                (other.system.name, _comparable(other)),
                _compared(parts),
                resamples=resamples,
                seed=seed,
            )
        ],
        "curves": learning_curves([system.name for system in systems]),
        "coverage": coverage,
        "confusions": [one for item in measured for one in confusions(rows, item, labels)],
        "hallucinations": [one for item in measured for one in breakdown(rows, item)],
        "captions": [caption_record(index, row, measured) for index, row in enumerate(rows)],
    }


def _comparable(measured: Measured) -> list[Quantity]:
    """The measures that are means over clips, UAR among them; pooled scores differ otherwise than those of captions."""
    means = {name for name, metric in MEASURES.items() if metric.aggregate == "mean" or name.startswith("uar.")}
    return [quantity for quantity in measured.quantities if quantity.name in means]


def _compared(parts: Sequence[Part]) -> list[tuple[str, str, frozenset[int]]]:
    """The parts on which systems are compared; the mean over corpora among them, where there are several."""
    found = [(part.kind, part.name, part.rows) for part in parts if part.kind != "language"]
    several = sum(part.kind == "corpus" for part in parts) > 1
    return [*found, ("mean", "", parts[0].rows)] if several else found


def _scores(measured: Measured, parts: Sequence[Part], estimate: Estimator) -> list[dict[str, Any]]:
    found = []
    for quantity in measured.quantities:
        by_corpus = []
        several = sum(part.kind == "corpus" for part in parts) > 1
        for part in parts:
            result = estimate.of(quantity, part)
            if result is None:
                continue
            found.append(_score(measured.system.name, part.kind, part.name, quantity.name, *result))
            if part.kind == "corpus":
                by_corpus.append(result)
        intervals = [interval for interval, _ in by_corpus if isinstance(interval, Interval)]
        if several and intervals and MEASURES[quantity.name].aggregate != "set":
            clips = sum(clips for _, clips in by_corpus)
            found.append(_score(measured.system.name, "mean", "", quantity.name, mean_interval(intervals), clips))
    return found


def _score(system: str, part: str, name: str, metric: str, value: Interval | float, clips: int) -> dict[str, Any]:
    low, high = (value.low, value.high) if isinstance(value, Interval) else (None, None)
    number = value.value if isinstance(value, Interval) else value
    record = {"system": system, "part": part, "name": name, "metric": metric}
    return record | {"value": number, "low": low, "high": high, "clips": clips}


def _metric(name: str) -> dict[str, Any]:
    metric = MEASURES[name]
    bounds = {"low": metric.low, "high": metric.high if np.isfinite(metric.high) else None}
    told = {"title": metric.title, "higher_is_better": metric.higher_is_better, "source": metric.source}
    return told | bounds | {"aggregate": metric.aggregate}


def _versions() -> dict[str, str]:
    import aligncap

    return {"aligncap": aligncap.__version__, "numpy": np.__version__, "python": platform.python_version()}
