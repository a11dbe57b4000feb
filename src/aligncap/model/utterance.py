"""One vector for a whole clip: what a linear probe would read, made robust to speaker and recording."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["UtteranceSummary", "tap_means"]


def tap_means(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over a clip's own frames of every tapped layer.

    Args:
        states: (batch, frames, taps, width).
        mask: (batch, frames) bool.

    Returns:
        (batch, taps * width)
    """
    weight = mask[..., None, None].to(states.dtype)
    return ((states * weight).sum(1) / weight.sum(1).clamp(min=1)).flatten(1)


class UtteranceSummary(nn.Module):
    """Standardises the tap means and damps the directions in which speakers and recordings differ.

    A speaker's mean over all their clips carries the voice, the microphone and the room, and little emotion.
    The covariance S of those means over the training speakers says in which directions they move a summary. A
    direction with variance s² is scaled by 1 / sqrt(1 + strength · s²): a soft within-class covariance
    normalisation (Hatch et al. 2006) with the speaker as the nuisance.

    The statistics are estimated once, by `fit`, and kept as buffers.
    """

    mean: Tensor
    deviation: Tensor
    directions: Tensor
    damping: Tensor

    def __init__(self, size: int, rank: int = 0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("directions", torch.zeros(rank, size))
        self.register_buffer("damping", torch.zeros(rank))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(batch, frames, taps, width) and (batch, frames) to (batch, taps * width) of about unit scale."""
        return self.normalise(tap_means(states, mask))

    def normalise(self, means: Tensor) -> Tensor:
        """The same for tap means computed earlier."""
        x = (means - self.mean) / self.deviation
        return x - ((x @ self.directions.T) * self.damping) @ self.directions

    def fit(self, means: Tensor, speakers: list[str], strength: float, min_clips: int = 8) -> None:
        """Estimate the statistics.

        Args:
            means: (clips, taps * width) of the training clips.
            speakers: the speaker of each clip; those with fewer than ``min_clips`` are left out of S. Where
                none has as many, nothing is damped.
            strength: how strongly the directions are damped; 0: not at all.
            min_clips: clips that a speaker's mean needs.
        """
        self.mean = means.mean(0)
        self.deviation = means.std(0) + 1e-4
        x = (means - self.mean) / self.deviation
        rows: dict[str, list[int]] = {}
        for row, speaker in enumerate(speakers):
            rows.setdefault(speaker, []).append(row)
        rank = len(self.damping)
        self.directions = x.new_zeros(rank, x.shape[1])
        self.damping = x.new_zeros(rank)
        speaker_means = [x[index].mean(0) for index in rows.values() if len(index) >= min_clips]
        if not speaker_means:
            return
        centres = torch.stack(speaker_means)
        centres = (centres - centres.mean(0)) / len(centres) ** 0.5
        _, scale, directions = torch.linalg.svd(centres, full_matrices=False)
        kept = torch.arange(min(rank, len(scale)))
        self.directions[kept] = directions[kept]
        self.damping[kept] = 1 - (1 + strength * scale[kept] ** 2).rsqrt()
