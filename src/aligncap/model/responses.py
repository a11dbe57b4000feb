"""A language model's hidden states on the response, which is all that training looks at."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from aligncap.objectives import gather

__all__ = ["positions", "response_states"]


def positions(attention_mask: Tensor) -> Tensor:
    """Positions (batch, tokens) of tokens padded on the left; a clip's own are the same in any batch."""
    return (attention_mask.long().cumsum(1) - 1).clamp(min=0)


def response_states(
    language_model: Any, inputs_embeds: Tensor, attention_mask: Tensor | None, labels: Tensor, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Final hidden states of a language model where it predicts the response, before its head (see `gather`).

    Args:
        language_model: a causal language model.
        inputs_embeds: (batch, tokens, width).
        attention_mask: (batch, tokens).
        labels: (batch, tokens), -100 where nothing is to be predicted; N others.
        kwargs: passed to the language model.

    Returns:
        hidden (N, width), contiguous, and targets (N,): row by row of the batch, in the order of the tokens.
    """
    if attention_mask is not None:
        kwargs.setdefault("position_ids", positions(attention_mask))
    call = {"inputs_embeds": inputs_embeds, "attention_mask": attention_mask, "use_cache": False, **kwargs}
    return gather(language_model.base_model(**call).last_hidden_state, labels)
