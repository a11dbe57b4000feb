"""Divergences between teacher and student against plain references, in double precision."""

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from aligncap.objectives import Divergence, distillation, nll

KINDS = get_args(Divergence)
OPTIONS: list[dict[str, Any]] = [
    {"divergence": kind, "temperature": temperature, "top_k": top_k, "beta": 0.3}
    for kind in KINDS
    for temperature in (1.0, 2.5)
    for top_k in (None, 1, 3)
]
EVERY = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: f"{o['divergence']}-{o['temperature']}-{o['top_k']}")
SEEDS = st.integers(0, 2**31 - 1)


def pair(seed: int = 0, rows: int = 5, vocabulary: int = 11, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = scale * torch.randn(2, rows, vocabulary, dtype=torch.float64, generator=generator)
    return student, teacher


def trl_generalized_jsd(student: Tensor, teacher: Tensor, beta: float, temperature: float) -> Tensor:
    """The formula of TRL's GKDTrainer, summed; beta = 0 is forward and 1 is reverse KL there."""
    student, teacher = log_softmax(student / temperature, -1), log_softmax(teacher / temperature, -1)
    if beta == 0:
        return kl_div(student, teacher, reduction="sum", log_target=True)
    if beta == 1:
        return kl_div(teacher, student, reduction="sum", log_target=True)
    mixture = torch.logsumexp(torch.stack([student + math.log(1 - beta), teacher + math.log(beta)]), 0)
    to_teacher = kl_div(mixture, teacher, reduction="sum", log_target=True)
    return beta * to_teacher + (1 - beta) * kl_div(mixture, student, reduction="sum", log_target=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize(("kind", "beta"), [("forward", 0.0), ("reverse", 1.0), ("js", 0.1), ("js", 0.5), ("js", 0.9)])
def test_the_same_as_trl_up_to_the_squared_temperature(kind: Divergence, beta: float, temperature: float) -> None:
    student, teacher = pair()
    ours = distillation(student, teacher, divergence=kind, beta=beta or 0.5, temperature=temperature)
    torch.testing.assert_close(ours, temperature**2 * trl_generalized_jsd(student, teacher, beta, temperature))


def test_the_same_as_torchtune() -> None:
    """Its forward KL leaves the teacher's entropy out (same gradient); its reverse KL and mixture are ours."""
    student, teacher = pair()
    prob, log_prob = softmax(teacher, -1), log_softmax(student, -1)
    entropy = -(prob * log_softmax(teacher, -1)).sum(-1)
    ours = distillation(student, teacher, reduction="none")
    torch.testing.assert_close(ours, -(prob * log_prob).sum(-1) - entropy)
    reverse = (softmax(student, -1) * (log_prob - log_softmax(teacher, -1))).sum(-1)
    torch.testing.assert_close(distillation(student, teacher, divergence="reverse", reduction="none"), reverse)


def test_by_hand() -> None:
    student = torch.tensor([[0.5, 0.25, 0.25]]).log()
    teacher = torch.tensor([[0.25, 0.25, 0.5]]).log()
    forward = 0.25 * math.log(0.5) + 0.5 * math.log(2)
    assert distillation(student, teacher).item() == pytest.approx(forward)
    # the teacher's likeliest token and the rest: (0.5, 0.5) against (0.25, 0.75)
    coarse = 0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75)
    assert distillation(student, teacher, top_k=1).item() == pytest.approx(coarse)
    mixture = [0.4375, 0.25, 0.3125]  # a quarter of the teacher
    js = 0.25 * sum(p * math.log(p / m) for p, m in zip([0.25, 0.25, 0.5], mixture, strict=True))
    js += 0.75 * sum(q * math.log(q / m) for q, m in zip([0.5, 0.25, 0.25], mixture, strict=True))
    assert distillation(student, teacher, divergence="js", beta=0.25).item() == pytest.approx(js, abs=1e-7)


def test_a_certain_teacher_gives_the_cross_entropy() -> None:
    student, _ = pair()
    targets = torch.tensor([0, 3, 3, 10, 7])
    teacher = torch.full_like(student, -1e4).scatter(-1, targets[:, None], 0.0)
    torch.testing.assert_close(distillation(student, teacher), nll(student, targets))


@EVERY
@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_not_negative_and_zero_when_equal(options: dict[str, Any], seed: int, scale: float) -> None:
    student, teacher = pair(seed, scale=scale)
    losses = distillation(student, teacher, reduction="none", **options)
    assert (losses >= -1e-12).all()
    assert losses.sum() > 0
    moved = teacher + torch.randn(5, 1, dtype=torch.float64)
    equal = distillation(moved, teacher, reduction="none", **options)
    torch.testing.assert_close(equal, torch.zeros_like(equal), atol=1e-10, rtol=0)


@EVERY
@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, cut=st.integers(1, 4))
def test_order_and_split_of_the_rows_change_nothing(options: dict[str, Any], seed: int, cut: int) -> None:
    student, teacher = pair(seed)
    losses = distillation(student, teacher, reduction="none", **options)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    shuffled = distillation(student[order], teacher[order], reduction="none", **options)
    torch.testing.assert_close(shuffled, losses[order])
    whole = distillation(student, teacher, **options)
    torch.testing.assert_close(whole, losses.sum())
    parts = [distillation(student[s], teacher[s], **options) for s in (slice(cut), slice(cut, None))]
    torch.testing.assert_close(parts[0] + parts[1], whole)


@EVERY
def test_gradient_reaches_the_student_and_never_the_teacher(options: dict[str, Any]) -> None:
    student, teacher = (logits.requires_grad_() for logits in pair(rows=2, vocabulary=5))
    fixed = teacher.detach()
    assert torch.autograd.gradcheck(lambda z: distillation(z, fixed, **options), (student,))
    loss = distillation(student, teacher, **options)
    assert torch.autograd.grad(loss, teacher, allow_unused=True) == (None,)


def test_gradient_of_forward_kl_is_the_difference_of_the_distributions() -> None:
    student, teacher = pair()
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(distillation(student, teacher), student)
    torch.testing.assert_close(gradient, (softmax(student, -1) - softmax(teacher, -1)).detach())


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_limits_of_jensen_shannon(seed: int) -> None:
    student, teacher = pair(seed, scale=1.0)
    near = 1e-6
    low = distillation(student, teacher, divergence="js", beta=near) / near
    high = distillation(student, teacher, divergence="js", beta=1 - near) / near
    torch.testing.assert_close(low, distillation(student, teacher), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(high, distillation(student, teacher, divergence="reverse"), rtol=1e-3, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, beta=st.floats(0.05, 0.95))
def test_jensen_shannon_is_bounded_and_mirrored(seed: int, beta: float) -> None:
    student, teacher = pair(seed, scale=30.0)
    losses = distillation(student, teacher, divergence="js", beta=beta, reduction="none")
    bound = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert (losses <= bound + 1e-12).all()
    mirrored = distillation(teacher, student, divergence="js", beta=1 - beta, reduction="none")
    torch.testing.assert_close(losses, mirrored)


@pytest.mark.parametrize("kind", KINDS)
def test_the_squared_temperature_keeps_the_loss_in_size(kind: Divergence) -> None:
    """At a high temperature every divergence here is a quadratic form of the logits (Hinton et al. 2015, 2.1)."""
    student, teacher = pair()
    apart = student - teacher
    apart = apart - apart.mean(-1, keepdim=True)
    share = 0.25 if kind == "js" else 1.0  # beta (1 - beta) of the Fisher metric
    expected = share * apart.square().sum() / (2 * 11)
    for temperature in (300.0, 3000.0):
        loss = distillation(student, teacher, divergence=kind, temperature=temperature)
        torch.testing.assert_close(loss, expected, rtol=0.02, atol=0)


@EVERY
def test_a_sharpened_teacher_is_one_of_larger_logits(options: dict[str, Any]) -> None:
    student, teacher = pair()
    sharpened = distillation(student, teacher, teacher_temperature=0.5, **options)
    torch.testing.assert_close(sharpened, distillation(student, 2 * teacher, **options))
    assert not torch.isclose(sharpened, distillation(student, teacher, **options))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, top_k=st.integers(1, 12))
def test_a_teacher_that_tells_less_is_never_farther_away(kind: Divergence, seed: int, top_k: int) -> None:
    student, teacher = pair(seed)
    full = distillation(student, teacher, divergence=kind, reduction="none")
    part = distillation(student, teacher, divergence=kind, top_k=top_k, reduction="none")
    assert (part <= full + 1e-12).all()
    if top_k >= 10:  # one token in the rest is as good as all tokens
        torch.testing.assert_close(part, full)


def test_beyond_the_top_only_the_sum_counts() -> None:
    student, teacher = pair()
    shuffled = student.clone()
    outside = teacher.argsort(-1)[:, :-3]
    shuffled.scatter_(-1, outside, student.gather(-1, outside.flip(-1)))
    plain = distillation(student, teacher, top_k=3)
    torch.testing.assert_close(distillation(shuffled, teacher, top_k=3), plain)
    assert not torch.isclose(distillation(shuffled, teacher), distillation(student, teacher))
    strayed = student.scatter(-1, outside[:, :1], 8.0)
    assert distillation(strayed, teacher, top_k=3) > plain, "probability outside the teacher's top is paid for"


@pytest.mark.parametrize("options", OPTIONS[::3] + OPTIONS[1::3], ids=str)
def test_extreme_logits_stay_finite(options: dict[str, Any]) -> None:
    student = torch.tensor([[1e4, 0.0, -1e4, 0.0], [0.0, 0.0, 0.0, 1e4]], requires_grad=True)
    loss = distillation(student, student.detach().flip(0), **options)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_half_precision_is_computed_in_single() -> None:
    student, teacher = (logits.bfloat16() for logits in pair(vocabulary=200))
    loss = distillation(student, teacher)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, distillation(student.float(), teacher.float()))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"divergence": "kl"}, "divergence is 'kl'"),
        ({"divergence": "js", "beta": 0.0}, "beta is 0.0"),
        ({"divergence": "js", "beta": 1.0}, "beta is 1.0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"teacher_temperature": 0.0}, "teacher_temperature is 0.0"),
        ({"top_k": 0}, "top_k is 0"),
        ({"reduction": "mean"}, "reduction is 'mean'"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        distillation(*pair(), **options)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"student \(5, 11\) and teacher \(4, 11\)"):
        distillation(pair()[0], pair(rows=4)[1])
