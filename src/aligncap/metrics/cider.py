"""CIDEr and CIDEr-D (Vedantam et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aligncap.metrics.ngrams import Counts, Integers, Pairs, count_pairs, find
from aligncap.metrics.score import Score, check_pairs

__all__ = ["cider", "cider_d"]

_SIGMA = 6.0


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]], *, pairs: Pairs | None = None) -> Score:
    """CIDEr-D in [0, 10], higher being better: what the literature calls CIDEr and coco-caption computes.

    Cosine of tf-idf vectors of n-grams, a caption's weights clipped to the reference's, times a Gaussian (σ = 6) of the
    difference in length; the mean over n = 1 … 4 and over references, times 10 (equation 3 of the paper). Inverse
    document frequencies come from the given references: a score depends on the whole set of them, and is 0 for
    fewer than two captions.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).
        references: tokenised references of each caption, at least one.
        pairs: their n-grams, where `count_pairs` has counted them already.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
    """
    check_pairs(candidates, references)
    return _cider(pairs or count_pairs(candidates, references), clip=True)


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]], *, pairs: Pairs | None = None) -> Score:
    """CIDEr without clipping and without length penalty, in [0, 10] (equation 2 of the paper, times 10).

    Unlike the paper's, words are not stemmed (nor are they in its authors' program). Arguments and errors as for
    `cider_d`.
    """
    check_pairs(candidates, references)
    return _cider(pairs or count_pairs(candidates, references), clip=False)


def _cider(pairs: Pairs, *, clip: bool) -> Score:
    captions = len(pairs.candidate_lengths)
    total = np.zeros(captions)
    for candidate, reference in zip(pairs.candidates, pairs.references, strict=True):
        rarity = _rarity(reference, pairs, captions)
        weight, ref_weight = candidate.count * rarity[candidate.gram], reference.count * rarity[reference.gram]
        norm = np.sqrt(_sums(candidate.text, weight**2, captions))
        ref_norm = np.sqrt(_sums(reference.text, ref_weight**2, len(pairs.owner)))
        # the caption's weight of every n-gram of its references
        where, known = find(
            candidate.text * candidate.kinds + candidate.gram,
            pairs.owner[reference.text] * reference.kinds + reference.gram,
        )
        paired = np.zeros_like(ref_weight)
        paired[known] = weight[where[known]]
        if clip:
            paired = np.minimum(paired, ref_weight)
        dot = _sums(reference.text, paired * ref_weight, len(pairs.owner))
        norms = norm[pairs.owner] * ref_norm
        similarity = np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0)
        if clip:
            similarity *= _length_penalty(pairs)
        total += np.bincount(pairs.owner, similarity, captions)
    scores = 10 * total / len(pairs.candidates) / np.bincount(pairs.owner, minlength=captions)
    return Score(float(scores.mean()), tuple(scores.tolist()))


def _rarity(reference: Counts, pairs: Pairs, captions: int) -> NDArray[np.float64]:
    """(kinds,) log of captions over those captions of which a reference holds the n-gram."""
    held = np.unique(pairs.owner[reference.text] * reference.kinds + reference.gram)
    frequency = np.bincount(held % max(reference.kinds, 1), minlength=reference.kinds)
    rarity: NDArray[np.float64] = np.log(captions) - np.log(np.maximum(frequency, 1))
    return rarity


def _sums(index: Integers, values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(size,) sums of the values of each index; numpy's own count gives integers where there are none."""
    return np.bincount(index, values, size).astype(np.float64)


def _length_penalty(pairs: Pairs) -> NDArray[np.float64]:
    # coco-caption takes for a text's length the number of its bigrams
    bigrams = np.maximum(pairs.candidate_lengths - 1, 0)[pairs.owner]
    difference = bigrams - np.maximum(pairs.reference_lengths - 1, 0)
    penalty: NDArray[np.float64] = np.exp(-(difference**2) / (2 * _SIGMA**2))
    return penalty
