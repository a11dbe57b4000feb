"""Clues measured from the samples alone: pitch, melody, pace, pauses, dynamics, effort, voice quality.

Nothing here depends on a model or on chance, and nothing but `level_dbfs` on the recording's gain: the same samples,
louder or softer, give the same clues. Every clue that cannot be measured is NaN, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.frames import F0_MAX_HZ, F0_MIN_HZ, HOP_S, Bools, Floats, Frames, analyse
from aligncap.clues.pitch import track
from aligncap.clues.rhythm import (
    MIN_PAUSE_S,
    Runs,
    find_nuclei,
    level_db,
    sounding,
    speech_runs,
    without_short_runs,
)
from aligncap.clues.voice import Periods, clipped_share, find_periods, spectral_tilt_db, tremor_semitones
from aligncap.errors import AudioInvalidError

__all__ = ["F0_MAX_HZ", "F0_MIN_HZ", "HOP_S", "MIN_PAUSE_S", "Contours", "MeasuredClues", "contours", "measure"]

_MIN_RATE_HZ = 8000
_MIN_VOICED_RUN_S = 0.04
_MIN_VOICED_S = 0.10
_MIN_VOICED_SHARE = 0.10
_MIN_CONTOUR_S = 0.50
_MIN_RATE_SPEECH_S = 1.0
_MIN_NUCLEI = 3
_SLOPE_POINTS = 150


@dataclass(frozen=True)
class MeasuredClues:
    """What was measured in one recording; NaN where it could not be.

    The *speech part* is every stretch of sound that contains voicing, gaps shorter than 150 ms included.
    Where less than 0.1 s, or less than a tenth of all sound, is voiced (silence, noise, whisper), all clues
    but `duration_s`, `voiced_share` and `clipped_share` are NaN.

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
        pause_count: pauses of at least 150 ms between the first and the last sound of speech (a whole number).
        level_dbfs: root mean square of the speech part, in dB relative to a sample value of 1. It says how the
            recording was made (microphone, distance, gain, normalisation) before it says anything of the voice:
            compare only recordings of one session.
        spectral_tilt_db: level from 1 to 4 kHz relative to 60 to 1000 Hz in voiced frames, less the background
            noise, in dB; rises with vocal effort. It depends on the microphone too.
        jitter_percent: mean difference of successive periods, in percent of the period. NaN, as are shimmer and
            HNR, where too few periods can be compared.
        shimmer_percent: mean difference of successive periods' amplitudes, in percent of the amplitude.
        hnr_db: harmonics-to-noise ratio, in dB. Background noise counts as noise: read it beside `snr_db`.
        tremor_semitones: amplitude of the strongest pitch oscillation from 5.5 to 12 Hz, in semitones. NaN where
            no 0.4 s are voiced without a break.
        snr_db: usual level of voiced frames over the level of the quietest twentieth of all frames, in dB; at
            most 70. A lower bound of the signal-to-noise ratio, as the quietest frames may hold speech.
        clipped_share: share, 0 to 1, of the samples that lie within 0.26 dB of the largest; ordinary speech has
            less than 0.001. NaN for digital silence.
    """

    duration_s: float
    f0_median_hz: float = nan
    f0_spread_semitones: float = nan
    f0_slope_semitones_per_s: float = nan
    level_range_db: float = nan
    syllables_per_s: float = nan
    pause_share: float = nan
    voiced_share: float = nan
    pause_count: float = nan
    level_dbfs: float = nan
    spectral_tilt_db: float = nan
    jitter_percent: float = nan
    shimmer_percent: float = nan
    hnr_db: float = nan
    tremor_semitones: float = nan
    snr_db: float = nan
    clipped_share: float = nan


@dataclass(frozen=True)
class Contours:
    """What the clues are computed from, frame by frame; frame i is centred on i * `HOP_S` seconds.

    Attributes:
        f0_hz: (N,) fundamental frequency, NaN where unvoiced.
        level_db: (N,) level relative to the loudest frame, 200 to 4000 Hz, at least -70 dB.
        voiced: (N,) the frames that count as voiced: those with a pitch, in runs of at least 40 ms.
        runs: [start, stop) in frames of each stretch of speech; the pauses lie between them.
    """

    f0_hz: Floats
    level_db: Floats
    voiced: Bools
    runs: Runs


def measure(samples: NDArray[np.float32], rate: int = 16000, *, voice_quality: bool = True) -> MeasuredClues:
    """Measure the emotional clues of one recording.

    Args:
        samples: mono samples of shape (T,), any gain. Longer recordings should be segmented first: one set of
            clues describes the whole of `samples`.
        rate: samples a second, at least 8000.
        voice_quality: whether to measure jitter, shimmer and HNR too, which takes a quarter of the time.

    Returns:
        The clues; the same for `samples` and for `gain * samples` (to rounding), `level_dbfs` apart.

    Raises:
        AudioInvalidError: `samples` is not one-dimensional or holds NaN or infinity, or `rate` is below 8000.
    """
    samples, peak = _normalised(samples, rate)
    duration = len(samples) / rate
    if peak == 0.0:
        return MeasuredClues(duration)
    frames = analyse(samples, rate)
    found = _contours(frames)
    f0, level, voiced, runs = found.f0_hz, found.level_db, found.voiced, found.runs
    speech = sum(stop - start for start, stop in runs)
    voiced_share = int(voiced.sum()) / speech if speech else 0.0
    clipped = clipped_share(samples)
    sound = int(sounding(level, voiced).sum())
    if voiced.sum() * HOP_S < _MIN_VOICED_S or voiced.sum() < _MIN_VOICED_SHARE * sound:
        return MeasuredClues(duration, voiced_share=voiced_share, clipped_share=clipped)

    times = np.flatnonzero(voiced) * HOP_S
    semitones = 12.0 * np.log2(f0[voiced])
    has_contour = voiced.sum() * HOP_S >= _MIN_CONTOUR_S
    nuclei = len(find_nuclei(level, voiced))
    has_rate = speech * HOP_S >= _MIN_RATE_SPEECH_S and nuclei >= _MIN_NUCLEI
    periods = find_periods(samples, rate, f0, voiced) if voice_quality else Periods()
    return MeasuredClues(
        duration_s=duration,
        f0_median_hz=float(np.median(f0[voiced])),
        f0_spread_semitones=_percentile_range(semitones, 10, 90) / 2 if has_contour else nan,
        f0_slope_semitones_per_s=_slope(times, semitones) if has_contour else nan,
        level_range_db=_percentile_range(level[voiced], 50, 95) if has_contour else nan,
        syllables_per_s=nuclei / (speech * HOP_S) if has_rate else nan,
        pause_share=1.0 - speech / (runs[-1][1] - runs[0][0]),
        voiced_share=voiced_share,
        pause_count=len(runs) - 1,
        level_dbfs=_level_dbfs(samples, rate, runs) + 20 * float(np.log10(peak)),
        spectral_tilt_db=spectral_tilt_db(frames, voiced),
        jitter_percent=periods.jitter_percent,
        shimmer_percent=periods.shimmer_percent,
        hnr_db=periods.hnr_db,
        tremor_semitones=tremor_semitones(f0, voiced),
        snr_db=float(np.median(level[voiced]) - np.percentile(level, 5)),
        clipped_share=clipped,
    )


def contours(samples: NDArray[np.float32], rate: int = 16000) -> Contours:
    """The pitch, level and speech of each frame, as `measure` sees them: for pictures and for finding out why.

    Args:
        samples: mono samples of shape (T,), not empty.
        rate: samples a second, at least 8000.

    Raises:
        AudioInvalidError: as for `measure`.
    """
    return _contours(analyse(_normalised(samples, rate)[0], rate))


def _normalised(samples: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float32], float]:
    """The samples without offset and at a peak of 1, and the peak that they had."""
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise AudioInvalidError("samples", f"expected shape (T,), got {samples.shape}: mix the channels first")
    if rate < _MIN_RATE_HZ:
        raise AudioInvalidError("samples", f"a rate of {rate} Hz is too low: resample to 16000 Hz")
    if not np.isfinite(samples).all():
        raise AudioInvalidError("samples", "NaN or infinite values: decode the recording again or clean it")
    samples = samples - (samples.mean() if len(samples) else 0.0)
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / np.float32(peak) if peak else samples), peak


def _contours(frames: Frames) -> Contours:
    level = level_db(frames.level_power)
    f0 = track(frames)
    voiced = without_short_runs(~np.isnan(f0), _MIN_VOICED_RUN_S)
    return Contours(f0, level, voiced, speech_runs(sounding(level, voiced), voiced))


def _level_dbfs(samples: NDArray[np.float32], rate: int, runs: Runs) -> float:
    spoken = [samples[max(0, round((a - 0.5) * HOP_S * rate)) : round((b - 0.5) * HOP_S * rate)] for a, b in runs]
    power = np.concatenate(spoken).astype(np.float64) ** 2
    return float(10 * np.log10(max(float(power.mean()), 1e-20)))


def _percentile_range(values: Floats, low: float, high: float) -> float:
    bottom, top = np.percentile(values, [low, high])
    return float(top - bottom)


def _slope(seconds: Floats, values: Floats) -> float:
    """Theil-Sen slope on at most `_SLOPE_POINTS` evenly chosen points."""
    chosen = np.linspace(0, len(seconds) - 1, min(len(seconds), _SLOPE_POINTS)).round().astype(int)
    x, y = seconds[chosen], values[chosen]
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
