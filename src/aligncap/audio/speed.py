"""A recording played faster or slower."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["at_speed"]

_RATE = 16_000


def at_speed(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play a recording at another speed: pitch, formants and pace change together, as with another speaker.

    Args:
        samples: (T,) mono waveform at 16 kHz.
        speed: factor; above 1 faster and higher.

    Returns:
        (about T / speed,) float32.

    Raises:
        ValueError: the speed is not between 0.5 and 2.

    Source: speed perturbation (Ko et al. 2015, "Audio augmentation for speech recognition").
    """
    if not 0.5 <= speed <= 2.0:
        raise ValueError(f"a speed of {speed}: use one from 0.5 to 2")
    return samples if speed == 1 else np.asarray(soxr.resample(samples, _RATE, _RATE / speed), np.float32)
