"""The common beginning of two prompts, run once: speech embeddings and clues are read for both."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from aligncap.model.modeling import AlignCapForConditionalGeneration, SpeechEmbeddings

__all__ = ["Prefix", "run_prefix"]


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


def run_prefix(
    model: AlignCapForConditionalGeneration, first: Any, second: Any, speech: SpeechEmbeddings | None
) -> Prefix:
    """Run the longest common beginning of two batches of prompts about the same clips.

    Args:
        model: in evaluation mode.
        first: ``input_ids`` and ``attention_mask`` of a batch, padded on the left.
        second: likewise; row for row the same prompt but for its end, which must be as much longer or shorter in
            every row (as when only the instruction differs).
        speech: speech embeddings of the batch; None for text alone.
    """
    ends = [_different_end(*rows) for rows in zip(_contents(first), _contents(second), strict=True)]
    length = int(first["input_ids"].shape[1]) - max(ends)
    ids, mask = first["input_ids"][:, :length], first["attention_mask"][:, :length]
    out = model(input_ids=ids, attention_mask=mask, speech=speech, use_cache=True, logits_to_keep=1)
    return Prefix(length, out.past_key_values)


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
