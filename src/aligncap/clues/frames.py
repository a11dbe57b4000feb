"""Short-time analysis: what every clue is computed from, one row for each 10 ms.

Pitch candidates come from the normalised autocorrelation of a 48 ms window (Boersma 1993). It is computed from the
power spectrum by one matrix product, because only a few hundred lags and the bins below 6.5 kHz are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aligncap.blas import single_threaded

__all__ = ["F0_MAX_HZ", "F0_MIN_HZ", "HOP_S", "OCTAVE_COST", "Bools", "Floats", "Frames", "analyse"]

F0_MIN_HZ = 60.0
F0_MAX_HZ = 650.0
HOP_S = 0.010
OCTAVE_COST = 0.03  # of a candidate, per octave below F0_MAX_HZ

_WINDOW_S = 0.048
_BLOCK = 192

_RUMBLE_CORNER_HZ = 150.0  # wind and room rumble is narrow enough to look periodic at 70 Hz
_PITCH_CUTOFF_HZ = 1500.0  # formants above this only blur the period
_CORRELATION_LIMIT_HZ = 6500.0  # above, the pitch weight is below 1e-8
_CANDIDATES = 6

_LEVEL_BAND_HZ = (200.0, 4000.0)
_LOW_BAND_HZ = (60.0, 1000.0)
_HIGH_BAND_HZ = (1000.0, 4000.0)

Floats: TypeAlias = NDArray[np.floating[Any]]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Frames:
    """N frames; frame i is centred on i * HOP_S.

    Attributes:
        hz: (N, K) candidate pitches.
        strength: (N, K) their normalised autocorrelation, 0 to 1; 0 where there is no candidate.
        pitch_power: (N,) power of what the candidates were found in (below 1.5 kHz, without rumble).
        level_power: (N,) power from 200 to 4000 Hz.
        low_power: (N,) power from 60 to 1000 Hz.
        high_power: (N,) power from 1000 to 4000 Hz.
    """

    hz: Floats
    strength: Floats
    pitch_power: Floats
    level_power: Floats
    low_power: Floats
    high_power: Floats


@dataclass(frozen=True)
class _Plan:
    """What depends on the sampling rate alone."""

    width: int
    size: int
    window: Floats
    lags: NDArray[np.int_]
    correlate: Floats  # (bins, 1 + lags): power → correlation at lag 0 and, taper removed, at `lags`
    bands: Floats  # (bins of the whole spectrum, 3)


@lru_cache(maxsize=4)
def _plan(rate: int) -> _Plan:
    width = round(_WINDOW_S * rate)
    size = 1 << (width + width // 2 - 1).bit_length()
    window = np.hanning(width + 2)[1:-1].astype(np.float32)
    freqs = np.fft.rfftfreq(size, 1.0 / rate)
    lags = np.arange(int(rate / F0_MAX_HZ) - 1, int(np.ceil(rate / F0_MIN_HZ)) + 2)

    low = freqs[freqs <= _CORRELATION_LIMIT_HZ]
    rumble_cut = (low >= F0_MIN_HZ) * low**2 / (low**2 + _RUMBLE_CORNER_HZ**2)
    pitch_weight = rumble_cut * np.exp(-((low / _PITCH_CUTOFF_HZ) ** 2))
    window_correlation = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)
    taper = np.append(1.0, window_correlation[lags] / window_correlation[0])
    cosines = np.cos(2 * np.pi / rate * np.outer(low, np.append(0, lags)))
    correlate = 2.0 / size * pitch_weight[:, None] * cosines / taper

    edges = (_LEVEL_BAND_HZ, _LOW_BAND_HZ, _HIGH_BAND_HZ)
    bands = np.stack([(freqs >= bottom) & (freqs <= top) for bottom, top in edges], axis=1)
    return _Plan(width, size, window, lags, correlate.astype(np.float32), bands.astype(np.float32))


def analyse(samples: NDArray[np.float32], rate: int) -> Frames:
    """Analyse samples of shape (T,) at `rate` a second. Blocks bound the memory of long recordings."""
    plan = _plan(rate)
    starts = np.round(np.arange(0, len(samples) / rate, HOP_S) * rate).astype(int)
    padded = np.pad(samples, (plan.width // 2, plan.width))
    windows = np.lib.stride_tricks.sliding_window_view(padded, plan.width)
    blocks = []
    for first in range(0, len(starts), _BLOCK):
        block = windows[starts[first : first + _BLOCK]]
        spectrum = np.fft.rfft(block * plan.window, plan.size)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
        with single_threaded():
            correlation, bands = power[:, : len(plan.correlate)] @ plan.correlate, power @ plan.bands
        pitch_power = correlation[:, 0]
        normalised = correlation[:, 1:] / np.maximum(pitch_power, 1e-20)[:, None]
        blocks.append((*_candidates(normalised, plan.lags, rate), pitch_power, *bands.T))
    return Frames(*(np.concatenate(part).astype(np.float64) for part in zip(*blocks, strict=True)))


def _candidates(correlation: Floats, lags: NDArray[np.int_], rate: int) -> tuple[Floats, Floats]:
    """The strongest local maxima of each row, refined by a parabola; absent ones have strength 0."""
    inner = correlation[:, 1:-1]
    row, column = np.nonzero((inner > correlation[:, :-2]) & (inner >= correlation[:, 2:]) & (inner > 0))
    left, middle, right = (correlation[row, column + offset] for offset in range(3))
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    strength = np.minimum(middle - 0.25 * (left - right) * shift, 1.0)
    hz = rate / (lags[column + 1] + shift)
    order = np.lexsort((OCTAVE_COST * np.log2(F0_MAX_HZ / hz) - strength, row))
    row, hz, strength = row[order], hz[order], strength[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)  # 0 for the best of its row
    kept = place < _CANDIDATES
    all_hz = np.full((len(correlation), _CANDIDATES), F0_MAX_HZ)
    all_strength = np.zeros((len(correlation), _CANDIDATES))
    all_hz[row[kept], place[kept]] = hz[kept]
    all_strength[row[kept], place[kept]] = strength[kept]
    return all_hz, all_strength
