"""Balancing pairs by emotion and corpus, taking out the bias of length, and statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING

from aligncap.captions.claims import find_claims

if TYPE_CHECKING:
    import numpy as np

    from aligncap.preferences.pairs import Pair

__all__ = ["PairCounts", "balanced", "count_pairs", "without_content_bias", "without_length_bias"]

_EDGES = (1, 2, 3, 5, 9)  # differences that count as one: 1, 2, 3-4, 5-8, 9 and more


def balanced(pairs: Sequence[Pair], rng: np.random.Generator, *, most: float = 2.0) -> list[Pair]:
    """Leave out pairs at random until no emotion of a corpus, and no corpus, has too many.

    Args:
        pairs: in any order; what is kept stays in theirs.
        rng: chooses which go.
        most: a cell (corpus and emotion) keeps at most this many times the median of the cells, and a corpus of all
            that are left at most this many times the median of the corpora; at least 1.
    """
    kept = _capped(pairs, [(pair.corpus, pair.emotion) for pair in pairs], rng, most)
    return _capped(kept, [pair.corpus for pair in kept], rng, most)


def without_length_bias(pairs: Sequence[Pair], rng: np.random.Generator) -> list[Pair]:
    """Leave out pairs at random until longer captions are chosen as often as shorter ones.

    A policy would otherwise learn to write long (or short) captions, which fits any pair with such a bias. Pairs are
    matched by how many words the captions differ in: of those in which the chosen one is longer by 3 or 4 words as many
    are kept as of those in which it is shorter by 3 or 4. Pairs of equal length all stay.
    """
    return _matched(pairs, [pair.longer for pair in pairs], rng)


def without_content_bias(pairs: Sequence[Pair], rng: np.random.Generator) -> list[Pair]:
    """Leave out pairs at random until captions that say more of the voice are chosen as often as those that say less.

    Who says nothing says nothing wrong: a policy would otherwise learn to be silent about the voice. Pairs are matched
    as in `without_length_bias`, by how many claims about the voice the captions differ in.
    """
    return _matched(pairs, [_voice_claims(pair.chosen) - _voice_claims(pair.rejected) for pair in pairs], rng)


def _voice_claims(caption: str) -> int:
    return len({claim.category for claim in find_claims(caption) if claim.kind == "acoustic"})


def _matched(pairs: Sequence[Pair], differences: Sequence[int], rng: np.random.Generator) -> list[Pair]:
    bins: dict[int, tuple[list[int], list[int]]] = {}
    kept = set()
    for number, difference in enumerate(differences):
        if difference == 0:
            kept.add(number)
        else:
            size = sum(abs(difference) >= edge for edge in _EDGES)
            bins.setdefault(size, ([], []))[difference > 0].append(number)
    for _, sides in sorted(bins.items()):
        fewer = min(map(len, sides))
        for side in sides:
            kept.update(int(number) for number in rng.permutation(side)[:fewer])
    return [pair for number, pair in enumerate(pairs) if number in kept]


def _capped(pairs: Sequence[Pair], cells: Sequence[object], rng: np.random.Generator, most: float) -> list[Pair]:
    if not pairs:
        return []
    members: dict[object, list[int]] = {}
    for number, cell in enumerate(cells):
        members.setdefault(cell, []).append(number)
    cap = max(1, round(max(most, 1.0) * median(map(len, members.values()))))
    kept = {int(number) for cell in members.values() for number in rng.permutation(cell)[:cap]}
    return [pair for number, pair in enumerate(pairs) if number in kept]


@dataclass(frozen=True)
class PairCounts:
    """Statistics of pairs.

    Attributes:
        pairs: in all.
        clips: that they are about.
        by: what (``kind``, ``judge``, ``corpus``, ``emotion``, ``instruction``) → value → pairs.
        margin: mean, in (0, 1].
        chosen_words: mean length of the chosen captions.
        rejected_words: of the rejected ones.
        chosen_voice: mean number of sides of the voice that the chosen captions tell.
        rejected_voice: of the rejected ones.
        longer: share of the pairs of different lengths whose chosen caption is the longer one, in [0, 1]; 0.5 is no
            bias.
    """

    pairs: int
    clips: int
    by: Mapping[str, Mapping[str, int]]
    margin: float
    chosen_words: float
    rejected_words: float
    chosen_voice: float
    rejected_voice: float
    longer: float

    def lines(self) -> list[str]:
        """What to tell of it, line by line."""
        out = [
            f"pairs: {self.pairs} of {self.clips} clips, mean margin {self.margin:.2f}",
            f"words: chosen {self.chosen_words:.1f}, rejected {self.rejected_words:.1f}; where lengths differ, the "
            f"chosen caption is the longer in {self.longer:.0%}",
            f"sides of the voice told: chosen {self.chosen_voice:.2f}, rejected {self.rejected_voice:.2f}",
        ]
        for name, counts in self.by.items():
            out.append(f"{name}: " + ", ".join(f"{value or '-'} {count}" for value, count in counts.items()))
        return out


def count_pairs(pairs: Sequence[Pair]) -> PairCounts:
    """Statistics of pairs."""
    names = ("kind", "judge", "corpus", "emotion", "instruction")
    different = [pair.longer > 0 for pair in pairs if pair.longer]
    return PairCounts(
        pairs=len(pairs),
        clips=len({pair.id for pair in pairs}),
        by={name: dict(Counter(getattr(pair, name) for pair in pairs).most_common()) for name in names},
        margin=mean(pair.margin for pair in pairs) if pairs else 0.0,
        chosen_words=mean(len(pair.chosen.split()) for pair in pairs) if pairs else 0.0,
        rejected_words=mean(len(pair.rejected.split()) for pair in pairs) if pairs else 0.0,
        chosen_voice=mean(_voice_claims(pair.chosen) for pair in pairs) if pairs else 0.0,
        rejected_voice=mean(_voice_claims(pair.rejected) for pair in pairs) if pairs else 0.0,
        longer=mean(different) if different else 0.5,
    )
