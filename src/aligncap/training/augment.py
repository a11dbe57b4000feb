"""Another recording of the same utterance: other speed and pitch, other room and microphone, noise."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["augment"]


def augment(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change speed (and with it pitch) by up to 7 %, colour the spectrum, add reverberation and noise at random.

    Args:
        samples: (T,) mono at 16 kHz.
        rng: source of all randomness.

    Returns:
        (about T,) float32.
    """
    x = soxr.resample(samples, 16_000, int(16_000 * rng.uniform(0.93, 1.07))).astype(np.float64)
    level = np.sqrt(np.mean(np.square(x)) + 1e-12)
    spectrum = np.fft.rfft(x)
    if rng.random() < 0.7:  # microphone: a smooth random curve, 4 dB deviation
        knots = rng.normal(0, 4, 8)
        curve = np.interp(np.linspace(0, 7, len(spectrum)), np.arange(8), knots)
        spectrum = spectrum * 10 ** (curve / 20)
        x = np.fft.irfft(spectrum, len(x))
    if rng.random() < 0.3:  # room: exponentially decaying noise, 0.1 to 0.4 s to fall by 60 dB
        time = np.arange(4800) / 16_000
        room = rng.normal(size=4800) * np.exp(-6.9 * time / rng.uniform(0.1, 0.4)) * 0.05
        room[0] = 1.0
        size = len(x) + len(room)
        x = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[: len(x)]
    if rng.random() < 0.7:  # noise between white and brown, 8 to 35 dB below the speech
        noise = np.fft.rfft(rng.normal(size=len(x)))
        noise *= (np.arange(len(noise)) + 1.0) ** -rng.uniform(0, 1)
        wave = np.fft.irfft(noise, len(x))
        x = x + wave / np.sqrt(np.mean(np.square(wave)) + 1e-12) * level * 10 ** (-rng.uniform(8, 35) / 20)
    return x.astype(np.float32)
