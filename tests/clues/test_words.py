"""Words come from documented thresholds and move the right way."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from math import nan

import numpy as np
import pytest

from aligncap.clues import (
    BASIC_DIMENSIONS,
    DIMENSIONS,
    ClueWord,
    MeasuredClues,
    clue_record,
    clue_words,
    said_with_number,
    speaker_reference,
)
from aligncap.clues.words import Scale, scales
from aligncap.errors import AlignCapError

ORDINARY = MeasuredClues(
    duration_s=3.0,
    f0_median_hz=200.0,
    f0_spread_semitones=3.5,
    f0_slope_semitones_per_s=-2.0,
    level_range_db=8.0,
    syllables_per_s=4.2,
    pause_share=0.0,
    voiced_share=0.7,
    pause_count=0,
    level_dbfs=-22.0,
    spectral_tilt_db=-9.0,
    jitter_percent=2.2,
    shimmer_percent=8.0,
    hnr_db=16.0,
    tremor_semitones=0.5,
    snr_db=45.0,
    clipped_share=0.0001,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"f0_median_hz": 90.0}, ("pitch", "low", "low-pitched")),
        ({"f0_median_hz": 340.0}, ("pitch", "high", "high-pitched")),
        ({"f0_spread_semitones": 1.2}, ("melody", "flat", "flat")),
        ({"f0_spread_semitones": 7.0}, ("melody", "lively", "lively")),
        ({"syllables_per_s": 2.2}, ("pace", "slow", "slow")),
        ({"syllables_per_s": 6.0}, ("pace", "fast", "fast")),
        ({"pause_share": 0.3}, ("pauses", "halting", "halting")),
        ({"level_range_db": 3.0}, ("dynamics", "even", "even")),
        ({"level_range_db": 13.0}, ("dynamics", "strong", "emphatic")),
    ],
)
def test_each_extreme_has_its_word(change: dict[str, float], expected: tuple[str, str, str]) -> None:
    assert clue_words(replace(ORDINARY, **change)) == (ClueWord(*expected),)


def test_the_middle_range_has_no_word() -> None:
    assert clue_words(ORDINARY) == ()


def test_what_was_not_measured_has_no_word() -> None:
    assert clue_words(MeasuredClues(2.0)) == ()


def test_several_words_come_in_the_order_of_the_scales() -> None:
    measured = replace(ORDINARY, level_range_db=14.0, f0_median_hz=320.0, syllables_per_s=6.0)
    assert [word.word for word in clue_words(measured)] == ["high-pitched", "fast", "emphatic"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"f0_slope_semitones_per_s": -7.0}, ("contour", "falling", "falling in pitch")),
        ({"f0_slope_semitones_per_s": 2.0}, ("contour", "rising", "rising in pitch")),
        ({"spectral_tilt_db": -18.0}, ("effort", "soft", "soft")),
        ({"spectral_tilt_db": 1.0}, ("effort", "forceful", "forceful")),
        ({"jitter_percent": 5.0}, ("quality", "rough", "rough")),
        ({"hnr_db": 9.0, "spectral_tilt_db": -12.0}, ("quality", "breathy", "breathy")),
        ({"hnr_db": 9.0, "spectral_tilt_db": -12.0, "jitter_percent": 5.0}, ("quality", "rough", "rough")),
    ],
)
def test_further_dimensions_are_said_on_request_only(change: dict[str, float], expected: tuple[str, str, str]) -> None:
    clues = replace(ORDINARY, **change)
    assert clue_words(clues) == ()
    assert clue_words(clues, dimensions=DIMENSIONS) == (ClueWord(*expected),)
    assert clue_words(clues, dimensions=[expected[0]]) == (ClueWord(*expected),)


def test_what_the_checkpoint_knows_comes_without_asking() -> None:
    odd = MeasuredClues(3.0, 330.0, 1.0, 3.0, 14.0, 6.0, 0.3, 0.7, 2, -5.0, 5.0, 6.0, 15.0, 5.0, 2.0, 60.0, 0.0)
    assert {word.dimension for word in clue_words(odd)} == set(BASIC_DIMENSIONS)
    assert set(DIMENSIONS) - {word.dimension for word in clue_words(odd, dimensions=DIMENSIONS)} == {"loudness"}


@pytest.mark.parametrize(
    ("change", "spoilt"),
    [
        ({"spectral_tilt_db": 1.0}, {"snr_db": 10.0}),
        ({"spectral_tilt_db": 1.0}, {"clipped_share": 0.01}),
        ({"jitter_percent": 6.0}, {"snr_db": 20.0}),
        ({"jitter_percent": 6.0}, {"snr_db": nan}),
        ({"hnr_db": 6.0, "spectral_tilt_db": -12.0}, {"snr_db": 20.0}),
        ({"hnr_db": 6.0, "spectral_tilt_db": -12.0}, {"spectral_tilt_db": -5.0}),
        ({"f0_slope_semitones_per_s": 9.0}, {"syllables_per_s": nan}),
    ],
)
def test_no_word_where_the_measurement_is_not_to_be_relied_on(
    change: dict[str, float], spoilt: dict[str, float]
) -> None:
    assert clue_words(replace(ORDINARY, **change), dimensions=DIMENSIONS)
    assert clue_words(replace(ORDINARY, **{**change, **spoilt}), dimensions=DIMENSIONS) == ()


@pytest.mark.parametrize(
    ("hz", "pooled", "female", "male"),
    [(100, "low", "low", "low"), (150, None, "low", None), (210, None, None, "high"), (330, "high", "high", "high")],
)
def test_women_and_men_have_references_of_their_own(
    hz: float, pooled: str | None, female: str | None, male: str | None
) -> None:
    clues = replace(ORDINARY, f0_median_hz=hz)
    levels = [
        next((word.level for word in clue_words(clues, reference=name)), None) for name in ("pooled", "female", "male")
    ]
    assert levels == [pooled, female, male]
    fast = clue_words(replace(clues, syllables_per_s=6.0), reference="male")[-1]
    assert fast == ClueWord("pace", "fast", "fast")  # judged as if pooled


USUAL = [replace(ORDINARY, f0_median_hz=hz) for hz in (118.0, 120.0, 120.0, 120.0, 122.0)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"f0_median_hz": 120.0 * 2 ** (5.2 / 12)}, {"pitch:high"}),
        ({"f0_median_hz": 120.0 * 2 ** (5.0 / 12)}, set()),
        ({"f0_median_hz": 120.0 * 2 ** (-3.8 / 12)}, {"pitch:low"}),
        ({"syllables_per_s": 4.95}, {"pace:fast"}),
        ({"f0_spread_semitones": 2.3}, {"melody:flat"}),
        ({"level_range_db": 10.35}, {"dynamics:strong"}),
        ({"spectral_tilt_db": -5.0}, {"effort:forceful"}),
        ({"level_dbfs": -14.0}, {"loudness:loud"}),
        ({"level_dbfs": -29.0}, {"loudness:quiet"}),
        ({"level_dbfs": -14.0, "clipped_share": 0.1}, set()),
        ({"pause_share": 0.3}, {"pauses:halting"}),  # as if pooled
        ({"jitter_percent": 5.0}, {"quality:rough"}),
        ({"f0_median_hz": nan, "syllables_per_s": nan}, set()),
    ],
)
def test_relative_to_the_speaker(change: dict[str, float], expected: set[str]) -> None:
    clues = replace(ORDINARY, **{"f0_median_hz": 120.0, **change})
    words = clue_words(clues, dimensions=DIMENSIONS, reference=speaker_reference(USUAL))
    assert {f"{word.dimension}:{word.level}" for word in words} == expected


def test_a_speaker_takes_five_recordings() -> None:
    assert speaker_reference(USUAL).recordings == 5
    assert speaker_reference(USUAL).medians["f0_median_hz"] == 120.0
    with pytest.raises(AlignCapError, match="at least 5 recordings to tell, and there are 4"):
        speaker_reference(USUAL[1:])
    with pytest.raises(AlignCapError, match="there is 1:"):
        speaker_reference(USUAL[:1])


def test_a_clue_measured_in_four_recordings_is_no_reference() -> None:
    reference = speaker_reference([*USUAL[:4], MeasuredClues(1.0)])
    assert np.isnan(reference.medians["f0_median_hz"])
    assert reference.medians["duration_s"] == 3.0
    assert clue_words(replace(ORDINARY, f0_median_hz=400.0), reference=reference) == ()


def test_unknown_dimensions_and_references_are_named() -> None:
    with pytest.raises(AlignCapError, match="no such dimension of the voice: colour: use pitch, "):
        clue_words(ORDINARY, dimensions=["pitch", "colour"])
    with pytest.raises(AlignCapError, match="no such reference: 'child'"):
        clue_words(ORDINARY, reference="child")  # type: ignore[arg-type]


def test_record() -> None:
    clues = replace(ORDINARY, f0_median_hz=333.33333, hnr_db=nan)
    record = clue_record(clues, clue_words(clues))
    assert list(record) == [*(field.name for field in fields(MeasuredClues)), "words"]
    assert record["f0_median_hz"] == 333.3333
    assert record["hnr_db"] is None
    assert record["words"] == ["pitch:high"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"f0_median_hz": 332.6}, "high-pitched (333 Hz)"),
        ({"pause_share": 0.3}, "halting (0.30 of the time)"),
        ({"jitter_percent": 5.04}, "rough (5.0 % jitter)"),
        ({"hnr_db": 9.0, "spectral_tilt_db": -12.0}, "breathy (9 dB HNR)"),
        ({"f0_slope_semitones_per_s": 2.0}, "rising in pitch (+2.0 semitones/s)"),
    ],
)
def test_words_with_their_numbers(change: dict[str, float], text: str) -> None:
    clues = replace(ORDINARY, **change)
    assert [said_with_number(word, clues) for word in clue_words(clues, dimensions=DIMENSIONS)] == [text]


BASIC_SCALES = [scale for scale in scales() if scale.dimension in BASIC_DIMENSIONS]


@pytest.mark.parametrize("scale", BASIC_SCALES, ids=lambda scale: scale.dimension)
def test_words_are_monotone_and_include_their_thresholds(scale: Scale) -> None:
    order = {end.level: sign for end, sign in ((scale.low, -1), (scale.high, 1)) if end is not None}
    thresholds = {end.level: end.thresholds["pooled"] for end in (scale.low, scale.high) if end is not None}

    def end(value: float) -> int:
        words = clue_words(replace(ORDINARY, **{scale.clue: value}))
        return order[words[0].level] if words else 0

    ends = [end(value) for value in np.linspace(0.0, 2 * max(thresholds.values()), 200)]
    assert ends == sorted(ends)
    assert set(ends) == {-1, 0, 1} - ({-1} if scale.low is None else set())
    assert all(end(threshold) == order[level] for level, threshold in thresholds.items())


def test_scales_judge_real_fields_with_distinct_words() -> None:
    names = {field.name for field in fields(MeasuredClues)}
    words = [bound.word for scale in scales() for bound in (scale.low, scale.high) if bound]
    for scale in scales():
        assert {scale.clue, *scale.at_least, *scale.at_most} <= names
        assert scale.unit
        for population in ("pooled", "female", "male", "relative"):
            ends = [bound.thresholds.get(population) for bound in (scale.low, scale.high) if bound]
            assert len(ends) < 2 or None in ends or ends[0] < ends[1]
    assert len(set(words)) == len(words) == 17
    assert tuple(dict.fromkeys(scale.dimension for scale in scales())) == DIMENSIONS


def test_levels_are_those_that_captions_can_tell() -> None:
    from aligncap.captions import VOICE_LEVELS

    for scale in scales():
        assert {end.level for end in (scale.low, scale.high) if end} <= set(VOICE_LEVELS[scale.dimension])
