"""Draws captions so that each depends on its recording and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncap.captioner.sampling import Sampling

__all__ = ["Draws"]

_DEPTHS = (1e-3, 1e-6, 0.0)  # of the likeliest token's probability; deeper only where the draw may fall there


class Draws:
    """Chooses tokens by drawing from the model's distribution: choices of tokens for decoding.

    PyTorch's own sampling draws for a whole batch from one global state, so that a caption would depend on
    the other clips of its batch. Here each row has its own source of chance, and nothing global is touched: a token
    depends on its scores, its row's clip and its place in the response.

    Args:
        sampling: temperature, nucleus, opening, seed.
        clips: (T,) samples of each clip.
        copies: captions of each clip; the rows of one clip lie side by side.
    """

    def __init__(self, sampling: Sampling, clips: Sequence[NDArray[np.float32]], copies: int = 1) -> None:
        self._sampling = sampling
        seeds = [_seed(sampling.seed, copy, clip) for clip in clips for copy in range(copies)]
        self._sources = [np.random.RandomState(seed & 0xFFFFFFFF) for seed in seeds]
        self._chances: list[list[float]] = [[] for _ in seeds]

    def __call__(self, scores: NDArray[np.float32], rows: Sequence[int], places: Sequence[int]) -> NDArray[np.int64]:
        """Draw N tokens by their (N, vocabulary) scores; those behind the opening are the likeliest.

        Args:
            scores: of the model.
            rows: which row each is of.
            places: of each token in its response.
        """
        chosen = scores.argmax(-1)
        opening, sampling = self._sampling.opening, self._sampling
        for at, (row, place) in enumerate(zip(rows, places, strict=True)):
            if opening is None or place < opening:
                chosen[at] = _drawn(scores[at] / sampling.temperature, self._chance(row, place), sampling.top_p)
        return np.asarray(chosen)

    def _chance(self, row: int, place: int) -> float:
        """Uniform in [0, 1): always the same for a place; what PyTorch's generator would draw from the seed."""
        known = self._chances[row]
        while len(known) <= place:
            known.append((int(self._sources[row].randint(0, 2**32, dtype=np.uint32)) & 0xFFFFFF) / 2**24)
        return known[place]


def _drawn(scores: NDArray[np.float32], chance: float, top_p: float) -> int:
    """A token from the nucleus of (vocabulary,) scores, by a number in [0, 1).

    The nucleus are the likeliest tokens that together have the probability ``top_p`` (Holtzman et al. 2020, "The
    Curious Case of Neural Text Degeneration"). It is small, and found without sorting the vocabulary.
    """
    likely = np.exp(scores - scores.max())
    whole = likely.sum(dtype=np.float64)
    for least in _DEPTHS:
        places = np.flatnonzero(likely >= least)
        places = places[np.lexsort((places, -likely[places]))]
        shares = likely[places].astype(np.float64) / whole
        kept = shares.cumsum() - shares < top_p
        below = (shares * kept).cumsum()
        mass = 1.0 if top_p >= 1 else below[-1]  # of the nucleus
        if not kept[-1] or (top_p >= 1 and chance < below[-1]):
            break
    rank = int(np.searchsorted(below, chance * mass, side="right"))
    return int(places[min(rank, int(kept.sum()) - 1)])


def _seed(seed: int, copy: int, clip: NDArray[np.float32]) -> int:
    """Of what rounding leaves alone, so that a recording has the same captions in any lossless format."""
    peak = int(np.abs(clip).argmax())
    digest = hashlib.sha256(f"{seed}/{copy}/{len(clip)}/{peak}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
