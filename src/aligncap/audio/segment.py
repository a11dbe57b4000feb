"""Cuts a recording into windows that the model can take, without losing a sample."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from aligncap.audio.mix import MIN_SECONDS, RATE, Audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Segment", "longest_window", "segments", "windows"]


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
    return [
        Segment(start / RATE, end / RATE, audio.samples[start:end])
        for start, end in windows(0, len(audio.samples), longest_window(max_seconds))
    ]


def longest_window(max_seconds: float) -> int:
    """The most samples that a stretch of `max_seconds` may have.

    Raises:
        ValueError: it is below 0.2 s or not a number.
    """
    if not max_seconds >= 2 * MIN_SECONDS:
        raise ValueError(f"max_seconds must be at least {2 * MIN_SECONDS:g}, not {max_seconds}")
    # Half a sample of slack: 0.7 s × 16 kHz must not become 11,199 because of floating point.
    return int(min(max_seconds * RATE + 0.5, sys.maxsize))


def windows(start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """The least number of windows of equal length (to one sample) between two places, each at most `longest`."""
    total = end - start
    count = -(-total // longest)
    return pairwise([start + total * index // count for index in range(count)] + [end]) if count else iter(())
