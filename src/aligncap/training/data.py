"""Clips of a manifest, and what their labels say in each corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap import corpora
from aligncap.captions import Facts, emotions_in, facts_of
from aligncap.captions.taxonomy import emotion_of
from aligncap.corpora import Row, audio_path
from aligncap.errors import AlignCapError
from aligncap.training.recipe import CorpusRule

__all__ = [
    "Clip",
    "TrainingSet",
    "balance",
    "facts",
    "label_sets",
    "main_label",
    "pad_states",
    "read_manifest",
]


@dataclass(frozen=True)
class Clip:
    """A row of a manifest, and where its recording is.

    Attributes:
        row: everything known about the clip.
        audio: its recording.
    """

    row: Row
    audio: Path

    @property
    def id(self) -> str:
        """Unique in the manifest."""
        return self.row.id

    @property
    def corpus(self) -> str:
        """Short name of the corpus."""
        return self.row.corpus

    @property
    def speaker(self) -> str:
        """Unique within the corpus."""
        return self.row.speaker

    @property
    def gender(self) -> str:
        """``female``, ``male`` or empty."""
        return self.row.gender

    @property
    def emotion(self) -> str:
        """The label; the corpus's own where it has no place in the taxonomy."""
        return self.row.emotion or self.row.label

    @property
    def split(self) -> str:
        """``train``, ``dev``, ``test``, ``zero_shot`` or empty."""
        return self.row.split


@dataclass
class TrainingSet:
    """Labelled clips and their features, row by row; an augmented copy is a row of its own.

    Attributes:
        clips: N clips.
        states: their (frames, taps, width) arrays.
        voice: their measured clues in words.
        targets: (N, emotions) bool; see `label_sets`.
        allowed: (N, emotions) bool.
        weights: (N,) float32 of mean 1.
        copies: number of the augmented copy; 0 for the recording itself.
    """

    clips: list[Clip]
    states: list[NDArray[np.float16]]
    voice: list[list[tuple[str, str]]]
    targets: Tensor
    allowed: Tensor
    weights: Tensor
    copies: list[int]

    def __len__(self) -> int:
        return len(self.clips)

    def select(self, rows: Sequence[int]) -> TrainingSet:
        """Some of the rows, weights brought to mean 1 again."""
        rows = list(rows)
        return TrainingSet(
            [self.clips[r] for r in rows],
            [self.states[r] for r in rows],
            [self.voice[r] for r in rows],
            self.targets[rows],
            self.allowed[rows],
            self.weights[rows] / self.weights[rows].mean(),
            [self.copies[r] for r in rows],
        )


def pad_states(states: Sequence[NDArray[np.float16]]) -> tuple[Tensor, Tensor]:
    """Stack states of different lengths: (batch, frames, taps, width) float32 and the mask (batch, frames)."""
    lengths = torch.tensor([len(item) for item in states])
    rows = [torch.from_numpy(np.asarray(item, np.float32)) for item in states]
    mask = torch.arange(int(lengths.max()))[None] < lengths[:, None]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), mask


def read_manifest(path: Path) -> list[Clip]:
    """Read a manifest; audio paths are relative to it.

    Raises:
        AlignCapError: it cannot be read, has no rows, a duplicate id, or a speaker in both train and dev.
    """
    folder = path.absolute().parent
    clips = [Clip(row, audio_path(row.audio, folder)) for row in corpora.read_manifest(path)]
    if not clips:
        raise AlignCapError(f"{path}: the manifest has no rows")
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise AlignCapError(f"{path}: duplicate id {twice[0]!r}")
    train, dev = ({(c.corpus, c.speaker) for c in clips if c.split == s and c.speaker} for s in ("train", "dev"))
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
        targets (clips, E): the emotions that the label may mean. Where there is none that the model knows: those that
        the clip's own captions name, or all, where they name none (which makes its loss 0); none without captions;
        allowed (clips, E): all that any label of the same corpus may mean: the softmax is restricted to these. All,
        where captions stand for the label.
    """
    column = {emotion: index for index, emotion in enumerate(emotions)}
    targets = np.zeros((len(clips), len(emotions)), bool)
    for row, clip in enumerate(clips):
        rule = rules.get(clip.corpus, CorpusRule())
        label = clip.emotion or main_label(clip) or ""  # listeners' votes may stand for a label
        for emotion in rule.labels.get(label, [emotion_of(label) or label]):
            if emotion in column:
                targets[row, column[emotion]] = True
    corpora = np.array([clip.corpus for clip in clips])
    allowed = np.zeros_like(targets)
    for corpus in set(corpora):
        allowed[corpora == corpus] = targets[corpora == corpus].any(0)
    for row, clip in enumerate(clips):
        if clip.row.captions and not targets[row].any():
            named = {emotion for caption in clip.row.captions for emotion in emotions_in(caption)}
            targets[row] = [emotion in named or not named.intersection(emotions) for emotion in emotions]
            allowed[row] = True
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
    """All that a caption of the clip may say: labels or votes, intensity, and the measured voice.

    The speaker's sex is left out: nothing in a prompt tells it, and a caption that gets it wrong is worse than one
    that does not say it.
    """
    return facts_of(clip.row, voice)


def main_label(clip: Clip) -> str | None:
    """The emotion that captions of the clip name first; None where they would name none."""
    emotions = facts_of(clip.row, ()).emotions
    return emotions[0][0] if emotions else None
