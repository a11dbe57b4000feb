"""A new emotion head for a finished model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_data import Train

from aligncap.corpora.row import Row
from aligncap.model.configuration import EMOTIONS
from aligncap.model.utterance import UtteranceSummary
from aligncap.training.data import Clip, TrainingSet
from aligncap.training.head import expressed_for
from aligncap.training.recipe import WarmStartStage
from aligncap.training.warm_start import fit_summary, out_of_fold

NO_DROPOUT = "model.bridge.dropout=0.0"
HEAD = {"emotion_head.weight", "emotion_head.bias"}


def summary_of(seed: int, strength: float, size: int = 12) -> UtteranceSummary:
    generator = torch.Generator().manual_seed(seed)
    voices = torch.randn(6, size, generator=generator).repeat_interleave(10, 0)
    summary = UtteranceSummary(size, 4)
    means = 3 * voices + torch.randn(60, size, generator=generator) * torch.linspace(0.2, 5, size) + seed
    summary.fit(means, [f"speaker {row // 10}" for row in range(60)], strength)
    return summary


@pytest.mark.parametrize("strength", [0.0, 1.0, 20.0])
def test_a_head_says_the_same_on_another_normalisation(strength: float) -> None:
    own, fitted = summary_of(1, 2.0), summary_of(2, strength)
    weight, bias = torch.randn(5, 12), torch.randn(5)
    moved, shifted = expressed_for(own, fitted, weight, bias)
    means = 10 * torch.randn(50, 12)
    expected = fitted.normalise(means) @ weight.T + bias
    torch.testing.assert_close(own.normalise(means) @ moved.T + shifted, expected, rtol=1e-4, atol=1e-3)
    assert (own.normalise(means) @ weight.T + bias - expected).abs().max() > 0.1


def test_nothing_but_the_head_changes(train: Train, finished: Path, data: Path, tmp_path: Path) -> None:
    given = (f"head.checkpoint={finished / 'checkpoint'}", "warm_start.penalty=0.5", NO_DROPOUT)
    done = train("head", f"output={tmp_path}", *given, "model.speeds=[0.9,1.1]", "warm_start.speeds=[0.95]")
    assert done.code == 0, done.err
    assert done.out == f"checkpoint: {tmp_path / 'refitted'}\n"
    old, new = (load_file(folder / "model.safetensors") for folder in (finished / "checkpoint", tmp_path / "refitted"))
    assert {name for name in old if not torch.equal(old[name], new[name])} == HEAD
    assert json.loads((tmp_path / "refitted" / "config.json").read_text())["speeds"] == [0.9, 1.1]
    habits = "habits.txt"
    assert (tmp_path / "refitted" / habits).read_text() == (finished / "checkpoint" / habits).read_text()
    again = train("head", f"output={tmp_path}", *given, "model.speeds=[0.9,1.1]", "warm_start.speeds=[0.95]")
    assert "head: done before" in again.err


def test_the_same_recipe_gives_the_same_head(train: Train, finished: Path, tmp_path: Path) -> None:
    done = train("head", f"output={tmp_path}", f"base={finished}", NO_DROPOUT)
    assert done.code == 0, done.err
    old, new = (load_file(folder / "model.safetensors") for folder in (finished / "checkpoint", tmp_path / "refitted"))
    for name in HEAD:
        torch.testing.assert_close(old[name].float(), new[name].float(), rtol=0.01, atol=2e-3)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.taps=[0,1]", "model.taps=[1, 2]"),
        ("head.checkpoint=nowhere", "no aligned checkpoint in nowhere"),
        ("warm_start.speeds=[3]", "warm_start.speeds"),
        ("model.speeds=[0]", "model.speeds"),
    ],
)
def test_faults_are_told(train: Train, finished: Path, tmp_path: Path, override: str, told: str) -> None:
    done = train("head", f"output={tmp_path}", f"base={finished}", NO_DROPOUT, override)
    assert done.code in {1, 2, 3}
    assert told in done.err
    assert "features:" not in done.err  # told before anything is heard
    assert "Traceback" not in done.err


def test_a_run_knows_its_speeds(train: Train, finished: Path, tmp_path: Path) -> None:
    speeds = ("warm_start.speeds=[0.9,1.1]", "model.speeds=[0.9]")
    done = train("align", f"output={tmp_path}", f"base={finished}", NO_DROPOUT, *speeds)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "checkpoint" / "config.json").read_text())["speeds"] == [0.9]
    assert f"teacher: done before, in {finished / 'teacher'}" in done.err  # which reads and does not hear
    assert (tmp_path / "warm_start").exists()


class _Model:
    def __init__(self, size: int, classes: int) -> None:
        self.summary = UtteranceSummary(size, 4)
        self.emotion_head = torch.nn.Linear(size, classes)


def noisy_set(x: torch.Tensor, labels: torch.Tensor, speakers: int) -> TrainingSet:
    clips = [Clip(Row(f"c{i}", f"{i}.wav", speaker=f"s{i % speakers}"), Path(f"{i}.wav")) for i in range(len(x))]
    targets = torch.nn.functional.one_hot(labels, len(EMOTIONS)).bool()
    states = [row[None, None].numpy().astype(np.float16) for row in x]
    everything = torch.ones_like(targets)
    return TrainingSet(clips, states, [[] for _ in x], targets, everything, torch.ones(len(x)), [0] * len(x))


def test_what_speed_changes_is_damped() -> None:
    """In training the label goes with one number, by which copies at other speeds differ, and with another."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (240,), generator=generator)
    x = 0.5 * torch.randn(240, 6, generator=generator)
    x[:, 0] += labels - 1.0
    x[:, 1] += labels - 1.0
    data = noisy_set(x, labels, 8)
    stage = WarmStartStage(prior_strength=0.0, speeds=[0.9, 1.1])
    copies = [x + step * torch.eye(6)[0] for step in (-3.0, 3.0)]
    weights = []
    for some in ([], copies):
        model = _Model(6, len(EMOTIONS))
        fit_summary(model, data, stage, some)  # type: ignore[arg-type]
        moved = model.summary.normalise(torch.stack([x[0], x[0] + torch.eye(6)[0], x[0] + torch.eye(6)[1]]))
        logits = moved @ model.emotion_head.weight.T + model.emotion_head.bias
        weights.append((logits[1:] - logits[:1]).abs().sum(1).tolist())
    assert weights[0][0] > 0.5 * weights[0][1]
    assert weights[1][0] < 0.2 * weights[1][1]


def test_copies_of_a_speaker_are_held_out_with_them() -> None:
    """Labels are noise: who had heard a clip's own copy would know its label."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(120, 400, generator=generator)
    labels = torch.randint(3, (120,), generator=generator)
    data = noisy_set(x[:, :6], labels, 12)
    stage = WarmStartStage(penalty=1e-4, prior_strength=0.0, folds=4)
    logits = out_of_fold(torch.cat([x, x]), data, stage, 0)
    assert logits.shape == (120, len(EMOTIONS))
    assert float((logits.argmax(1) == labels).float().mean()) < 0.55
