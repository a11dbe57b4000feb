r"""Contrast: a clip's speech lies nearer to its own caption than to captions of other emotions.

With B clips, :math:`\hat s_i` the speech and :math:`\hat t_i` the caption of clip i at unit length, :math:`\tau` the
temperature, and :math:`N_i` the clips of the batch that clip i is told apart from, i itself among them,

.. math::
    \ell = -\frac{1}{2B} \sum_i \left(
        \log \frac{e^{\hat s_i \cdot \hat t_i / \tau}}{\sum_{j \in N_i} e^{\hat s_i \cdot \hat t_j / \tau}} +
        \log \frac{e^{\hat s_i \cdot \hat t_i / \tau}}{\sum_{j \in N_i} e^{\hat s_j \cdot \hat t_i / \tau}}
    \right)

Contrasting speech with captions is from SECap (Xu et al. 2024, arXiv 2312.10381). This form of it is ours: InfoNCE (van
den Oord et al. 2018, arXiv 1807.03748) within a batch and in both directions, as in CLIP (Radford et al. 2021, arXiv
2103.00020). Several clips of a batch have the same emotion, and captions that fit each other's speech: such pairs
are left out of N.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from aligncap.objectives.tokens import as_float

__all__ = ["speech_text_contrast"]


def speech_text_contrast(speech: Tensor, text: Tensor, temperature: float = 0.1, same: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between clips and their captions, in nats.

    The loss depends on who else is in the batch: it is not a sum over clips, and splitting a batch changes it.

    Args:
        speech: (B, width), one vector a clip, of any floating type; computed in float32 at least.
        text: (B, width), one vector for each clip's caption, in the same space. Lengths of vectors play no part.
        temperature: what the cosines are divided by; above 0. The smaller, the more the nearest others count.
        same: (B, B) bool, true where two clips are not to be told apart, for instance as their label is the same;
            a clip and its own caption are a pair whatever the diagonal says. None: all are told apart.

    Returns:
        The mean over the clips and both directions, at least 0; 0 where nothing is told apart, as with one clip.

    Raises:
        ValueError: shapes that do not fit, no clips, or a temperature that is not above 0.
    """
    if speech.dim() != 2 or speech.shape != text.shape or not len(speech):
        raise ValueError(f"speech {tuple(speech.shape)} and text {tuple(text.shape)} are not one vector each a clip")
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature is {temperature}; it must be above 0")
    own = torch.eye(len(speech), dtype=torch.bool, device=speech.device)
    logits = normalize(as_float(speech), dim=-1) @ normalize(as_float(text), dim=-1).T / temperature
    if same is not None:
        if same.shape != own.shape:
            raise ValueError(f"same {tuple(same.shape)} does not fit {len(own)} clips")
        logits = logits.masked_fill(same & ~own, -math.inf)
    right = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2
