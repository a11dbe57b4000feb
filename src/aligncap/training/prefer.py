"""Human Preference Alignment (PO-Regularization): what hallucinates becomes less likely than what does not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor

from aligncap.checkpoints import EMBEDDED
from aligncap.errors import AlignCapError, CheckpointError, RecipeError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.preferences.pairs import Pair, read_pairs
from aligncap.training.data import TrainingSet
from aligncap.training.held_out import HeldOut
from aligncap.training.pair_data import PairBatch, PairOrder, PairSet
from aligncap.training.policy import Policy, response_log_probs
from aligncap.training.progress import is_main_process, progress_bar, say
from aligncap.training.recipe import Recipe
from aligncap.training.reference import cached_log_probs
from aligncap.training.stage import run_stage
from aligncap.training.trainer import StageTrainer

__all__ = ["PreferTrainer", "aligned_checkpoint", "checkpoint_hash", "load_aligned", "prefer"]

_TOLD = 5
_LOSSES = ("dpo", "ipo", "hinge", "simpo", "kto")


def prefer(recipe: Recipe, data: TrainingSet, folder: Path, key: str) -> AlignCapForConditionalGeneration:
    """Train the policy.

    Args:
        recipe: see `Recipe`.
        data: clips of the split that is trained on.
        folder: of the stage.
        key: hash of all that the stage depends on.

    Returns:
        The trained model.

    Raises:
        AlignCapError: there are no pairs, or no aligned checkpoint, or they do not fit the recipe.
    """
    stage = recipe.prefer
    if stage.loss not in _LOSSES:
        raise RecipeError(f"recipe: prefer.loss is {stage.loss!r}; choose one of {', '.join(_LOSSES)}")
    start = aligned_checkpoint(recipe)
    pairs = PairSet(_read(Path(stage.pairs)), data)
    _tell_missing(pairs.missing)
    trained_on, held_out = pairs.parted(stage.held_out, recipe.seed)
    if not trained_on:
        raise AlignCapError(f"{stage.pairs}: no pair is about a usable clip of the manifest to train on")
    model, processor = load_aligned(recipe, start)
    model.train_parts(bridge=stage.train_bridge)
    model.emotion_head.requires_grad_(False)
    model.bridge_head.requires_grad_(False)
    policy = Policy(model, stage, pairs.kinds)
    batch = PairBatch(processor, pairs)
    if stage.cache:
        hashes = {"model": f"{checkpoint_hash(start)} {model.dtype}", "pairs": pairs.digest()}
        others = [Path(recipe.base) / folder.name] if recipe.base else []
        batch.reference = cached_log_probs(folder, hashes, lambda: _log_probs(policy, batch), others)
    else:
        policy.remember()
    say(f"{len(trained_on)} pairs to train on, {len(held_out)} held out")
    watch = HeldOut(policy, processor, batch, held_out, stage, folder)
    order = PairOrder(trained_on, stage.steps * stage.batch_size, recipe.seed)
    names = policy.figure_names
    weights = {**dict.fromkeys(names, 0.0), "preference": 1.0, "nll": stage.gamma}
    rates = {"lora_": stage.learning_rate, "model.": stage.bridge_learning_rate}
    run_stage(
        "prefer",
        policy,
        stage,
        folder,
        order,
        batch,
        weights,
        rates,
        key,
        recipe.seed,
        trainer_class=PreferTrainer,
        more=[watch],
    )
    return model.eval()


class PreferTrainer(StageTrainer):
    """`StageTrainer` for pairs: every figure is a mean over the pairs of the optimiser step."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """As of `StageTrainer`, with pairs in the place of response tokens."""
        return super().compute_loss(model, inputs, return_outputs, self.stage.batch_size)

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """With the mean loss of the pairs of each kind."""
        kinds = [name.removeprefix("pairs/") for name in means if name.startswith("pairs/")]
        out = {name: mean for name, mean in means.items() if "/" not in name}
        by_kind = {kind: means[f"sum/{kind}"] / means[f"pairs/{kind}"] for kind in kinds if means[f"pairs/{kind}"]}
        return {**out, **{f"loss/{kind}": loss for kind, loss in by_kind.items()}}


def aligned_checkpoint(recipe: Recipe, stage: Literal["prefer", "head"] = "prefer") -> Path:
    """The checkpoint that preference optimisation begins with, or to which a new emotion head is given.

    Raises:
        CheckpointError: there is none.
    """
    given = recipe.prefer.checkpoint if stage == "prefer" else recipe.head.checkpoint
    if given == "embedded":
        return EMBEDDED
    folders = [Path(given)] if given else [Path(run) / "checkpoint" for run in (recipe.output, recipe.base) if run]
    for folder in folders:
        if (folder / "model.safetensors").is_file():
            return folder
    raise CheckpointError(
        f"there is no aligned checkpoint in {' or '.join(map(str, folders))}: run aligncap train align first, or give "
        f"{stage}.checkpoint=FOLDER"
    )


def checkpoint_hash(folder: Path) -> str:
    """Hash of a checkpoint's tensors and configuration."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:32]


def load_aligned(recipe: Recipe, folder: Path) -> tuple[AlignCapForConditionalGeneration, AlignCapProcessor]:
    """A checkpoint to go on training: its own parts are float32.

    Raises:
        RecipeError: the recipe's features are not what the checkpoint hears.
        CheckpointError: it is damaged.
    """
    dtype = torch.bfloat16 if recipe.prefer.bf16 else torch.float32
    model = AlignCapForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    config, wanted = model.config, recipe.model
    heard = (config.base_weights["speech_encoder"]["name"], list(config.taps), config.frame_stride)
    if heard != (wanted.speech_encoder, list(wanted.taps), wanted.frame_stride):
        raise RecipeError(
            f"recipe: model.speech_encoder, taps and frame_stride are not those of {folder}, which are "
            f"{heard[0]}, {heard[1]} and {heard[2]}"
        )
    if dtype != torch.float32:
        own = model.own_state().keys()
        for name, parameter in model.named_parameters():
            if name in own:
                parameter.data = parameter.data.float()
        for name, buffer in model.named_buffers():
            if name in own:
                buffer.data = buffer.data.float()
        model.load_own({name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()})
    return model, AlignCapProcessor.from_config(config)


def _read(path: Path) -> list[Pair]:
    """The pairs of a file; those that are none are named, the first of them one by one, and counted."""
    if not path.is_file():
        raise AlignCapError(f"no pairs at {str(path)!r}: make them with aligncap pairs build; give prefer.pairs=FILE")
    problems: list[str] = []
    pairs = list(read_pairs(path, problems.append))
    for problem in problems[:_TOLD]:
        say(f"left out: {problem}")
    if problems:
        say(f"{len(problems)} records of {path} are no pairs and were left out")
    return pairs


def _tell_missing(missing: dict[str, int]) -> None:
    for name in list(missing)[:_TOLD]:
        say(f"left out: {missing[name]} pairs of {name}: it is no usable clip of the split to train on")
    if missing:
        say(f"{sum(missing.values())} pairs of {len(missing)} clips were left out")


@torch.no_grad()
def _log_probs(policy: Policy, batch: PairBatch) -> Tensor:
    """(2, pairs) under the policy as it is."""
    size = max(policy.stage.micro_batch or policy.stage.batch_size, 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy.to(device).eval()
    places: Sequence[int] = range(len(batch.pairs))
    parts = []
    with progress_bar() as bar:
        task = bar.add_task("reference", total=len(places))
        for start in range(0, len(places), size):
            part = places[start : start + size]
            inputs = {name: value.to(device) for name, value in batch.inputs(part).items()}
            parts.append(response_log_probs(policy.model, inputs)[0].view(2, -1).float().cpu())
            bar.advance(task, len(part))
    if is_main_process():
        say(f"log-probabilities under the reference: {len(places)} pairs")
    return torch.cat(parts, 1)
