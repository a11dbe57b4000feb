"""Stretches of recordings on their way to the model. Nothing here needs PyTorch."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from aligncap.audio import Audio, Segment
from aligncap.captioner.results import Failure
from aligncap.errors import AlignCapError

__all__ = ["Clip", "failure", "recording_name", "silence_warning"]

_LOG = logging.getLogger(__name__)
_SILENCE = 2e-5  # peak to peak, as in aligncap.audio


@dataclass(frozen=True, eq=False)
class Clip:
    """One stretch of a recording, with what was measured in it.

    Attributes:
        id: the recording's name, with its place appended where the recording was segmented.
        audio: the recording's name.
        segment: samples and times.
        voice: (dimension, level) of what is out of the ordinary; empty until it is measured.
        warnings: what to know about the recording.
        speaker: who talks, where that is known.
        duration: of the whole recording, in seconds; 0 where it is not known.
    """

    id: str
    audio: str
    segment: Segment
    voice: list[tuple[str, str]]
    warnings: tuple[str, ...]
    speaker: str | None = None
    duration: float = 0.0


def recording_name(source: Any, position: int) -> str:
    """What to call a recording: its path as given (with forward slashes), or its place among the sources."""
    if isinstance(source, Audio):
        return source.source
    if not isinstance(source, str | os.PathLike):
        source = getattr(source, "name", None)  # of a file object; pipes have numbers there
    if isinstance(source, str | os.PathLike) and (path := os.fspath(source)):
        return str(path).replace(os.sep, "/")
    return f"<recording {position}>"


def failure(error: Exception, audio: str, clip_id: str | None = None) -> Failure:
    """The record of an error; one that nobody foresaw is logged with its traceback."""
    if not isinstance(error, AlignCapError):
        _LOG.debug("%s: unexpected error", audio, exc_info=error)
    return Failure.of(error, audio, clip_id)


def silence_warning(part: Segment) -> tuple[str, ...]:
    """The warning about a stretch in which every sample is the same; none for others."""
    if np.ptp(part.samples) >= _SILENCE:
        return ()
    return (f"nothing is heard from {part.start:.1f} to {part.end:.1f} s: what is said of it has no ground",)
