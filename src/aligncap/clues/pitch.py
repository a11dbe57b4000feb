"""The pitch contour: a path through the candidates that is strong and smooth.

A second pass over the same candidates searches only near the pitch range that the first found, which removes octave
errors (De Looze and Hirst 2008).
"""

from __future__ import annotations

from math import nan

import numpy as np

from aligncap.clues.frames import F0_MAX_HZ, HOP_S, OCTAVE_COST, Bools, Floats, Frames

__all__ = ["track"]

_UNVOICED_STRENGTH = 0.45
_QUIET = 3e-3  # 25 dB below the loud frames, a period counts for half: background hum is not a voice
_JUMP_COST = 0.45
_VOICING_COST = 0.18
_RANGE_BELOW, _RANGE_ABOVE = 0.6, 2.0
_MIN_FOUND_S = 0.10


def track(frames: Frames) -> Floats:
    """F0 of each frame in Hz, shape (N,), NaN where unvoiced."""
    loud = np.percentile(frames.pitch_power, 95)
    audible = frames.pitch_power / np.maximum(frames.pitch_power + _QUIET * loud, 1e-20)
    score = frames.strength * audible[:, None] - OCTAVE_COST * np.log2(F0_MAX_HZ / frames.hz)
    score[frames.strength == 0] = -1.0
    f0 = _best_path(frames.hz, score)
    found = f0[~np.isnan(f0)]
    if len(found) * HOP_S < _MIN_FOUND_S:
        return f0
    lower, upper = (float(value) for value in np.percentile(found, [25, 75]))
    if not _outside(found, lower, upper).any():
        return f0  # still the best path when the candidates that it does not use are gone
    return _best_path(frames.hz, np.where(_outside(frames.hz, lower, upper), -1.0, score))


def _outside(hz: Floats, lower: float, upper: float) -> Bools:
    return (hz < _RANGE_BELOW * lower) | (hz > _RANGE_ABOVE * upper)


def _best_path(hz: Floats, score: Floats) -> Floats:
    """Dynamic programming over state 0 (unvoiced) and states 1..K (the candidates)."""
    count, states = hz.shape[0], hz.shape[1] + 1
    local = np.concatenate([np.full((count, 1), _UNVOICED_STRENGTH), score], axis=1)
    octaves = np.log2(hz)
    cost = np.full((count, states, states), _VOICING_COST)  # (frame, to, from)
    cost[:, 0, 0] = 0.0
    cost[1:, 1:, 1:] = _JUMP_COST * np.abs(octaves[1:, :, None] - octaves[:-1, None, :])
    reach = local[:, :, None] - cost
    total = local[0]
    totals = np.empty((count, states))
    totals[0] = total
    for i in range(1, count):
        total = np.maximum.reduce(total + reach[i], axis=1, out=totals[i])
    back = np.concatenate([np.zeros((1, states), dtype=np.intp), (totals[:-1, None, :] + reach[1:]).argmax(axis=2)])
    state = int(total.argmax())
    path = [state]
    for row in back[:0:-1].tolist():
        state = row[state]
        path.append(state)
    chosen = np.array(path[::-1])
    f0: Floats = np.where(chosen > 0, hz[np.arange(count), np.maximum(chosen - 1, 0)], nan)
    return f0
