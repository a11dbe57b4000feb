"""The parts of the data that have scores of their own, and the intervals of scores over each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligncap.corpora.row import Row
from aligncap.evaluation.estimates import Draws, Quantity
from aligncap.metrics.statistics import Interval

__all__ = ["LEVEL", "Estimator", "Part", "parts_of"]

LEVEL = 0.95
"""Of the intervals."""


@dataclass(frozen=True)
class Part:
    """Some of the rows, for which scores are told apart.

    Attributes:
        kind: ``all``, ``corpus`` or ``language``.
        name: of the corpus or language.
        rows: which of them.
    """

    kind: str
    name: str
    rows: frozenset[int]


class Estimator:
    """Intervals of quantities over parts; draws are made once for each set of clips."""

    def __init__(self, rows: Sequence[Row], resamples: int, seed: int) -> None:
        self._rows = rows
        self._resamples = resamples
        self._seed = seed
        self._draws: dict[tuple[int, ...], Draws] = {}

    def draws(self, index: Sequence[int]) -> Draws:
        """Resamples of the rows with these indices, over their speakers."""
        key = tuple(index)
        if key not in self._draws:
            speakers = [(self._rows[i].corpus, self._rows[i].speaker or self._rows[i].id) for i in index]
            self._draws[key] = Draws(speakers, resamples=self._resamples, seed=self._seed)
        return self._draws[key]

    def of(self, quantity: Quantity, part: Part) -> tuple[Interval | float, int] | None:
        """The score with its interval, or alone, and the number of clips; None where there are none."""
        places = [place for place, index in enumerate(quantity.index.tolist()) if index in part.rows]
        if not places:
            return None
        if quantity.whole is not None and not len(quantity.each):
            return quantity.whole(places), len(places)
        index = quantity.index[places]
        interval = self.draws(index.tolist()).interval(quantity.counts[places], quantity.score, LEVEL)
        if quantity.whole is not None:
            value = quantity.whole(places)
            shift = value - interval.value
            interval = Interval(value, interval.low + shift, interval.high + shift)
        return interval, len(places)


def parts_of(rows: Sequence[Row]) -> list[Part]:
    """All rows, each corpus, and each language where there are several."""
    parts = [Part("all", "", frozenset(range(len(rows))))]
    for kind in ("corpus", "language"):
        names = sorted({getattr(row, kind) for row in rows})
        if len(names) > 1 or (kind == "corpus" and names != [""]):
            parts += [
                Part(kind, name, frozenset(i for i, row in enumerate(rows) if getattr(row, kind) == name))
                for name in names
            ]
    return parts
