"""The response's tokens: which positions predict them, and how likely the model finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

__all__ = ["Reduction", "gather", "nll", "per_response", "response_mask", "token_log_probs"]

Reduction: TypeAlias = Literal["sum", "none"]


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

    def log_probs(states: Tensor, wanted: Tensor) -> tuple[Tensor]:
        return (-nll(linear(states.to(head.dtype), head), wanted, "none"),)

    return by_rows(log_probs, chunk, head, hidden.contiguous(), targets)[0]


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


def by_rows(
    losses: Callable[..., tuple[Tensor, ...]], chunk: int, head: Tensor, hidden: Tensor, *others: Tensor | None
) -> tuple[Tensor, ...]:
    """Losses of each row of hidden states, ``chunk`` rows at a time, so that no more logits are held than theirs.

    A row's losses depend on that row alone. So where the head is frozen each loss's gradient of its row is taken while
    the logits are there, and the backward pass only scales it (as in Liger Kernel's fused linear losses, Hsu et al.
    2024, arXiv 2410.10989, which scale by one number). Where the head is trained, the backward pass runs ``losses``
    again.

    Args:
        losses: of rows of ``hidden`` and ``others``: tensors (rows,). It may use ``head``.
        chunk: number of rows.
        head: whether it requires a gradient decides the way.
        hidden: (N, width).
        others: (N, …) each, or None; no gradient flows into them.

    Returns:
        (N,) of each loss.
    """
    if head.requires_grad:
        parts = [
            checkpoint(losses, *rows, use_reentrant=False, preserve_rng_state=False)
            for rows in chunks(chunk, hidden, *others)
        ]
        return tuple(map(torch.cat, zip(*parts, strict=True)))
    found: tuple[Tensor, ...] = _GradientAtOnce.apply(losses, chunk, hidden, *others)  # type: ignore[no-untyped-call]
    return found


class _GradientAtOnce(torch.autograd.Function):
    """See `by_rows`."""

    @staticmethod
    def forward(
        ctx: Any, losses: Callable[..., tuple[Tensor, ...]], chunk: int, hidden: Tensor, *others: Tensor | None
    ) -> tuple[Tensor, ...]:
        wanted = ctx.needs_input_grad[2]
        values: list[tuple[Tensor, ...]] = []
        gradients: list[list[Tensor]] = []
        for states, *rest in chunks(chunk, hidden.detach(), *others):
            states.requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                found = losses(states, *rest)
                sums = [loss.sum() for loss in found]
            values.append(tuple(loss.detach() for loss in found))
            if wanted:
                more = [index < len(sums) - 1 for index in range(len(sums))]
                gradients.append(
                    [torch.autograd.grad(x, states, retain_graph=keep)[0] for x, keep in zip(sums, more, strict=True)]
                )
        ctx.save_for_backward(*map(torch.cat, zip(*gradients, strict=True)))
        return tuple(map(torch.cat, zip(*values, strict=True)))

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        parts = [part * scale[:, None].to(part.dtype) for part, scale in zip(ctx.saved_tensors, above, strict=True)]
        return None, None, sum(parts[1:], parts[0]), *(None for _ in range(len(ctx.needs_input_grad) - 3))


def chunks(chunk: int, *tensors: Tensor | None) -> Iterator[list[Any]]:
    """``chunk`` rows of each tensor at a time; no rows, once, where there are none."""
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    counts = {len(tensor) for tensor in tensors if tensor is not None}
    if len(counts) > 1:
        raise ValueError(f"hidden states and targets differ in their number of response tokens: {sorted(counts)}")
    for start in range(0, max(*counts, 1), chunk):
        yield [None if tensor is None else tensor[start : start + chunk] for tensor in tensors]


def checked_reduction(reduction: Reduction) -> Reduction:
    if reduction not in ("sum", "none"):
        raise ValueError(f'reduction is {reduction!r}; choose "sum" or "none"')
    return reduction
