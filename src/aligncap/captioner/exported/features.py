"""Whisper's features, by NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aligncap.blas import single_threaded

__all__ = ["log_mel"]


def log_mel(samples: NDArray[np.float32], filters: NDArray[np.float64], window: int, hop: int) -> NDArray[np.float32]:
    """Log-mel spectrogram as in Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision".

    Args:
        samples: (T,) mono waveform at 16 kHz, longer than half a window.
        filters: (window / 2 + 1, bands).
        window: samples of a spectrum (Hann).
        hop: samples from one spectrum to the next.

    Returns:
        (bands, T // hop), about -1 to 1: decades, no lower than 8 below the highest, divided by 4.
    """
    padded = np.pad(samples.astype(np.float64), window // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: len(samples) // hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    with single_threaded():
        bands = power @ filters
    decades = np.log10(np.maximum(bands, 1e-10)).T
    return np.asarray((np.maximum(decades, decades.max() - 8) + 4) / 4, np.float32)
