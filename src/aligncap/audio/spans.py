"""Divides a recording into stretches of speech and of silence, by what was heard in each frame.

All places are numbers of samples at 16 kHz. The spans of a recording cover it without a gap; they overlap only where
the turns that a user gives do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aligncap.audio.mix import RATE
from aligncap.audio.segment import windows
from aligncap.audio.vad import FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Span", "Turn", "fixed_spans", "speech_regions", "speech_spans", "turn_spans"]

_ENTER, _LEAVE = 0.5, 0.35  # probability at which speech begins, and below which it ends (as Silero suggests)
_LEAST = 0.1  # seconds: shorter bursts are no speech; a short interjection is
_JOIN = 0.8  # seconds: shorter gaps belong to the speech around them
_PAD = 0.1  # seconds before and after speech: onsets and endings are soft
_SMOOTH = 3  # frames over which loudness is averaged to find the quietest point


@dataclass(frozen=True)
class Span:
    """A part of a recording.

    Attributes:
        start: first sample.
        end: the sample after the last.
        speech: whether it is to be described; else it is silence.
        speaker: who talks, where the user said so.
    """

    start: int
    end: int
    speech: bool = True
    speaker: str | None = None


@dataclass(frozen=True)
class Turn:
    """What a user calls one stretch of speech.

    Attributes:
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording.
        speaker: who talks.
    """

    start: float
    end: float
    speaker: str | None = None


def fixed_spans(total: int, longest: int) -> list[Span]:
    """The least number of equal windows, all taken for speech."""
    return [Span(start, end) for start, end in windows(0, total, longest)]


def speech_spans(total: int, longest: int, probability: NDArray[np.float32], energy: NDArray[np.float32]) -> list[Span]:
    """Speech as a detector heard it, and the silence between.

    Args:
        total: samples of the recording.
        longest: samples of the longest stretch allowed; longer ones are divided at their quietest points.
        probability: (⌈total / 512⌉,) of speech in each frame.
        energy: (⌈total / 512⌉,) mean square of each frame.

    Returns:
        spans in order that touch and do not overlap; none with speech where none was heard.
    """
    regions = list(speech_regions(probability, total))
    parts = [Span(*part) for region in regions for part in _divided(*region, longest, energy)]
    return _with_silence(parts, total)


def turn_spans(total: int, longest: int, turns: Iterable[Turn], energy: NDArray[np.float32]) -> list[Span]:
    """A user's turns, and the silence where there is none.

    Turns are kept as they are (they may overlap), but for what lies beyond the recording's end, which is left out;
    longer ones are divided at their quietest points.

    Args:
        total: samples of the recording.
        longest: samples of the longest stretch allowed.
        turns: in any order.
        energy: (⌈total / 512⌉,) mean square of each frame.
    """
    parts = []
    for turn in turns:
        start, end = (min(max(round(seconds * RATE), 0), total) for seconds in (turn.start, turn.end))
        if start < end:
            parts += [Span(*part, speaker=turn.speaker) for part in _divided(start, end, longest, energy)]
    parts.sort(key=lambda part: (part.start, part.end, part.speaker or ""))
    return _with_silence(parts, total)


def speech_regions(probability: NDArray[np.float32], total: int) -> Iterator[tuple[int, int]]:
    """Stretches of speech, widened a little, without short gaps: samples, in order, apart from each other."""
    start = end = None
    for first, last in _bursts(probability):
        if last - first < _LEAST * RATE:
            continue
        widened = max(first - round(_PAD * RATE), 0), min(last + round(_PAD * RATE), total)
        if start is None or end is None:
            start = widened[0] if widened[0] >= _JOIN * RATE else 0
        elif widened[0] - end >= _JOIN * RATE:
            yield start, end
            start = widened[0]
        end = widened[1]
    if start is not None and end is not None:
        yield start, (end if total - end >= _JOIN * RATE else total)


def _bursts(probability: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Where the probability rises above one threshold, until it falls below another."""
    start = None
    for place, value in enumerate(probability):
        if start is None and value >= _ENTER:
            start = place
        elif start is not None and value < _LEAVE:
            yield start * FRAME, place * FRAME
            start = None
    if start is not None:
        yield start * FRAME, len(probability) * FRAME


def _divided(start: int, end: int, longest: int, energy: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Parts of at most `longest`, cut where it is quietest in the second half of what may be the next part."""
    while end - start > longest:
        # what remains is never too short to be described
        earliest, latest = start + longest // 2, min(start + longest, end - min(longest // 2, RATE))
        cut = _quietest(earliest, latest, energy)
        yield start, cut
        start = cut
    yield start, end


def _quietest(earliest: int, latest: int, energy: NDArray[np.float32]) -> int:
    """The middle of the quietest frame that lies between two places; halfway where there is no whole frame."""
    first, last = -(-earliest // FRAME), latest // FRAME
    if last <= first:
        return (earliest + latest) // 2
    smooth = np.convolve(energy[first:last], np.full(_SMOOTH, 1 / _SMOOTH), mode="same")
    # at the ends, the mean is of fewer frames
    smooth *= _SMOOTH / np.convolve(np.ones(last - first), np.ones(_SMOOTH), mode="same")
    return (first + int(np.argmin(smooth))) * FRAME + FRAME // 2


def _with_silence(parts: Sequence[Span], total: int) -> list[Span]:
    """Spans in the order of their beginnings, with silence wherever no part is."""
    spans: list[Span] = []
    reached = 0
    for part in parts:
        if part.start > reached:
            spans.append(Span(reached, part.start, speech=False))
        spans.append(part)
        reached = max(reached, part.end)
    if reached < total:
        spans.append(Span(reached, total, speech=False))
    return spans
