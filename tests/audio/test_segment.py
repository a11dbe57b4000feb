from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aligncap.audio import RATE, Audio, segments


@settings(max_examples=200, deadline=None)
@given(total=st.integers(1600, 500_000), max_seconds=st.floats(0.2, 60))
@example(total=3201, max_seconds=0.2)
@example(total=160_000, max_seconds=10.0)
@example(total=160_001, max_seconds=10.0)
@example(total=11_200, max_seconds=0.7)
@example(total=2_000_000, max_seconds=math.inf)
def test_segments_cover_exactly(total: int, max_seconds: float) -> None:
    audio = Audio(np.arange(total, dtype=np.float32), "x")
    cut = segments(audio, max_seconds)
    np.testing.assert_array_equal(np.concatenate([piece.samples for piece in cut]), audio.samples)
    assert cut[0].start == 0
    assert cut[-1].end == audio.duration
    lengths = [len(piece.samples) for piece in cut]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 0.1 * RATE
    assert max(lengths) <= max_seconds * RATE + 0.5
    for piece, following in pairwise(cut):
        assert piece.end == following.start
    for piece in cut:
        assert piece.start * RATE == pytest.approx(piece.samples[0])
        assert piece.end - piece.start == pytest.approx(len(piece.samples) / RATE)


@pytest.mark.parametrize(
    ("seconds", "max_seconds", "count"),
    [(10, 10, 1), (10.1, 10, 2), (30, 10, 3), (0.1, 10, 1), (2.002, 1.001, 2)],
)
def test_number_of_segments(seconds: float, max_seconds: float, count: int) -> None:
    audio = Audio(np.zeros(round(seconds * RATE), np.float32), "x")
    assert len(segments(audio, max_seconds)) == count


def test_segments_are_views() -> None:
    audio = Audio(np.zeros(RATE * 3, np.float32), "x")
    assert all(np.shares_memory(piece.samples, audio.samples) for piece in segments(audio, 1))


def test_nothing_has_no_segments() -> None:
    assert segments(Audio(np.zeros(0, np.float32), "x")) == []


@pytest.mark.parametrize("max_seconds", [0.19, 0, -1, math.nan])
def test_windows_too_short_for_the_model_are_refused(max_seconds: float) -> None:
    with pytest.raises(ValueError, match=r"max_seconds must be at least 0\.2"):
        segments(Audio(np.zeros(RATE, np.float32), "x"), max_seconds)
