"""Clues measured from the samples alone: pitch, melody, pace, pauses, dynamics.

Nothing here depends on the recording's gain, on a model, or on chance: the same samples, louder or softer,
give the same clues. Every clue that cannot be measured is NaN, never a guess.

Pitch is tracked by autocorrelation (Boersma 1993): every 10 ms, the normalised autocorrelation of a 48 ms
window proposes a few periods, and dynamic programming picks the path through them that is strong and smooth.
A second pass over the same candidates searches only near the pitch range that the first found, which removes
octave errors (De Looze and Hirst 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import AudioInvalidError

__all__ = ["F0_MAX_HZ", "F0_MIN_HZ", "HOP_S", "MIN_PAUSE_S", "MeasuredClues", "measure"]

F0_MIN_HZ = 60.0
F0_MAX_HZ = 650.0
HOP_S = 0.010
MIN_PAUSE_S = 0.150

_MIN_RATE_HZ = 8000
_WINDOW_S = 0.048
_BLOCK = 512

_RUMBLE_CORNER_HZ = 150.0  # wind and room rumble is narrow enough to look periodic at 70 Hz
_PITCH_CUTOFF_HZ = 1500.0  # formants above this only blur the period
_CANDIDATES = 6
_UNVOICED_STRENGTH = 0.45
_QUIET = 3e-3  # 25 dB below the loud frames, a period counts for half: background hum is not a voice
_OCTAVE_COST = 0.03
_JUMP_COST = 0.45
_VOICING_COST = 0.18
_RANGE_BELOW, _RANGE_ABOVE = 0.6, 2.0

_LEVEL_BAND_HZ = (200.0, 4000.0)
_LEVEL_FLOOR_DB = -70.0
_ACTIVE_WITHIN_DB = 30.0
_ACTIVE_ABOVE_NOISE = 0.2

# Chosen against the syllables of 240 transcripts in three languages.
_NUCLEUS_SMOOTHING_S = 0.01
_NUCLEUS_DIP_DB = 3.0

_MIN_VOICED_RUN_S = 0.04
_MIN_VOICED_S = 0.10
_MIN_VOICED_SHARE = 0.10
_MIN_CONTOUR_S = 0.50
_MIN_RATE_SPEECH_S = 1.0
_MIN_NUCLEI = 3
_SLOPE_POINTS = 150

_Floats: TypeAlias = NDArray[np.floating[Any]]
_Bools: TypeAlias = NDArray[np.bool_]
_Runs: TypeAlias = list[tuple[int, int]]


@dataclass(frozen=True)
class MeasuredClues:
    """What was measured in one recording; NaN where it could not be.

    The *speech part* is every stretch of sound that contains voicing, gaps shorter than 150 ms included.
    Where less than 0.1 s, or less than a tenth of all sound, is voiced (silence, noise, whisper), all clues
    but `duration_s` and `voiced_share` are NaN.

    Attributes:
        duration_s: length of the recording, silence included, in seconds.
        f0_median_hz: median fundamental frequency of the voiced frames, 60 to 650 Hz.
        f0_spread_semitones: half of the distance between the 10th and 90th percentiles of F0, in semitones.
            NaN below 0.5 s of voicing.
        f0_slope_semitones_per_s: median slope between pairs of voiced frames (Theil-Sen) over the whole
            recording, in semitones a second; negative where the pitch falls. NaN below 0.5 s of voicing.
        level_range_db: how far the loudest parts rise above the usual level: distance between the median and
            the 95th percentile of the level (200 to 4000 Hz) of voiced frames, in dB. Lower percentiles would
            measure the background noise. NaN below 0.5 s of voicing.
        syllables_per_s: syllable nuclei (voiced peaks of the level) for each second of the speech part,
            pauses not counted. NaN below 1 s of speech or three nuclei.
        pause_share: share, 0 to 1, of the time between the first and the last sound of speech that is taken
            by pauses of at least 150 ms. Silence before and after is no pause.
        voiced_share: share, 0 to 1, of the speech part that is voiced; 0 where nothing is voiced, NaN for
            digital silence.
    """

    duration_s: float
    f0_median_hz: float = nan
    f0_spread_semitones: float = nan
    f0_slope_semitones_per_s: float = nan
    level_range_db: float = nan
    syllables_per_s: float = nan
    pause_share: float = nan
    voiced_share: float = nan


def measure(samples: NDArray[np.float32], rate: int = 16000) -> MeasuredClues:
    """Measure the emotional clues of one recording.

    Args:
        samples: mono samples of shape (T,), any gain. Longer recordings should be segmented first: one set of
            clues describes the whole of `samples`.
        rate: samples a second, at least 8000.

    Returns:
        The clues; the same for `samples` and for `gain * samples` (to rounding).

    Raises:
        AudioInvalidError: `samples` is not one-dimensional or holds NaN or infinity, or `rate` is below 8000.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise AudioInvalidError("samples", f"expected shape (T,), got {samples.shape}: mix the channels first")
    if rate < _MIN_RATE_HZ:
        raise AudioInvalidError("samples", f"a rate of {rate} Hz is too low: resample to 16000 Hz")
    if not np.isfinite(samples).all():
        raise AudioInvalidError("samples", "NaN or infinite values: decode the recording again or clean it")
    duration = len(samples) / rate
    samples = samples - (samples.mean() if len(samples) else 0.0)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return MeasuredClues(duration)

    frames = _analyse(samples / np.float32(peak), rate)
    level = _level_db(frames.level_power)
    f0 = _track(frames)
    voiced = _without_short_runs(~np.isnan(f0), _MIN_VOICED_RUN_S)
    sounding = voiced | (level > _active_threshold_db(level))
    runs = [run for run in _runs(_close_gaps(sounding)) if voiced[slice(*run)].any()]
    speech = sum(stop - start for start, stop in runs)
    voiced_share = int(voiced.sum()) / speech if speech else 0.0
    if voiced.sum() * HOP_S < _MIN_VOICED_S or voiced.sum() < _MIN_VOICED_SHARE * sounding.sum():
        return MeasuredClues(duration, voiced_share=voiced_share)

    times = np.flatnonzero(voiced) * HOP_S
    semitones = 12.0 * np.log2(f0[voiced])
    has_contour = voiced.sum() * HOP_S >= _MIN_CONTOUR_S
    nuclei = _count_nuclei(level, voiced)
    has_rate = speech * HOP_S >= _MIN_RATE_SPEECH_S and nuclei >= _MIN_NUCLEI
    return MeasuredClues(
        duration_s=duration,
        f0_median_hz=float(np.median(f0[voiced])),
        f0_spread_semitones=_percentile_range(semitones, 10, 90) / 2 if has_contour else nan,
        f0_slope_semitones_per_s=_slope(times, semitones) if has_contour else nan,
        level_range_db=_percentile_range(level[voiced], 50, 95) if has_contour else nan,
        syllables_per_s=nuclei / (speech * HOP_S) if has_rate else nan,
        pause_share=1.0 - speech / (runs[-1][1] - runs[0][0]),
        voiced_share=voiced_share,
    )


@dataclass(frozen=True)
class _Frames:
    """One row a frame: candidate pitches (N, K) with their strengths (N, K), and band powers (N,)."""

    hz: _Floats
    strength: _Floats
    pitch_power: _Floats
    level_power: _Floats


def _analyse(samples: NDArray[np.float32], rate: int) -> _Frames:
    """Short-time analysis; frame i is centred on i * HOP_S. Blocks bound the memory of long recordings."""
    width = round(_WINDOW_S * rate)
    size = 1 << (width + width // 2 - 1).bit_length()
    window = np.hanning(width + 2)[1:-1].astype(np.float32)
    freqs = np.fft.rfftfreq(size, 1.0 / rate)
    rumble_cut = (freqs >= F0_MIN_HZ) * freqs**2 / (freqs**2 + _RUMBLE_CORNER_HZ**2)
    pitch_weight = (rumble_cut * np.exp(-((freqs / _PITCH_CUTOFF_HZ) ** 2))).astype(np.float32)
    level_weight = ((freqs >= _LEVEL_BAND_HZ[0]) & (freqs <= _LEVEL_BAND_HZ[1])).astype(np.float32)
    lags = np.arange(int(rate / F0_MAX_HZ) - 1, int(np.ceil(rate / F0_MIN_HZ)) + 2)
    window_correlation = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)
    taper = (window_correlation[lags] / window_correlation[0]).astype(np.float32)

    starts = np.round(np.arange(0, len(samples) / rate, HOP_S) * rate).astype(int)
    padded = np.pad(samples, (width // 2, width))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    blocks = []
    for first in range(0, len(starts), _BLOCK):
        block = windows[starts[first : first + _BLOCK]]
        spectrum = np.fft.rfft(block * window, size)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        correlation = np.fft.irfft(power * pitch_weight, size)
        pitch_power = correlation[:, 0]
        normalised = correlation[:, lags] / (np.maximum(pitch_power, 1e-20)[:, None] * taper)
        blocks.append((*_candidates(normalised, lags, rate), pitch_power, power @ level_weight))
    return _Frames(*(np.concatenate(part).astype(np.float64) for part in zip(*blocks, strict=True)))


def _candidates(correlation: _Floats, lags: NDArray[np.int_], rate: int) -> tuple[_Floats, _Floats]:
    """The strongest local maxima of each row, refined by a parabola; absent ones have strength 0."""
    left, middle, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    is_peak = (middle > left) & (middle >= right) & (middle > 0)
    curvature = np.where(is_peak, left - 2 * middle + right, -1.0)
    shift = np.where(is_peak, 0.5 * (left - right) / curvature, 0.0)
    strength = np.where(is_peak, np.minimum(middle - 0.25 * (left - right) * shift, 1.0), 0.0)
    hz = rate / (lags[1:-1] + shift)
    ranking = strength - _OCTAVE_COST * np.log2(F0_MAX_HZ / hz)
    best = np.argpartition(-ranking, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
    return np.take_along_axis(hz, best, axis=1), np.take_along_axis(strength, best, axis=1)


def _track(frames: _Frames) -> _Floats:
    """F0 of each frame in Hz, NaN where unvoiced."""
    loud = np.percentile(frames.pitch_power, 95)
    audible = frames.pitch_power / np.maximum(frames.pitch_power + _QUIET * loud, 1e-20)
    score = frames.strength * audible[:, None] - _OCTAVE_COST * np.log2(F0_MAX_HZ / frames.hz)
    score[frames.strength == 0] = -1.0
    f0 = _best_path(frames.hz, score)
    found = f0[~np.isnan(f0)]
    if len(found) * HOP_S < _MIN_VOICED_S:
        return f0
    lower, upper = np.percentile(found, [25, 75])
    outside = (frames.hz < _RANGE_BELOW * lower) | (frames.hz > _RANGE_ABOVE * upper)
    return _best_path(frames.hz, np.where(outside, -1.0, score))


def _best_path(hz: _Floats, score: _Floats) -> _Floats:
    """Dynamic programming over state 0 (unvoiced) and states 1..K (the candidates)."""
    count, states = hz.shape[0], hz.shape[1] + 1
    local = np.concatenate([np.full((count, 1), _UNVOICED_STRENGTH), score], axis=1)
    octaves = np.log2(hz)
    cost = np.full((count, states, states), _VOICING_COST)
    cost[:, 0, 0] = 0.0
    cost[1:, 1:, 1:] = _JUMP_COST * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    total, columns = local[0], np.arange(states)
    back = np.zeros((count, states), dtype=np.intp)
    for i in range(1, count):
        reach = total[:, None] - cost[i]
        back[i] = reach.argmax(axis=0)
        total = reach[back[i], columns] + local[i]
    path = np.zeros(count, dtype=np.intp)
    path[-1] = total.argmax()
    for i in range(count - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    f0: _Floats = np.where(path > 0, hz[np.arange(count), np.maximum(path - 1, 0)], nan)
    return f0


def _level_db(power: _Floats) -> _Floats:
    """Level of each frame relative to the loudest, at least `_LEVEL_FLOOR_DB`."""
    loudest = max(float(power.max()), 1e-20)
    level: _Floats = 10.0 * np.log10(np.maximum(power / loudest, 10 ** (_LEVEL_FLOOR_DB / 10)))
    return level


def _active_threshold_db(level: _Floats) -> float:
    """What is louder than this is sound: near the loud frames, and clear of the background noise."""
    quiet, loud = (float(value) for value in np.percentile(level, [5, 95]))
    return max(loud - _ACTIVE_WITHIN_DB, quiet + _ACTIVE_ABOVE_NOISE * (loud - quiet))


def _runs(mask: _Bools) -> _Runs:
    """The [start, stop) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _without_short_runs(mask: _Bools, shortest_s: float) -> _Bools:
    kept: _Bools = mask.copy()
    for start, stop in _runs(mask):
        if (stop - start) * HOP_S < shortest_s - HOP_S / 2:
            kept[start:stop] = False
    return kept


def _close_gaps(sounding: _Bools) -> _Bools:
    """Gaps too short to be a pause, such as the closure of a plosive, belong to the speech around them."""
    return ~_without_short_runs(~sounding, MIN_PAUSE_S)


def _count_nuclei(level: _Floats, voiced: _Bools) -> int:
    """Voiced peaks of the level, each separated by a dip from the next (de Jong and Wempe 2009)."""
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach * HOP_S / _NUCLEUS_SMOOTHING_S) ** 2)
    smooth = np.convolve(np.pad(level, 6, mode="edge"), kernel / kernel.sum(), mode="valid")
    count, rising = 0, True
    best, best_at, lowest = smooth[0], 0, smooth[0]
    for i, value in enumerate(np.append(smooth, -np.inf)):
        if rising:
            if value > best:
                best, best_at = value, i
            elif value < best - _NUCLEUS_DIP_DB:
                count += bool(voiced[best_at])
                rising, lowest = False, value
        elif value < lowest:
            lowest = value
        elif value > lowest + _NUCLEUS_DIP_DB:
            rising, best, best_at = True, value, i
    return count


def _percentile_range(values: _Floats, low: float, high: float) -> float:
    bottom, top = np.percentile(values, [low, high])
    return float(top - bottom)


def _slope(seconds: _Floats, values: _Floats) -> float:
    """Theil-Sen slope on at most `_SLOPE_POINTS` evenly chosen points."""
    chosen = np.linspace(0, len(seconds) - 1, min(len(seconds), _SLOPE_POINTS)).round().astype(int)
    x, y = seconds[chosen], values[chosen]
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
