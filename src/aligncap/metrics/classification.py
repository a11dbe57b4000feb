"""Metrics of predicted classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

__all__ = ["macro_recall"]


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
