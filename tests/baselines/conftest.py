from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tones import RATE, tone

from aligncap.testing import tiny_speech_encoder


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus whose angry speakers are high and whose sad speakers are low, a tiny encoder, and a recipe."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = ["id,audio,corpus,speaker,emotion,split"]
    for speaker, split in (("1", "train"), ("2", "train"), ("3", "dev"), ("4", "zero_shot")):
        for take in range(4):
            emotion, hz = (("angry", 290.0), ("sad", 110.0))[take % 2]
            name = f"{speaker}{take}"
            samples = tone(hz + rng.uniform(-10, 10)) + 0.002 * rng.standard_normal(round(0.8 * RATE))
            soundfile.write(folder / f"{name}.wav", samples, RATE)
            rows.append(f"{name},{name}.wav,acted,{speaker},{emotion},{split}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "manifest": str(folder / "manifest.csv"),
        "output": str(folder / "run"),
        "workers": 0,
        "model": {"speech_encoder": str(tiny_speech_encoder("whisper", folder / "encoder")), "taps": [1, 2]},
        "captions": {"per_clip": 2},
        "align": {"steps": 4, "batch_size": 4, "save_every": 2, "log_every": 1, "report_to": []},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(scope="session")
def train(data: Path) -> Callable[..., Path]:
    """``train(kind, "key=value", …)`` → folder of the baseline."""

    def run(kind: str, *overrides: str) -> Path:
        from aligncap.baselines.train import train_baseline
        from aligncap.training.recipe import load_recipe

        with contextlib.redirect_stderr(io.StringIO()):
            return train_baseline(kind, load_recipe(data / "recipe.yaml", overrides))

    return run
