"""Speech, pauses and syllables, from the level and the voicing of frames."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from aligncap.clues.frames import HOP_S, Bools, Floats

__all__ = [
    "MIN_PAUSE_S",
    "Runs",
    "find_nuclei",
    "level_db",
    "sounding",
    "speech_runs",
    "true_runs",
    "without_short_runs",
]

MIN_PAUSE_S = 0.150

_LEVEL_FLOOR_DB = -70.0
_ACTIVE_WITHIN_DB = 30.0
_ACTIVE_ABOVE_NOISE = 0.2

# Chosen against the syllables of 240 transcripts in three languages.
_NUCLEUS_SMOOTHING_S = 0.01
_NUCLEUS_DIP_DB = 3.0

Runs: TypeAlias = list[tuple[int, int]]


def level_db(power: Floats) -> Floats:
    """Level of each frame relative to the loudest, at least -70 dB."""
    loudest = max(float(power.max()), 1e-20)
    level: Floats = 10.0 * np.log10(np.maximum(power / loudest, 10 ** (_LEVEL_FLOOR_DB / 10)))
    return level


def sounding(level: Floats, voiced: Bools) -> Bools:
    """The frames that hold sound: near the loud frames, and clear of the background noise."""
    quiet, loud = (float(value) for value in np.percentile(level, [5, 95]))
    return voiced | (level > max(loud - _ACTIVE_WITHIN_DB, quiet + _ACTIVE_ABOVE_NOISE * (loud - quiet)))


def speech_runs(sound: Bools, voiced: Bools) -> Runs:
    """The stretches of sound that contain voicing.

    Gaps too short to be a pause, such as the closure of a plosive, belong to the speech around them.
    """
    closed = ~without_short_runs(~sound, MIN_PAUSE_S)
    return [run for run in true_runs(closed) if voiced[slice(*run)].any()]


def true_runs(mask: Bools) -> Runs:
    """The [start, stop) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def without_short_runs(mask: Bools, shortest_s: float) -> Bools:
    """The mask with its stretches below `shortest_s` made false."""
    kept: Bools = mask.copy()
    for start, stop in true_runs(mask):
        if (stop - start) * HOP_S < shortest_s - HOP_S / 2:
            kept[start:stop] = False
    return kept


def find_nuclei(level: Floats, voiced: Bools) -> list[int]:
    """The frames of the syllable nuclei: voiced peaks of the level, with a dip between (de Jong and Wempe 2009)."""
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach * HOP_S / _NUCLEUS_SMOOTHING_S) ** 2)
    smooth = np.convolve(np.pad(level, 6, mode="edge"), kernel / kernel.sum(), mode="valid").tolist()
    found: list[int] = []
    rising = True
    best, best_at, lowest = smooth[0], 0, smooth[0]
    for i, value in enumerate([*smooth, -np.inf]):
        if rising:
            if value > best:
                best, best_at = value, i
            elif value < best - _NUCLEUS_DIP_DB:
                found += [best_at] if voiced[best_at] else []
                rising, lowest = False, value
        elif value < lowest:
            lowest = value
        elif value > lowest + _NUCLEUS_DIP_DB:
            rising, best, best_at = True, value, i
    return found
