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

from aligncap.errors import AlignCapError

__all__ = ["CaptionStage", "CorpusRule", "ModelRecipe", "Recipe", "WarmStartStage", "load_recipe"]


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
        bridge: fields of `BridgeConfig`.
        lora: fields of `LoraSettings`; null for none.
        system_prompt: text of the system turn.
    """

    speech_encoder: str = "aligncap:whisper-base"
    language_model: str = "aligncap:smollm2-135m-instruct"
    taps: list[int] = field(default_factory=lambda: [1, 2, 3])
    frame_stride: int = 5
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
        epochs: passes over the training clips.
        batch_size: clips a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        frame_dropout: greatest share of a clip's frames left out at random.
        folds: speaker folds for the out-of-fold emotion hypotheses that the clue prompts of training carry.
    """

    nuisance_strength: float = 1.0
    penalty: float = 0.03
    unrestricted: float = 0.1
    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    frame_dropout: float = 0.3
    folds: int = 5


@dataclass
class CaptionStage:
    """Training of bridge and adapters on captions.

    Attributes:
        steps: optimiser steps.
        batch_size: clips a step.
        learning_rate: peak, of the adapters.
        bridge_learning_rate: peak, of the bridge.
        warmup: share of the steps with a rising learning rate; it then falls as a cosine.
        clue_share: share of the prompts that carry a clue prompt.
        clue_trust: share of the wrong emotion hypotheses that are put right in the clue prompt; the higher, the
            more the language model believes the hypothesis rather than its own (memorised) hearing.
        head_weight: weight of the emotion head's loss, which keeps the bridge from forgetting.
        save_every: steps between checkpoints of the run.
        bf16: run the language model in bfloat16 (own parameters stay float32): faster only where the processor
            multiplies bfloat16 matrices faster than float32 ones.
    """

    steps: int = 600
    batch_size: int = 16
    learning_rate: float = 1e-3
    bridge_learning_rate: float = 2e-4
    warmup: float = 0.05
    clue_share: float = 0.75
    clue_trust: float = 0.6
    head_weight: float = 0.3
    save_every: int = 100
    bf16: bool = False


@dataclass
class Recipe:
    """All of a training run.

    Attributes:
        manifest: CSV with id, audio, corpus, speaker, gender, emotion, intensity and split.
        output: folder of the run.
        seed: of every random choice.
        workers: processes that extract features.
        augmented_copies: randomly changed copies of each recording that are trained on besides it.
        corpora: rules of the corpora that have any.
        model: base weights and shape.
        warm_start: see `WarmStartStage`.
        captions: see `CaptionStage`.
    """

    manifest: str = ""
    output: str = "runs/embedded"
    seed: int = 1
    workers: int = 2
    augmented_copies: int = 0
    corpora: dict[str, CorpusRule] = field(default_factory=dict)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    warm_start: WarmStartStage = field(default_factory=WarmStartStage)
    captions: CaptionStage = field(default_factory=CaptionStage)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        overrides: ``key=value`` texts, keys dotted (``captions.steps=100``), values YAML.

    Raises:
        AlignCapError: no such file, not YAML, an unknown key (with a suggestion), a value of the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise AlignCapError(f"{path}: cannot read the recipe ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise AlignCapError(f"{path}: not valid YAML ({error})") from error
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise AlignCapError(f"{override!r}: overrides look like key=value, for example captions.steps=100")
        place = content
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    return typing.cast("Recipe", _build(Recipe, content, ""))


def _build(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise AlignCapError(f"recipe: {where or 'the file'} must be a mapping")
        hints = typing.get_type_hints(kind)
        for key in value:
            if key not in hints:
                close = difflib.get_close_matches(str(key), hints, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(hints)}"
                raise AlignCapError(f"recipe: unknown key {where + str(key)!r}{hint}")
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
        raise AlignCapError(f"recipe: {where.rstrip('.')} must be a {plain.__name__}, not {value!r}")
    return value
