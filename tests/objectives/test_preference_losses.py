"""Preference losses against the formulas of TRL, written out, in double precision."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from aligncap.objectives import chosen_nll, dpo, hinge, ipo, kto, pair_statistics, simpo

SEEDS = st.integers(0, 2**31 - 1)
PAIRED = pytest.mark.parametrize("loss", [dpo, ipo, hinge], ids=lambda loss: loss.__name__)
LENGTHS = torch.tensor([30, 12, 25, 40, 7, 1])


def ratios(seed: int = 0, pairs: int = 6, scale: float = 8.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = scale * torch.randn(2, pairs, dtype=torch.float64, generator=generator)
    return chosen, rejected


def trl(kind: str, delta: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """Losses of TRL's DPOTrainer and CPOTrainer on the differences of log-ratios (or of log-probs)."""
    if kind == "hinge":
        return relu(1 - beta * delta)
    if kind == "ipo":
        return (delta - 1 / (2 * beta)) ** 2
    return -logsigmoid(beta * delta) * (1 - smoothing) - logsigmoid(-beta * delta) * smoothing


@PAIRED
@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
def test_the_same_as_trl(loss: Callable[..., Tensor], beta: float) -> None:
    chosen, rejected = ratios()
    reference = trl(loss.__name__, chosen - rejected, beta)
    torch.testing.assert_close(loss(chosen, rejected, beta=beta, reduction="none"), reference)
    torch.testing.assert_close(loss(chosen, rejected, beta=beta), reference.mean())


def test_conservative_dpo_is_the_same_as_trl() -> None:
    chosen, rejected = ratios()
    ours = dpo(chosen, rejected, beta=0.3, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(ours, trl("dpo", chosen - rejected, 0.3, 0.2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_simpo_is_the_same_as_trl(smoothing: float) -> None:
    chosen, rejected = (-values.abs() for values in ratios(scale=40.0))
    other = LENGTHS.flip(0)
    beta, gamma = 2.0, 0.7
    delta = chosen / LENGTHS - rejected / other - gamma / beta
    ours = simpo(chosen, rejected, LENGTHS, other, beta=beta, gamma=gamma, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(ours, trl("simpo", delta, beta, smoothing))


def test_kto_is_the_same_as_trl() -> None:
    log_ratios, _ = ratios()
    desirable = torch.tensor([True, False, True, True, False, False])
    beta, drift = 0.2, 1.5
    good = 1 - torch.sigmoid(beta * (log_ratios - drift))
    bad = 1 - torch.sigmoid(beta * (drift - log_ratios))
    ours = kto(log_ratios, desirable, drift, beta=beta, desirable_weight=1.3, undesirable_weight=0.8, reduction="none")
    torch.testing.assert_close(ours, torch.where(desirable, 1.3 * good, 0.8 * bad))
    negative = kto(log_ratios, desirable, torch.tensor(-4.0))
    torch.testing.assert_close(negative, kto(log_ratios, desirable, 0.0))


def test_kto_gives_the_drift_no_gradient() -> None:
    log_ratios, _ = ratios()
    drift = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    loss = kto(log_ratios.requires_grad_(), torch.ones(6, dtype=torch.bool), drift)
    assert torch.autograd.grad(loss, drift, allow_unused=True) == (None,)


def test_by_hand() -> None:
    chosen, rejected = torch.tensor([2.0]), torch.tensor([-3.0])
    assert dpo(chosen, rejected, beta=0.2).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert dpo(chosen, rejected, beta=0.2, margin=1.0).item() == pytest.approx(math.log(2))
    assert hinge(chosen, rejected, beta=0.1).item() == pytest.approx(0.5)
    assert hinge(chosen, rejected, beta=0.1, margin=0.25).item() == pytest.approx(0.75)
    assert ipo(chosen, rejected, beta=0.1).item() == pytest.approx(0.0)
    assert ipo(chosen, rejected, beta=0.1, margin=0.2).item() == pytest.approx(4.0)
    lengths = torch.tensor([2]), torch.tensor([3])
    assert simpo(-chosen, rejected, *lengths, beta=3.0, gamma=0.0).item() == pytest.approx(math.log(2))
    assert chosen_nll(-chosen, lengths[0]).item() == pytest.approx(1.0)


@PAIRED
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, cut=st.integers(1, 5))
def test_order_and_split_of_the_pairs_change_nothing(loss: Callable[..., Tensor], seed: int, cut: int) -> None:
    chosen, rejected = ratios(seed)
    margin = ratios(seed + 1)[0].abs()
    losses = loss(chosen, rejected, margin=margin, reduction="none")
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        loss(chosen[order], rejected[order], margin=margin[order], reduction="none"), losses[order]
    )
    parts = [
        loss(chosen[s], rejected[s], margin=margin[s], reduction="none").sum() for s in (slice(cut), slice(cut, None))
    ]
    torch.testing.assert_close(sum(parts) / 6, loss(chosen, rejected, margin=margin))
    assert (losses >= 0).all()


@PAIRED
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, shift=st.floats(-20, 20))
def test_only_the_lead_counts(loss: Callable[..., Tensor], seed: int, shift: float) -> None:
    """Trap: both captions may sink together and the loss does not see it."""
    chosen, rejected = ratios(seed)
    plain = loss(chosen, rejected, reduction="none")
    torch.testing.assert_close(loss(chosen + shift, rejected + shift, reduction="none"), plain)
    ahead = loss(chosen, rejected, beta=0.1, margin=0.3, reduction="none")
    torch.testing.assert_close(ahead, loss(chosen - 3.0, rejected, beta=0.1, reduction="none"))


def test_sinking_chosen_captions_show_in_the_statistics_and_the_nll_term_holds_them_up() -> None:
    policy = torch.tensor([[-40.0, -60.0], [-35.0, -70.0]], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([[-30.0, -32.0], [-28.0, -30.0]], dtype=torch.float64)
    chosen, rejected = (policy - reference).unbind(1)
    seen = pair_statistics(chosen, rejected, beta=0.1)
    assert seen.accuracy.item() == 1.0, "the loss is content"
    assert seen.chosen_log_prob_change.item() == pytest.approx(-8.5)
    loss = dpo(chosen, rejected)
    (pull,) = torch.autograd.grad(loss + chosen_nll(policy[:, 0], torch.tensor([20, 20])), policy, retain_graph=True)
    (without,) = torch.autograd.grad(loss, policy)
    torch.testing.assert_close(pull[:, 0] - without[:, 0], torch.full((2,), -1 / 40, dtype=torch.float64))
    assert torch.equal(pull[:, 1], without[:, 1])


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, smoothing=st.floats(0, 0.49))
def test_conservative_dpo(seed: int, smoothing: float) -> None:
    """Smoothing mixes the losses of both ways round; its least lies where the odds are those of the labels."""
    chosen, rejected = ratios(seed)
    right, wrong = (dpo(*pair, reduction="none") for pair in ((chosen, rejected), (rejected, chosen)))
    mixed = dpo(chosen, rejected, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(mixed, (1 - smoothing) * right + smoothing * wrong)
    if smoothing > 0.01:
        best = torch.tensor([math.log((1 - smoothing) / smoothing) / 0.1], dtype=torch.float64, requires_grad=True)
        loss = dpo(best, torch.zeros_like(best), label_smoothing=smoothing)
        (gradient,) = torch.autograd.grad(loss, best)
        assert abs(gradient.item()) < 1e-9


def test_equal_captions_cost_one_bit() -> None:
    same = ratios()[0]
    assert dpo(same, same).item() == pytest.approx(math.log(2))
    assert pair_statistics(same, same).accuracy.item() == 0.0


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, times=st.integers(2, 5))
def test_simpo_does_not_reward_length(seed: int, times: int) -> None:
    chosen, rejected = (-values.abs() for values in ratios(seed))
    plain = simpo(chosen, rejected, LENGTHS, LENGTHS, reduction="none")
    torch.testing.assert_close(simpo(times * chosen, rejected, times * LENGTHS, LENGTHS, reduction="none"), plain)


GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dpo": lambda w, r: dpo(w, r, beta=0.3, label_smoothing=0.1, margin=torch.arange(6) / 10),
    "ipo": lambda w, r: ipo(w, r, beta=0.3, margin=0.1, reduction="none"),
    "hinge": lambda w, r: hinge(w, r, beta=0.3, reduction="none"),
    "simpo": lambda w, r: simpo(w, r, LENGTHS, LENGTHS.flip(0), reduction="none"),
    "kto": lambda w, r: kto(torch.cat([w, r]), torch.arange(12) % 2 == 0, 0.4, reduction="none"),
    "chosen_nll": lambda w, r: chosen_nll(w, LENGTHS, reduction="none") + 0 * r,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name: str) -> None:
    chosen, rejected = ratios()
    assert torch.autograd.gradcheck(GRADIENTS[name], (chosen.requires_grad_(), rejected.requires_grad_()))


@PAIRED
def test_the_chosen_caption_is_pulled_up_and_the_rejected_one_down(loss: Callable[..., Tensor]) -> None:
    chosen, rejected = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    up, down = torch.autograd.grad(loss(chosen, rejected), (chosen, rejected))
    assert (up < 0).all()
    torch.testing.assert_close(down, -up)


@pytest.mark.parametrize("lead", [-1e6, 1e6])
def test_extreme_leads_stay_finite(lead: float) -> None:
    chosen = torch.tensor([lead], requires_grad=True)
    loss = dpo(chosen, torch.zeros(1), label_smoothing=0.1)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, chosen)[0].isfinite().all()


def test_statistics_by_hand() -> None:
    chosen = torch.tensor([1.0, -3.0, 2.0], requires_grad=True)
    seen = pair_statistics(chosen, torch.tensor([0.0, 1.0, 2.0]), beta=0.5)
    assert {name: round(value.item(), 6) for name, value in seen._asdict().items()} == {
        "chosen_reward": 0.0,
        "rejected_reward": 0.5,
        "reward_margin": -0.5,
        "accuracy": round(1 / 3, 6),
        "chosen_log_prob_change": 0.0,
        "rejected_log_prob_change": 1.0,
    }
    assert not any(value.requires_grad for value in seen)


ONE, TWO = torch.zeros(1), torch.zeros(2)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: dpo(ONE, TWO), "make no pairs"),
        (lambda: ipo(TWO, TWO, margin=torch.zeros(3)), "margins"),
        (lambda: hinge(TWO, TWO, beta=0.0), "beta is 0.0"),
        (lambda: dpo(TWO, TWO, beta=math.inf), "beta is inf"),
        (lambda: dpo(TWO, TWO, label_smoothing=0.5), "label_smoothing is 0.5"),
        (lambda: dpo(TWO, TWO, reduction="sum"), "reduction is 'sum'"),  # type: ignore[arg-type]
        (lambda: simpo(TWO, TWO, torch.tensor([3, 0]), torch.tensor([1, 1])), "no tokens"),
        (lambda: chosen_nll(TWO, torch.tensor([3])), "lengths"),
        (lambda: kto(TWO, torch.tensor([True]), 0.0), "judgements"),
        (lambda: pair_statistics(ONE, TWO), "make no pairs"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
