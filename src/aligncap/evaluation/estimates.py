"""Bootstrap intervals of scores that are functions of sums over clips; all resamples at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligncap.metrics.statistics import Interval

__all__ = ["Draws", "Quantity", "mean_interval", "mean_of"]

_FEWEST_CLUSTERS = 5  # as aligncap.metrics.bootstrap
_CHUNK = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """A score of one system, for any set of clips.

    Attributes:
        name: of the metric.
        index: (clips,) which rows it is known for, rising.
        counts: (clips, k) what each of these adds to the sums.
        score: from (samples, k) sums to (samples,) scores.
        each: (clips,) the score of every clip, where there is such a thing; else empty. Means of these are compared
            between systems.
        whole: the score of a set, given as positions in `index`, where it is no function of the sums. The interval is
            then that of the mean of `each`, moved to lie around it, or missing where `each` is empty.
    """

    name: str
    index: NDArray[np.int64]
    counts: Floats
    score: Callable[[Floats], Floats]
    each: Floats
    whole: Callable[[list[int]], float] | None = None


def mean_of(name: str, index: Sequence[int], values: Sequence[float]) -> Quantity:
    """The mean of a value that every clip has."""
    each = np.asarray(values, dtype=np.float64)
    counts = np.stack([each, np.ones_like(each)], axis=1)
    return Quantity(name, np.asarray(index, dtype=np.int64), counts, lambda sums: sums[:, 0] / sums[:, 1], each)


class Draws:
    """Which clips the resamples hold: the same draws as those of `aligncap.metrics.bootstrap`.

    Args:
        clusters: of each clip, such as its speaker; with fewer than five, clips are drawn instead.
        resamples: bootstrap samples.
        seed: of the draws.
    """

    def __init__(self, clusters: Sequence[Hashable], *, resamples: int = 1000, seed: int = 0) -> None:
        names = dict.fromkeys(clusters)
        self.clustered = len(names) >= _FEWEST_CLUSTERS
        """Whether clusters were drawn, and not clips."""
        places = {name: index for index, name in enumerate(names)}
        self._owner = np.array([places[name] for name in clusters] if self.clustered else range(len(clusters)))
        self._size = len(names) if self.clustered else len(clusters)
        self._seed = seed
        rng = np.random.default_rng(seed)
        drawn = (rng.integers(0, self._size, self._size) for _ in range(resamples))
        # 8 bits are enough: a cluster is never drawn 256 times
        self._times = np.stack([np.bincount(row, minlength=self._size).astype(np.uint8) for row in drawn])

    def interval(self, counts: Floats, score: Callable[[Floats], Floats], level: float = 0.95) -> Interval:
        """The score of all clips, and its percentile interval (Efron 1979).

        Args:
            counts: (clips, k) what each clip adds to the sums.
            score: from (samples, k) sums to (samples,) scores.
            level: confidence level in (0, 1).
        """
        return self.intervals(counts, lambda sums: score(sums)[:, None], level)[0]

    def intervals(self, counts: Floats, scores: Callable[[Floats], Floats], level: float = 0.95) -> list[Interval]:
        """Several scores of the same sums, each as by `interval`.

        Args:
            counts: (clips, k) what each clip adds to the sums.
            scores: from (samples, k) sums to (samples, m) scores; NaN where a sample has no such score. Such samples
                count for nothing; the interval of a score that all clips together lack is NaN.
            level: confidence level in (0, 1).

        Returns:
            m intervals.
        """
        sums = self._sums(counts)
        parts = [
            scores(self._times[start : start + _CHUNK].astype(np.float64) @ sums)
            for start in range(0, len(self._times), _CHUNK)
        ]
        drawn, whole = np.concatenate(parts), scores(counts.sum(0, keepdims=True))[0]
        drawn[:, np.isnan(whole)] = 0.0
        bounds = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        bounds[:, np.isnan(whole)] = np.nan
        return [Interval(*map(float, found)) for found in zip(whole, *bounds, strict=True)]

    def exchangeable(self, differences: Floats, *, rounds: int = 10_000) -> Floats:
        """Two-sided p of the hypothesis that two systems are exchangeable: the test of `aligncap.metrics.compare`.

        Args:
            differences: (clips, k) scores of one system less those of the other.
            rounds: in each, every cluster swaps the systems with probability ½.

        Returns:
            (k,) p-values in (0, 1].
        """
        sums = self._sums(differences)
        # sums that are equal but for the order of adding must count as equal
        observed = np.abs(sums.sum(0)) - 1e-9 * np.abs(sums).sum(0)
        rng = np.random.default_rng(self._seed)
        hits = np.zeros(sums.shape[1])
        for start in range(0, rounds, _CHUNK):
            signs = 2.0 * rng.integers(0, 2, (min(_CHUNK, rounds - start), self._size)) - 1
            hits += (np.abs(signs @ sums) >= observed).sum(0)
        p: Floats = (hits + 1) / (rounds + 1)
        return p

    def _sums(self, counts: Floats) -> Floats:
        """(clusters, k) sums over the clips of each cluster."""
        return np.stack([np.bincount(self._owner, column, self._size) for column in counts.T], axis=1)


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """The mean of independent scores, of one corpus each: the half-widths add in squares."""
    value = float(np.mean([interval.value for interval in intervals]))
    below = float(np.sqrt(np.sum([(interval.value - interval.low) ** 2 for interval in intervals]))) / len(intervals)
    above = float(np.sqrt(np.sum([(interval.high - interval.value) ** 2 for interval in intervals]))) / len(intervals)
    return Interval(value, value - below, value + above)
