"""Log-mel frames of clips, and a file of them for training."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncap.audio import RATE
from aligncap.evaluation.voices import row_samples
from aligncap.training.data import Clip

__all__ = ["BANDS", "FRAMES_PER_S", "MAX_SECONDS", "MelFile", "log_mel"]

BANDS = 64
FRAMES_PER_S = 50
MAX_SECONDS = 10.0
_WINDOW, _HOP, _FFT = 400, 160, 512  # 25 ms every 10 ms; pairs of frames are averaged
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_VERSION = 1


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float16]:
    """Log-mel energies, each band less its mean over the clip: what gain and microphone add is gone.

    Energies are floored at 70 dB below the largest.

    Args:
        samples: (T,) mono at 16 kHz; of more than 10 s the first 10 s.

    Returns:
        (frames, 64), 50 frames a second, of about unit scale.
    """
    samples = samples[: round(MAX_SECONDS * RATE)]
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW + _HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: len(samples) + _HOP : _HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), _FFT)) ** 2
    bands = power @ _filters()
    energy = np.log(bands + 1e-7 * bands.max() + 1e-20)
    energy = energy[: len(energy) // 2 * 2].reshape(-1, 2, BANDS).mean(1)
    return np.asarray(((energy - energy.mean(0)) / 3.0).clip(-4, 4), np.float16)


@cache
def _filters() -> NDArray[np.float64]:
    """(bins, 64) triangles, evenly spaced in mel."""
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    mels = np.linspace(low, high, BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    hz = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


class MelFile:
    """The frames of clips in one file, memory-mapped; made where it is not there, or is of other clips.

    Args:
        clips: whose recordings can all be read.
        folder: of the manifest.
        path: the file; beside it stands an index of the same name in ``.json``.
        advance: called after each clip that is read.
    """

    def __init__(
        self, clips: Sequence[Clip], folder: Path, path: Path, advance: Callable[[], None] = lambda: None
    ) -> None:
        digest = hashlib.sha256(f"{_VERSION} {BANDS} {FRAMES_PER_S}".encode())
        for clip in clips:
            digest.update(f"\n{clip.id} {clip.row.start} {clip.row.end} {clip.audio.stat().st_size}".encode())
        key, index = digest.hexdigest(), path.with_suffix(".json")
        found = json.loads(index.read_text()) if index.is_file() and path.is_file() else {}
        if found.get("key") != key:
            frames = []
            for clip in clips:
                frames.append(log_mel(row_samples(clip.row, folder)))
                advance()
            found = {"key": key, "lengths": [len(item) for item in frames]}
            part = path.with_name(f"{path.stem}.part.npy")
            np.save(part, np.concatenate(frames))
            part.replace(path)
            index.write_text(json.dumps(found))
        self._ends = np.cumsum([0, *found["lengths"]])
        self._frames = np.load(path, mmap_mode="r")

    def __getitem__(self, row: int) -> NDArray[np.float16]:
        """(frames, 64) of a clip."""
        return np.asarray(self._frames[self._ends[row] : self._ends[row + 1]])
