"""ROUGE-L (Lin 2004)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from aligncap.metrics.score import Score, check_pairs

__all__ = ["common_subsequence", "rouge_l"]


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]], *, beta: float = 1.2) -> Score:
    """ROUGE-L in [0, 1], higher being better.

    F = (1 + β²)PR / (R + β²P), P and R being the longest common subsequence over the words of the caption and of the
    reference. With several references, P and R are each the largest of them, as in coco-caption. The corpus score is
    the mean.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).
        references: tokenised references of each caption, at least one.
        beta: how much more recall weighs than precision; 1.2 in coco-caption, 1 in the package rouge-score.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
    """
    check_pairs(candidates, references)
    scores = []
    for candidate, several in zip(candidates, references, strict=True):
        words = candidate.split()
        precision = recall = 0.0
        for reference in several:
            others = reference.split()
            common = common_subsequence(words, others)
            if common:
                precision, recall = max(precision, common / len(words)), max(recall, common / len(others))
        weighted = recall + beta**2 * precision
        scores.append((1 + beta**2) * precision * recall / weighted if weighted else 0.0)
    return Score(sum(scores) / len(scores), tuple(scores))


def common_subsequence(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, by the bit-parallel recurrence of Hyyrö (2004)."""
    if len(first) < len(second):
        first, second = second, first
    wanted = set(second)
    places = dict.fromkeys(wanted, 0)
    for index, word in enumerate(first):
        if word in wanted:
            places[word] |= 1 << index
    full = (1 << len(first)) - 1
    rows = full
    for word in second:
        matched = rows & places[word]
        rows = ((rows + matched) | (rows - matched)) & full
    return len(first) - rows.bit_count()
