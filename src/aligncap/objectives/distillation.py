r"""Speech-Text Alignment: a student learns the teacher's distribution over each token of the response.

With p the teacher's and q the student's distribution at one token, the divergences are

.. math::
    \text{forward} &= KL(p \| q) = \sum_v p_v (\log p_v - \log q_v) \\
    \text{reverse} &= KL(q \| p) \\
    \text{JS}_\beta &= \beta\, KL(p \| m) + (1 - \beta)\, KL(q \| m), \qquad m = \beta p + (1 - \beta) q

Forward KL is knowledge distillation as in Hinton et al. 2015 (arXiv 1503.02531), whose factor :math:`T^2` keeps
the gradient's size when the temperature T changes. The generalised Jensen-Shannon divergence is that of Agarwal et
al. 2024 (GKD, arXiv 2306.13649, section 3); divided by :math:`\beta` it becomes forward KL as :math:`\beta \to 0`,
divided by :math:`1 - \beta` reverse KL as :math:`\beta \to 1`.

Every loss is a sum over response tokens. The caller divides by the number of response tokens of the *global* batch
(all accumulation steps, all processes), so that how the batch was split changes nothing.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import linear

from aligncap.objectives.tokens import Reduction, as_float, by_rows, checked_reduction, nll

__all__ = ["Divergence", "align_loss_from_hidden", "distillation"]

Divergence: TypeAlias = Literal["forward", "reverse", "js"]
"""KL(teacher ‖ student), KL(student ‖ teacher), or generalised Jensen-Shannon."""


def distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    divergence: Divergence = "forward",
    beta: float = 0.5,
    temperature: float = 1.0,
    teacher_temperature: float = 1.0,
    top_k: int | None = None,
    reduction: Reduction = "sum",
) -> Tensor:
    """Divergence between the teacher's and the student's distribution over each response token, in nats.

    With ``top_k`` the teacher tells only its k likeliest tokens. All others become one outcome, "the rest", for
    the teacher and for the student (rather than renormalising the k): the divergence of these k + 1 outcomes is
    0 where the full one is, never larger, and a student that puts probability elsewhere still pays for it.

    Args:
        student_logits: (N, vocabulary), of any floating type; computed in float32 at least.
        teacher_logits: (N, vocabulary); no gradient flows into it.
        divergence: "forward" KL(teacher, student), "reverse" KL(student, teacher), or "js".
        beta: the teacher's weight in the mixture of "js", in (0, 1).
        temperature: both distributions are softened by it; the loss is multiplied by its square. Above 0.
        teacher_temperature: the teacher's logits are divided by it beforehand. Below 1 the student learns a teacher
            that is surer of itself, without the tail of tokens that it would seldom write. Above 0.
        top_k: number of the teacher's tokens to keep; None for all.
        reduction: "sum" or "none".

    Returns:
        The sum, or (N,) losses; at least 0 but for rounding.

    Raises:
        ValueError: shapes differ, or an option is out of its range.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(f"student {tuple(student_logits.shape)} and teacher {tuple(teacher_logits.shape)} differ")
    for name, value in (("temperature", temperature), ("teacher_temperature", teacher_temperature)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}; it must be above 0")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1, or None for the whole vocabulary")
    student, teacher = as_float(student_logits), as_float(teacher_logits.detach())
    if temperature != 1:
        student = student / temperature
    if temperature * teacher_temperature != 1:
        teacher = teacher / (temperature * teacher_temperature)
    student, teacher = student.log_softmax(-1), teacher.log_softmax(-1)
    if top_k is not None and top_k < teacher.shape[-1]:
        kept = teacher.topk(top_k, -1).indices
        student, teacher = _with_rest(student, kept), _with_rest(teacher, kept)
    if divergence == "forward":
        losses = _kl(teacher, student)
    elif divergence == "reverse":
        losses = _kl(student, teacher)
    elif divergence == "js":
        if not 0 < beta < 1:
            raise ValueError(f'beta is {beta}; it must lie between 0 and 1 (its limits are "forward" and "reverse")')
        mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
        losses = beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)
    else:
        raise ValueError(f'divergence is {divergence!r}; choose "forward", "reverse" or "js"')
    losses = losses * temperature**2
    return losses.sum() if checked_reduction(reduction) == "sum" else losses


def align_loss_from_hidden(
    student_hidden: Tensor,
    teacher_hidden: Tensor | None,
    head_weight: Tensor,
    targets: Tensor,
    *,
    lambda_kd: float = 1.0,
    lambda_ce: float = 1.0,
    divergence: Divergence = "forward",
    beta: float = 0.5,
    temperature: float = 1.0,
    teacher_temperature: float = 1.0,
    top_k: int | None = None,
    teacher_head_weight: Tensor | None = None,
    chunk: int = 128,
) -> tuple[Tensor, Tensor]:
    """`distillation` and `nll` from hidden states, without ever holding all logits.

    The head is run on ``chunk`` tokens at a time (see `by_rows`): the memory beyond the inputs is that of one chunk's
    logits and of two gradients of the hidden states. Values and gradients are those of the plain functions on all
    logits; where the head is frozen there are no second derivatives.

    Args:
        student_hidden: (N, width), from `gather`.
        teacher_hidden: (N, width), the teacher's at the same response tokens; None where ``lambda_kd`` is 0.
        head_weight: (vocabulary, width) of the language model's head, a linear map without bias.
        targets: (N,) token ids.
        lambda_kd: the caller's weight of the distillation. Only whether it is 0 matters here.
        lambda_ce: the caller's weight of the cross-entropy. Only whether it is 0 matters here.
        divergence: see `distillation`.
        beta: see `distillation`.
        temperature: see `distillation`.
        teacher_temperature: see `distillation`.
        top_k: see `distillation`.
        teacher_head_weight: (vocabulary, teacher's width) of a teacher that is another model; None: the same head.
            Where the two vocabularies are padded to different sizes, the tokens that both have are compared.
        chunk: number of tokens whose logits are held at a time.

    Returns:
        Sum of the divergences and sum of the negative log-likelihoods over the N tokens, float32 (float64 where the
        inputs are), *not* weighted. A part whose weight is 0 is not computed, and is 0. With N = 0 both are 0 and
        take part in the graph.

    Raises:
        ValueError: no teacher though ``lambda_kd`` is not 0, shapes that do not fit, or an option out of its range.
    """
    if lambda_kd and teacher_hidden is None:
        raise ValueError("lambda_kd is not 0 but there are no hidden states of the teacher")
    # a bf16 matmul on a strided view is many times slower on a CPU
    student_hidden, head = student_hidden.contiguous(), head_weight.contiguous()
    teacher_hidden = None if teacher_hidden is None else teacher_hidden.contiguous()
    teacher_head = (head_weight if teacher_head_weight is None else teacher_head_weight).detach().contiguous()
    shared = min(len(head), len(teacher_head))

    def losses(student: Tensor, teacher: Tensor | None, wanted: Tensor) -> tuple[Tensor, ...]:
        logits = as_float(linear(student.to(head.dtype), head))
        parts = []
        if lambda_kd and teacher is not None:
            taught = linear(teacher.detach().to(teacher_head.dtype), teacher_head)
            parts.append(
                distillation(
                    logits[:, :shared],
                    taught[:, :shared],
                    divergence=divergence,
                    beta=beta,
                    temperature=temperature,
                    teacher_temperature=teacher_temperature,
                    top_k=top_k,
                    reduction="none",
                )
            )
        if lambda_ce:
            parts.append(nll(logits, wanted, "none"))
        return tuple(parts)

    if not (lambda_kd or lambda_ce):
        none = as_float(student_hidden[:0].sum())
        return none, none
    sums = [rows.sum() for rows in by_rows(losses, chunk, head, student_hidden, teacher_hidden, targets)]
    if not lambda_ce:
        sums.append(as_float(student_hidden[:0].sum()))  # 0 that takes part in the graph
    if not lambda_kd:
        sums.insert(0, as_float(student_hidden[:0].sum()))
    return sums[0], sums[1]


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL divergence of log-probabilities over the last dimension."""
    return (p.exp() * (p - q)).sum(-1)


def _with_rest(log_probs: Tensor, kept: Tensor) -> Tensor:
    """Log-probabilities of the kept tokens, and last that of all others together."""
    rest = log_probs.scatter(-1, kept, -math.inf).logsumexp(-1, keepdim=True)
    return torch.cat([log_probs.gather(-1, kept), rest], -1)
