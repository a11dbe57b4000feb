"""Recordings made on the spot."""

import io
import wave

import numpy as np

RATE = 16_000


def sound(seconds: float, seed: int = 0) -> bytes:
    """A WAV file with a noisy, wavering tone."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
    samples = 0.05 * tone + 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()
