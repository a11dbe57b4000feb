"""Recipes: one YAML file says all that a training run needs; any field can be overridden as ``key=value``."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aligncap.errors import RecipeError

__all__ = [
    "AlignStage",
    "CaptionRules",
    "CorpusRule",
    "ModelRecipe",
    "Optimisation",
    "PreferStage",
    "Recipe",
    "TeacherStage",
    "WarmStartStage",
    "as_dict",
    "load_recipe",
]


@dataclass
class CorpusRule:
    """How a corpus's labels are used.

    Attributes:
        labels: corpus label → the emotions that it may mean; the loss sums their probability. A label that is
            not listed means itself.
        weight: weight of the corpus in the warm start (a corpus counts as the root of its size times this).
        captions: whether captions are written for its clips (no, where labels are not emotions).
    """

    labels: dict[str, list[str]] = field(default_factory=dict)
    weight: float = 1.0
    captions: bool = True


@dataclass
class ModelRecipe:
    """Base weights and shape of the model; see `AlignCapConfig`.

    Attributes:
        speech_encoder: name of the encoder.
        language_model: name of the language model.
        taps: encoder layers read.
        frame_stride: encoder frames averaged into one.
        speeds: further speeds at which the finished model hears emotions.
        bridge: fields of `BridgeConfig`.
        lora: fields of `LoraSettings`; null for none.
        system_prompt: text of the system turn.
    """

    speech_encoder: str = "aligncap:whisper-base"
    language_model: str = "aligncap:smollm2-135m-instruct"
    taps: list[int] = field(default_factory=lambda: [1, 2, 3])
    frame_stride: int = 5
    speeds: list[float] = field(default_factory=list)
    bridge: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] | None = field(default_factory=dict)
    system_prompt: str = "You describe voices."


@dataclass
class WarmStartStage:
    """Training of the bridge and the emotion heads on cached features.

    Attributes:
        nuisance_strength: how strongly the directions in which speakers differ are damped (`UtteranceSummary`).
        penalty: L2 penalty of the linear emotion head.
        unrestricted: share of the emotion head's loss that is taken over all labels, not the corpus's own.
        speeds: the summary and the emotion head are also fitted on copies of each recording played at these speeds,
            each copy as if by another speaker.
        prior: emotion → how frequent it is taken to be, relative to 1 for those that are not listed.
        prior_strength: how far the emotion head's biases are moved towards that prior: 0 (not) to 1 (wholly).
        epochs: passes over the training clips.
        batch_size: clips a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        frame_dropout: greatest share of a clip's frames left out at random.
        folds: speaker folds for the out-of-fold emotion hypotheses that the clue prompts of training carry.
    """

    nuisance_strength: float = 1.0
    penalty: float = 0.02
    unrestricted: float = 0.1
    speeds: list[float] = field(default_factory=list)
    prior: dict[str, float] = field(default_factory=dict)
    prior_strength: float = 0.5
    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    frame_dropout: float = 0.3
    folds: int = 5


@dataclass
class CaptionRules:
    """Which captions are written for a clip, and what the student's prompt carries.

    Attributes:
        per_clip: different (instruction, caption) pairs written for each clip and each of its augmented copies;
            how many there are is what a teacher cache grows with.
        clips: share of the clips that have captions at all (the others train the warm start alone).
        default_share: share of the pairs with the default instruction.
        word_share: share of the pairs that ask for one word (on which label likelihoods rest).
        clue_share: share of the pairs whose prompt carries a clue prompt. Without one nothing measured is at
            hand, and the caption makes no claim about the voice.
        clue_trust: share of the wrong emotion hypotheses that are put right in the student's clue prompt; the
            higher, the more the language model believes the hypothesis rather than its own (memorised) hearing.
        hypotheses: whether the student's clue prompt tells the emotion hypotheses (otherwise only the voice).
    """

    per_clip: int = 8
    clips: float = 1.0
    default_share: float = 0.5
    word_share: float = 0.25
    clue_share: float = 0.75
    clue_trust: float = 0.6
    hypotheses: bool = True


@dataclass
class Optimisation:
    """How a stage is optimised (AdamW, linear warm-up, then a cosine to zero).

    Attributes:
        steps: optimiser steps.
        batch_size: examples a step, over all processes and accumulation steps. The examples of a step, and so the
            run, do not depend on how they are split.
        micro_batch: examples in one forward pass of one process; 0: all of the process's share.
        learning_rate: peak, of the adapters.
        warmup: share of the steps with a rising learning rate.
        weight_decay: of what is not an adapter.
        max_grad_norm: the gradient is scaled down to it.
        bf16: run the language model in bfloat16 (own parameters stay float32): faster only where the processor
            multiplies bfloat16 matrices faster than float32 ones.
        gradient_checkpointing: compute activations again in the backward pass: less memory, more time.
        save_every: steps between checkpoints of the run.
        keep: checkpoints of the run that are kept.
        log_every: steps between two points of the log.
        report_to: further logs: ``tensorboard``, ``wandb``.
    """

    steps: int = 600
    batch_size: int = 16
    micro_batch: int = 0
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    bf16: bool = False
    gradient_checkpointing: bool = False
    save_every: int = 100
    keep: int = 2
    log_every: int = 10
    report_to: list[str] = field(default_factory=lambda: ["tensorboard"])


@dataclass
class TeacherStage(Optimisation):
    """Tuning of the teacher: transcript, annotation and clues as text → caption.

    Attributes:
        language_model: of the teacher; empty: the student's (one set of weights in memory). Another one must have
            the same tokenizer.
        lora: fields of `LoraSettings` of the teacher's adapters; null for an untuned teacher (``steps`` 0).
        eval_clips: dev clips on which its captions are checked after training, greedy and sampled.
    """

    steps: int = 300
    language_model: str = ""
    lora: dict[str, Any] | None = field(default_factory=lambda: {"rank": 16, "alpha": 32, "dropout": 0.0})
    eval_clips: int = 64


@dataclass
class AlignStage(Optimisation):
    """KD-Regularization: the student hears and learns to answer like the teacher that reads.

    The loss is ``lambda_kd`` · divergence + ``lambda_ce`` · cross-entropy, each a mean over the response tokens of
    a step, + ``lambda_aux`` · cross-entropy of the bridge's emotion head, a mean over its examples, +
    ``lambda_contrastive`` · contrast between speech and captions (`aligncap.objectives.speech_text_contrast`).

    The contrast is over the pairs within a *micro-batch*, and a mean over these: unlike the other losses it depends on
    ``micro_batch`` and on the number of processes, and with few examples in a micro-batch there is little to contrast.

    Attributes:
        seed: added to the recipe's: other adapters to begin with, another order of examples and other dropout over the
            same captions, warm start and teacher.
        clips: share of the captioned clips that the student hears; the teacher has read those of ``captions.clips``.
        bridge_learning_rate: peak, of the bridge.
        lambda_kd: weight of the divergence; 0: no teacher is needed.
        lambda_ce: weight of the cross-entropy.
        lambda_aux: weight of the emotion head's loss, which keeps the bridge from forgetting.
        lambda_contrastive: weight of the contrast; 0: it is not computed.
        contrastive_temperature: what the cosines of speech and captions are divided by.
        divergence: ``forward`` KL(teacher, student), ``reverse``, or ``js``.
        beta: the teacher's weight in the mixture of ``js``.
        temperature: both distributions are softened by it.
        teacher_temperature: the teacher's alone is softened (above 1) or sharpened by it besides.
        top_k: number of the teacher's tokens that are told apart; 0 for all.
        cache: compute the teacher's hidden states once and keep them on disk, rather than in each step.
        cache_dtype: ``float32``, ``bfloat16``, or empty for the teacher's own, which is exact.
        frame_dropout: greatest share of a clip's frames left out at random.
    """

    seed: int = 0
    clips: float = 1.0
    bridge_learning_rate: float = 2e-4
    lambda_kd: float = 1.0
    lambda_ce: float = 1.0
    lambda_aux: float = 0.3
    lambda_contrastive: float = 0.0
    contrastive_temperature: float = 0.1
    divergence: str = "forward"
    beta: float = 0.5
    temperature: float = 1.0
    teacher_temperature: float = 1.0
    top_k: int = 0
    cache: bool = True
    cache_dtype: str = ""
    frame_dropout: float = 0.2


@dataclass
class HeadStage:
    """Another emotion head for a finished model, fitted as ``warm_start`` says.

    Attributes:
        checkpoint: the model: a folder, or ``embedded``; empty: that of this run, or of the run it is based on.
    """

    checkpoint: str = ""


@dataclass
class PreferStage(Optimisation):
    """PO-Regularization: the chosen caption of a pair becomes likelier than the rejected one.

    The loss is the preference loss + ``gamma`` · negative log-likelihood of the chosen caption per token, each a mean
    over the pairs of a step. Logged besides, as means over the pairs: ``accuracy`` (share whose chosen caption has the
    larger reward, ties counting half), ``reward_margin``, ``chosen_log_prob`` and ``rejected_log_prob`` per token, how
    these changed since the reference (``chosen_change``, ``rejected_change``), ``kl`` (see `docs/preferences.md`), and
    ``loss/KIND``.

    Attributes:
        pairs: JSON Lines, of ``aligncap pairs build``; unused where there are rounds.
        checkpoint: the aligned model to begin with, which is also the reference: a folder, or ``embedded``; empty: that
            of this run, or of the run it is based on.
        loss: ``dpo``, ``ipo``, ``hinge``, ``simpo`` or ``kto`` (see `aligncap.objectives.preference`).
        beta: how strongly the reference holds; of ``simpo``: scale of the reward (then about 2).
        margin_scale: reward by which the chosen caption of a pair of margin 1 must lead; 0: margins play no part.
        label_smoothing: chance that a pair is the wrong way round (``dpo``, ``simpo``).
        gamma: weight of the negative log-likelihood of the chosen captions.
        train_bridge: train the bridge as well as the adapters.
        bridge_learning_rate: peak, of the bridge.
        cache: compute the reference's log-probabilities once, rather than in each step.
        held_out: share of the clips whose pairs are not trained on.
        eval_every: steps between two looks at the held-out pairs.
        eval_pairs: at most so many of them are looked at.
        eval_captions: of so many of their clips captions are written then; their length, diversity and hallucinations
            are logged.
        max_chosen_drop: training ends when the held-out chosen captions have lost more than this, in nats per token.
        min_distinct: training ends when distinct-2 of the captions written falls below this share of what it was at
            first.
        rounds: on-policy rounds of sampling, judging and training; 0: one training on ``pairs``.
        round_clips: clips of each round.
        round_captions: captions sampled for each of them and each instruction.
        round_negatives: kinds of hard negatives made besides (`aligncap.preferences.negatives.KINDS`).
    """

    steps: int = 200
    learning_rate: float = 5e-5
    pairs: str = ""
    checkpoint: str = ""
    loss: str = "dpo"
    beta: float = 0.1
    margin_scale: float = 1.0
    label_smoothing: float = 0.0
    gamma: float = 0.2
    train_bridge: bool = False
    bridge_learning_rate: float = 2e-5
    cache: bool = True
    held_out: float = 0.1
    eval_every: int = 20
    eval_pairs: int = 64
    eval_captions: int = 16
    max_chosen_drop: float = 0.1
    min_distinct: float = 0.8
    rounds: int = 0
    round_clips: int = 500
    round_captions: int = 4
    round_negatives: list[str] = field(default_factory=list)


@dataclass
class Recipe:
    """All of a training run.

    Attributes:
        manifest: CSV with id, audio, corpus, speaker, gender, emotion, intensity and split.
        output: folder of the run.
        base: folder of an earlier run; its features and finished stages are used where they fit this recipe.
        seed: of every random choice.
        workers: processes that extract features; 0: none besides the main one.
        augmented_copies: randomly changed copies of each recording that are trained on besides it.
        corpora: rules of the corpora that have any.
        model: base weights and shape.
        warm_start: see `WarmStartStage`.
        captions: see `CaptionRules`.
        teacher: see `TeacherStage`.
        align: see `AlignStage`.
        head: see `HeadStage`.
        prefer: see `PreferStage`.
    """

    manifest: str = ""
    output: str = "runs/embedded"
    base: str = ""
    seed: int = 1
    workers: int = 2
    augmented_copies: int = 0
    corpora: dict[str, CorpusRule] = field(default_factory=dict)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    warm_start: WarmStartStage = field(default_factory=WarmStartStage)
    captions: CaptionRules = field(default_factory=CaptionRules)
    teacher: TeacherStage = field(default_factory=TeacherStage)
    align: AlignStage = field(default_factory=AlignStage)
    head: HeadStage = field(default_factory=HeadStage)
    prefer: PreferStage = field(default_factory=PreferStage)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        overrides: ``key=value`` texts, keys dotted (``align.steps=100``), values YAML.

    Raises:
        RecipeError: no such file, not YAML, an unknown key (with a suggestion), a value of the wrong type, or a speed
            out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML ({error})") from error
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise RecipeError(f"{override!r}: overrides look like key=value, for example align.steps=100")
        place = content
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    recipe = typing.cast("Recipe", _build(Recipe, content, ""))
    for name, speeds in (("model", recipe.model.speeds), ("warm_start", recipe.warm_start.speeds)):
        for speed in speeds:
            if not isinstance(speed, int | float) or not 0.5 <= speed <= 2:
                raise RecipeError(f"recipe: {name}.speeds has {speed!r}: use numbers from 0.5 to 2")
    return recipe


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, as `load_recipe` reads them from YAML."""
    return dataclasses.asdict(recipe)


def _build(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise RecipeError(f"recipe: {where or 'the file'} must be a mapping")
        hints = typing.get_type_hints(kind)
        for key in value:
            if key not in hints:
                close = difflib.get_close_matches(str(key), hints, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(hints)}"
                raise RecipeError(f"recipe: unknown key {where + str(key)!r}{hint}")
        return typing.cast("Any", kind)(
            **{key: _build(hints[key], item, f"{where}{key}.") for key, item in value.items()}
        )
    if typing.get_origin(kind) is dict and dataclasses.is_dataclass(typing.get_args(kind)[1]):
        return {key: _build(typing.get_args(kind)[1], item, f"{where}{key}.") for key, item in value.items()}
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            pass
    plain = typing.get_origin(kind) or kind
    if plain in (int, float, str, bool, list, dict) and (
        not isinstance(value, plain) or (plain is int and isinstance(value, bool))
    ):
        raise RecipeError(f"recipe: {where.rstrip('.')} must be a {plain.__name__}, not {value!r}")
    return value
