"""Voice quality: how regular and how clean successive periods are, how steep the spectrum falls, how steady the pitch.

Periods are compared by waveform matching, as in Praat: the period after a pulse is the lag at which the waveform
around the pulse repeats itself best (Titze and Liang 1993). Not every period is visited but at most 150 places, evenly
spread over the voiced frames, so that the cost is bounded; two successive periods are measured at each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import nan

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.frames import HOP_S, Bools, Floats, Frames
from aligncap.clues.rhythm import true_runs

__all__ = ["Periods", "clipped_share", "find_periods", "spectral_tilt_db", "tremor_semitones"]

_PLACES = 150
_SHORTEST, _LONGEST = 0.8, 1.25  # of the tracked period
_MAX_PERIOD_FACTOR = 1.3  # of two successive periods, as in Praat; beyond, one of them is an error
_MAX_AMPLITUDE_FACTOR = 1.6
_MIN_PAIRS = 20
_MIN_SIMILARITY = 0.5
_MAX_SIMILARITY = 1.0 - 1e-5  # 50 dB

_QUIET_SHARE = 0.1
_NEAR_PEAK = 0.97

_TREMOR_HZ = np.arange(5.5, 12.1, 0.5)
_TREMOR_WINDOW_S = 0.40
_TREMOR_HOP_S = 0.10


@dataclass(frozen=True)
class Periods:
    """What the comparison of successive periods gave; NaN where fewer than 20 pairs could be compared.

    Attributes:
        jitter_percent: mean absolute difference of successive periods, over their mean (Praat: jitter, local).
        shimmer_percent: mean absolute difference of successive amplitudes, over their mean (Praat: shimmer, local).
        hnr_db: mean harmonics-to-noise ratio, 10 log10(r / (1 - r)) with r the correlation of a period with the next.
    """

    jitter_percent: float = nan
    shimmer_percent: float = nan
    hnr_db: float = nan


def find_periods(samples: NDArray[np.float32], rate: int, f0: Floats, voiced: Bools) -> Periods:
    """Compare successive periods.

    Args:
        samples: (T,) samples.
        rate: samples a second.
        f0: (N,) pitch of each frame in Hz.
        voiced: (N,) the frames to look at.
    """
    frames = np.flatnonzero(voiced)
    frames = frames[np.linspace(0, len(frames) - 1, min(len(frames), _PLACES)).round().astype(int)]
    period = rate / f0[frames]
    pad = int(4 * period.max()) + 2
    padded = np.pad(samples, pad)
    first = _pulse(padded, np.round(frames * HOP_S * rate).astype(int) + pad, period)
    lag, similarity = _next_period(padded, first, period)
    second = first + np.round(lag).astype(int)
    next_lag, next_similarity = _next_period(padded, second, period)

    sane = (np.minimum(similarity, next_similarity) > _MIN_SIMILARITY) & (
        np.maximum(lag, next_lag) < _MAX_PERIOD_FACTOR * np.minimum(lag, next_lag)
    )
    if sane.sum() < _MIN_PAIRS:
        return Periods()
    r = np.minimum(similarity[sane], _MAX_SIMILARITY)
    jitter = np.abs(lag - next_lag)[sane].mean() / (0.5 * (lag + next_lag)[sane].mean())
    amplitude = _amplitude(padded, first, period)
    next_amplitude = _amplitude(padded, second, period)
    steady = sane & (
        np.maximum(amplitude, next_amplitude) < _MAX_AMPLITUDE_FACTOR * np.minimum(amplitude, next_amplitude)
    )
    shimmer = np.abs(amplitude - next_amplitude)[steady].mean() / (0.5 * (amplitude + next_amplitude)[steady].mean())
    return Periods(100 * float(jitter), 100 * float(shimmer), float((10 * np.log10(r / (1 - r))).mean()))


def _pulse(samples: Floats, centre: NDArray[np.int_], period: Floats) -> NDArray[np.int_]:
    """The peak within half a period of each centre, of the polarity that has the sharper peaks."""
    half = int(period.max() / 2)
    offset = np.arange(-half, half + 1)
    near = np.where(np.abs(offset) <= period[:, None] / 2, samples[centre[:, None] + offset], 0.0)
    polarity = 1.0 if (near**3).sum() >= 0 else -1.0
    peak: NDArray[np.int_] = centre + offset[(polarity * near).argmax(axis=1)]
    return peak


def _next_period(samples: Floats, pulse: NDArray[np.int_], period: Floats) -> tuple[Floats, Floats]:
    """The lag (samples, refined by a parabola) at which the period around each pulse repeats best, and how well."""
    half = (period / 2).astype(int)
    longest = int(half.max())
    offset = np.arange(-longest, longest + 1)
    template = samples[pulse[:, None] + offset] * (np.abs(offset) <= half[:, None])
    first_lag = (_SHORTEST * period).astype(int)
    lags = np.arange(int((_LONGEST - _SHORTEST) * period.max()) + 3)
    ahead = samples[(pulse + first_lag - longest)[:, None] + np.arange(len(lags) + 2 * longest)]
    size = _fft_size(ahead.shape[1])
    product = np.fft.irfft(np.fft.rfft(ahead, size) * np.fft.rfft(template, size).conj(), size)[:, : len(lags)]
    sums = np.cumsum(np.pad(ahead, ((0, 0), (1, 0))).astype(np.float64) ** 2, axis=1)
    rows, start = np.arange(len(pulse)), lags + (longest - half)[:, None]
    energy = sums[rows[:, None], start + 2 * half[:, None] + 1] - sums[rows[:, None], start]
    match = product / np.sqrt(np.maximum(energy * (template**2).sum(axis=1, keepdims=True), 1e-20))
    best = np.where(lags + first_lag[:, None] <= _LONGEST * period[:, None], match, -1.0).argmax(axis=1)
    best = best.clip(1, len(lags) - 2)
    left, middle, right = (match[rows, best + step] for step in (-1, 0, 1))
    shift = (0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)).clip(-1, 1)
    return first_lag + lags[best] + shift, np.minimum(middle - 0.25 * (left - right) * shift, 1.0)


def _fft_size(length: int) -> int:
    """The least power of two, or three times one, that holds `length`."""
    size = 1 << (length - 1).bit_length()
    return size * 3 // 4 if size * 3 // 4 >= length else size


def _amplitude(samples: Floats, pulse: NDArray[np.int_], period: Floats) -> Floats:
    """Root mean square of the samples around each pulse, under a Hann window of two periods."""
    half = int(period.max())
    offset = np.arange(-half, half + 1)
    window = np.where(np.abs(offset) < period[:, None], 0.5 + 0.5 * np.cos(np.pi * offset / period[:, None]), 0.0)
    value: Floats = np.sqrt((window * samples[pulse[:, None] + offset] ** 2).sum(axis=1) / window.sum(axis=1))
    return value


def spectral_tilt_db(frames: Frames, voiced: Bools) -> float:
    """Level above 1 kHz (to 4 kHz) relative to the level below (60 to 1000 Hz) in voiced frames, in dB.

    The background noise, taken from the quietest tenth of the frames, is subtracted from both. NaN where nothing is
    left of one of them.
    """
    quiet = frames.level_power <= np.quantile(frames.level_power, _QUIET_SHARE)
    high, low = (float(power[voiced].mean() - power[quiet].mean()) for power in (frames.high_power, frames.low_power))
    return float(10 * np.log10(high / low)) if min(high, low) > 0 else nan


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share, 0 to 1, of the samples within 0.26 dB of the largest magnitude (`samples` have a peak of 1)."""
    return float((np.abs(samples) >= _NEAR_PEAK).mean())


def tremor_semitones(f0: Floats, voiced: Bools) -> float:
    """Amplitude of the strongest pitch oscillation from 5.5 to 12 Hz, in semitones.

    Looked for in windows of 0.4 s that are voiced throughout, after a parabola was taken off; the median over the
    windows. NaN where there is no such window.
    """
    width = round(_TREMOR_WINDOW_S / HOP_S)
    step = round(_TREMOR_HOP_S / HOP_S)
    starts = [at for start, stop in true_runs(voiced) for at in range(start, stop - width + 1, step)]
    if not starts:
        return nan
    contour = 12 * np.log2(np.stack([f0[at : at + width] for at in starts]))
    cosine, sine = (contour @ part for part in _tremor_fit(width))
    return float(np.median(np.hypot(cosine, sine).max(axis=1)))


@lru_cache(maxsize=1)
def _tremor_fit(width: int) -> tuple[Floats, Floats]:
    """(width, frequencies) matrices that turn a contour into the amplitudes of its cosine and sine at each frequency.

    Each is a row of the least-squares fit of a parabola, a cosine and a sine.
    """
    time = (np.arange(width) - (width - 1) / 2) * HOP_S
    trend = [time**power for power in range(3)]
    waves = ((np.cos(2 * np.pi * hz * time), np.sin(2 * np.pi * hz * time)) for hz in _TREMOR_HZ)
    fits = np.stack([np.linalg.pinv(np.stack([*trend, *wave], axis=1)) for wave in waves])
    return fits[:, 3].T, fits[:, 4].T
