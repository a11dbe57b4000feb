"""A new emotion head for a finished model: on other corpora or by another recipe, without training what writes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from aligncap.errors import RecipeError
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.model.configuration import load_config
from aligncap.model.utterance import UtteranceSummary
from aligncap.training.data import TrainingSet
from aligncap.training.recipe import Recipe
from aligncap.training.warm_start import fit_summary

__all__ = ["expressed_for", "model_to_refit", "refit_head"]


def model_to_refit(recipe: Recipe, checkpoint: Path) -> AlignCapForConditionalGeneration:
    """Load a finished model, in float32.

    Raises:
        RecipeError: the recipe's features are not those that the model hears.
        CheckpointError: the checkpoint is damaged.
    """
    config = load_config(str(checkpoint))
    heard = {
        "speech_encoder": config.base_weights["speech_encoder"]["name"],
        "taps": config.taps,
        "frame_stride": config.frame_stride,
    }
    for name, value in heard.items():
        if getattr(recipe.model, name) != value:
            raise RecipeError(
                f"recipe: model.{name} is {getattr(recipe.model, name)!r}, and {checkpoint} hears with {value!r}: give "
                f"model.{name}={value!r}"
            )
    return AlignCapForConditionalGeneration.from_pretrained(checkpoint, config=config)


def refit_head(
    model: AlignCapForConditionalGeneration, recipe: Recipe, data: TrainingSet, copies: Sequence[Tensor]
) -> None:
    """Give a finished model another emotion head, in place; all that writes stays as it is, its summary with it.

    Args:
        model: see `model_to_refit`.
        recipe: ``warm_start`` says how the head is fitted, ``model.speeds`` at which speeds it will hear.
        data: labelled clips.
        copies: tap means of their copies, see `aligncap.training.warm_start.fit_summary`.
    """
    own = deepcopy(model.summary)
    fit_summary(model, data, recipe.warm_start, copies)
    weight, bias = expressed_for(own, model.summary, model.emotion_head.weight.data, model.emotion_head.bias.data)
    model.summary = own
    with torch.no_grad():
        model.emotion_head.weight.copy_(weight)
        model.emotion_head.bias.copy_(bias)
    model.config.speeds = list(recipe.model.speeds)


def expressed_for(
    own: UtteranceSummary, fitted: UtteranceSummary, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """The same linear head for the summaries of another normalisation of the same tap means.

    Both normalisations are affine and invertible (damping is below 1), so the logits stay the same.

    Args:
        own: on whose summaries the head is to stand.
        fitted: on whose summaries it was fitted.
        weight: (classes, size).
        bias: (classes,).

    Returns:
        (classes, size) and (classes,).
    """
    w, b = weight.double(), bias.double()
    directions, damping = fitted.directions.double(), fitted.damping.double()
    per_mean = (w - (w @ directions.T * damping) @ directions) / fitted.deviation.double()
    b = b + per_mean @ (own.mean.double() - fitted.mean.double())
    w = per_mean * own.deviation.double()
    directions, damping = own.directions.double(), own.damping.double()
    w = w + (w @ directions.T * (damping / (1 - damping))) @ directions
    return w.to(weight.dtype), b.to(bias.dtype)
