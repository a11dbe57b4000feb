"""How varied a set of captions is, and how long. References are used for one ratio only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aligncap.metrics.bleu import score_counts
from aligncap.metrics.ngrams import Counts, Integers, count_ngrams
from aligncap.metrics.score import Score, check_pairs

__all__ = ["diversity", "length_ratio", "self_bleu", "words"]


def diversity(candidates: Sequence[str]) -> dict[str, Score]:
    """Metrics of a set of captions, by name.

    * ``distinct1``, ``distinct2`` in [0, 1]: different n-grams over all n-grams of the set (Li et al. 2016). They fall
      as the set grows: compare sets of the same size only.
    * ``vocabulary``: number of different words.
    * ``unique`` in [0, 1]: different captions over captions.
    * ``self_bleu`` in [0, 1], lower being more varied: see `self_bleu`.
    * ``repetition`` in [0, 1]: share of a caption's 4-grams that repeat an earlier one of the same caption (seq-rep-4,
      Welleck et al. 2020), 0 for captions of fewer than four words; large where a model loops.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).

    Raises:
        ValueError: no captions.
    """
    if not candidates:
        raise ValueError("no captions")
    counts, _ = count_ngrams(candidates)
    different = len({" ".join(text.split()) for text in candidates})
    total, kinds = _per_text(counts[3], len(candidates))
    repeated = np.divide(total - kinds, total, out=np.zeros(len(candidates)), where=total > 0)
    return {
        "distinct1": Score(_distinct(counts[0])),
        "distinct2": Score(_distinct(counts[1])),
        "vocabulary": Score(float(counts[0].kinds)),
        "unique": Score(different / len(candidates)),
        "self_bleu": self_bleu(candidates),
        "repetition": Score(float(repeated.mean()), tuple(repeated.tolist())),
    }


def self_bleu(candidates: Sequence[str]) -> Score:
    """Mean BLEU-4 of each caption with all the others as its references (Zhu et al. 2018), in [0, 1].

    Exact and linear in the number of captions: what the others hold of an n-gram at most is its largest count in the
    set, or the second largest for the caption that has the largest.

    Raises:
        ValueError: no captions. One caption alone scores 0.
    """
    if not candidates:
        raise ValueError("no captions")
    if len(candidates) == 1:
        return Score(0.0, (0.0,))
    counts, lengths = count_ngrams(candidates)
    matches = np.stack([_matched_elsewhere(of, len(candidates)) for of in counts], axis=1)
    totals = np.maximum(lengths[:, None] - np.arange(4), 0)
    scores = score_counts(matches, totals, lengths, _closest_other(lengths))[:, 3]
    return Score(float(scores.mean()), tuple(scores.tolist()))


def words(candidates: Sequence[str]) -> Score:
    """Words of each caption, and their mean."""
    lengths = [float(len(text.split())) for text in candidates]
    if not lengths:
        raise ValueError("no captions")
    return Score(sum(lengths) / len(lengths), tuple(lengths))


def length_ratio(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Words of captions over words of the nearest reference; the corpus score is the ratio of the sums.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
    """
    check_pairs(candidates, references)
    lengths, nearest = [], []
    for candidate, several in zip(candidates, references, strict=True):
        length = len(candidate.split())
        lengths.append(length)
        nearest.append(min((abs(len(r.split()) - length), len(r.split())) for r in several)[1])
    each = tuple(length / max(near, 1) for length, near in zip(lengths, nearest, strict=True))
    return Score(sum(lengths) / max(sum(nearest), 1), each)


def _distinct(counts: Counts) -> float:
    return counts.kinds / int(counts.count.sum()) if counts.kinds else 0.0


def _per_text(counts: Counts, texts: int) -> tuple[Integers, Integers]:
    """N-grams and different n-grams of each text."""
    total = np.bincount(counts.text, counts.count, texts).astype(np.int64)
    return total, np.bincount(counts.text, minlength=texts)


def _matched_elsewhere(counts: Counts, texts: int) -> Integers:
    """(texts,) n-grams of each text that another text has too, each at most as often as there."""
    if not counts.kinds:
        return np.zeros(texts, dtype=np.int64)
    order = np.lexsort((counts.count, counts.gram))
    gram, count = counts.gram[order], counts.count[order]
    last = np.flatnonzero(np.diff(gram, append=-1))  # the row of each n-gram with its largest count
    before = np.maximum(last - 1, 0)
    second = np.where((last > 0) & (gram[before] == gram[last]), count[before], 0)
    most = count[last][counts.gram]
    owner = np.zeros(len(order), dtype=bool)
    owner[order[last]] = True
    clipped = np.minimum(counts.count, np.where(owner, second[counts.gram], most))
    return np.bincount(counts.text, clipped, texts).astype(np.int64)


def _closest_other(lengths: Integers) -> Integers:
    """(texts,) the nearest length among the other texts; of two equally near, the shorter."""
    order = np.argsort(lengths, kind="stable")
    ranked = lengths[order]
    below = np.concatenate([[-(10**12)], ranked[:-1]])
    above = np.concatenate([ranked[1:], [10**12]])
    nearest = np.empty_like(lengths)
    nearest[order] = np.where(ranked - below <= above - ranked, below, above)
    return nearest
