"""Synthetic voices whose pitch, pace, pauses and dynamics are known."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aligncap.audio import read_audio
from aligncap.clues import MeasuredClues, measure
from aligncap.errors import AudioInvalidError

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 16000
FORMANTS = ((600.0, 90.0), (1400.0, 110.0), (2500.0, 150.0))
Signal = NDArray[np.float64]


def seconds(length: float, rate: int = RATE) -> Signal:
    return np.arange(round(length * rate)) / rate


def voice(hz: Signal | float, length: float = 2.0, rate: int = RATE) -> Signal:
    """A pulse train (harmonics in phase, falling 6 dB an octave) through three formants."""
    contour = np.broadcast_to(np.asarray(hz, dtype=float), seconds(length, rate).shape)
    phase = 2 * np.pi * np.cumsum(contour) / rate
    out = np.zeros_like(phase)
    for harmonic in range(1, int(0.45 * rate / contour.min()) + 1):
        frequency = harmonic * contour
        gain = sum(1 / (1 + ((frequency - centre) / width) ** 2) for centre, width in FORMANTS) + 0.05
        out += np.where(frequency < 0.45 * rate, gain / harmonic, 0.0) * np.cos(harmonic * phase)
    return np.asarray(out / np.abs(out).max())


def syllables(per_second: float, length: float, hz: float = 140.0, depth_db: float = 20.0) -> Signal:
    """A voice whose level swings by `depth_db` once a syllable."""
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * per_second * seconds(length))
    return np.asarray(voice(hz, length) * 10 ** (depth_db * (swing - 1) / 20))


def silence(length: float) -> Signal:
    return np.zeros(round(length * RATE))


def noise(length: float, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).standard_normal(round(length * RATE))


def with_noise(signal: Signal, snr_db: float, seed: int = 0) -> Signal:
    added = np.random.default_rng(seed).standard_normal(len(signal))
    return np.asarray(signal + added * np.sqrt(np.mean(signal[signal != 0] ** 2) / 10 ** (snr_db / 10)))


def clues(signal: Signal, rate: int = RATE) -> MeasuredClues:
    return measure(signal.astype(np.float32), rate)


def unmeasured(measured: MeasuredClues) -> set[str]:
    return {name for name, value in asdict(measured).items() if np.isnan(value)}


NEEDS_VOICE = {field.name for field in fields(MeasuredClues)} - {"duration_s", "voiced_share", "clipped_share"}
NEEDS_A_CONTOUR = {"f0_spread_semitones", "f0_slope_semitones_per_s", "level_range_db", "syllables_per_s"}


@pytest.mark.parametrize("hz", [75.0, 100.0, 140.0, 210.0, 330.0, 480.0, 600.0])
@pytest.mark.parametrize("snr_db", [None, 20.0, 10.0])
def test_median_pitch_within_one_percent(hz: float, snr_db: float | None) -> None:
    signal = voice(hz, 1.0) if snr_db is None else with_noise(voice(hz, 1.0), snr_db)
    measured = clues(signal)
    assert measured.f0_median_hz == pytest.approx(hz, rel=0.01)
    assert measured.f0_spread_semitones < 0.15
    assert abs(measured.f0_slope_semitones_per_s) < 0.3
    assert measured.voiced_share > 0.9


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_gives_the_same_pitch(rate: int) -> None:
    measured = clues(voice(200.0, 1.0, rate), rate)
    assert measured.duration_s == pytest.approx(1.0)
    assert measured.f0_median_hz == pytest.approx(200.0, rel=0.01)


@pytest.mark.parametrize("semitones_per_s", [-6.0, -2.0, 3.0])
def test_slope_and_spread_of_a_glide(semitones_per_s: float) -> None:
    length = 2.0
    measured = clues(voice(180.0 * 2 ** (semitones_per_s * (seconds(length) - length / 2) / 12), length))
    assert measured.f0_slope_semitones_per_s == pytest.approx(semitones_per_s, abs=0.15)
    assert measured.f0_spread_semitones == pytest.approx(0.4 * abs(semitones_per_s) * length, abs=0.15)
    assert measured.f0_median_hz == pytest.approx(180.0, rel=0.01)


def test_spread_grows_with_vibrato_depth() -> None:
    def spread(depth: float) -> float:
        contour = 200.0 * 2 ** (depth * np.sin(2 * np.pi * 1.5 * seconds(2.0)) / 12)
        return clues(voice(contour)).f0_spread_semitones

    measured = [spread(depth) for depth in (0.5, 1.5, 3.0, 5.0)]
    # A sine lies within 0.951 of its amplitude from the 10th to the 90th percentile.
    assert measured == pytest.approx([0.951 * depth for depth in (0.5, 1.5, 3.0, 5.0)], abs=0.25)


@pytest.mark.parametrize("per_second", [2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
@pytest.mark.parametrize("snr_db", [None, 20.0])
def test_syllable_rate_within_a_tenth(per_second: float, snr_db: float | None) -> None:
    signal = syllables(per_second, 3.0)
    measured = clues(signal if snr_db is None else with_noise(signal, snr_db))
    assert measured.syllables_per_s == pytest.approx(per_second, rel=0.1)
    assert measured.pause_share < 0.02


def test_a_tremor_is_no_syllable() -> None:
    tremor = 10 ** (0.5 * np.sin(2 * np.pi * 11 * seconds(3.0)) / 20)
    measured = clues(syllables(2.0, 3.0, depth_db=10.0) * tremor)
    assert measured.syllables_per_s == pytest.approx(2.0, rel=0.1)


def test_pauses_are_not_counted_in_the_rate_of_syllables() -> None:
    phrase = syllables(4.0, 1.5)
    measured = clues(np.concatenate([phrase, silence(1.0), phrase]))
    assert measured.syllables_per_s == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("snr_db", [None, 15.0])
def test_share_of_inner_pauses(snr_db: float | None) -> None:
    vowel = voice(150.0, 0.7)
    parts = [silence(0.8), vowel, silence(0.4), vowel, silence(0.3), vowel, silence(1.1)]
    signal = np.concatenate(parts)
    measured = clues(signal if snr_db is None else with_noise(signal, snr_db))
    assert measured.pause_share == pytest.approx(0.7 / 2.8, abs=0.05)
    assert measured.voiced_share > 0.85
    assert measured.duration_s == pytest.approx(4.7)


def test_a_closure_is_no_pause() -> None:
    vowel = voice(150.0, 0.5)
    assert clues(np.concatenate([vowel, silence(0.1), vowel])).pause_share == 0.0


def test_clicks_and_noise_outside_the_speech_change_nothing() -> None:
    click = np.zeros(160)
    click[80] = 1.0
    speech = syllables(4.0, 2.0)
    alone = clues(np.concatenate([silence(1.0), speech, silence(1.0)]))
    beside = np.concatenate([click, silence(0.79), noise(0.2) * 0.1, speech, silence(0.4), click, silence(0.59)])
    measured = clues(beside)
    assert measured.pause_share == pytest.approx(alone.pause_share, abs=0.1)
    assert measured.f0_median_hz == pytest.approx(alone.f0_median_hz, rel=0.005)


def test_mains_hum_is_not_a_voice() -> None:
    hum = sum(np.sin(2 * np.pi * 100 * k * seconds(4.0)) / k for k in range(1, 7))
    speech = np.concatenate([silence(1.0), voice(220.0, 0.8), silence(0.6), voice(220.0, 0.8), silence(0.8)])
    measured = clues(speech + 10 ** (-35 / 20) * hum)
    assert measured.f0_median_hz == pytest.approx(220.0, rel=0.01)
    assert measured.pause_share == pytest.approx(0.6 / 2.2, abs=0.05)


def test_level_range_of_two_levels() -> None:
    # One syllable in five is 12 dB louder: the median is the soft level, the 95th percentile the loud one.
    gains = np.repeat([1.0, 1.0, 4.0, 1.0, 1.0] * 2, round(0.3 * RATE))
    assert clues(voice(150.0, 3.0) * gains).level_range_db == pytest.approx(20 * np.log10(4.0), abs=0.7)


def test_compression_narrows_the_level_range() -> None:
    envelope = 10 ** (-12 * (0.5 - 0.5 * np.cos(2 * np.pi * 0.8 * seconds(3.0))) / 20)
    plain, compressed, flat = (clues(voice(150.0, 3.0) * envelope**power).level_range_db for power in (1.0, 0.5, 0.0))
    assert plain > compressed + 1.5 > flat + 2.5
    assert flat < 0.5


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_resampling_moves_pitch_and_pace_together(factor: float) -> None:
    speech = syllables(4.0, 3.0, hz=160.0)
    position = np.arange(0, len(speech) - 1, factor)
    before = clues(speech)
    after = clues(np.interp(position, np.arange(len(speech)), speech))
    assert after.f0_median_hz / before.f0_median_hz == pytest.approx(factor, rel=0.01)
    assert after.syllables_per_s / before.syllables_per_s == pytest.approx(factor, rel=0.1)
    assert after.f0_spread_semitones == pytest.approx(before.f0_spread_semitones, abs=0.1)


@pytest.mark.parametrize("name", ["angry_awb", "neutral_rms", "surprised_slt"])
def test_the_same_clip_played_faster_and_louder(name: str) -> None:
    clip = read_audio(EXAMPLES / f"{name}.flac").samples
    measured = []
    for factor in (0.85, 1.0, 1.2):
        position = np.arange(0, len(clip) - 1, factor)
        measured.append(clues(factor * np.interp(position, np.arange(len(clip)), clip)))
    pitch, pace = ([getattr(item, clue) for item in measured] for clue in ("f0_median_hz", "syllables_per_s"))
    assert pitch == sorted(pitch)
    assert pitch[2] / pitch[0] == pytest.approx(1.2 / 0.85, rel=0.03)
    assert pace[2] > 1.05 * pace[0]  # quick syllables run together, and one more or less hides smaller steps
    assert measured[2].level_dbfs - measured[0].level_dbfs == pytest.approx(20 * np.log10(1.2 / 0.85), abs=0.5)


@pytest.mark.parametrize("gain", [1e-12, 0.05, 3.0, 1e12])
def test_gain_changes_nothing(gain: float) -> None:
    contour = 170.0 * 2 ** (3 * np.sin(2 * np.pi * 0.7 * seconds(2.0)) / 12)
    phrase = voice(contour) * np.abs(syllables(3.5, 2.0, hz=90.0)).clip(0.05)
    speech = with_noise(np.concatenate([phrase, silence(0.4), phrase]), 25.0).astype(np.float32)
    reference, scaled = asdict(measure(speech)), asdict(measure(speech * np.float32(gain)))
    assert not unmeasured(measure(speech))
    assert scaled.pop("level_dbfs") - reference.pop("level_dbfs") == pytest.approx(20 * np.log10(gain), abs=0.01)
    for name in ("jitter_percent", "shimmer_percent"):  # two periods match almost equally well in a sum of two voices
        assert scaled.pop(name) == pytest.approx(reference.pop(name), rel=0.2)
    assert scaled == pytest.approx(reference, rel=1e-3, abs=1e-3)


def test_the_same_samples_give_the_same_clues_and_are_left_alone() -> None:
    speech = with_noise(syllables(4.0, 1.5), 15.0).astype(np.float32)
    before = speech.copy()
    assert measure(speech) == measure(speech)
    assert np.array_equal(speech, before)


@pytest.mark.parametrize("offset", [0.3, -5.0])
def test_a_dc_offset_changes_nothing(offset: float) -> None:
    measured = clues(syllables(4.0, 2.0) + offset)
    assert measured.f0_median_hz == pytest.approx(140.0, rel=0.01)
    assert measured.syllables_per_s == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_voice(seed: int) -> None:
    measured = clues(noise(2.0, seed))
    assert unmeasured(measured) == NEEDS_VOICE
    assert measured.voiced_share < 0.1


def test_brown_noise_has_no_voice() -> None:
    assert np.isnan(clues(np.cumsum(noise(2.0))).f0_median_hz)


def test_whispering_has_no_pitch() -> None:
    whisper = np.convolve(noise(2.0), voice(60.0, 0.01), mode="same") * np.abs(syllables(4.0, 2.0)).clip(0.1)
    assert unmeasured(clues(whisper)) >= {"f0_median_hz", "f0_spread_semitones"}


def test_clicks_alone_are_no_voice() -> None:
    signal = np.zeros(2 * RATE)
    signal[[3000, 9000, 21000]] = 1.0
    assert unmeasured(clues(signal)) >= NEEDS_VOICE


@pytest.mark.parametrize("length", [0.0, 1 / RATE, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("kind", ["voice", "noise", "silence"])
def test_very_short_recordings_do_not_crash(length: float, kind: str) -> None:
    signal = {"voice": voice(200.0, 1.0), "noise": noise(1.0), "silence": silence(1.0)}[kind]
    measured = clues(signal[: round(length * RATE)])
    assert measured.duration_s == pytest.approx(length)
    assert {"f0_spread_semitones", "level_range_db", "syllables_per_s"} <= unmeasured(measured)


def test_one_short_vowel_has_a_pitch_but_no_pace() -> None:
    measured = clues(np.concatenate([silence(0.3), voice(250.0, 0.3), silence(0.3)]))
    assert measured.f0_median_hz == pytest.approx(250.0, rel=0.01)
    assert unmeasured(measured) == NEEDS_A_CONTOUR | {"tremor_semitones"}


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_silence_has_no_clues_but_its_length(offset: float) -> None:
    measured = clues(silence(1.5) + offset)
    assert measured.duration_s == 1.5
    assert unmeasured(measured) == NEEDS_VOICE | {"voiced_share", "clipped_share"}


def test_long_recordings_are_measured_across_blocks() -> None:
    measured = clues(np.concatenate([syllables(4.0, 4.0), silence(0.5)] * 3))
    assert measured.syllables_per_s == pytest.approx(4.0, rel=0.1)
    assert measured.pause_share == pytest.approx(1.0 / 13.0, abs=0.02)


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.zeros((2, RATE), np.float32), RATE, "shape"),
        (np.full(RATE, np.nan, np.float32), RATE, "NaN"),
        (np.full(RATE, np.inf, np.float32), RATE, "infinite"),
        (np.zeros(RATE, np.float32), 4000, "rate"),
    ],
)
def test_bad_samples_are_named(samples: NDArray[np.float32], rate: int, reason: str) -> None:
    with pytest.raises(AudioInvalidError, match=reason):
        measure(samples, rate)
