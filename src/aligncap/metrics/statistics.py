"""How sure a score is: bootstrap intervals, paired comparison of systems, agreement with human votes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "Comparison", "Interval", "agreement", "bootstrap", "bootstrap_mean", "compare"]

_FEWEST_CLUSTERS = 5


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """One system less another, over the same items.

    Attributes:
        difference: mean score of the first less that of the second.
        p: two-sided p-value of the hypothesis that the two are exchangeable, in (0, 1].
    """

    difference: Interval
    p: float


@dataclass(frozen=True)
class Agreement:
    """How often a metric prefers the text that people prefer.

    Attributes:
        share: share of the pairs in which it does; a tie of the metric counts half.
        ties: share of the pairs that the metric scores alike.
        pairs: number of pairs on which people had a preference.
    """

    share: Interval
    ties: float
    pairs: int


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
    groups = _groups(clusters)
    drawn = _draws(len(groups), resamples, seed)
    scores = [score([index for group in row for index in groups[group]]) for row in drawn]
    return _interval(score(list(range(len(clusters)))), scores, level)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap of a mean: what `bootstrap` gives for it, from the same draws, but hundreds of times faster.

    Args:
        values: one per item, such as the per-caption scores of a metric.
        clusters: as in `bootstrap`; None draws items.
        resamples: bootstrap samples.
        level: confidence level in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: no values, or not one cluster for each.
    """
    sums, sizes = _cluster_sums(values, clusters)
    scores = [float(sums[row].sum() / sizes[row].sum()) for row in _draws(len(sums), resamples, seed)]
    return _interval(float(sums.sum() / sizes.sum()), scores, level)


def compare(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two systems by their scores on the same items.

    The interval is the bootstrap of the mean difference. The p-value is that of the approximate randomisation test
    (Noreen 1989): in each of ``resamples`` rounds every cluster swaps the two systems with probability ½, and p is the
    share of rounds, counting the observed one, with a difference at least as large.

    Args:
        first: score of the first system on each item.
        second: score of the second system on the same items.
        clusters: items that are not independent of each other, as in `bootstrap`; None compares items.
        resamples: rounds of either; p cannot be below 1 / (resamples + 1).
        level: confidence level in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: no items, or different numbers of them.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores of one system and {len(second)} of the other")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    interval = bootstrap_mean(differences.tolist(), clusters, resamples=resamples, level=level, seed=seed)
    sums, _ = _cluster_sums(differences.tolist(), clusters)
    rng = np.random.default_rng(seed)
    # sums that are equal but for the order of adding must count as equal
    observed = abs(sums.sum()) - 1e-9 * float(np.abs(sums).sum())
    hits = sum(abs(float(sums @ (2 * rng.integers(0, 2, len(sums)) - 1))) >= observed for _ in range(resamples))
    return Comparison(interval, (hits + 1) / (resamples + 1))


def agreement(
    first: Sequence[float],
    second: Sequence[float],
    preferences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """How often a metric agrees with human preferences between two texts.

    Args:
        first: metric of the first text of each pair, higher being better.
        second: metric of the second text of each pair.
        preferences: positive where people prefer the first text, negative where the second; pairs with 0 are left out.
        clusters: pairs that belong together, such as those about the same recording; None treats all as independent.
        resamples: bootstrap samples.
        seed: of the draws.

    Raises:
        ValueError: different numbers of items, or no pair with a preference.
    """
    if not len(first) == len(second) == len(preferences):
        raise ValueError(f"{len(first)} and {len(second)} scores for {len(preferences)} preferences")
    voted = [i for i, vote in enumerate(preferences) if vote]
    signs = [np.sign(first[i] - second[i]) for i in voted]
    right = [float(0.5 + 0.5 * sign * np.sign(preferences[i])) for i, sign in zip(voted, signs, strict=True)]
    owners = None if clusters is None else [clusters[i] for i in voted]
    share = bootstrap_mean(right, owners, resamples=resamples, seed=seed)
    return Agreement(share, float(np.mean([sign == 0 for sign in signs])), len(voted))


def _groups(clusters: Sequence[Hashable]) -> list[list[int]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, cluster in enumerate(clusters):
        members[cluster].append(index)
    if len(members) >= _FEWEST_CLUSTERS:
        return list(members.values())
    return [[index] for index in range(len(clusters))]


def _draws(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rng.integers(0, groups, groups)


def _interval(value: float, scores: Sequence[float], level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _cluster_sums(
    values: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(values) or (clusters is not None and len(clusters) != len(values)):
        raise ValueError(f"{len(values)} values and {'no' if clusters is None else len(clusters)} clusters")
    array = np.asarray(values, dtype=np.float64)
    if clusters is None:
        return array, np.ones_like(array)
    groups = _groups(clusters)
    return np.array([array[group].sum() for group in groups]), np.array([float(len(group)) for group in groups])
