"""Counting n-grams of many texts at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "Integers", "Pairs", "count_ngrams", "count_pairs", "find"]

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """How often each text holds each n-gram of one order; rows are sorted by text, then by n-gram.

    Attributes:
        text: index of the text.
        gram: number of the n-gram, the same in all texts.
        count: occurrences, at least 1.
        kinds: how many different n-grams there are; ``gram`` is below it.
    """

    text: Integers
    gram: Integers
    count: Integers
    kinds: int

    def of(self, first: int, last: int) -> Counts:
        """The rows of texts ``first`` … ``last - 1``, renumbered from 0."""
        low, high = np.searchsorted(self.text, [first, last])
        return Counts(self.text[low:high] - first, self.gram[low:high], self.count[low:high], self.kinds)


@dataclass(frozen=True)
class Pairs:
    """N-grams of captions and of their references.

    Attributes:
        candidates: one ``Counts`` an order (1 … 4), its texts numbered as the captions.
        references: likewise of all references, one caption's after another's.
        owner: (references,) the caption to which each reference belongs.
        candidate_lengths: (captions,) words.
        reference_lengths: (references,) words.
    """

    candidates: list[Counts]
    references: list[Counts]
    owner: Integers
    candidate_lengths: Integers
    reference_lengths: Integers

    def closest_lengths(self) -> Integers:
        """(captions,) the length of the reference nearest in length; of two equally near, the shorter."""
        distance = np.abs(self.reference_lengths - self.candidate_lengths[self.owner])
        order = np.lexsort((self.reference_lengths, distance, self.owner))
        _, first = np.unique(self.owner[order], return_index=True)
        return self.reference_lengths[order][first]


def count_ngrams(texts: Sequence[str], highest: int = 4) -> tuple[list[Counts], Integers]:
    """Count the n-grams of texts whose words are separated by white space.

    Returns:
        One ``Counts`` an order, 1 … ``highest``, and the number of words of each text.
    """
    words = [text.split() for text in texts]
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    codes: dict[str, int] = {}
    tokens = np.fromiter(
        (codes.setdefault(word, len(codes)) for row in words for word in row), np.int64, int(lengths.sum())
    )
    text = np.repeat(np.arange(len(words)), lengths)
    remaining = np.repeat(np.cumsum(lengths), lengths) - np.arange(tokens.size)
    starts, grams, kinds = np.arange(tokens.size), tokens, len(codes)
    result = []
    for order in range(1, highest + 1):
        if order > 1:
            keep = remaining[starts] >= order
            starts = starts[keep]
            # an n-gram is the (n-1)-gram that begins it, and one word more
            keys, grams = np.unique(grams[keep] * len(codes) + tokens[starts + order - 1], return_inverse=True)
            kinds = keys.size
        rows, count = np.unique(text[starts] * max(kinds, 1) + grams, return_counts=True)
        result.append(Counts(rows // max(kinds, 1), rows % max(kinds, 1), count, kinds))
    return result, lengths


def count_pairs(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Pairs:
    """Count the n-grams of captions and of their references, n = 1 … 4."""
    captions = len(candidates)
    counts, lengths = count_ngrams([*candidates, *(text for several in references for text in several)])
    owner = np.repeat(np.arange(captions), [len(several) for several in references])
    return Pairs(
        [of.of(0, captions) for of in counts],
        [of.of(captions, len(lengths)) for of in counts],
        owner,
        lengths[:captions],
        lengths[captions:],
    )


def find(keys: Integers, wanted: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Where each wanted key stands in sorted ``keys`` (0 where it does not), and whether it does."""
    if not keys.size:
        return np.zeros_like(wanted), np.zeros(wanted.shape, dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return place, keys[place] == wanted
