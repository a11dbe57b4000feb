from __future__ import annotations

import numpy as np
import pytest

from aligncap.audio.speed import at_speed


@pytest.mark.parametrize("speed", [0.85, 0.92, 1.08, 1.5])
def test_pitch_and_duration_change_together(speed: float) -> None:
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 200 * time).astype(np.float32)
    played = at_speed(tone, speed)
    assert played.dtype == np.float32
    assert len(played) == pytest.approx(16_000 / speed, abs=2)
    loudest = np.abs(np.fft.rfft(played * np.hanning(len(played)))).argmax() * 16_000 / len(played)
    assert loudest == pytest.approx(200 * speed, abs=1)
    middle = slice(len(played) // 4, -len(played) // 4)
    assert np.abs(played[middle]).max() == pytest.approx(1.0, abs=0.01)


def test_at_its_own_speed_nothing_changes() -> None:
    tone = np.ones(100, np.float32)
    assert at_speed(tone, 1.0) is tone


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.4, 2.5, float("nan")])
def test_other_speeds_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        at_speed(np.ones(100, np.float32), speed)
