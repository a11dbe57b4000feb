"""Speech-Text Alignment (KD-Regularization): the student hears and learns to answer like the teacher that reads."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors.torch import load_file
from torch import Tensor

from aligncap.errors import RecipeError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.modeling import pool
from aligncap.objectives import speech_text_contrast
from aligncap.training.collate import StudentBatch, TeacherPrompts
from aligncap.training.data import TrainingSet
from aligncap.training.examples import Example, Examples, Windows
from aligncap.training.networks import Student, teacher_states
from aligncap.training.progress import is_main_process, process_count, progress_bar, say
from aligncap.training.recipe import AlignStage, Recipe
from aligncap.training.stage import run_stage
from aligncap.training.teacher import Teacher, load_teacher
from aligncap.training.teacher_cache import TeacherCache, digests

__all__ = ["ContrastiveStudent", "align", "build_model"]

_FILL_BATCH = 32


class ContrastiveStudent(Student):
    """A student whose speech is also drawn to its caption, and away from captions of other emotions.

    Speech: the mean of a clip's speech embeddings. Caption: the mean of its tokens' input embeddings in the language
    model, which is frozen. Both at unit scale. Clips whose labels may mean the same emotion are not told apart.
    """

    def forward(self, *args: Any, **inputs: Any) -> dict[str, Tensor]:
        """As `Student.forward`, given by name, and ``contrastive`` as a sum over the clips."""
        heard: list[tuple[Tensor, Tensor]] = []
        hook = self.model.bridge.register_forward_hook(lambda _bridge, _inputs, output: heard.append(output))
        try:
            sums = super().forward(*args, **inputs)
        finally:
            hook.remove()
        ((embeddings, own),) = heard
        response = inputs["labels"] != -100
        with torch.no_grad():
            tokens = inputs["input_ids"].masked_fill(~response, 0)  # placeholders lie outside the vocabulary
            text = pool(self.language_model.get_input_embeddings()(tokens).float(), response)
        targets = inputs["targets"].float()
        contrast = speech_text_contrast(
            pool(embeddings.float(), own), text, self.stage.contrastive_temperature, targets @ targets.T > 0
        )
        return {**sums, "contrastive": contrast * len(targets)}


def build_model(recipe: Recipe, seed: int | None = None) -> tuple[AlignCapForConditionalGeneration, AlignCapProcessor]:
    """A new model and its processor, as the recipe says; its own parts are float32, initialised by the seed."""
    torch.manual_seed(recipe.seed if seed is None else seed)
    model = AlignCapForConditionalGeneration.from_base(
        recipe.model.speech_encoder,
        recipe.model.language_model,
        torch.bfloat16 if recipe.align.bf16 else torch.float32,
        taps=recipe.model.taps,
        frame_stride=recipe.model.frame_stride,
        bridge=recipe.model.bridge,
        lora=recipe.model.lora,
        system_prompt=recipe.model.system_prompt,
        clues=_clues(recipe),
        speeds=recipe.model.speeds,
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:  # peft gives them the type of the base weights
            parameter.data = parameter.data.float()
    _ = model.speech_token_id  # into the configuration, so that loading needs no tokenizer
    return model, AlignCapProcessor.from_config(model.config)


def _clues(recipe: Recipe) -> list[str]:
    """What clue prompts tell: what the student finds in those that it learns from."""
    if not recipe.captions.clue_share:
        return []
    return ["emotions", "voice"] if recipe.captions.hypotheses else ["voice"]


def align(
    recipe: Recipe,
    data: TrainingSet,
    hypotheses: Tensor,
    warm: Path,
    teacher: Path | None,
    folder: Path,
    key: str,
) -> AlignCapForConditionalGeneration:
    """Train the student.

    Args:
        recipe: see `Recipe`.
        data: captioned clips.
        hypotheses: (clips, emotions) out-of-fold logits, for the clue prompts.
        warm: tensors of the warm start.
        teacher: folder of the teacher's stage, beside which its cache stands; None where the recipe weighs it 0.
        folder: of the stage.
        key: hash of all that the stage depends on.

    Returns:
        The trained model.

    Raises:
        RecipeError: a contrast of a single clip, or with a temperature that is not above 0.
    """
    stage, seed = recipe.align, recipe.seed + recipe.align.seed
    if stage.lambda_contrastive:
        _check_contrast(stage)
    model, processor = build_model(recipe, seed)
    model.load_own(load_file(warm))
    examples = Examples(
        data, recipe.captions, recipe.seed, hypotheses, list(model.config.emotions), stage.frame_dropout, seed
    )
    windows = Windows(examples, stage.steps, stage.batch_size)
    prompts = store = head = other = None
    if teacher is not None:
        taught = load_teacher(recipe, teacher, model.language_model)
        prompts, head = TeacherPrompts(taught.processor, data), taught.head
        if stage.cache:
            store = _cached(recipe, examples, prompts, taught, teacher.parent / "teacher_cache")
        elif not taught.shared:
            other = taught.language_model
    model.train_parts()
    model.emotion_head.requires_grad_(False)
    model.bridge_head.requires_grad_(bool(stage.lambda_aux))
    network = (ContrastiveStudent if stage.lambda_contrastive else Student)(model, stage, other, head)
    weights = {
        "kd": stage.lambda_kd,
        "ce": stage.lambda_ce,
        "head": stage.lambda_aux,
        "contrastive": stage.lambda_contrastive,
    }
    rates = {"lora_": stage.learning_rate, "model.": stage.bridge_learning_rate}
    collate = StudentBatch(processor, data, prompts, store)
    run_stage("align", network, stage, folder, windows, collate, weights, rates, key, seed)
    return model.eval()


def _check_contrast(stage: AlignStage) -> None:
    if (stage.micro_batch or stage.batch_size // process_count()) < 2:
        raise RecipeError(
            "align.lambda_contrastive compares the clips of a micro-batch: align.micro_batch must be at least 2"
        )
    if not (stage.contrastive_temperature > 0 and math.isfinite(stage.contrastive_temperature)):
        raise RecipeError(f"align.contrastive_temperature is {stage.contrastive_temperature}; it must be above 0")


def _cached(
    recipe: Recipe, examples: Examples, prompts: TeacherPrompts, teacher: Teacher, folder: Path
) -> TeacherCache:
    """The teacher's hidden states on all examples of the run; what is missing is computed by the main process."""
    stage = recipe.align
    own = str(next(teacher.language_model.parameters()).dtype).removeprefix("torch.")
    store = TeacherCache(folder, teacher.key, teacher.width, stage.cache_dtype or own)
    wanted: dict[tuple[int, int], Example] = {}
    for number in range(stage.steps * stage.batch_size):
        example = examples(number)
        wanted.setdefault((example.row, example.pair), example)
    todo = sorted(wanted.values(), key=lambda example: example.size)
    batches = [todo[start : start + _FILL_BATCH] for start in range(0, len(todo), _FILL_BATCH)]
    if not is_main_process():
        needed = [digest for batch in batches for digest in digests(prompts.prompts(batch))]
        while any(digest not in store for digest in needed):
            time.sleep(0.5)
            store.reload()
        return store

    def missing() -> Iterator[dict[str, Tensor]]:
        for batch in batches:
            yield prompts.prompts(batch)

    # another run may be based on the same teacher
    with FileLock(folder / "lock"), progress_bar() as bar:
        store.reload()
        task = bar.add_task("teacher's hidden states", total=len(todo))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        teacher.language_model.to(device)
        added = store.fill(
            missing(),
            lambda batch: teacher_states(teacher.language_model, {k: v.to(device) for k, v in batch.items()}),
            lambda count: bar.advance(task, count),
        )
    say(f"teacher cache: {len(todo)} prompts, {added} of them new")
    return store
