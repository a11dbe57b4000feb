"""Draws captions so that each depends on its recording and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncap.captioner.sampling import Sampling

__all__ = ["Draws"]

_LIKELIEST = 256


class Draws:
    """Chooses tokens by drawing from the model's distribution: a `aligncap.model.decoding.Chooser`.

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
        self._sources = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._chances: list[list[float]] = [[] for _ in seeds]

    def __call__(self, scores: torch.Tensor, rows: Sequence[int], places: Sequence[int]) -> torch.Tensor:
        """Draw N tokens by their (N, vocabulary) scores; those behind the opening are the likeliest."""
        chosen = scores.argmax(-1)
        opening = self._sampling.opening
        drawn = [at for at, place in enumerate(places) if opening is None or place < opening]
        if drawn:
            chance = torch.tensor([[self._chance(rows[at], places[at])] for at in drawn], device=scores.device)
            sampling = self._sampling
            chosen[drawn] = _drawn(scores[drawn].float() / sampling.temperature, chance, sampling.top_p)
        return chosen

    def _chance(self, row: int, place: int) -> float:
        """Uniform in [0, 1): always the same for a place."""
        known = self._chances[row]
        while len(known) <= place:
            known.append(float(torch.rand(1, generator=self._sources[row])))
        return known[place]


def _drawn(scores: torch.Tensor, chance: torch.Tensor, top_p: float) -> torch.Tensor:
    """One token each from the nucleus of (N, vocabulary) scores, by (N, 1) numbers in [0, 1).

    The nucleus are the likeliest tokens that together have the probability ``top_p`` (Holtzman et al. 2020, "The
    Curious Case of Neural Text Degeneration"). It is small, and found without sorting the vocabulary.
    """
    whole = scores.logsumexp(-1, keepdim=True)
    for count in (min(_LIKELIEST, scores.shape[1]), scores.shape[1]):  # all, only where that is not enough
        likeliest, places = scores.topk(count)
        shares = (likeliest - whole).exp()
        kept = shares.cumsum(-1) - shares < top_p
        if not bool(kept[:, -1].any()):
            break
    below = (shares * kept).cumsum(-1)
    rank = torch.searchsorted(below, chance * below[:, -1:], right=True)
    return places.gather(1, torch.minimum(rank, kept.sum(-1, keepdim=True) - 1)).squeeze(1)


def _seed(seed: int, copy: int, clip: NDArray[np.float32]) -> int:
    """Of what rounding leaves alone, so that a recording has the same captions in any lossless format."""
    peak = int(np.abs(clip).argmax())
    digest = hashlib.sha256(f"{seed}/{copy}/{len(clip)}/{peak}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
