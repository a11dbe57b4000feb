"""Paired comparisons of two systems, on the clips that both described."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from aligncap.corpora.row import Row
from aligncap.evaluation.estimates import Draws, Floats, Quantity

__all__ = ["compare_systems"]

_Named = tuple[str, Sequence[Quantity]]
_Part = tuple[str, str, Collection[int]]


def compare_systems(
    rows: Sequence[Row],
    first: _Named,
    other: _Named,
    parts: Sequence[_Part],
    *,
    resamples: int = 1000,
    rounds: int = 10_000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The other system less the first, for every metric that each clip has, with interval and p.

    Interval and test are those of `aligncap.metrics.compare`, by speakers where there are at least five. UAR is
    compared as a mean over clips that weighs every label alike, with the numbers of clips of each label as they are.
    The p-values are of single tests: with many of them, some are small by chance. Metrics that pool counts (BLEU,
    METEOR) do not belong here, as their differences are not those of the captions' scores.

    Args:
        rows: all of them.
        first: name and measures of the system that is compared with.
        other: name and measures of the other.
        parts: (kind, name, row indices) of each part to compare on; of the kind ``mean``, corpora weigh alike.
        resamples: of the bootstrap.
        rounds: of the test; p cannot be below 1 / (rounds + 1).
        seed: of the draws.

    Returns:
        Records with ``first``, ``other``, ``part``, ``name``, ``metric``, ``difference``, ``low``, ``high``, ``p``,
        ``clips``.
    """
    found: list[dict[str, Any]] = []
    for index, names, scores in _paired(first[1], other[1]):
        for kind, name, members in parts:
            places = [place for place, row in enumerate(index) if row in members]
            if not places:
                continue
            common = [index[place] for place in places]
            weights = np.stack(
                [_weights(rows, common, by_label=m.startswith("uar."), by_corpus=kind == "mean") for m in names], axis=1
            )
            differences = scores[places] * weights
            speakers = [(rows[row].corpus, rows[row].speaker or rows[row].id) for row in common]
            draws = Draws(speakers, resamples=resamples, seed=seed)
            p = draws.exchangeable(differences, rounds=rounds)
            for place, metric in enumerate(names):
                column = np.stack([differences[:, place], np.ones(len(common))], axis=1)
                interval = draws.interval(column, lambda sums: sums[:, 0] / sums[:, 1])
                record = {"first": first[0], "other": other[0], "part": kind, "name": name, "metric": metric}
                values = {"difference": interval.value, "low": interval.low, "high": interval.high}
                found.append({**record, **values, "p": float(p[place]), "clips": len(common)})
    return found


def _paired(first: Sequence[Quantity], other: Sequence[Quantity]) -> Iterator[tuple[list[int], list[str], Floats]]:
    """Row indices, metrics known of just these for both systems, and (rows, metrics) scores of other less first."""
    mine = {quantity.name: quantity for quantity in first if len(quantity.each)}
    groups: dict[tuple[int, ...], dict[str, Floats]] = {}
    for theirs in other:
        if theirs.name in mine and len(theirs.each):
            ours = mine[theirs.name]
            index, left, right = np.intersect1d(ours.index, theirs.index, assume_unique=True, return_indices=True)
            groups.setdefault(tuple(index.tolist()), {})[theirs.name] = theirs.each[right] - ours.each[left]
    for rows, columns in groups.items():
        yield list(rows), list(columns), np.stack(list(columns.values()), axis=1)


def _weights(rows: Sequence[Row], index: Sequence[int], *, by_label: bool, by_corpus: bool) -> Floats:
    """What each clip weighs in a mean over corpora, over labels, or over the labels of corpora; 1 on average."""

    def group(i: int) -> tuple[str, str]:
        return rows[i].corpus if by_corpus else "", rows[i].emotion if by_label else ""

    clips = Counter(map(group, index))
    groups = Counter(corpus for corpus, _ in clips)  # labels of each corpus
    return np.array([len(index) / (len(groups) * groups[group(i)[0]] * clips[group(i)]) for i in index])
