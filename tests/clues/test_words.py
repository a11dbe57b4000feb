"""Words come from documented thresholds and move the right way."""

from __future__ import annotations

from dataclasses import fields, replace
from math import nan

import numpy as np
import pytest

from aligncap.clues import ClueWord, MeasuredClues, clue_words
from aligncap.clues.words import Scale, scales

ORDINARY = MeasuredClues(
    duration_s=3.0,
    f0_median_hz=200.0,
    f0_spread_semitones=3.5,
    f0_slope_semitones_per_s=-2.0,
    level_range_db=8.0,
    syllables_per_s=4.2,
    pause_share=0.0,
    voiced_share=0.7,
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


@pytest.mark.parametrize("scale", scales(), ids=lambda scale: scale.dimension)
def test_words_are_monotone_and_include_their_thresholds(scale: Scale) -> None:
    order = {end[1]: sign for end, sign in ((scale.low, -1), (scale.high, 1)) if end is not None}

    def end(value: float) -> int:
        words = clue_words(replace(ORDINARY, **{scale.clue: value}))
        return order[words[0].level] if words else 0

    highest = 2 * (scale.high or scale.low or (nan, "", ""))[0]
    ends = [end(value) for value in np.linspace(0.0, highest, 200)]
    assert ends == sorted(ends)
    assert set(ends) == {-1, 0, 1} - ({-1} if scale.low is None else set())
    for bound, sign in ((scale.low, -1), (scale.high, 1)):
        if bound is not None:
            assert end(bound[0]) == sign


def test_scales_judge_real_fields_with_distinct_words() -> None:
    names = {field.name for field in fields(MeasuredClues)}
    words = [bound[1] for scale in scales() for bound in (scale.low, scale.high) if bound]
    assert all(scale.clue in names and scale.unit for scale in scales())
    assert len(set(words)) == len(words) == 9
    assert all(scale.low[0] < scale.high[0] for scale in scales() if scale.low and scale.high)


def test_levels_are_those_that_captions_can_tell() -> None:
    from aligncap.captions import VOICE_LEVELS

    levels = {scale.dimension: {end[1] for end in (scale.low, scale.high) if end} for scale in scales()}
    assert levels == {dimension: set(names) for dimension, names in VOICE_LEVELS.items()}
