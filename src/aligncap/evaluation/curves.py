"""Learning curves: systems of one family, at several amounts of training."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["family_of", "learning_curves"]

_NAME = re.compile(r"(?P<family>.*\S)\s*@\s*(?P<amount>\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*", re.IGNORECASE)


def family_of(name: str) -> tuple[str, float] | None:
    """Family and amount of a system that is called ``FAMILY@AMOUNT``, such as ``align@400``; None of any other name.

    The amount is a number that is not negative: steps, hours, a share of the data.
    """
    match = _NAME.fullmatch(name)
    if match is None or not math.isfinite(amount := float(match["amount"])):
        return None
    return match["family"], amount


def learning_curves(names: Sequence[str]) -> list[dict[str, Any]]:
    """The families of which there are at least two amounts.

    Args:
        names: of the systems.

    Returns:
        Records with ``family`` and ``points``: ``amount`` and ``system``, by rising amounts.
    """
    families: dict[str, list[tuple[float, str]]] = {}
    for name in names:
        if (found := family_of(name)) is not None:
            families.setdefault(found[0], []).append((found[1], name))
    return [
        {"family": family, "points": [{"amount": amount, "system": name} for amount, name in sorted(points)]}
        for family, points in families.items()
        if len({amount for amount, _ in points}) > 1
    ]
