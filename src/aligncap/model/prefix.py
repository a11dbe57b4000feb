"""What prompts have in common, run once.

The prompts of a batch begin alike, up to the speech: that is run for one row, and kept between batches. Two prompts
about the same clips begin alike up to the instruction: speech embeddings and clues are read for both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from aligncap.model.modeling import AlignCapForConditionalGeneration, SpeechEmbeddings

__all__ = ["Prefix", "pad_inside", "run_prefix"]


@dataclass
class Prefix:
    """State of the language model after the common beginning.

    Attributes:
        length: tokens of the beginning, padding included.
        cache: keys and values of these tokens; whatever runs on uses it up, so ask for a `copy` to keep it.
    """

    length: int
    cache: Any

    def copy(self) -> Any:
        """A cache that may be used up.

        Its layers put new tensors in the place of theirs as they grow, so sharing the tensors is enough.
        """
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        return cache


def pad_inside(model: AlignCapForConditionalGeneration, prompts: Any) -> Any:
    """Move the padding of prompts from their left to before the speech, so that `run_prefix` finds what all share.

    Only where the language model does not mind: one with sliding windows would count the padding in.

    Args:
        model: in evaluation mode.
        prompts: ``input_ids`` and ``attention_mask`` of a batch, padded on the left.
    """
    ids, mask = prompts["input_ids"], prompts["attention_mask"]
    padding = (mask == 0).sum(1, keepdim=True)
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    start = int((_before_speech(model, ids).sum(1, keepdim=True) - padding).min())
    if model.lean is None or start <= 0:
        return prompts
    source = torch.where(places < start, places + padding, places)
    source = torch.where((places >= start) & (places < start + padding), places - start, source)
    return {name: prompts[name].gather(1, source) for name in ("input_ids", "attention_mask")}


def run_prefix(
    model: AlignCapForConditionalGeneration, first: Any, second: Any, speech: SpeechEmbeddings | None
) -> Prefix:
    """Run the longest common beginning of two batches of prompts about the same clips.

    Args:
        model: in evaluation mode.
        first: ``input_ids`` and ``attention_mask`` of a batch, padded on the left, or by `pad_inside`.
        second: likewise; row for row the same prompt but for its end, which must be as much longer or shorter in
            every row (as when only the instruction differs).
        speech: speech embeddings of the batch; None for text alone.
    """
    ends = [_different_end(*rows) for rows in zip(_contents(first), _contents(second), strict=True)]
    length = int(first["input_ids"].shape[1]) - max(ends)
    ids, mask = first["input_ids"][:, :length], first["attention_mask"][:, :length]
    embeddings, state, start = model.embed(ids, speech), None, 0
    if model.lean is not None:
        shared = mask.bool().all(0) & (ids == ids[0]).all(0) & _before_speech(model, ids).all(0)
        start = int(shared.long().cumprod(0).sum())
        state = model.lean.beginning(ids[0, :start].tolist()) if start else None
    _, state = model.read(embeddings[:, start:], mask, state)
    return Prefix(length, state)


def _before_speech(model: AlignCapForConditionalGeneration, ids: Tensor) -> Tensor:
    """Which tokens stand before the speech; none where there is no speech."""
    speech = (ids == model.speech_token_id).long()
    return (speech.cumsum(1) == 0) & (speech.sum(1, keepdim=True) > 0)


def _contents(batch: Any) -> list[list[int]]:
    ids: Tensor = batch["input_ids"]
    return [row[kept.bool()].tolist() for row, kept in zip(ids, batch["attention_mask"], strict=True)]


def _different_end(first: list[int], second: list[int]) -> int:
    """Number of tokens of the first prompt after the beginning that it shares with the second; at least one."""
    shared = 0
    for one, other in zip(first[:-1], second[:-1], strict=False):
        if one != other:
            break
        shared += 1
    return len(first) - shared
