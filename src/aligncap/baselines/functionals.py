"""Measured clues as a vector of numbers: the classic acoustic functionals of emotion recognition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["FUNCTIONALS", "functionals", "names"]

FUNCTIONALS = (
    "f0_median_hz",
    "f0_spread_semitones",
    "f0_slope_semitones_per_s",
    "level_range_db",
    "syllables_per_s",
    "pause_share",
    "voiced_share",
    "pause_count",
    "spectral_tilt_db",
    "jitter_percent",
    "shimmer_percent",
    "hnr_db",
    "tremor_semitones",
)
"""The fields of `aligncap.clues.MeasuredClues` that tell of the voice rather than of the recording."""

_LOGARITHMIC = frozenset({"f0_median_hz", "jitter_percent", "shimmer_percent"})


def functionals(clues: Mapping[str, float | None]) -> NDArray[np.float32]:
    """The numbers of `FUNCTIONALS`, and for each whether it was measured.

    Args:
        clues: by name; None or NaN where it could not be measured.

    Returns:
        (2 * 13,): values (frequencies and percentages as logarithms; NaN where not measured), then 1 or 0.
    """
    values = np.array([_value(name, clues.get(name)) for name in FUNCTIONALS], np.float32)
    return np.concatenate([values, np.isfinite(values).astype(np.float32)])


def names() -> list[str]:
    """What each number is."""
    return [*FUNCTIONALS, *(f"{name} measured" for name in FUNCTIONALS)]


def _value(name: str, value: float | None) -> float:
    if value is None or not np.isfinite(value):
        return float("nan")
    return float(np.log(max(value, 1e-3))) if name in _LOGARITHMIC else value
