"""A small corpus of synthetic recordings, tiny random base weights, and a recipe that trains on them in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aligncap.testing import tiny_language_model, tiny_speech_encoder


@dataclass(frozen=True)
class Done:
    """What came of a run of the command line."""

    code: int
    out: str
    err: str


Train = Callable[..., Done]

RECIPE: dict[str, Any] = {
    "workers": 0,
    "corpora": {"arousal": {"labels": {"low": ["sad"], "high": ["angry"]}, "captions": False}},
    "model": {
        "taps": [1, 2],
        "bridge": {"width": 16, "layers": 1, "heads": 2, "nuisance_rank": 3, "dropout": 0.1},
        "lora": {"rank": 2, "dropout": 0.0, "targets": ["q_proj", "v_proj"]},
    },
    "warm_start": {"epochs": 1, "batch_size": 8, "folds": 2},
    "captions": {"per_clip": 3},
    "teacher": {
        "steps": 3,
        "batch_size": 4,
        "lora": {"rank": 2, "targets": ["q_proj", "v_proj"]},
        "eval_clips": 2,
        "log_every": 1,
        "save_every": 2,
        "report_to": [],
    },
    "align": {"steps": 6, "batch_size": 8, "log_every": 1, "save_every": 2, "report_to": [], "warmup": 0.2},
}


def write_data(folder: Path, speech: str = "whisper", llm: str = "llama") -> Path:
    """Write recordings, manifest, base weights and recipe; one of the recordings is broken."""
    rng = np.random.default_rng(0)
    rows = ["id,audio,corpus,speaker,gender,emotion,intensity,split,transcript"]
    for corpus, labels in (("acted", ["angry", "sad"]), ("arousal", ["low", "high"])):
        for speaker in range(3):
            for take in range(4):
                name = f"{corpus}{speaker}{take}"
                time = np.arange(5000 + 1000 * take + 500 * speaker) / 16000
                tone = 0.1 * np.sin(2 * np.pi * (120 + 90 * (take % 2)) * time) + 0.01 * rng.normal(size=len(time))
                soundfile.write(folder / f"{name}.wav", tone, 16000)
                split = "dev" if speaker == 2 else "train"
                rows.append(f"{name},{name}.wav,{corpus},{corpus}{speaker},,{labels[take % 2]},,{split},Hello there")
    (folder / "broken.wav").write_bytes(b"")
    rows.append("broken,broken.wav,acted,acted0,,sad,,train,")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    tiny_speech_encoder(speech, folder / "encoder")
    tiny_language_model(llm, folder / "llm")
    model = {**RECIPE["model"], "speech_encoder": str(folder / "encoder"), "language_model": str(folder / "llm")}
    recipe = {**RECIPE, "manifest": str(folder / "manifest.csv"), "model": model}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return folder
