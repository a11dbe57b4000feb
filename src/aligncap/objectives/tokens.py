"""The response's tokens: which positions predict them, and how likely the model finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

__all__ = ["Reduction", "gather", "nll", "per_response", "response_mask", "token_log_probs"]

Reduction: TypeAlias = Literal["sum", "none"]
T = TypeVar("T")


def response_mask(labels: Tensor) -> Tensor:
    """Positions whose prediction is a response token: position t predicts token t + 1.

    True at the last token of the prompt, which predicts the first token of the response, up to the last but one
    of the response, which predicts its end (EOS). What EOS would predict is not asked for.

    Args:
        labels: (batch, tokens); -100 outside the response.

    Returns:
        (batch, tokens - 1) bool.
    """
    return labels[:, 1:] != -100


def gather(hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states that predict response tokens, and these tokens; row after row.

    Args:
        hidden: (batch, tokens, width), the language model's last hidden states.
        labels: (batch, tokens); -100 outside the response.

    Returns:
        Hidden states (N, width), contiguous, and targets (N,), for the N response tokens of the batch.

    Raises:
        ValueError: hidden states and labels differ in shape.
    """
    if hidden.shape[:2] != labels.shape:
        raise ValueError(f"hidden states {tuple(hidden.shape)} do not fit labels {tuple(labels.shape)}")
    mask = response_mask(labels)
    return hidden[:, :-1][mask], labels[:, 1:][mask]


def nll(logits: Tensor, targets: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Negative log-likelihood of the response's tokens, in nats.

    Args:
        logits: (N, vocabulary), of any floating type; computed in float32 at least.
        targets: (N,) token ids.
        reduction: "sum" or "none".

    Returns:
        The sum, or (N,) losses.
    """
    return cross_entropy(as_float(logits), targets, reduction=checked_reduction(reduction))


def token_log_probs(hidden: Tensor, head_weight: Tensor, targets: Tensor, *, chunk: int = 128) -> Tensor:
    """Log-probability of each response token, from hidden states, without ever holding all logits.

    Args:
        hidden: (N, width), from `gather`.
        head_weight: (vocabulary, width) of the language model's head, a linear map without bias.
        targets: (N,) token ids.
        chunk: number of tokens whose logits are held at a time.

    Returns:
        (N,) in nats, float32 (float64 where the inputs are).

    Raises:
        ValueError: shapes that do not fit.
    """
    # a bf16 matmul on a strided view is many times slower on a CPU
    head = head_weight.contiguous()

    def log_probs(states: Tensor, wanted: Tensor) -> Tensor:
        return -nll(linear(states.to(head.dtype), head), wanted, "none")

    return torch.cat(in_chunks(log_probs, chunk, hidden.contiguous(), targets))


def per_response(values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Add up a value of each response token over each row's response.

    Args:
        values: (N,), in the order of `gather`.
        labels: (batch, tokens); -100 outside the response.

    Returns:
        Sums (batch,), and numbers of response tokens (batch,).
    """
    mask = response_mask(labels)
    return values.new_zeros(mask.shape).masked_scatter(mask, values).sum(1), mask.sum(1)


def as_float(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def in_chunks(function: Callable[..., T], chunk: int, *tensors: Tensor | None) -> list[T]:
    """Run a function on ``chunk`` rows at a time; once on no rows where there are none.

    Nothing inside is kept for the backward pass, which runs the function again.
    """
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    counts = {len(tensor) for tensor in tensors if tensor is not None}
    if len(counts) > 1:
        raise ValueError(f"hidden states and targets differ in their number of response tokens: {sorted(counts)}")
    parts = []
    for start in range(0, max(*counts, 1), chunk):
        rows = [None if tensor is None else tensor[start : start + chunk] for tensor in tensors]
        parts.append(checkpoint(function, *rows, use_reentrant=False, preserve_rng_state=False))
    return parts


def checked_reduction(reduction: Reduction) -> Reduction:
    if reduction not in ("sum", "none"):
        raise ValueError(f'reduction is {reduction!r}; choose "sum" or "none"')
    return reduction
