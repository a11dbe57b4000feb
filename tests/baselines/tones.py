"""Recordings made on the spot."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def tone(hz: float, seconds: float = 0.8) -> np.ndarray:
    """A voice-like tone: high for the angry, low for the sad."""
    time = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6))
    return (0.1 * voice * (1.2 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)
