"""From sources to stretches of speech, with what was measured in them: read ahead, one bad recording at a time."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from aligncap.audio import Audio, AudioSource
from aligncap.audio.decode import Tensor
from aligncap.captioner.clips import Clip, failure
from aligncap.captioner.cutting import Segmentation, cut_recordings
from aligncap.captioner.results import Failure, Silence
from aligncap.clues import clue_words, measure

__all__ = ["Clip", "Source", "as_sources", "batches", "stretches"]

Source: TypeAlias = "AudioSource | Audio | Clip | Failure"
"""What can be captioned. A `Clip` is a stretch that was cut already (see `aligncap.captioner.cutting`); a `Failure`
stands for a recording known to be bad, and comes back in its place."""


def batches(sources: Iterable[Source], max_seconds: float, size: int) -> Generator[list[Clip | Failure], None, None]:
    """Stretches with their clues, so many at a time, in order.

    While the caller works on one batch, a second thread takes the next recordings from ``sources`` and reads them,
    up to one batch ahead.
    """
    found = stretches(sources, max_seconds)
    with ThreadPoolExecutor(1, "aligncap-read") as reader, ThreadPoolExecutor(2, "aligncap-clues") as measurers:

        def read() -> list[Clip | Failure]:
            return list(measurers.map(_measured, islice(found, size)))

        coming = reader.submit(read)
        while batch := coming.result():
            coming = reader.submit(read)
            yield batch


def stretches(sources: Iterable[Source], max_seconds: float) -> Iterator[Clip | Failure]:
    """Read recordings, and cut out the speech of long ones (see `Segmentation`); nothing is measured yet."""
    for item in cut_recordings(sources, Segmentation(max_seconds=max_seconds), readers=1):
        if not isinstance(item, Silence):
            yield item


def as_sources(sources: Source | Iterable[Source]) -> Iterable[Any]:
    """Tell one recording from several; a pair is (samples, rate) where its second item is a number."""
    pair = isinstance(sources, tuple) and len(sources) == 2 and isinstance(sources[1], int | float | np.number)
    one = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, Tensor, Audio, Clip, Failure)
    single = pair or isinstance(sources, one) or hasattr(sources, "read")
    return [sources] if single else sources  # type: ignore[return-value]


def _measured(item: Clip | Failure) -> Clip | Failure:
    """The stretch with what is measured in its voice."""
    if isinstance(item, Failure):
        return item
    try:
        clues = measure(item.segment.samples, voice_quality=False)
    except Exception as error:
        return failure(error, item.audio, item.id)
    return replace(item, voice=[(word.dimension, word.level) for word in clue_words(clues)])
