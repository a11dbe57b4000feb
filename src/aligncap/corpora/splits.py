"""Train and dev of a corpus, with no speaker in both."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from aligncap.corpora.known import CorpusError
from aligncap.corpora.row import Row

__all__ = ["dev_speakers", "split_by_speaker"]

_OVERSHOOT = 1.25  # dev may hold that much more of the clips than its share of the speakers


def split_by_speaker(rows: Sequence[Row], *, dev_share: float = 0.2, seed: int = 0) -> list[Row]:
    """Put each row into ``train`` or ``dev`` by its speaker; rows without a speaker into ``train``.

    Args:
        rows: of one corpus.
        dev_share: share of the speakers for dev, in [0, 1); see `dev_speakers`.
        seed: the same seed, rows and share give the same split, whatever the order of the rows.

    Raises:
        CorpusError: no row has a speaker.
    """
    if rows and not any(row.speaker for row in rows):
        raise CorpusError(
            f"{rows[0].corpus}: its speakers are not told apart, so it cannot be split by speaker: choose another split"
        )
    dev = dev_speakers(rows, dev_share=dev_share, seed=seed)
    return [replace(row, split="dev" if row.speaker in dev else "train") for row in rows]


def dev_speakers(rows: Sequence[Row], *, dev_share: float = 0.2, seed: int = 0) -> frozenset[str]:
    """Choose the speakers of dev.

    As many of each gender as its share of the speakers allows, drawn at random; a speaker with so many clips that dev
    would hold clearly more than its share stays in train. Where that leaves none (a corpus of two or three speakers),
    it is the one with the fewest clips.

    Args:
        rows: of one corpus.
        dev_share: share of the speakers, in [0, 1); 0 chooses none, and so does a corpus with one speaker.
        seed: of the draw.
    """
    clips = Counter(row.speaker for row in rows if row.speaker)
    if len(clips) < 2 or dev_share <= 0:
        return frozenset()
    genders = {row.speaker: row.gender for row in rows}
    order = sorted(clips)
    random.Random(seed).shuffle(order)
    quota = _quota(Counter(genders[speaker] for speaker in clips), dev_share)
    room = _OVERSHOOT * dev_share * sum(clips.values())
    chosen: list[str] = []
    for speaker in order:
        if quota[genders[speaker]] > 0 and clips[speaker] <= room:
            chosen.append(speaker)
            quota[genders[speaker]] -= 1
            room -= clips[speaker]
    return frozenset(chosen or [min(order, key=clips.__getitem__)])


def _quota(speakers: Counter[str], share: float) -> Counter[str]:
    """Whole numbers of each gender that add up to the share of all, by largest remainder."""
    total = max(1, round(share * speakers.total()))
    exact = {gender: share * count for gender, count in speakers.items()}
    quota = Counter({gender: math.floor(number) for gender, number in exact.items()})
    for gender in sorted(exact, key=lambda g: (quota[g] - exact[g], g))[: max(0, total - quota.total())]:
        quota[gender] += 1
    return quota
