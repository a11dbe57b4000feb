"""The contrast between speech and captions in the align stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from training_data import Train

from aligncap.model.modeling import pool
from aligncap.objectives import speech_text_contrast
from aligncap.training import align
from aligncap.training.networks import Student
from aligncap.training.recipe import AlignStage, load_recipe
from aligncap.training.stages import stage_key

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "embedded.yaml"
NO_DROPOUT = "model.bridge.dropout=0.0"


def log_of(run: Path) -> list[dict[str, float]]:
    points: list[dict[str, float]] = json.loads((run / "align" / "log.json").read_text())
    return points


def test_the_contrast_falls_in_training(train: Train, finished: Path, tmp_path: Path) -> None:
    alone = ["align.lambda_kd=0", "align.lambda_ce=0", "align.lambda_aux=0", "align.lambda_contrastive=0.5"]
    how = ["align.steps=30", "align.bridge_learning_rate=0.01", "align.frame_dropout=0", "align.save_every=30"]
    done = train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, *alone, *how)
    assert done.code == 0, done.err
    log = log_of(tmp_path)
    assert all(point["loss"] == pytest.approx(0.5 * point["contrastive"], rel=1e-5) for point in log)
    first, last = (sum(point["contrastive"] for point in part) / 5 for part in (log[:5], log[-5:]))
    assert last < 0.8 * first, [round(point["contrastive"], 3) for point in log]


def test_it_is_weighed_and_logged_beside_the_others(train: Train, finished: Path, tmp_path: Path) -> None:
    options = ["align.lambda_contrastive=0.25", "align.contrastive_temperature=0.2", "align.steps=2"]
    assert train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, *options).code == 0
    with_it, without = log_of(tmp_path)[0], log_of(finished)[0]
    for name in ("kd", "ce", "head"):
        assert with_it[name] == pytest.approx(without[name], rel=1e-6), "the first step's other losses are the same"
    assert with_it["contrastive"] > 0
    expected = with_it["kd"] + with_it["ce"] + 0.3 * with_it["head"] + 0.25 * with_it["contrastive"]
    assert with_it["loss"] == pytest.approx(expected, rel=1e-5)


def test_of_no_weight_it_is_not_computed_and_changes_nothing(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> Tensor:
        raise AssertionError("the contrast was computed")

    monkeypatch.setattr(align, "speech_text_contrast", never)
    monkeypatch.setattr(align.ContrastiveStudent, "forward", never)
    options = ["align.lambda_contrastive=0", "align.contrastive_temperature=0", "align.micro_batch=8"]
    done = train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, *options)
    assert done.code == 0, done.err
    assert log_of(tmp_path) == log_of(finished)
    assert not any("contrastive" in point for point in log_of(tmp_path))
    ours, theirs = (load_file(run / "align" / "checkpoint-6" / "model.safetensors") for run in (tmp_path, finished))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.fixture(scope="module")
def batch(data: Path) -> tuple[Any, dict[str, Tensor]]:
    """A model with tiny random weights, and a batch of five clips in the shape of `StudentBatch`."""
    model, processor = align.build_model(load_recipe(data / "recipe.yaml", [NO_DROPOUT]))
    config, generator = model.config, torch.Generator().manual_seed(0)
    lengths = [20, 20, 15, 20, 10]
    width = model.speech_encoder.width
    states = torch.randn(5, 20, len(config.taps), width, generator=generator)
    mask = torch.arange(20)[None] < torch.tensor(lengths)[:, None]
    counts = model.hear_states(states, mask).mask.sum(1).tolist()
    captions = ["A sad voice.", "She sounds furious and loud.", "A sad voice.", "sad", "Calm."]
    targets = torch.zeros(5, len(config.emotions), dtype=torch.bool)
    for row, meant in enumerate([[0], [1], [0, 2], [3], [2]]):  # the third may be what the first is, or the fifth
        targets[row, meant] = True
    prompts = processor.prompts(counts, ["Describe the voice."] * 5, [""] * 5, captions)
    batch = {"states": states, "states_mask": mask, "targets": targets, "allowed": torch.ones_like(targets), **prompts}
    return model, batch


def stage(**options: Any) -> AlignStage:
    return AlignStage(lambda_kd=0.0, lambda_contrastive=1.0, **options)


def test_what_is_contrasted(batch: tuple[Any, dict[str, Tensor]]) -> None:
    """By hand: clip by clip, token by token."""
    model, inputs = batch
    speech = model.hear_states(inputs["states"], inputs["states_mask"])
    table = model.language_model.get_input_embeddings().weight
    captions = []
    for ids, labels in zip(inputs["input_ids"], inputs["labels"], strict=True):
        tokens = [int(token) for token, label in zip(ids, labels, strict=True) if label != -100]
        captions.append(table[tokens].mean(0))
    text = torch.nn.functional.layer_norm(torch.stack(captions), table.shape[1:])
    same = torch.eye(5, dtype=torch.bool)
    for one, other in ((0, 2), (2, 4)):
        same[one, other] = same[other, one] = True
    expected = 5 * speech_text_contrast(pool(speech.embeddings, speech.mask), text, 0.3, same)
    sums = align.ContrastiveStudent(model, stage(contrastive_temperature=0.3))(**inputs)
    torch.testing.assert_close(sums.pop("contrastive"), expected)
    torch.testing.assert_close(sums, Student(model, stage())(**inputs))


def test_it_teaches_the_bridge_alone(batch: tuple[Any, dict[str, Tensor]]) -> None:
    model, inputs = batch
    model.train_parts()
    model.zero_grad()
    align.ContrastiveStudent(model, stage())(**inputs)["contrastive"].backward()
    taught = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert any(name.startswith("bridge.") for name in taught)
    assert not any(name.startswith(("language_model.", "speech_encoder.", "bridge_head.")) for name in taught)
    assert not model.bridge._forward_hooks, "nothing is left behind"


def test_clips_without_a_label_are_told_apart_from_none(batch: tuple[Any, dict[str, Tensor]]) -> None:
    model, inputs = batch
    unknown = {**inputs, "targets": torch.ones_like(inputs["targets"])}
    assert align.ContrastiveStudent(model, stage())(**unknown)["contrastive"].item() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["align.micro_batch=1"], "align.micro_batch must be at least 2"),
        (["align.batch_size=1"], "align.micro_batch must be at least 2"),
        (["align.contrastive_temperature=0"], "align.contrastive_temperature is 0"),
        (["align.contrastive_temperature=.inf"], "align.contrastive_temperature is inf"),
        (["align.lambda_contrastive=much"], "align.lambda_contrastive must be a float"),
    ],
)
def test_faults_of_the_user(train: Train, finished: Path, tmp_path: Path, options: list[str], message: str) -> None:
    switched_on = ["align.lambda_kd=0", "align.lambda_contrastive=0.1"]
    done = train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, *switched_on, *options)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_runs_without_it_keep_their_key(tmp_path: Path) -> None:
    """A run begun before the option existed goes on; with it, what counts is what its pairs depend on."""
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("id,audio\n")

    def key(*changes: str) -> dict[str, Any]:
        return stage_key(
            load_recipe(Path("configs/embedded.yaml"), [f"manifest={manifest}", *changes]), "align", "train"
        )

    assert not [name for name in key() if "contrastive" in name or "micro_batch" in name]
    assert key() == key("align.contrastive_temperature=0.5", "align.micro_batch=4")
    weighed = key("align.lambda_contrastive=0.1")
    assert weighed["align.lambda_contrastive"] == 0.1
    assert weighed != key("align.lambda_contrastive=0.1", "align.micro_batch=4")
    assert weighed != key("align.lambda_contrastive=0.1", "align.contrastive_temperature=0.5")
