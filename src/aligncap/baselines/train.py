"""Training of baselines on the data of a recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from aligncap.baselines.baseline import Encoder
from aligncap.baselines.classifier import Labelled, fit, recalls
from aligncap.baselines.functionals import functionals
from aligncap.baselines.train_encoder_decoder import train_encoder_decoder
from aligncap.errors import AlignCapError
from aligncap.evaluation.voices import measure_voices
from aligncap.model.configuration import EMOTIONS
from aligncap.training.data import Clip, TrainingSet, balance, label_sets
from aligncap.training.progress import progress_bar, say
from aligncap.training.recipe import Recipe
from aligncap.training.run import Run
from aligncap.training.warm_start import summaries

__all__ = ["KINDS", "train_baseline"]

KINDS = ("functionals", "probe", "encoder-decoder")


def train_baseline(kind: str, recipe: Recipe) -> Path:
    """Train a baseline on the rows of split ``train``; what must be chosen is chosen on ``dev``.

    Args:
        kind: one of `KINDS`.
        recipe: manifest, corpora, encoder, output and base; the rest is of AlignCap's own training.

    Returns:
        Its folder: ``OUTPUT/KIND``, with ``baseline.json`` and ``model.safetensors``.

    Raises:
        AlignCapError: the manifest is unusable.
    """
    folder = Path(recipe.output) / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlignCapError(f"{folder}: it cannot be made: {error.strerror or error}") from error
    if kind == "encoder-decoder":
        about, tensors = train_encoder_decoder(recipe, folder)
    else:
        about, tensors = _train_classifier(kind, recipe)
    trained = {"date": date.today().isoformat(), "seed": recipe.seed}
    trained["manifest_sha256"] = hashlib.sha256(Path(recipe.manifest).read_bytes()).hexdigest()
    save(folder, {"kind": kind, **about, "trained": {**trained, **about.pop("trained")}}, tensors)
    return folder


def _train_classifier(kind: str, recipe: Recipe) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    run = Run(recipe)
    base: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if kind == "functionals":
        train, dev = _measured(run, recipe)
    else:
        train, dev = (_heard(run.data(split)) for split in ("train", "dev"))
        settings = {"taps": recipe.model.taps, "frame_stride": recipe.model.frame_stride}
        encoder = Encoder(recipe.model.speech_encoder, recipe.model.taps, recipe.model.frame_stride)
        base = {"speech_encoder": {"name": recipe.model.speech_encoder, "fingerprint": encoder.fingerprint}}
    if not len(train.x):
        raise AlignCapError(f"{recipe.manifest}: no row of split train has a label that is known")
    quadratic = kind == "functionals"
    model, penalty = fit(train, dev, quadratic=quadratic, unrestricted=recipe.warm_start.unrestricted)
    found = {"train": recalls(model, train), "dev": recalls(model, dev)}
    for corpus, recall in found["dev"].items():
        say(f"{kind}: macro recall on dev speakers of {corpus}: {recall:.3f}")
    rounded = {split: {corpus: round(value, 4) for corpus, value in of.items()} for split, of in found.items()}
    trained = {"clips": len(train.x), "penalty": penalty, "macro_recall": rounded}
    return {"emotions": list(EMOTIONS), "base_weights": base, "settings": settings, "trained": trained}, model.tensors


def save(folder: Path, about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Write a baseline's folder; its description last, so that a folder with one is whole."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors.part")
    (folder / "model.safetensors.part").replace(folder / "model.safetensors")
    (folder / "baseline.json.part").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (folder / "baseline.json.part").replace(folder / "baseline.json")


def _heard(data: TrainingSet) -> Labelled:
    data = data.select([row for row in range(len(data)) if not data.targets[row].all()])  # all: nothing is known
    corpora = [clip.corpus for clip in data.clips]
    return Labelled(_stack(data), data.targets, data.allowed, data.weights, corpora)


def _stack(data: TrainingSet) -> torch.Tensor:
    return summaries(data.states) if len(data) else torch.zeros(0, 1)


def _measured(run: Run, recipe: Recipe) -> tuple[Labelled, Labelled]:
    """Measured clues of train and dev, kept in the run's folder."""
    clips = [clip for clip in run.clips if clip.split in ("train", "dev")]
    targets, allowed = label_sets(run.clips, EMOTIONS, recipe.corpora)
    place = {clip.id: number for number, clip in enumerate(run.clips)}
    clips = [clip for clip in clips if targets[place[clip.id]].any() and not targets[place[clip.id]].all()]
    with progress_bar() as bar:
        task = bar.add_task("measuring voices", total=len(clips))
        voices = measure_voices(
            [clip.row for clip in clips],
            Path(recipe.manifest).absolute().parent,
            Path(recipe.output) / "voices.jsonl",
            plots=False,
            advance=lambda: bar.advance(task),
        )
    if voices.notes:
        say(f"{len(voices.notes)} recordings cannot be used and were left out, such as {voices.notes[0]}")

    def of(split: str) -> Labelled:
        members = [clip for clip in clips if clip.split == split and clip.id in voices.clues]
        rows = [place[clip.id] for clip in members]
        return Labelled(
            _vectors(members, voices.clues),
            torch.from_numpy(targets[rows]),
            torch.from_numpy(allowed[rows]),
            torch.from_numpy(balance(members, recipe.corpora) if members else np.zeros(0, np.float32)),
            [clip.corpus for clip in members],
        )

    return of("train"), of("dev")


def _vectors(clips: Sequence[Clip], clues: dict[str, dict[str, Any]]) -> torch.Tensor:
    if not clips:
        return torch.zeros(0, 1)
    return torch.from_numpy(np.stack([functionals(clues[clip.id]) for clip in clips]))
