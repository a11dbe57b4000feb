"""Losses on class labels."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["set_cross_entropy"]


def set_cross_entropy(logits: Tensor, targets: Tensor, allowed: Tensor) -> Tensor:
    r"""Cross-entropy for labels that name a set of classes, chosen among a subset of all classes.

    .. math:: \ell = -\log \frac{\sum_{c \in T} e^{z_c}}{\sum_{c \in A} e^{z_c}}, \qquad T \subseteq A

    With one class in T and all classes in A this is the ordinary cross-entropy. T with several classes is the
    maximum marginal likelihood of partial labels (Cour et al. 2011); A smaller than all classes is the
    softmax restricted to the labels that a corpus uses at all, so that mixed corpora do not teach that what
    one of them never labels does not occur in it.

    Args:
        logits: (batch, classes).
        targets: (batch, classes) bool, T; each row has at least one true.
        allowed: (batch, classes) bool, A; contains T.

    Returns:
        (batch,) losses, at least 0.

    Raises:
        ValueError: an empty T, or a T outside A.
    """
    if not bool(targets.any(-1).all()) or bool((targets & ~allowed).any()):
        raise ValueError("every row needs a target, and targets must be allowed")
    lowest = torch.finfo(logits.dtype).min
    among = logits.masked_fill(~allowed, lowest).logsumexp(-1)
    named = logits.masked_fill(~targets, lowest).logsumexp(-1)
    return among - named
