"""From sources to stretches of speech, with what was measured in them: read ahead, one bad recording at a time."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import torch

from aligncap.audio import RATE, Audio, AudioSource, Segment, read_audio, segments
from aligncap.captioner.results import Failure
from aligncap.clues import clue_words, measure
from aligncap.errors import AlignCapError

__all__ = ["Clip", "Source", "as_sources", "batches", "stretches"]

Source: TypeAlias = "AudioSource | Audio | Failure"
"""What can be captioned. A `Failure` stands for a recording known to be bad, and comes back in its place."""

_LOG = logging.getLogger(__name__)
_SILENCE = 2e-5  # peak to peak, as in aligncap.audio


@dataclass(frozen=True, eq=False)
class Clip:
    """One stretch of a recording, with what was measured in it.

    Attributes:
        id: the recording's name, with its place appended where the recording was segmented.
        audio: the recording's name.
        segment: samples and times.
        voice: (dimension, level) of what is out of the ordinary.
        warnings: what to know about the recording.
    """

    id: str
    audio: str
    segment: Segment
    voice: list[tuple[str, str]]
    warnings: tuple[str, ...]


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
    """Read one recording after the other, and cut it; nothing is measured yet."""
    for position, source in enumerate(sources):
        if isinstance(source, Failure):
            yield source
            continue
        name = _name(source, position)
        try:
            audio = _read(source, name)
            parts = segments(audio, max_seconds)
        except Exception as error:  # one bad recording must not stop the others
            yield _failure(error, name)
            continue
        for index, part in enumerate(parts):
            clip_id = name if len(parts) == 1 else f"{name}#{index}"
            yield Clip(clip_id, name, part, [], (*audio.warnings, *_silence(part)))


def as_sources(sources: Source | Iterable[Source]) -> Iterable[Any]:
    """Tell one recording from several; a pair is (samples, rate) where its second item is a number."""
    pair = isinstance(sources, tuple) and len(sources) == 2 and isinstance(sources[1], int | float | np.number)
    one = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, torch.Tensor, Audio, Failure)
    single = pair or isinstance(sources, one) or hasattr(sources, "read")
    return [sources] if single else sources  # type: ignore[return-value]


def _name(source: Any, position: int) -> str:
    """What to call a recording: its path as given (with forward slashes), or its place among the sources."""
    if isinstance(source, Audio):
        return source.source
    if not isinstance(source, str | os.PathLike):
        source = getattr(source, "name", None)  # of a file object; pipes have numbers there
    if isinstance(source, str | os.PathLike) and (path := os.fspath(source)):
        return str(path).replace(os.sep, "/")
    return f"<recording {position}>"


def _read(source: Any, name: str) -> Audio:
    if not isinstance(source, Audio):
        return read_audio(source, name=name)
    # anybody can make an Audio: check it as samples are
    checked = read_audio((source.samples, RATE), name=name, max_seconds=math.inf)
    return replace(checked, warnings=source.warnings)


def _measured(item: Clip | Failure) -> Clip | Failure:
    """The stretch with what is measured in its voice."""
    if isinstance(item, Failure):
        return item
    try:
        clues = measure(item.segment.samples, voice_quality=False)
    except Exception as error:
        return _failure(error, item.audio, item.id)
    return replace(item, voice=[(word.dimension, word.level) for word in clue_words(clues)])


def _failure(error: Exception, audio: str, clip_id: str | None = None) -> Failure:
    if not isinstance(error, AlignCapError):
        _LOG.debug("%s: unexpected error", audio, exc_info=error)
    return Failure.of(error, audio, clip_id)


def _silence(part: Segment) -> tuple[str, ...]:
    if np.ptp(part.samples) >= _SILENCE:
        return ()
    return (f"nothing is heard from {part.start:.1f} to {part.end:.1f} s: what is said of it has no ground",)
