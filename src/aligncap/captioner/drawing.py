"""Draws captions so that each depends on its recording and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
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
    return LogitsProcessorList(
        [
            TemperatureLogitsWarper(float(sampling.temperature)),
            _Nucleus(float(sampling.top_p)),
            _GumbelNoise(sources),
        ]
    )


class _Nucleus(LogitsProcessor):  # type: ignore[misc]
    """Keeps the likeliest tokens that together have the probability ``top_p``, without sorting the vocabulary."""

    def __init__(self, top_p: float) -> None:
        self.top_p = top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Put minus infinity in the place of all others in (rows, vocabulary) scores."""
        whole = scores.logsumexp(-1, keepdim=True)
        for count in (min(_LIKELIEST, scores.shape[1]), scores.shape[1]):  # all, only where that is not enough
            likeliest, places = scores.topk(count)
            shares = (likeliest - whole).exp()
            kept = shares.cumsum(-1) - shares < self.top_p
            if not bool(kept[:, -1].any()):
                break
        return torch.full_like(scores, -torch.inf).scatter(1, places, likeliest.masked_fill(~kept, -torch.inf))


class _GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """The largest of log-probabilities with Gumbel noise is a draw from the distribution."""

    def __init__(self, sources: Sequence[torch.Generator]) -> None:
        self.sources = sources

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Add noise to (rows, vocabulary) scores."""
        noise = torch.stack([torch.empty(scores.shape[1]).exponential_(generator=source) for source in self.sources])
        return scores.float() - noise.clamp(min=1e-30).log().to(scores.device)


def _seed(seed: int, copy: int, clip: NDArray[np.float32]) -> int:
    digest = hashlib.sha256(f"{seed}/{copy}/".encode() + clip.tobytes()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
