"""What the benchmarks of the emotion head share: heads fitted without one corpus, and their scores on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligncap.model.configuration import EMOTIONS
from aligncap.model.utterance import UtteranceSummary
from aligncap.training.data import Clip, TrainingSet, balance, label_sets, read_manifest
from aligncap.training.features import extract
from aligncap.training.recipe import CorpusRule, Recipe, WarmStartStage, load_recipe
from aligncap.training.warm_start import fit_emotion_head, summaries


@dataclass
class Corpora:
    """Clips of the training corpora that can be used.

    Attributes:
        recipe: see `Recipe`.
        clips: the clips.
        means: their tap means (clips, size), copy by copy of the augmented ones, the recordings first.
        at_speed: speed → tap means of the recordings at that speed.
    """

    recipe: Recipe
    clips: list[Clip]
    means: list[Tensor]
    at_speed: dict[float, Tensor]

    @property
    def names(self) -> list[str]:
        """Corpora whose labels are emotions."""
        return sorted({c.corpus for c in self.clips if self.recipe.corpora.get(c.corpus, CorpusRule()).captions})


def load_corpora(
    manifest: Path,
    config: Path,
    copies: int = 0,
    overrides: Sequence[str] = (),
    speeds: Collection[float] = (),
) -> Corpora:
    """Read the training corpora (train and dev speakers, never zero_shot); features come from the recipe's cache.

    Args:
        manifest: of the corpora.
        config: recipe.
        copies: augmented copies.
        overrides: of the recipe.
        speeds: that are needed besides those of the recipe.
    """
    recipe = load_recipe(config, [f"manifest={manifest}", *overrides])
    clips = [clip for clip in read_manifest(manifest) if clip.split != "zero_shot"]
    folder = Path(recipe.output) / "features"
    found = [
        extract(clips, recipe.model, folder, augmented=copy > 0, seed=copy, workers=recipe.workers)
        for copy in range(copies + 1)
    ]
    needed = sorted({*speeds, *recipe.model.speeds, *recipe.warm_start.speeds})
    played = [extract(clips, recipe.model, folder, speed=speed, workers=recipe.workers) for speed in needed]
    rows = [row for row in range(len(clips)) if all(features.states[row] is not None for features in found + played)]
    means = [
        summaries([state for row in rows if (state := features.states[row]) is not None]) for features in found + played
    ]
    at_speed = dict(zip(needed, means[len(found) :], strict=True))
    return Corpora(recipe, [clips[row] for row in rows], means[: len(found)], at_speed)


@dataclass
class HeldOut:
    """A head that was fitted without one corpus, and that corpus.

    Attributes:
        corpus: the one left out.
        clips: its clips (those labelled boredom, which only one corpus has, are left out).
        x: raw tap means of these.
        others: those at the further speeds at which the model hears.
        summary: as fitted.
        weight: of the head.
        bias: of the head.
    """

    corpus: str
    clips: list[Clip]
    x: Tensor
    others: list[Tensor]
    summary: UtteranceSummary
    weight: Tensor
    bias: Tensor

    def logits(self, offset: Tensor | float = 0.0) -> Tensor:
        """(clips, emotions), after ``offset`` is taken off the tap means; means over the speeds."""
        heard = [self.summary.normalise(x - offset) @ self.weight.T + self.bias for x in (self.x, *self.others)]
        return torch.stack(heard).mean(0)

    @property
    def truth(self) -> list[str]:
        """Labels; calm counts as neutral."""
        return ["neutral" if clip.emotion == "calm" else clip.emotion for clip in self.clips]

    def guesses(self, logits: Tensor) -> tuple[list[str], list[str]]:
        """The likeliest emotion among those of the corpus, and among all; calm counts as neutral."""
        probabilities = logits.softmax(-1)
        column = {emotion: index for index, emotion in enumerate(EMOTIONS)}
        probabilities[:, column["neutral"]] += probabilities[:, column["calm"]]
        probabilities[:, column["calm"]] = 0
        labels = sorted(set(self.truth))
        among = probabilities[:, [column[label] for label in labels]].argmax(1).tolist()
        return [labels[i] for i in among], [EMOTIONS[i] for i in probabilities.argmax(1).tolist()]


def leave_out(
    corpus: str,
    data: Corpora,
    stage: WarmStartStage,
    copies: int = 0,
    size_power: float = 0.0,
    speeds: Sequence[float] | None = None,
) -> HeldOut:
    """Fit summary and head on all corpora but one.

    Args:
        corpus: the one left out.
        data: all of them.
        stage: of the recipe; strength, penalty, prior, speeds.
        copies: augmented copies that are fitted besides the recordings.
        size_power: a corpus counts as its size to this power (0: all equally).
        speeds: further ones at which the head hears; None: the recipe's.
    """
    train = [i for i, clip in enumerate(data.clips) if clip.corpus != corpus]
    test = [i for i, clip in enumerate(data.clips) if clip.corpus == corpus and clip.emotion != "boredom"]
    clips = [data.clips[i] for i in train]
    heard = [copy[train] for copy in data.means[: copies + 1]] + [data.at_speed[speed][train] for speed in stage.speeds]
    marks = [""] * (copies + 1) + [f"@{speed}" for speed in stage.speeds]
    means = torch.cat(heard)
    summary = UtteranceSummary(means.shape[1], 128)
    speakers = [f"{clip.corpus}/{clip.speaker}{mark}" for mark in marks for clip in clips]
    summary.fit(means, speakers, stage.nuisance_strength)
    clips = clips * len(marks)
    targets, allowed = map(torch.from_numpy, label_sets(clips, EMOTIONS, data.recipe.corpora))
    sizes = Counter(clip.corpus for clip in clips)
    power = torch.tensor([sizes[clip.corpus] ** size_power for clip in clips])
    weights = torch.from_numpy(balance(clips, data.recipe.corpora)) * power
    nothing = np.zeros((1, 1, 1), np.float16)
    fitted = TrainingSet(
        clips, [nothing] * len(clips), [[] for _ in clips], targets, allowed, weights, [0] * len(clips)
    )
    weight, bias = fit_emotion_head(summary.normalise(means), fitted, stage)
    others = [data.at_speed[speed][test] for speed in (data.recipe.model.speeds if speeds is None else speeds)]
    return HeldOut(corpus, [data.clips[i] for i in test], data.means[0][test], others, summary, weight, bias)
