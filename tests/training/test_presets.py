"""Each recipe of ``configs/``, stepped on tiny stand-ins of the families that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from training_data import Train

from aligncap.testing import tiny_language_model, tiny_speech_encoder
from aligncap.training.recipe import load_recipe

CONFIGS = Path(__file__).parents[2] / "configs"
FAMILIES = {"embedded": ("whisper", "llama"), "small": ("whisper", "qwen3"), "paper": ("whisper", "llama")}
TINY = [
    "model.taps=[1, 2]",
    "model.bridge.width=16",
    "model.bridge.layers=1",
    "model.bridge.heads=2",
    "model.bridge.nuisance_rank=3",
    "model.lora.rank=2",
    "augmented_copies=0",
    "workers=0",
    "warm_start.epochs=1",
    "warm_start.batch_size=8",
    "warm_start.folds=2",
    "captions.per_clip=2",
    "corpora.arousal.captions=false",
    "teacher.steps=1",
    "teacher.batch_size=4",
    "teacher.micro_batch=2",
    "teacher.eval_clips=0",
    "align.steps=2",
    "align.batch_size=4",
    "align.micro_batch=2",
    "align.log_every=1",
    "align.report_to=[]",
    "teacher.report_to=[]",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_preset_trains(train: Train, data: Path, tmp_path: Path, name: str) -> None:
    speech, llm = FAMILIES[name]
    overrides = [
        f"manifest={data / 'manifest.csv'}",
        f"output={tmp_path / 'run'}",
        f"model.speech_encoder={tiny_speech_encoder(speech, tmp_path / 'encoder')}",
        f"model.language_model={tiny_language_model(llm, tmp_path / 'llm')}",
        *TINY,
    ]
    done = train("all", *overrides, config=CONFIGS / f"{name}.yaml")
    assert done.code == 0, done.err
    log = json.loads((tmp_path / "run" / "align" / "log.json").read_text())
    assert len(log) == 2
    assert all(torch.isfinite(torch.tensor([point["kd"], point["ce"], point["head"]])).all() for point in log)


def test_presets_and_launchers_are_there() -> None:
    recipes = {path.stem: load_recipe(path) for path in CONFIGS.glob("*.yaml")}
    assert set(recipes) == set(FAMILIES)
    assert recipes["paper"].align.gradient_checkpointing
    for kind in ("fsdp", "deepspeed"):
        config = yaml.safe_load((CONFIGS / "accelerate" / f"{kind}.yaml").read_text())
        assert config["distributed_type"] == kind.upper()
        assert recipes["paper"].align.batch_size % (config["num_processes"] * recipes["paper"].align.micro_batch) == 0
