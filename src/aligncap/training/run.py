"""A whole training run: features → warm start → captions → checkpoint. Finished stages are not repeated."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from aligncap.errors import AlignCapError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.configuration import EMOTIONS
from aligncap.training.captioning import train_captions
from aligncap.training.data import Clip, balance, label_sets, read_manifest
from aligncap.training.features import Features, extract
from aligncap.training.recipe import CorpusRule, Recipe
from aligncap.training.warm_start import TrainingSet, fit_summary, out_of_fold, warm_start

__all__ = ["build_model", "train", "training_set"]


def train(recipe: Recipe, split: str = "train") -> Path:
    """Run a recipe.

    Args:
        recipe: see `Recipe`.
        split: rows of the manifest to train on (rows of ``zero_shot`` are refused).

    Returns:
        The folder of the finished checkpoint.

    Raises:
        AlignCapError: the manifest is unusable, or the output folder belongs to another recipe.
    """
    if split == "zero_shot":
        raise AlignCapError("rows of the split zero_shot are for evaluation only")
    say = Console(stderr=True).print
    output = Path(recipe.output)
    _claim(output, recipe)
    torch.manual_seed(recipe.seed)
    clips = [clip for clip in read_manifest(Path(recipe.manifest)) if clip.split != "zero_shot"]
    data = training_set(clips, recipe, split)
    say(f"{len(data)} training rows from {len({clip.id for clip in data.clips})} clips")
    model, processor = build_model(recipe)
    warm, hypotheses = output / "warm_start.safetensors", output / "hypotheses.safetensors"
    if warm.exists() and hypotheses.exists():
        model.load_own(load_file(warm))
        logits = load_file(hypotheses)["logits"]
    else:
        x = fit_summary(model, data, recipe.warm_start)
        logits = out_of_fold(x, data, recipe.warm_start.penalty, recipe.warm_start.folds, recipe.seed)
        warm_start(model, data, recipe.warm_start, recipe.seed)
        save_file({"logits": logits}, hypotheses)
        save_file({k: v.contiguous() for k, v in model.own_state().items()}, warm)
    spoken = [row for row, clip in enumerate(data.clips) if _captioned(clip, recipe)]
    right = data.targets[spoken].gather(1, logits[spoken].argmax(1, keepdim=True)).float().mean()
    say(f"out-of-fold emotion hypotheses: {float(right):.3f} right")
    losses = train_captions(
        model,
        processor,
        _rows(data, spoken),
        logits[spoken],
        recipe.captions,
        output / "captions",
        recipe.seed,
    )
    (output / "captions" / "losses.json").write_text(json.dumps(losses))
    checkpoint = output / "checkpoint"
    model.save_pretrained(checkpoint, dtype=torch.float16)
    return checkpoint


def build_model(recipe: Recipe) -> tuple[AlignCapForConditionalGeneration, AlignCapProcessor]:
    """A new model and its processor, as the recipe says."""
    torch.manual_seed(recipe.seed)
    model = AlignCapForConditionalGeneration.from_base(
        recipe.model.speech_encoder,
        recipe.model.language_model,
        taps=recipe.model.taps,
        frame_stride=recipe.model.frame_stride,
        bridge=recipe.model.bridge,
        lora=recipe.model.lora,
        system_prompt=recipe.model.system_prompt,
    )
    _ = model.speech_token_id  # into the configuration, so that loading needs no tokenizer
    return model, AlignCapProcessor.from_config(model.config)


def training_set(clips: list[Clip], recipe: Recipe, split: str) -> TrainingSet:
    """Features, augmented copies and labels of the clips of a split.

    The features of all the clips are extracted and cached; those without a usable recording or label are left out.
    """
    folder = Path(recipe.output) / "features"
    copies: list[Features] = []
    for copy in range(recipe.augmented_copies + 1):
        copies.append(extract(clips, recipe.model, folder, augmented=copy > 0, seed=copy, workers=recipe.workers))
    for name, reason in copies[0].failures.items():
        Console(stderr=True).print(f"left out: {name}: {reason}")
    targets, allowed = label_sets(clips, EMOTIONS, recipe.corpora)
    chosen = [row for row, clip in enumerate(clips) if clip.split == split]
    weights = np.zeros(len(clips), np.float32)
    weights[chosen] = balance([clips[row] for row in chosen], recipe.corpora)
    rows = [
        (index, copy) for copy in copies for index in chosen if copy.states[index] is not None and targets[index].any()
    ]
    index = np.array([row for row, _ in rows])
    return TrainingSet(
        [clips[row] for row, _ in rows],
        [state for row, copy in rows if (state := copy.states[row]) is not None],
        [copy.voice[row] for row, copy in rows],
        torch.from_numpy(targets[index]),
        torch.from_numpy(allowed[index]),
        torch.from_numpy(weights[index]),
    )


def _captioned(clip: Clip, recipe: Recipe) -> bool:
    return clip.emotion in EMOTIONS and recipe.corpora.get(clip.corpus, CorpusRule()).captions


def _rows(data: TrainingSet, rows: list[int]) -> TrainingSet:
    return TrainingSet(
        [data.clips[r] for r in rows],
        [data.states[r] for r in rows],
        [data.voice[r] for r in rows],
        data.targets[rows],
        data.allowed[rows],
        data.weights[rows] / data.weights[rows].mean(),
    )


def _claim(output: Path, recipe: Recipe) -> None:
    """Write the recipe into the output folder, or refuse a folder that another recipe began."""
    manifest = Path(recipe.manifest)
    if not recipe.manifest or not manifest.is_file():
        raise AlignCapError(f"no manifest at {recipe.manifest!r}: give manifest=PATH/manifest.csv")
    content = dataclasses.asdict(recipe)
    content = {k: v for k, v in content.items() if k not in ("output", "workers", "manifest")}
    content["manifest_sha256"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    text = yaml.safe_dump(content, sort_keys=False)
    path = output / "recipe.yaml"
    if path.exists() and path.read_text() != text:
        raise AlignCapError(f"{output} was begun with another recipe or manifest: choose another output=FOLDER")
    output.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
