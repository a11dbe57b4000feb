"""Loudness and edges of a recording, the same for every microphone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["level"]


def level(samples: NDArray[np.float32], dbfs: float) -> NDArray[np.float32]:
    """Cut silence off both ends and bring active speech to a level; independent of the recording's gain.

    Active are the frames of 25 ms within 30 dB of the loudest. What lies more than 0.1 s before the first or
    after the last of them is cut off.

    Args:
        samples: (T,) mono waveform at 16 kHz.
        dbfs: target root-mean-square level of the active frames, in dB relative to full scale.
    """
    size = min(400, len(samples))
    power = np.square(samples[: len(samples) // size * size], dtype=np.float64).reshape(-1, size).mean(1)
    active = np.flatnonzero(power >= power.max() * 1e-3)
    margin = 1600
    span = samples[max(active[0] * size - margin, 0) : (active[-1] + 1) * size + margin]
    return np.asarray(span * (10 ** (dbfs / 20) / np.sqrt(power[active].mean() + 1e-12)), np.float32)
