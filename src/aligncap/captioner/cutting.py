"""Cuts recordings of any length into stretches that the model can take, in little memory.

Recordings are read in several threads. One of more than a minute is decoded twice: once to find where speech is, and
once more, stretch by stretch, while the stretches are captioned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Literal, TypeAlias

from aligncap.audio import (
    MIN_SECONDS,
    RATE,
    Scan,
    Span,
    Turn,
    cut,
    fixed_spans,
    longest_window,
    scan,
    speech_spans,
    turn_spans,
)
from aligncap.captioner.clips import Clip, failure, recording_name, silence_warning
from aligncap.captioner.results import Failure, Silence
from aligncap.errors import AudioInvalidError, AudioTooShortError

__all__ = ["Cut", "Method", "Segmentation", "cut_recordings"]

Method = Literal["auto", "vad", "fixed"]
Cut: TypeAlias = "Clip | Failure | Silence"

_READERS = 4


@dataclass(frozen=True)
class Segmentation:
    """How recordings are divided.

    Attributes:
        method: ``auto``: a recording no longer than ``max_seconds`` is one stretch; of a longer one, the speech that
            is found in it. ``vad``: the speech that is found, in short recordings too. ``fixed``: the least number
            of equal windows.
        max_seconds: of the longest stretch, at least 0.2; longer speech is divided at its quietest points.
        turns: tells the turns of a recording by its name, to be used instead of looking for speech; None where
            there are none to be had. It may raise an `AlignCapError`.
    """

    method: Method = "auto"
    max_seconds: float = 10.0
    turns: Callable[[str], Sequence[Turn] | None] | None = None

    def __post_init__(self) -> None:
        longest_window(self.max_seconds)


@dataclass(frozen=True)
class _Plan:
    source: Any
    name: str
    scanned: Scan
    spans: list[Span]
    warnings: tuple[str, ...]


def cut_recordings(
    sources: Iterable[Any], segmentation: Segmentation = Segmentation(), *, readers: int = _READERS
) -> Iterator[Cut]:
    """Stretches of recordings, in order: `Clip` for speech, `Silence` for what lies between, `Failure` for an error.

    The clips can be given to `Captioner.stream`. Those of a recording and its silences cover it from beginning to
    end; they overlap only where turns do.

    Args:
        sources: paths, or whatever else `aligncap.read_audio` takes; `Audio`; a `Clip` or a `Failure` is passed on.
        segmentation: how to divide them.
        readers: recordings that are read at the same time; twice as many are taken ahead of their use.
    """
    plans: deque[Future[_Plan | Clip | Failure]] = deque()
    numbered = enumerate(sources)
    broken: Exception | None = None
    with ThreadPoolExecutor(readers, "aligncap-scan") as pool:
        try:
            while True:
                try:
                    for position, source in islice(numbered, 0 if broken else 2 * readers - len(plans)):
                        plans.append(pool.submit(_planned, source, position, segmentation))
                except Exception as error:  # of the sources: told once what came before it is done
                    broken = error
                if not plans:
                    if broken:
                        raise broken
                    return
                plan = plans.popleft().result()
                if isinstance(plan, _Plan):
                    yield from _cuts(plan)
                else:
                    yield plan
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _planned(source: Any, position: int, segmentation: Segmentation) -> _Plan | Clip | Failure:
    if isinstance(source, Clip | Failure):
        return source
    name = recording_name(source, position)
    try:
        return _plan(source, name, segmentation)
    except Exception as error:  # one bad recording must not stop the others
        return failure(error, name)


def _plan(source: Any, name: str, segmentation: Segmentation) -> _Plan:
    longest = longest_window(segmentation.max_seconds)
    turns = segmentation.turns(name) if segmentation.turns is not None else None
    listen_from = {"auto": longest + 1, "vad": 0, "fixed": None}[segmentation.method] if turns is None else None
    scanned = scan(source, name, listen_from=listen_from)
    warnings: tuple[str, ...] = ()
    if turns is not None:
        spans = turn_spans(scanned.total, longest, turns, scanned.energy)
        late = sum(turn.end > scanned.total / RATE + 0.1 for turn in turns)
        if not any(span.speech for span in spans):
            raise AudioInvalidError(name, f"none of the {len(turns)} turns given for it lies within its length")
        if late:
            seconds = scanned.total / RATE
            warnings = (f"{late} of the turns given for it reach beyond its end at {seconds:.1f} s: are they its own?",)
    elif scanned.probability is None:
        spans = fixed_spans(scanned.total, longest)
    else:
        spans = speech_spans(scanned.total, longest, scanned.probability, scanned.energy)
        if not any(span.speech for span in spans):
            spans = fixed_spans(scanned.total, longest)
            warnings = ("no speech was found in it: what is said of it may have no ground",)
    return _Plan(source, name, scanned, spans, (*scanned.warnings, *warnings))


def _cuts(plan: _Plan) -> Iterator[Cut]:
    name, duration = plan.name, plan.scanned.total / RATE
    ids = iter([name]) if len(plan.spans) == 1 else (f"{name}#{number}" for number in count())
    silences = 0
    parts = cut(plan.source, name, plan.scanned, plan.spans)
    for span in plan.spans:
        if not span.speech:
            yield Silence(f"{name}#silence{silences}", name, span.start / RATE, span.end / RATE)
            silences += 1
            continue
        clip_id = next(ids)
        try:
            _, part = next(parts)
            if len(part.samples) < span.end - span.start:
                raise AudioInvalidError(name, "it changed while it was read")
            if len(part.samples) < MIN_SECONDS * RATE:
                reason = (
                    f"this turn is {1000 * (part.end - part.start):.0f} ms long; at least {MIN_SECONDS:g} s is needed"
                )
                yield Failure.of(AudioTooShortError(name, reason), name, clip_id)
                continue
        except Exception as error:  # it was there before; what was captioned of it stays
            yield failure(error, name)
            return
        warnings = (*plan.warnings, *silence_warning(part))
        yield Clip(clip_id, name, part, [], warnings, span.speaker, duration)
