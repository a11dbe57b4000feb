"""Draws captions so that each depends on its recording and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncap.captioner.sampling import Sampling

__all__ = ["drawing"]

_LIKELIEST = 256


def drawing(sampling: Sampling, clips: Sequence[NDArray[np.float32]], copies: int) -> LogitsProcessorList:
    """Make greedy decoding draw from the model's distribution.

    PyTorch's own sampling draws for a whole batch from one global state, so that a caption would depend on
    the other clips of its batch. Here each row has its own source of chance, and nothing global is touched.

    Args:
        sampling: temperature, nucleus, seed.
        clips: (T,) samples of each clip.
        copies: captions of each clip; the rows of one clip lie side by side.
    """
    sources = [
        torch.Generator().manual_seed(_seed(sampling.seed, copy, clip)) for clip in clips for copy in range(copies)
    ]
    return LogitsProcessorList([_Draw(float(sampling.temperature), float(sampling.top_p), sampling.opening, sources)])


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws a token of each row from its nucleus, and leaves no other to choose.

    The nucleus are the likeliest tokens that together have the probability ``top_p`` (Holtzman et al. 2020, "The
    Curious Case of Neural Text Degeneration"). It is small, and found without sorting the vocabulary.
    """

    def __init__(
        self, temperature: float, top_p: float, opening: int | None, sources: Sequence[torch.Generator]
    ) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.left = opening
        self.sources = sources

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Put minus infinity in the place of all but the drawn ones of (rows, vocabulary) scores."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return scores
        scores = scores.float() / self.temperature
        whole = scores.logsumexp(-1, keepdim=True)
        for count in (min(_LIKELIEST, scores.shape[1]), scores.shape[1]):  # all, only where that is not enough
            likeliest, places = scores.topk(count)
            shares = (likeliest - whole).exp()
            kept = shares.cumsum(-1) - shares < self.top_p
            if not bool(kept[:, -1].any()):
                break
        below = (shares * kept).cumsum(-1)
        chance = torch.stack([torch.rand(1, generator=source) for source in self.sources]).to(scores.device)
        rank = torch.searchsorted(below, chance * below[:, -1:], right=True)
        drawn = places.gather(1, torch.minimum(rank, kept.sum(-1, keepdim=True) - 1))
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


def _seed(seed: int, copy: int, clip: NDArray[np.float32]) -> int:
    """Of what rounding leaves alone, so that a recording has the same captions in any lossless format."""
    peak = int(np.abs(clip).argmax())
    digest = hashlib.sha256(f"{seed}/{copy}/{len(clip)}/{peak}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
