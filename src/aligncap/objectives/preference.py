r"""Human Preference Alignment: the chosen caption of a pair becomes likelier than the rejected one.

The functions see a caption y through its log-ratio to the reference model, in nats, summed over its tokens:

.. math:: r(y) = \log \pi(y | x) - \log \pi_{\text{ref}}(y | x)

A pair's *lead* is how far its chosen caption is ahead, in rewards, beyond the margin m that was asked for:

.. math:: h = \beta\,(r_w - r_l) - m

* DPO: :math:`-(1 - \epsilon) \log \sigma(h) - \epsilon \log \sigma(-h)`. Rafailov et al. 2023 (arXiv 2305.18290),
  eq. 7. With ε above 0 it is Mitchell's conservative DPO (2023), with m that with an offset (Amini et al. 2024, arXiv
  2402.10571).
* IPO: :math:`((h - 1/2) / \beta)^2`. Azar et al. 2023 (arXiv 2310.12036), eq. 17; our β is its τ.
* Hinge: :math:`\max(0, 1 - h)`. SLiC-HF, Zhao et al. 2023 (arXiv 2305.10425).
* SimPO: DPO of length-normalised log-probabilities, without a reference. Meng et al. 2024 (arXiv 2405.14734), eq. 6.
* KTO: unpaired. Ethayarajh et al. 2024 (arXiv 2402.01306), eq. 8.

To any of them γ · `chosen_nll` can be added, so that the chosen caption's own probability does not fall: the pair
losses see differences only, and are content when both captions sink, the rejected one faster.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["PairStatistics", "chosen_nll", "dpo", "hinge", "ipo", "kto", "pair_statistics", "simpo"]

PairReduction: TypeAlias = Literal["mean", "none"]


def dpo(
    chosen: Tensor,
    rejected: Tensor,
    *,
    beta: float = 0.1,
    margin: Tensor | float = 0.0,
    label_smoothing: float = 0.0,
    reduction: PairReduction = "mean",
) -> Tensor:
    """Direct preference optimisation.

    Args:
        chosen: (pairs,) log-ratios of the chosen captions.
        rejected: (pairs,) log-ratios of the rejected captions.
        beta: how strongly the reference holds; above 0.
        margin: reward by which the chosen caption must lead; one for all pairs, or (pairs,).
        label_smoothing: chance that a pair is the wrong way round, in [0, 0.5).
        reduction: "mean" or "none".

    Returns:
        The mean, or (pairs,) losses.

    Raises:
        ValueError: shapes differ, or an option is out of its range.
    """
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is {label_smoothing}; it must be at least 0 and below 0.5")
    lead = _lead(chosen, rejected, beta, margin)
    losses = -(1 - label_smoothing) * logsigmoid(lead) - label_smoothing * logsigmoid(-lead)
    return _reduced(losses, reduction)


def ipo(
    chosen: Tensor,
    rejected: Tensor,
    *,
    beta: float = 0.1,
    margin: Tensor | float = 0.0,
    reduction: PairReduction = "mean",
) -> Tensor:
    """Identity preference optimisation: the log-ratios are to differ by 1 / (2 beta), neither less nor more.

    With sums over tokens the loss of long captions is the largest. Log-ratios divided by the captions' lengths,
    which is what the authors used in their experiments according to TRL's documentation, may be given instead.

    Args:
        chosen: (pairs,) log-ratios of the chosen captions.
        rejected: (pairs,) log-ratios of the rejected captions.
        beta: the paper's τ; above 0.
        margin: further reward by which the chosen caption is to lead; one for all pairs, or (pairs,).
        reduction: "mean" or "none".

    Returns:
        The mean, or (pairs,) losses.

    Raises:
        ValueError: shapes differ, or an option is out of its range.
    """
    return _reduced(((_lead(chosen, rejected, beta, margin) - 0.5) / beta).square(), reduction)


def hinge(
    chosen: Tensor,
    rejected: Tensor,
    *,
    beta: float = 0.1,
    margin: Tensor | float = 0.0,
    reduction: PairReduction = "mean",
) -> Tensor:
    """Hinge loss: content as soon as the chosen caption leads by a reward of 1 beyond the margin.

    Args:
        chosen: (pairs,) log-ratios of the chosen captions.
        rejected: (pairs,) log-ratios of the rejected captions.
        beta: how strongly the reference holds; above 0.
        margin: reward by which the chosen caption must lead; one for all pairs, or (pairs,).
        reduction: "mean" or "none".

    Returns:
        The mean, or (pairs,) losses.

    Raises:
        ValueError: shapes differ, or an option is out of its range.
    """
    return _reduced((1 - _lead(chosen, rejected, beta, margin)).relu(), reduction)


def simpo(
    chosen_log_probs: Tensor,
    rejected_log_probs: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    *,
    beta: float = 2.0,
    gamma: Tensor | float = 1.0,
    label_smoothing: float = 0.0,
    reduction: PairReduction = "mean",
) -> Tensor:
    """Simple preference optimisation: no reference; the reward is beta times the mean log-probability of a token.

    Args:
        chosen_log_probs: (pairs,) sums of the tokens' log-probabilities.
        rejected_log_probs: (pairs,).
        chosen_lengths: (pairs,) numbers of response tokens.
        rejected_lengths: (pairs,).
        beta: scale of the reward; above 0.
        gamma: reward by which the chosen caption must lead; one for all pairs, or (pairs,).
        label_smoothing: chance that a pair is the wrong way round, in [0, 0.5).
        reduction: "mean" or "none".

    Returns:
        The mean, or (pairs,) losses.

    Raises:
        ValueError: shapes differ, a caption has no tokens, or an option is out of its range.
    """
    return dpo(
        _mean(chosen_log_probs, chosen_lengths),
        _mean(rejected_log_probs, rejected_lengths),
        beta=beta,
        margin=gamma,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def kto(
    log_ratios: Tensor,
    desirable: Tensor,
    drift: Tensor | float,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
    reduction: PairReduction = "mean",
) -> Tensor:
    r"""Kahneman-Tversky optimisation: captions judged good or bad one by one, without pairs.

    .. math:: \lambda_D\,(1 - \sigma(\beta (r - z))) \text{ if desirable, else } \lambda_U\,(1 - \sigma(\beta (z - r)))

    Args:
        log_ratios: (captions,).
        desirable: (captions,) bool.
        drift: z, the policy's divergence from the reference. Estimate: mean log-ratio, over the global batch, of
            captions that belong to *other* clips. Below 0 it counts as 0, and no gradient flows into it.
        beta: how strongly the reference holds; above 0.
        desirable_weight: weight of the desirable captions.
        undesirable_weight: weight of the others.
        reduction: "mean" or "none".

    Returns:
        The mean, or (captions,) losses.

    Raises:
        ValueError: shapes differ, or an option is out of its range.
    """
    if log_ratios.shape != desirable.shape:
        raise ValueError(f"{tuple(log_ratios.shape)} log-ratios for {tuple(desirable.shape)} judgements")
    reference = torch.as_tensor(drift, dtype=log_ratios.dtype, device=log_ratios.device).detach().clamp(min=0)
    gain = _positive(beta) * (log_ratios - reference)
    good, bad = (-gain).sigmoid(), gain.sigmoid()
    return _reduced(torch.where(desirable, desirable_weight * good, undesirable_weight * bad), reduction)


def chosen_nll(chosen_log_probs: Tensor, chosen_lengths: Tensor, *, reduction: PairReduction = "mean") -> Tensor:
    """Negative log-likelihood of the chosen captions per token: the term that keeps them likely.

    As in iterative reasoning preference optimisation (Pang et al. 2024, arXiv 2404.19733, eq. 1).

    Args:
        chosen_log_probs: (pairs,) sums of the tokens' log-probabilities.
        chosen_lengths: (pairs,) numbers of response tokens.
        reduction: "mean" or "none".

    Raises:
        ValueError: shapes differ, or a caption has no tokens.
    """
    return _reduced(-_mean(chosen_log_probs, chosen_lengths), reduction)


class PairStatistics(NamedTuple):
    """Means over a batch of pairs, to be logged; scalars without gradient.

    Attributes:
        chosen_reward: beta · r of the chosen captions.
        rejected_reward: beta · r of the rejected captions.
        reward_margin: the difference.
        accuracy: share of pairs whose chosen caption has the larger reward, in [0, 1].
        chosen_log_prob_change: r of the chosen captions, in nats. Where it keeps falling, the captions that were
            chosen become less likely, whatever the loss says.
        rejected_log_prob_change: r of the rejected captions, in nats.
    """

    chosen_reward: Tensor
    rejected_reward: Tensor
    reward_margin: Tensor
    accuracy: Tensor
    chosen_log_prob_change: Tensor
    rejected_log_prob_change: Tensor


def pair_statistics(chosen: Tensor, rejected: Tensor, *, beta: float = 0.1) -> PairStatistics:
    """Rewards, accuracy and drift of a batch of pairs.

    Args:
        chosen: (pairs,) log-ratios of the chosen captions.
        rejected: (pairs,) log-ratios of the rejected captions.
        beta: that of the loss.

    Raises:
        ValueError: shapes differ, or beta is not above 0.
    """
    ahead = _lead(chosen, rejected, beta, 0.0).detach()
    good, bad = chosen.detach().mean(), rejected.detach().mean()
    return PairStatistics(beta * good, beta * bad, ahead.mean(), (ahead > 0).to(ahead.dtype).mean(), good, bad)


def _lead(chosen: Tensor, rejected: Tensor, beta: float, margin: Tensor | float) -> Tensor:
    if chosen.shape != rejected.shape:
        raise ValueError(f"{tuple(chosen.shape)} chosen and {tuple(rejected.shape)} rejected captions make no pairs")
    if isinstance(margin, Tensor) and margin.dim() and margin.shape != chosen.shape:
        raise ValueError(f"{tuple(margin.shape)} margins for {tuple(chosen.shape)} pairs")
    return _positive(beta) * (chosen - rejected) - margin


def _positive(beta: float) -> float:
    if not (beta > 0 and math.isfinite(beta)):
        raise ValueError(f"beta is {beta}; it must be above 0")
    return beta


def _mean(log_probs: Tensor, lengths: Tensor) -> Tensor:
    if log_probs.shape != lengths.shape:
        raise ValueError(f"{tuple(log_probs.shape)} log-probabilities for {tuple(lengths.shape)} lengths")
    if bool((lengths < 1).any()):
        raise ValueError("a caption has no tokens")
    return log_probs / lengths


def _reduced(losses: Tensor, reduction: PairReduction) -> Tensor:
    if reduction not in ("mean", "none"):
        raise ValueError(f'reduction is {reduction!r}; choose "mean" or "none"')
    return losses.mean() if reduction == "mean" else losses
