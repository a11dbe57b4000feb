"""Captions many stretches: together those of like length, and back in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from aligncap.captioner.clips import Clip
from aligncap.captioner.cutting import Cut
from aligncap.captioner.results import Caption, Failure, Result

__all__ = ["Engine", "caption_cuts"]

Engine: TypeAlias = Callable[[Iterable[Clip]], Iterator["Caption | Failure"]]
"""What captions stretches: a result for each, in their order. It may take some ahead, and from another thread."""

_LOOK_AHEAD = 8  # batches among which stretches of like length are brought together


def caption_cuts(cuts: Iterable[Cut], engine: Engine, batch_size: int) -> Iterator[Result]:
    """Caption the stretches of recordings; pass silences and failures on.

    Stretches are taken from ``cuts`` one batch first, then two, four and eight batches at a time, so that the first
    results come soon; those of one take are put into batches by their length. Results are given as soon as those of
    everything that came before are there.

    Args:
        cuts: as `cut_recordings` gives them; what is taken and not yet captioned is held in memory.
        engine: captions stretches in batches of ``batch_size``.
        batch_size: stretches that are run together.

    Returns:
        in the order of ``cuts``, whatever the engine.
    """
    given: deque[tuple[int, Clip]] = deque()
    done: dict[int, Result] = {}

    def speech() -> Iterator[tuple[int, Clip]]:
        for place, item in enumerate(cuts):
            if isinstance(item, Clip):
                yield place, item
            else:
                done[place] = item

    def clips() -> Iterator[Clip]:
        coming, ahead = speech(), 1
        # whole batches, so that those of the engine are the same
        while taken := list(islice(coming, ahead * batch_size)):
            for place, clip in _bucketed(taken, batch_size):
                given.append((place, clip))
                yield clip
            ahead = min(2 * ahead, _LOOK_AHEAD)

    following = 0
    for result in engine(clips()):
        place, clip = given.popleft()
        speaker = clip.speaker if isinstance(result, Caption) else None
        done[place] = replace(result, speaker=speaker) if isinstance(result, Caption) and speaker else result
        while following in done:
            yield done.pop(following)
            following += 1
    while following in done:
        yield done.pop(following)
        following += 1


def _bucketed(taken: Sequence[tuple[int, Clip]], size: int) -> Iterator[tuple[int, Clip]]:
    """The same in another order: batches of like length, that with the first of all first."""
    by_length = sorted(taken, key=lambda item: (len(item[1].segment.samples), item[0]))
    batches = [by_length[at : at + size] for at in range(0, len(by_length), size)]
    for batch in sorted(batches, key=min):
        yield from batch
