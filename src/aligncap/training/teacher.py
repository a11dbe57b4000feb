"""The teacher: a language model that reads transcript, annotation and clues, and writes captions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from aligncap.captions import clue_prompt, main_emotion
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model import AlignCapConfig, AlignCapProcessor, LoraSettings
from aligncap.model.base import fingerprint, load_language_model, load_tokenizer
from aligncap.model.lora import TEACHER, add_lora, using_adapter
from aligncap.model.teacher_text import teacher_text
from aligncap.training.collate import TeacherPrompts
from aligncap.training.data import TrainingSet, main_label
from aligncap.training.examples import Examples, Windows
from aligncap.training.networks import Reader
from aligncap.training.progress import is_main_process, say
from aligncap.training.recipe import Recipe
from aligncap.training.stage import run_stage

__all__ = ["ADAPTER", "Teacher", "caption_accuracy", "load_teacher", "train_teacher"]

ADAPTER = "adapter.safetensors"


@dataclass
class Teacher:
    """A teacher that is ready to be asked.

    Attributes:
        language_model: holds the teacher's adapters; the student's own model, or another one.
        processor: makes its prompts.
        shared: whether it is the student's language model.
        key: hash of its weights.
    """

    language_model: Any
    processor: AlignCapProcessor
    shared: bool
    key: str

    @property
    def head(self) -> torch.Tensor | None:
        """(vocabulary, width) of a teacher that is another model; None for the student's own."""
        return None if self.shared else self.language_model.get_output_embeddings().weight.detach()

    @property
    def width(self) -> int:
        """Width of its hidden states."""
        return int(self.language_model.config.get_text_config().hidden_size)


def train_teacher(recipe: Recipe, data: TrainingSet, dev: TrainingSet, folder: Path, key: str) -> None:
    """Tune the teacher's adapters and write them into ``folder``; how often it is right is written beside them.

    Args:
        recipe: see `Recipe`.
        data: captioned clips.
        dev: clips on which it is checked.
        folder: of the stage.
        key: hash of all that the stage depends on.
    """
    stage = recipe.teacher
    torch.manual_seed(recipe.seed)
    name = stage.language_model or recipe.model.language_model
    language_model = load_language_model(name, torch.bfloat16 if stage.bf16 else torch.float32)
    language_model.requires_grad_(False)
    if stage.lora is None and stage.steps:
        raise AlignCapError("recipe: teacher.lora is null, so nothing can be trained: set teacher.steps=0")
    if stage.lora is not None:
        add_lora(language_model, LoraSettings(**stage.lora), TEACHER)
    processor = _processor(name, recipe)
    adapters = {n: p for n, p in language_model.named_parameters() if f".{TEACHER}." in n}
    for parameter in adapters.values():
        parameter.data = parameter.data.float()
    if stage.steps:
        examples = Examples(data, recipe.captions, recipe.seed)
        network = Reader(language_model)
        windows = Windows(examples, stage.steps, stage.batch_size)
        collate = TeacherPrompts(processor, data)
        run_stage("teacher", network, stage, folder, windows, collate, {"ce": 1.0}, {}, key, recipe.seed)
    if is_main_process():
        language_model.eval()
        right = caption_accuracy(language_model, processor, dev, stage.eval_clips, recipe.seed)
        (folder / "accuracy.json").write_text(json.dumps(right, indent=2) + "\n")
        if right["clips"]:
            say(
                f"teacher: on {right['clips']} dev clips its captions name the label in {right['greedy']:.3f} greedy, "
                f"{right['sampled']:.3f} sampled at T=1"
            )
            if right["sampled"] < 0.95:
                say(
                    "teacher: sampled captions are often wrong, so its soft targets are not clean: train it longer, or "
                    "sharpen it (align.teacher_temperature=0.7)"
                )
        tensors = {n: p.detach().float().cpu().contiguous() for n, p in adapters.items()}
        save_file(tensors, folder / f"{ADAPTER}.part", metadata={"format": "pt"})
        (folder / f"{ADAPTER}.part").replace(folder / ADAPTER)


def load_teacher(recipe: Recipe, folder: Path, student: Any) -> Teacher:
    """The trained teacher, beside the student's adapters where it is the same language model.

    Args:
        recipe: see `Recipe`.
        folder: of the teacher's stage.
        student: the student's language model, with its adapters.

    Raises:
        AlignCapError: another teacher whose tokenizer is not the student's.
        CheckpointError: the adapters do not fit.
    """
    stage = recipe.teacher
    shared = stage.language_model in ("", recipe.model.language_model)
    name = recipe.model.language_model if shared else stage.language_model
    processor = _processor(name, recipe)
    if shared:
        language_model = student
    else:
        own = load_tokenizer(recipe.model.language_model)
        if own.get_vocab() != processor.tokenizer.get_vocab():
            raise AlignCapError(f"teacher.language_model {name}: its tokenizer is not that of the student")
        language_model = load_language_model(name, torch.bfloat16 if stage.bf16 else torch.float32)
    digest = hashlib.sha256(_base_fingerprint(language_model).encode())
    if stage.lora is not None:
        add_lora(language_model, LoraSettings(**stage.lora), TEACHER)
        tensors = load_file(folder / ADAPTER)
        adapters = {n: p for n, p in language_model.named_parameters() if f".{TEACHER}." in n}
        for parameter in adapters.values():
            parameter.data = parameter.data.float()
        if adapters.keys() != tensors.keys():
            raise CheckpointError(f"{folder}: the teacher's adapters do not fit the language model")
        language_model.load_state_dict(tensors, strict=False)
        digest.update((folder / ADAPTER).read_bytes() + json.dumps(stage.lora, sort_keys=True).encode())
    if not shared:
        language_model.requires_grad_(False)
        language_model.eval()
    return Teacher(language_model, processor, shared, digest.hexdigest()[:32])


@torch.no_grad()
def caption_accuracy(
    language_model: Any, processor: AlignCapProcessor, dev: TrainingSet, count: int, seed: int, batch: int = 16
) -> dict[str, float]:
    """Share of clips in whose caption the label is the main emotion, greedy and sampled at T=1.

    Args:
        language_model: the teacher.
        processor: makes its prompts.
        dev: captioned clips that it was not trained on.
        count: number of clips, drawn at random.
        seed: of the draw and of sampling.
        batch: prompts at a time.

    Returns:
        ``clips``, ``greedy``, ``sampled``.
    """
    labelled = [row for row, clip in enumerate(dev.clips) if main_label(clip) is not None]
    rows = np.random.default_rng(seed).permutation(labelled)[:count].tolist()
    right = {"greedy": 0, "sampled": 0}
    torch.manual_seed(seed)
    with using_adapter(language_model, TEACHER):
        for start in range(0, len(rows), batch):
            chosen = rows[start : start + batch]
            labels = [main_label(dev.clips[row]) for row in chosen]
            texts = [teacher_text(dev.clips[row].row, clue_prompt((), dev.voice[row])) for row in chosen]
            prompts = processor.prompts([0] * len(texts), DEFAULT_INSTRUCTION, texts)
            for how in right:
                sampling: dict[str, Any] = {"do_sample": how == "sampled"}
                if how == "sampled":
                    sampling.update(temperature=1.0, top_k=0, top_p=1.0)
                out = language_model.generate(
                    **prompts.to(language_model.device),
                    max_new_tokens=60,
                    eos_token_id=processor.tokenizer.eos_token_id,
                    pad_token_id=processor.tokenizer.pad_token_id,
                    **sampling,
                )
                captions = processor.batch_decode(out[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
                right[how] += sum(main_emotion(c) == label for c, label in zip(captions, labels, strict=True))
    return {"clips": len(rows), **{how: number / max(len(rows), 1) for how, number in right.items()}}


def _processor(name: str, recipe: Recipe) -> AlignCapProcessor:
    return AlignCapProcessor(None, load_tokenizer(name), AlignCapConfig(system_prompt=recipe.model.system_prompt))


def _base_fingerprint(language_model: Any) -> str:
    """Of the base weights alone: whatever adapters are in it."""
    base = torch.nn.Module()
    for name, parameter in language_model.named_parameters():
        if "lora_" not in name:
            base.register_parameter(name.replace(".base_layer", "").replace(".", "/"), parameter)
    return fingerprint(base)
