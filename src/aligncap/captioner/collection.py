"""Captions many stretches: together those of like length, and back in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from aligncap.captioner.clips import Clip
from aligncap.captioner.cutting import Cut
from aligncap.captioner.results import Caption, Failure, Result

__all__ = ["Engine", "caption_cuts"]

Engine: TypeAlias = Callable[[Iterable[Clip]], Iterator["Caption | Failure"]]
"""What captions stretches: a result for each, in their order. It may take some ahead, and from another thread. It is
called again where nothing but failures and silences came for a while."""

_LOOK_AHEAD = 8  # batches among which stretches of like length are brought together
_OTHERS = 4  # failures and silences for each stretch that is looked for: after as many, they are not held back longer


def caption_cuts(cuts: Iterable[Cut], engine: Engine, batch_size: int) -> Iterator[Result]:
    """Caption the stretches of recordings; pass silences and failures on.

    Stretches are taken from ``cuts`` one batch first, then two, four and eight batches at a time, so that the first
    results come soon; those of one take are put into batches by their length. Results are given as soon as those of
    everything that came before are there. Where there are four times as many failures and silences as stretches are to
    be taken, those that were found are captioned first: a folder of nothing but broken files is neither held in memory
    nor lost with the process.

    Args:
        cuts: as `cut_recordings` gives them; what is taken and not yet captioned is held in memory.
        engine: captions stretches in batches of ``batch_size``.
        batch_size: stretches that are run together.

    Returns:
        in the order of ``cuts``, whatever the engine.
    """
    given: deque[tuple[int, Clip]] = deque()
    done: dict[int, Result] = {}
    coming = enumerate(cuts)
    ahead, following, more = 1, 0, True

    def take(size: int) -> Iterator[tuple[int, Clip]]:
        nonlocal more
        speech = others = 0
        for place, item in coming:
            if isinstance(item, Clip):
                speech += 1
                yield place, item
            else:
                others += 1
                done[place] = item
            if speech == size or others == _OTHERS * size:
                return
        more = False

    def clips() -> Iterator[Clip]:
        nonlocal ahead
        while more:
            size = ahead * batch_size  # whole batches, so that those of the engine are the same
            ahead = min(2 * ahead, _LOOK_AHEAD)
            taken = list(take(size))
            for place, clip in _bucketed(taken, batch_size):
                given.append((place, clip))
                yield clip
            if len(taken) < size:  # the engine ends what it has, and what waited for that is given
                return

    def ready() -> Iterator[Result]:
        nonlocal following
        while following in done:
            yield done.pop(following)
            following += 1

    while more:
        for result in engine(clips()):
            place, clip = given.popleft()
            speaker = clip.speaker if isinstance(result, Caption) else None
            done[place] = replace(result, speaker=speaker) if isinstance(result, Caption) and speaker else result
            yield from ready()
        yield from ready()


def _bucketed(taken: Sequence[tuple[int, Clip]], size: int) -> Iterator[tuple[int, Clip]]:
    """The same in another order: batches of like length, that with the first of all first."""
    by_length = sorted(taken, key=lambda item: (len(item[1].segment.samples), item[0]))
    batches = [by_length[at : at + size] for at in range(0, len(by_length), size)]
    for batch in sorted(batches, key=min):
        yield from batch
