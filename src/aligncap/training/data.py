"""Clips of a manifest, and what their labels say in each corpus."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from aligncap.captions import Facts
from aligncap.errors import AlignCapError
from aligncap.training.recipe import CorpusRule

__all__ = ["Clip", "balance", "facts", "label_sets", "read_manifest"]

_COLUMNS = ("id", "audio", "corpus", "speaker", "gender", "emotion", "intensity", "split")


@dataclass(frozen=True)
class Clip:
    """One row of a manifest; ``audio`` is an absolute path, empty fields are empty strings."""

    id: str
    audio: Path
    corpus: str
    speaker: str
    gender: str
    emotion: str
    intensity: str
    split: str


def read_manifest(path: Path) -> list[Clip]:
    """Read a CSV manifest; audio paths are relative to it.

    Raises:
        AlignCapError: no such file, a missing column, a duplicate id, or a speaker in both train and dev.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise AlignCapError(f"{path}: cannot read the manifest ({error.strerror})") from error
    missing = [column for column in _COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise AlignCapError(f"{path}: no rows, or no column {', '.join(missing)}")
    clips = [Clip(audio=path.parent / row["audio"], **{k: row[k] for k in _COLUMNS if k != "audio"}) for row in rows]
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise AlignCapError(f"{path}: duplicate id {twice[0]!r}")
    train, dev = ({(c.corpus, c.speaker) for c in clips if c.split == s} for s in ("train", "dev"))
    if train & dev:
        raise AlignCapError(f"{path}: speaker {min(train & dev)} is in train and in dev")
    return clips


def label_sets(
    clips: Sequence[Clip], emotions: Sequence[str], rules: Mapping[str, CorpusRule]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What each clip's label may mean, and among which emotions its corpus chooses.

    Args:
        clips: of any corpora.
        emotions: the model's labels, E of them.
        rules: corpus → rule; see `CorpusRule`.

    Returns:
        targets (clips, E): the emotions that the label may mean (none, where the model does not know it);
        allowed (clips, E): all that any label of the same corpus may mean: the softmax is restricted to these.
    """
    column = {emotion: index for index, emotion in enumerate(emotions)}
    targets = np.zeros((len(clips), len(emotions)), bool)
    for row, clip in enumerate(clips):
        rule = rules.get(clip.corpus, CorpusRule())
        for emotion in rule.labels.get(clip.emotion, [clip.emotion]):
            if emotion in column:
                targets[row, column[emotion]] = True
    corpora = np.array([clip.corpus for clip in clips])
    allowed = np.zeros_like(targets)
    for corpus in set(corpora):
        allowed[corpora == corpus] = targets[corpora == corpus].any(0)
    return targets, allowed


def balance(clips: Sequence[Clip], rules: Mapping[str, CorpusRule]) -> NDArray[np.float32]:
    """Weights (clips,) of mean 1: a corpus counts as the root of its size, its labels count equally."""
    sizes = Counter(clip.corpus for clip in clips)
    counts = Counter((clip.corpus, clip.emotion) for clip in clips)
    labels = Counter(corpus for corpus, _ in counts)
    weights = np.array(
        [
            rules.get(clip.corpus, CorpusRule()).weight
            * sizes[clip.corpus] ** 0.5
            / (labels[clip.corpus] * counts[clip.corpus, clip.emotion])
            for clip in clips
        ],
        np.float32,
    )
    return cast("NDArray[np.float32]", weights / weights.mean())


def facts(clip: Clip, voice: Sequence[tuple[str, str]]) -> Facts:
    """All that a caption of the clip may say.

    The speaker's sex is left out: nothing in a prompt tells it, and a caption that gets it wrong is worse than one
    that does not say it.
    """
    intensity = clip.intensity if clip.intensity in ("mild", "normal", "strong") else None
    return Facts(((clip.emotion, 1.0),), cast("Literal['mild', 'normal', 'strong'] | None", intensity), tuple(voice))
