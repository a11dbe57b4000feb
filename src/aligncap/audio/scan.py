"""Hears a recording once, in little memory, to know how to divide it; then gives its stretches one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from aligncap.audio.decode import AudioSource, AudioStream
from aligncap.audio.mix import RATE, Audio
from aligncap.audio.segment import Segment
from aligncap.audio.spans import Span
from aligncap.audio.vad import FRAME, SpeechDetector

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scan", "cut", "scan"]

MAX_SECONDS = 24 * 3600
"""The longest recording that is scanned; a day costs 21 MB."""

_KEPT = 60 * RATE  # samples: longer recordings are decoded once more to be cut


@dataclass(frozen=True, eq=False)
class Scan:
    """What is known of a recording that was heard once.

    Attributes:
        total: samples at 16 kHz.
        energy: (⌈total / 512⌉,) mean square of each frame.
        probability: (⌈total / 512⌉,) of speech in each frame; None where nobody listened for speech.
        samples: (total,) of a short recording, else None.
        warnings: what is odd about the recording.
    """

    total: int
    energy: NDArray[np.float32]
    probability: NDArray[np.float32] | None
    samples: NDArray[np.float32] | None
    warnings: tuple[str, ...]


def blocks(source: AudioSource | Audio, name: str | None = None) -> AudioStream:
    """A recording as a stream, checked."""
    if not isinstance(source, Audio):
        return AudioStream(source, name=name, max_seconds=MAX_SECONDS)
    # anybody can make an Audio: check it as samples are
    return AudioStream((source.samples, RATE), name=name or source.source, max_seconds=float("inf"))


def scan(source: AudioSource | Audio, name: str | None = None, *, listen_from: int | None = 0) -> Scan:
    """Hear a recording from beginning to end.

    Args:
        source: as for `read_audio`.
        name: what to call it.
        listen_from: samples that a recording must have for the speech in it to be found; None: never.

    Raises:
        AudioError: it cannot be used; see `read_audio`.
    """
    stream = blocks(source, name)
    waiting, kept = np.zeros(0, np.float32), bytearray()
    unheard: list[NDArray[np.float32]] = []
    energy: list[NDArray[np.float32]] = []
    heard: list[NDArray[np.float32]] = []
    detector: SpeechDetector | None = None
    total = 0
    for block in chain(stream, [None]):
        total += 0 if block is None else len(block)
        if block is not None and total <= _KEPT:
            kept += block.tobytes()
        added = np.zeros(-len(waiting) % FRAME, np.float32) if block is None else block  # at the end, fill a frame up
        waiting = np.concatenate([waiting, added])
        whole = len(waiting) // FRAME * FRAME
        frames, waiting = waiting[:whole].reshape(-1, FRAME), waiting[whole:]
        energy.append(np.square(frames).mean(1))
        if listen_from is None:
            continue
        unheard.append(frames)
        if total >= listen_from:
            detector = detector or SpeechDetector()
            heard += [detector(item) for item in unheard]
            unheard.clear()
    return Scan(
        total,
        np.concatenate(energy),
        np.concatenate(heard) if heard else None,
        np.frombuffer(kept, np.float32) if total <= _KEPT else None,
        source.warnings if isinstance(source, Audio) else stream.warnings,
    )


def cut(source: AudioSource | Audio, name: str, scanned: Scan, spans: Iterable[Span]) -> Iterator[tuple[Span, Segment]]:
    """The samples of each span with speech, in order; no more is held than one of them, and those that overlap it.

    Args:
        source: what was scanned; if it is no path, it must be readable once more.
        name: what to call it.
        scanned: of the same recording.
        spans: of it, in the order of their beginnings.

    Raises:
        AudioError: it can no longer be read as before.
    """
    whole = source.samples if isinstance(source, Audio) else scanned.samples
    stream = iter(blocks(source, name)) if whole is None else iter(())
    held = np.zeros(0, np.float32) if whole is None else whole
    reached = len(held)  # what is held are the samples before this one
    for span in spans:
        if not span.speech:
            continue
        if whole is None:
            parts = [held[max(len(held) - max(reached - span.start, 0), 0) :]]
            while reached < span.end and (block := next(stream, None)) is not None:
                parts.append(block[max(span.start - reached, 0) :])
                reached += len(block)
            held = np.concatenate(parts)
        first = reached - len(held)
        yield span, Segment(span.start / RATE, span.end / RATE, held[span.start - first : span.end - first])
