"""Sentence similarity from embeddings; `aligncap.evaluation.sentence_encoder` makes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aligncap.metrics.score import Score

__all__ = ["similarity"]


def similarity(candidates: NDArray[np.floating], references: Sequence[NDArray[np.floating]]) -> Score:
    """Mean cosine of a caption and its references, in [-1, 1], higher being better; the corpus score is the mean.

    Args:
        candidates: (captions, dimensions) embeddings.
        references: (references, dimensions) embeddings of each caption's references, at least one each.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
    """
    if not len(candidates) or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} captions and references of {len(references)}")
    if not all(len(several) for several in references):
        raise ValueError("every caption needs a reference")
    owner = np.repeat(np.arange(len(candidates)), [len(several) for several in references])
    cosines = (_unit(candidates)[owner] * _unit(np.concatenate(list(references)))).sum(1)
    scores = np.bincount(owner, cosines) / np.bincount(owner)
    return Score(float(scores.mean()), tuple(scores.tolist()))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    double = np.asarray(vectors, dtype=np.float64)
    unit: NDArray[np.float64] = double / np.maximum(np.linalg.norm(double, axis=1, keepdims=True), 1e-12)
    return unit
