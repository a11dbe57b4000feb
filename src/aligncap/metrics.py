"""Metrics as pure functions; nothing of ours is imported here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Interval", "bootstrap", "macro_recall"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def macro_recall(labels: Sequence[Hashable], predictions: Sequence[Hashable]) -> tuple[float, dict[Hashable, float]]:
    """Unweighted average recall (UAR): the mean over classes of the share recognised.

    Args:
        labels: the true class of each item.
        predictions: the predicted class of each item; anything that is not a class counts as wrong.

    Returns:
        The score in [0, 1] (higher is better), and the recall of every class that occurs in ``labels``.

    Raises:
        ValueError: no items, or different numbers of them.
    """
    if len(labels) != len(predictions) or not labels:
        raise ValueError(f"{len(labels)} labels and {len(predictions)} predictions")
    hits: dict[Hashable, list[bool]] = defaultdict(list)
    for label, prediction in zip(labels, predictions, strict=True):
        hits[label].append(label == prediction)
    recalls = {label: sum(row) / len(row) for label, row in hits.items()}
    return sum(recalls.values()) / len(recalls), recalls


def bootstrap(
    score: Callable[[list[int]], float],
    clusters: Sequence[Hashable],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over clusters (Efron 1979): whole clusters are drawn with replacement.

    Args:
        score: score of a sample, given as indices of items (an item may occur several times).
        clusters: cluster of each item, such as its speaker. With fewer than five clusters the items
            themselves are drawn, since a handful of speakers says nothing about the spread over speakers.
        resamples: bootstrap samples.
        level: confidence level in (0, 1).
        seed: of the draws.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, cluster in enumerate(clusters):
        members[cluster].append(index)
    groups = list(members.values()) if len(members) >= 5 else [[index] for index in range(len(clusters))]
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(groups), len(groups))
        scores.append(score([index for group in drawn for index in groups[group]]))
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(score(list(range(len(clusters)))), float(low), float(high))
