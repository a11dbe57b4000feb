from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from aligncap.corpora.row import Row
from aligncap.model.configuration import EMOTIONS
from aligncap.training.data import Clip, TrainingSet, balance, label_sets
from aligncap.training.recipe import WarmStartStage
from aligncap.training.warm_start import (
    drop_frames,
    fit_emotion_head,
    fit_linear_head,
    pad_states,
    prior_shift,
    summaries,
)


def test_linear_head_is_logistic_regression_where_labels_are_plain() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = (x @ rng.normal(size=(5, 3)) + rng.normal(size=(200, 3))).argmax(1)
    targets = torch.nn.functional.one_hot(torch.tensor(y), 3).bool()
    penalty = 0.01
    weight, bias = fit_linear_head(torch.tensor(x), targets, torch.ones_like(targets), torch.ones(200), penalty)
    # scikit-learn minimises C * sum of losses + half the squared norm
    reference = LogisticRegression(C=1 / (2 * penalty * 200), tol=1e-8, max_iter=1000).fit(x, y)
    ours = (torch.tensor(x) @ weight.T + bias).softmax(-1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(x), atol=2e-3)


def test_unrestricted_share_blends_the_two_losses() -> None:
    """With a share of 1 the corpus's label set no longer matters; with 0 a class that no corpus labels is free."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    labels = (x[:, 0] > 0).long()
    targets = torch.nn.functional.one_hot(labels, 3).bool()
    allowed = torch.tensor([True, True, False]).repeat(60, 1)
    everything = torch.ones_like(allowed)
    weights = torch.ones(60)
    whole = fit_linear_head(x, targets, allowed, weights, 0.01, 1.0)
    for ours, reference in zip(whole, fit_linear_head(x, targets, everything, weights, 0.01), strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-3, rtol=1e-3)
    free = [
        float((x @ weight.T + bias).softmax(-1)[:, 2].mean())
        for weight, bias in (fit_linear_head(x, targets, allowed, weights, 0.01, share) for share in (0.0, 0.1))
    ]
    assert free[0] > 0.15
    assert free[1] < 0.05


def test_padding_and_means_are_of_each_clip_alone() -> None:
    clips = [np.random.default_rng(n).normal(size=(n, 2, 3)).astype(np.float16) for n in (4, 9)]
    states, mask = pad_states(clips)
    assert states.shape == (2, 9, 2, 3)
    assert mask.sum(1).tolist() == [4, 9]
    expected = np.stack([clip.astype(np.float32).mean(0).reshape(-1) for clip in clips])
    np.testing.assert_allclose(summaries(clips).numpy(), expected, atol=1e-6)


def test_dropped_frames_are_one_stretch_and_at_least_two_stay() -> None:
    rng = np.random.default_rng(0)
    clip = np.arange(20, dtype=np.float16)[:, None, None]
    for _ in range(100):
        kept = drop_frames(clip, 0.5, rng)[:, 0, 0].tolist()
        assert len(kept) >= 10
        missing = sorted(set(range(20)) - {int(k) for k in kept})
        assert missing == list(range(missing[0], missing[0] + len(missing))) if missing else True
    assert len(drop_frames(clip[:2], 0.9, rng)) == 2


def test_prior_shift_makes_mean_probabilities_the_prior() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, weights = 2 * torch.randn(300, 4, generator=generator), torch.rand(300, generator=generator)
    prior = torch.tensor([3.0, 1.0, 1.0, 1.0])
    shift = prior_shift(logits, weights, prior)
    mean = ((logits + shift).softmax(-1) * weights[:, None]).sum(0) / weights.sum()
    torch.testing.assert_close(mean, prior / prior.sum(), atol=1e-4, rtol=1e-3)
    assert prior_shift(logits, weights, torch.tensor([1.0, 1.0, 1.0, 0.0]))[3] == 0


def test_corpora_count_equally_in_the_emotion_head_however_large() -> None:
    """Two corpora that contradict each other: the smaller one has its say, and ten copies of it change nothing."""

    def made(copies: int) -> tuple[torch.Tensor, TrainingSet]:
        x, clips = [], []
        for corpus, size, emotions in (("large", 90, ("angry", "sad")), ("small", 10 * copies, ("sad", "angry"))):
            for number in range(size):
                x.append([float(number % 2)])
                row = Row(f"{corpus}/{number}", "a.wav", corpus=corpus, speaker="s", emotion=emotions[number % 2])
                clips.append(Clip(row, Path("a.wav")))
        targets, allowed = label_sets(clips, EMOTIONS, {})
        weights = balance(clips, {})
        states = [np.zeros((2, 1, 1), np.float16)] * len(clips)
        empty: list[list[tuple[str, str]]] = [[]] * len(clips)
        data = TrainingSet(clips, states, empty, *map(torch.from_numpy, (targets, allowed, weights)), [0] * len(clips))
        return torch.tensor(x), data

    stage = WarmStartStage(penalty=0.01, unrestricted=0.0, prior_strength=0.0)
    angry, sad = EMOTIONS.index("angry"), EMOTIONS.index("sad")
    for copies in (1, 10):
        x, data = made(copies)
        weight, bias = fit_emotion_head(x, data, stage)
        logits = x @ weight.T + bias
        torch.testing.assert_close(logits[:, angry], logits[:, sad], atol=2e-3, rtol=0)
    x, data = made(1)
    shifted = fit_emotion_head(x, data, replace(stage, prior={"angry": 3.0}, prior_strength=1.0))[1]
    assert shifted[angry] - shifted[sad] > 0.9 * np.log(3)
