"""Cuts a recording into windows that the model can take, without losing a sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from aligncap.audio.mix import MIN_SECONDS, RATE, Audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Segment", "segments"]


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of a recording.

    Attributes:
        start: where it begins, in seconds.
        end: where it ends, in seconds (exclusive).
        samples: (T,) float32, 16 kHz mono: a view into the recording, not a copy.
    """

    start: float
    end: float
    samples: NDArray[np.float32]


def segments(audio: Audio, max_seconds: float = 10.0) -> list[Segment]:
    """Split a recording into windows of equal length (to one sample) that touch and do not overlap.

    Args:
        audio: the recording, T samples.
        max_seconds: the longest window allowed, at least 0.2 s.

    Returns:
        the least number of windows that fit, ⌈duration / max_seconds⌉, in order. Joined, they are exactly the
        recording. None is shorter than 0.1 s (unless the recording itself is).

    Raises:
        ValueError: `max_seconds` is below 0.2 s or not a number.
    """
    if not max_seconds >= 2 * MIN_SECONDS:
        raise ValueError(f"max_seconds must be at least {2 * MIN_SECONDS:g}, not {max_seconds}")
    total = len(audio.samples)
    # Half a sample of slack: 0.7 s × 16 kHz must not become 11,199 because of floating point.
    longest = int(min(max_seconds * RATE + 0.5, max(total, 1)))
    count = -(-total // longest)
    bounds = [total * index // count for index in range(count)] + [total]
    return [Segment(start / RATE, end / RATE, audio.samples[start:end]) for start, end in pairwise(bounds)]
