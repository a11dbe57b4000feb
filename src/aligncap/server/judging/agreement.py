"""How far listeners agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from math import nan

__all__ = ["krippendorff_alpha"]


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float:
    """Krippendorff's alpha for nominal values.

    α = 1 − D_o / D_e: D_o is the share of disagreeing pairs of values within units (the pairs of a unit of m values
    weighted by 1 / (m − 1)), D_e the same for pairs drawn from all values. Any number of raters, any of them missing
    anywhere.

    Args:
        units: the values that raters gave to each unit; units with fewer than two say nothing and are left out.

    Returns:
        1: perfect agreement; 0: as by chance; below 0: worse. NaN where no unit has two values, or all are equal.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
    """
    observed, totals = 0.0, Counter[Hashable]()
    for unit in units:
        count = len(unit)
        if count < 2:
            continue
        values = Counter(unit)
        totals += values
        observed += sum(same * (count - same) for same in values.values()) / (count - 1)
    number = sum(totals.values())
    expected = sum(same * (number - same) for same in totals.values())
    if not expected:
        return nan
    return 1 - observed * (number - 1) / expected
