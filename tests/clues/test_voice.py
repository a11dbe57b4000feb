"""Voice quality, effort, level and steadiness of synthetic voices in which they are known."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from aligncap.clues import DIMENSIONS, MeasuredClues, clue_words, contours, measure

RATE = 16000
UP = 8  # pulses are placed on a grid eight times as fine
FORMANTS = ((600.0, 90.0), (1400.0, 110.0), (2500.0, 150.0))
Signal = NDArray[np.float64]


def pulses(hz: float, seconds: float = 2.0, jitter: float = 0.0, shimmer: float = 0.0, tilt_db: float = 0.0) -> Signal:
    """Glottal pulses through formants; successive periods and amplitudes differ by these shares on average.

    `tilt_db` raises everything above 1 kHz.
    """
    rng = np.random.default_rng(7)
    fine = RATE * UP
    count = int(hz * seconds * 1.2)
    spread = np.sqrt(np.pi) / 2  # the mean difference of two normal draws is 2 / sqrt(pi) of their deviation
    at = np.cumsum(fine / hz * (1 + jitter * spread * rng.standard_normal(count))).round().astype(int)
    train = np.zeros(int(fine * seconds))
    heights = 1 + shimmer * spread * rng.standard_normal(count)
    train[at[at < len(train)]] = heights[at < len(train)]
    return shaped(train, fine, tilt_db)[::UP]


def shaped(source: Signal, rate: int, tilt_db: float = 0.0) -> Signal:
    frequency = np.fft.rfftfreq(len(source), 1 / rate)
    gain = sum(1 / (1 + ((frequency - centre) / width) ** 2) for centre, width in FORMANTS) + 0.02
    gain = gain / (1 + frequency / 100) * ((frequency > 50) & (frequency < 7200))
    gain *= np.where(frequency > 1000, 10 ** (tilt_db / 20), 1.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(source) * gain, len(source)))


def with_breath(signal: Signal, hnr_db: float) -> Signal:
    """Noise of the same spectrum added."""
    breath = shaped(np.random.default_rng(3).standard_normal(len(signal)), RATE)
    return np.asarray(signal + breath * np.sqrt((signal**2).mean() / (breath**2).mean() / 10 ** (hnr_db / 10)))


def clues(signal: Signal) -> MeasuredClues:
    return measure((signal / np.abs(signal).max()).astype(np.float32), RATE)


def silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * RATE))


@pytest.mark.parametrize("hz", [100.0, 220.0])
@pytest.mark.parametrize("jitter", [0.005, 0.01, 0.03])
def test_jitter_within_a_fifth(hz: float, jitter: float) -> None:
    measured = clues(pulses(hz, jitter=jitter))
    assert measured.jitter_percent == pytest.approx(100 * jitter, rel=0.2, abs=0.1)
    assert measured.shimmer_percent < 5.0


@pytest.mark.parametrize("hz", [100.0, 220.0])
@pytest.mark.parametrize("shimmer", [0.05, 0.10])
def test_shimmer_within_a_fifth(hz: float, shimmer: float) -> None:
    measured = clues(pulses(hz, shimmer=shimmer))
    assert measured.shimmer_percent == pytest.approx(100 * shimmer, rel=0.2)
    assert measured.jitter_percent < 0.3


@pytest.mark.parametrize("hz", [100.0, 220.0])
@pytest.mark.parametrize("hnr_db", [5.0, 10.0, 15.0, 20.0])
def test_hnr_within_two_decibels(hz: float, hnr_db: float) -> None:
    assert clues(with_breath(pulses(hz), hnr_db)).hnr_db == pytest.approx(hnr_db, abs=2.0)


def test_a_clean_regular_voice() -> None:
    measured = clues(pulses(125.0))
    assert measured.jitter_percent < 0.2
    assert measured.shimmer_percent < 0.5
    assert measured.hnr_db > 25.0


def test_without_voice_quality_the_rest_is_the_same() -> None:
    signal = pulses(150.0, jitter=0.01).astype(np.float32)
    full, quick = asdict(measure(signal)), asdict(measure(signal, voice_quality=False))
    for name in ("jitter_percent", "shimmer_percent", "hnr_db"):
        assert np.isnan(quick.pop(name))
        assert not np.isnan(full.pop(name))
    assert quick == pytest.approx(full, nan_ok=True)


def test_a_stretch_with_a_subharmonic_is_no_octave_lower() -> None:
    # every other pulse weaker for 0.3 s: there the period is doubled, the pitch that is heard is not
    train = np.zeros(2 * RATE * UP)
    at = np.arange(0, len(train), RATE * UP // 200)
    train[at] = 1.0
    train[at[160:220:2]] = 0.45
    found = contours(shaped(train, RATE * UP)[::UP].astype(np.float32))
    assert found.f0_hz[found.voiced] == pytest.approx(200.0, rel=0.02)
    assert found.voiced[5:-5].all()


def test_tilt_rises_by_what_was_added_above_1_khz() -> None:
    measured = [clues(pulses(140.0, tilt_db=added)).spectral_tilt_db for added in (-6.0, 0.0, 6.0)]
    assert np.diff(measured) == pytest.approx([6.0, 6.0], abs=0.3)


def test_background_noise_leaves_the_tilt_alone() -> None:
    signal = np.concatenate([silence(0.5), pulses(140.0, tilt_db=-12.0), silence(0.5)])
    power = (signal[signal != 0] ** 2).mean()
    hiss = np.random.default_rng(0).standard_normal(len(signal)) * np.sqrt(power / 10 ** (15.0 / 10))
    plain, noisy = clues(signal), clues(signal + hiss)
    assert noisy.spectral_tilt_db == pytest.approx(plain.spectral_tilt_db, abs=0.5)
    assert noisy.snr_db == pytest.approx(17.0, abs=3.0)
    assert plain.snr_db > 50.0


def test_level_is_that_of_the_speech_alone() -> None:
    voice = pulses(140.0)
    voice *= 0.1 / np.sqrt((voice**2).mean())  # 20 dB below a root mean square of 1
    padded = np.concatenate([silence(2.0), voice, silence(2.0)]).astype(np.float32)
    assert measure(padded).level_dbfs == pytest.approx(-20.0, abs=0.3)
    assert measure(padded / 2).level_dbfs == pytest.approx(-26.0, abs=0.3)


@pytest.mark.parametrize("hz", [6.0, 8.0, 10.0])
@pytest.mark.parametrize("depth", [0.3, 0.8])
def test_tremor_of_known_depth(hz: float, depth: float) -> None:
    time = np.arange(2 * RATE) / RATE
    contour = 180.0 * 2 ** ((depth * np.sin(2 * np.pi * hz * time) - 2 * time) / 12)  # and a falling melody
    phase = 2 * np.pi * np.cumsum(contour) / RATE
    signal = sum(np.cos(k * phase) / k for k in range(1, 20))
    # the analysis window of 48 ms smooths quick oscillations a little
    assert 0.6 * depth < clues(np.asarray(signal)).tremor_semitones < 1.1 * depth


def test_a_steady_or_gliding_voice_has_no_tremor() -> None:
    time = np.arange(2 * RATE) / RATE
    for contour in (np.full_like(time, 180.0), 180.0 * 2 ** (-5 * time / 12)):
        phase = 2 * np.pi * np.cumsum(contour) / RATE
        assert clues(np.asarray(sum(np.cos(k * phase) / k for k in range(1, 20)))).tremor_semitones < 0.02


def test_pauses_are_counted() -> None:
    vowel = pulses(150.0, 0.5)
    parts = [silence(0.5), vowel, silence(0.3), vowel, silence(0.1), vowel, silence(0.4), vowel, silence(0.6)]
    assert clues(np.concatenate(parts)).pause_count == 2
    assert clues(vowel).pause_count == 0


@pytest.mark.parametrize("clip_db", [6.0, 12.0])
def test_clipping_is_seen_and_keeps_pitch(clip_db: float) -> None:
    signal = with_breath(np.concatenate([pulses(150.0, 1.0), silence(0.3), pulses(170.0, 1.0)]), 20.0)
    limit = np.abs(signal).max() / 10 ** (clip_db / 20)
    plain, clipped = clues(signal), clues(np.clip(signal, -limit, limit))
    assert plain.clipped_share < 0.002 < clipped.clipped_share
    assert clipped.f0_median_hz == pytest.approx(plain.f0_median_hz, rel=0.01)
    assert clipped.pause_share == pytest.approx(plain.pause_share, abs=0.03)
    said = {word.dimension for word in clue_words(clipped, dimensions=DIMENSIONS)}
    assert not said & {"effort", "quality"}


def test_noise_is_not_taken_for_breath() -> None:
    signal = np.concatenate([silence(0.4), pulses(200.0, 2.0), silence(0.4)])
    hiss = np.random.default_rng(0).standard_normal(len(signal)) * np.sqrt((signal**2).mean() / 10)
    noisy = clues(signal + hiss)
    assert noisy.hnr_db < 15.0
    assert "quality" not in {word.dimension for word in clue_words(noisy, dimensions=DIMENSIONS)}


def test_contours_are_those_that_are_measured() -> None:
    signal = np.concatenate([silence(0.3), pulses(150.0, 0.6), silence(0.3), pulses(150.0, 0.6)]).astype(np.float32)
    found = contours(signal)
    assert np.nanmedian(found.f0_hz[found.voiced]) == pytest.approx(measure(signal).f0_median_hz)
    assert len(found.runs) == measure(signal).pause_count + 1 == 2
    assert found.runs[0][0] * 0.01 == pytest.approx(0.3, abs=0.04)
    assert len(found.f0_hz) == len(found.level_db) == len(found.voiced) == 180
