"""BLEU-1 … BLEU-4 (Papineni et al. 2002), as the captioning literature computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligncap.metrics.ngrams import Integers, Pairs, count_pairs, find
from aligncap.metrics.score import Score, check_pairs

__all__ = ["BleuCounts", "bleu", "bleu_counts", "score_counts"]

# what coco-caption adds so that nothing is divided by zero
_TINY, _SMALL = 1e-15, 1e-9


@dataclass(frozen=True)
class BleuCounts:
    """What BLEU is made of; sums over captions give the BLEU of any sample of them.

    Attributes:
        matches: (captions, 4) n-grams that occur in a reference, each at most as often as in one reference.
        totals: (captions, 4) n-grams of the caption.
        lengths: (captions,) words of the caption.
        closest: (captions,) words of the reference nearest in length.
    """

    matches: Integers
    totals: Integers
    lengths: Integers
    closest: Integers

    def corpus(self, rows: Sequence[int] | None = None) -> tuple[float, float, float, float]:
        """BLEU-1 … BLEU-4 of all captions or, for a bootstrap, of the given rows."""
        chosen = slice(None) if rows is None else np.asarray(rows, dtype=np.int64)
        pooled = score_counts(
            self.matches[chosen].sum(0, keepdims=True),
            self.totals[chosen].sum(0, keepdims=True),
            self.lengths[chosen].sum(keepdims=True),
            self.closest[chosen].sum(keepdims=True),
        )[0]
        return float(pooled[0]), float(pooled[1]), float(pooled[2]), float(pooled[3])


def bleu(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, pairs: Pairs | None = None
) -> tuple[Score, Score, Score, Score]:
    """BLEU-1 … BLEU-4, each in [0, 1], higher being better.

    The geometric mean of clipped n-gram precisions, times exp(1 − r/c) where the captions' c words are fewer than the r
    words of the nearest references (equations 2 and 3 of the paper). The corpus score pools the counts of all
    captions. A caption without a common n-gram scores, as in coco-caption, about 1e-4 rather than 0.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).
        references: tokenised references of each caption, at least one.
        pairs: their n-grams, where `count_pairs` has counted them already.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
    """
    counts = bleu_counts(candidates, references, pairs=pairs)
    each = score_counts(counts.matches, counts.totals, counts.lengths, counts.closest)
    one, two, three, four = (Score(whole, tuple(each[:, k].tolist())) for k, whole in enumerate(counts.corpus()))
    return one, two, three, four


def bleu_counts(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, pairs: Pairs | None = None
) -> BleuCounts:
    """The counts that BLEU is made of; arguments and errors as for `bleu`."""
    check_pairs(candidates, references)
    pairs = pairs or count_pairs(candidates, references)
    matches = np.stack([_clipped(pairs, order) for order in range(4)], axis=1)
    totals = np.maximum(pairs.candidate_lengths[:, None] - np.arange(4), 0)
    return BleuCounts(matches, totals, pairs.candidate_lengths, pairs.closest_lengths())


def score_counts(matches: Integers, totals: Integers, lengths: Integers, closest: Integers) -> NDArray[np.float64]:
    """(rows, 4) BLEU-1 … BLEU-4 from counts as in `BleuCounts`, with coco-caption's small constants."""
    precision = np.cumprod((matches + _TINY) / (totals + _SMALL), axis=1)
    ratio = (lengths + _TINY) / (closest + _SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    scores: NDArray[np.float64] = precision ** (1 / np.arange(1, 5)) * brevity[:, None]
    return scores


def _clipped(pairs: Pairs, order: int) -> Integers:
    """(captions,) matched n-grams: of each no more than the reference has that holds most of it."""
    candidate, reference = pairs.candidates[order], pairs.references[order]
    keys, place = np.unique(pairs.owner[reference.text] * reference.kinds + reference.gram, return_inverse=True)
    most = np.zeros(keys.size, dtype=np.int64)
    np.maximum.at(most, place, reference.count)
    where, known = find(keys, candidate.text * candidate.kinds + candidate.gram)
    clipped = np.zeros_like(candidate.count)
    clipped[known] = np.minimum(candidate.count[known], most[where[known]])
    return np.bincount(candidate.text, clipped, len(pairs.candidate_lengths)).astype(np.int64)
