"""The loss from hidden states: exactly the plain one, and lean."""

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aligncap.objectives import align_loss_from_hidden, distillation, gather, nll

LABELS = torch.tensor([[-100, -100, 1, 2, 3, 9, -100], [-100, -100, -100, -100, -100, 4, 9]])
OPTIONS: list[dict[str, Any]] = [
    {},
    {"divergence": "reverse"},
    {"divergence": "js", "beta": 0.2, "temperature": 2.0},
    {"top_k": 3, "temperature": 0.7},
    {"teacher_temperature": 0.5},
]
EVERY = pytest.mark.parametrize("options", OPTIONS, ids=str)


def tensors(seed: int = 0, tokens: int = 7, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Student's and teacher's hidden states (2, tokens, 4) and a head (10, 4)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, tokens, 4), (2, tokens, 4), (10, 4))
    student, teacher, head = (torch.randn(*s, dtype=torch.float64, generator=generator).to(dtype) for s in shapes)
    return student.requires_grad_(), teacher, head.requires_grad_()


def plain(student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """On all logits of all positions."""
    logits, targets = gather(student @ head.T, labels)
    taught, _ = gather(teacher @ head.T, labels)
    return distillation(logits, taught, **options), nll(logits, targets)


def lean(student: Tensor, teacher: Tensor, head: Tensor, labels: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    hidden, targets = gather(student, labels)
    return align_loss_from_hidden(hidden, gather(teacher, labels)[0], head, targets, **options)


@EVERY
@pytest.mark.parametrize("trained", [True, False], ids=["trained head", "frozen head"])
@pytest.mark.parametrize("chunk", [1, 2, 4, 6, 128])
def test_values_and_gradients_are_those_of_the_plain_loss(options: dict[str, Any], trained: bool, chunk: int) -> None:
    student, teacher, head = tensors()
    head.requires_grad_(trained)
    wanted = (student, head) if trained else (student,)
    expected = plain(student, teacher, head, LABELS, **options)
    got = lean(student, teacher, head, LABELS, chunk=chunk, **options)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    for weights in ((1.0, 0.0), (0.0, 1.0), (0.7, 0.2)):
        gradients = [
            torch.autograd.grad(weights[0] * kd + weights[1] * ce, wanted, retain_graph=True)
            for kd, ce in (expected, got)
        ]
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-12, atol=1e-12)


@EVERY
def test_single_precision_agrees_to_a_millionth(options: dict[str, Any]) -> None:
    student, teacher, head = tensors(dtype=torch.float32)
    for got, expected in zip(
        lean(student, teacher, head, LABELS, chunk=2, **options),
        plain(student, teacher, head, LABELS, **options),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@EVERY
@pytest.mark.parametrize("trained", [True, False], ids=["trained head", "frozen head"])
def test_gradient(options: dict[str, Any], trained: bool) -> None:
    student, teacher, head = tensors()
    head.requires_grad_(trained)
    fixed = head.detach().clone()  # the teacher's side of a shared head takes no part in the gradient

    def losses(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return lean(hidden, teacher, weight, LABELS, teacher_head_weight=fixed, chunk=4, **options)

    assert torch.autograd.gradcheck(losses, (student, head), fast_mode=True)


def test_the_first_response_token_is_distilled_and_nothing_beyond_the_end_is() -> None:
    """Traps: a mask of label positions on unshifted logits, and a loss that skips the first caption token."""
    student, teacher, head = tensors()
    for part in lean(student, teacher, head, LABELS):
        (gradient,) = torch.autograd.grad(part, student, retain_graph=True)
        reached = gradient.abs().sum(-1).gt(0).int().tolist()
        assert reached == [[0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 0]]
    # row 0 predicts its first response token at position 1 and its end at position 4
    counts = {}
    for position in range(7):
        moved = teacher.clone()
        moved[0, position] += 1
        counts[position] = not torch.isclose(
            lean(student, moved, head, LABELS)[0], lean(student, teacher, head, LABELS)[0]
        )
    assert [position for position, changed in counts.items() if changed] == [1, 2, 3, 4]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31 - 1), left=st.integers(0, 3), right=st.integers(0, 3))
def test_padding_and_order_of_rows_change_nothing(seed: int, left: int, right: int) -> None:
    student, teacher, head = (values.detach() for values in tensors(seed))
    expected = lean(student, teacher, head, LABELS, chunk=4)
    pads = (0, 0, left, right)
    padded = [torch.nn.functional.pad(values, pads, value=3.0) for values in (student, teacher)]
    labels = torch.nn.functional.pad(LABELS, (left, right), value=-100)
    torch.testing.assert_close(lean(*padded, head, labels, chunk=4), expected)
    torch.testing.assert_close(lean(student.flip(0), teacher.flip(0), head, LABELS.flip(0), chunk=4), expected)


@EVERY
def test_micro_batches_divided_by_the_global_count_add_up_to_the_batch(options: dict[str, Any]) -> None:
    """Traps: accumulation that divides nothing, and a mean per micro-batch, which depends on the split."""
    student, teacher, head = tensors()
    hidden, targets = gather(student, LABELS)
    taught, _ = gather(teacher, LABELS)
    whole = sum(align_loss_from_hidden(hidden, taught, head, targets, **options)) / len(targets)
    (expected,) = torch.autograd.grad(whole, student, retain_graph=True)
    split, mean_of_means = torch.zeros_like(student), torch.zeros_like(student)
    for row in range(2):
        kd, ce = lean(student[row : row + 1], teacher[row : row + 1], head, LABELS[row : row + 1], **options)
        (gradient,) = torch.autograd.grad(kd + ce, student)
        own = int((LABELS[row, 1:] != -100).sum())
        split += gradient / len(targets)
        mean_of_means += gradient / own / 2
    torch.testing.assert_close(split, expected)
    assert not torch.allclose(mean_of_means, expected)


def test_a_part_of_no_weight_is_left_out() -> None:
    student, teacher, head = tensors()
    hidden, targets = gather(student, LABELS)
    expected = plain(student, teacher, head, LABELS)
    kd, ce = align_loss_from_hidden(hidden, None, head, targets, lambda_kd=0.0)
    assert kd.item() == 0
    assert kd.requires_grad, "it takes part in the graph"
    torch.testing.assert_close(ce, expected[1])
    kd, ce = align_loss_from_hidden(hidden, gather(teacher, LABELS)[0], head, targets, lambda_ce=0.0)
    torch.testing.assert_close(kd, expected[0])
    assert ce.item() == 0
    (kd + 0.1 * ce).backward()
    assert student.grad is not None


def test_a_batch_without_response_is_zero_and_differentiable() -> None:
    student, teacher, head = tensors()
    kd, ce = lean(student, teacher, head, torch.full((2, 7), -100))
    assert (kd.item(), ce.item()) == (0, 0)
    gradients = torch.autograd.grad(kd + ce, (student, head))
    assert all(torch.equal(gradient, torch.zeros_like(gradient)) for gradient in gradients)


def test_a_teacher_of_another_size_with_a_vocabulary_padded_otherwise() -> None:
    student, _, head = tensors()
    hidden, targets = gather(student, LABELS)
    taught, teacher_head = torch.randn(6, 3, dtype=torch.float64), torch.randn(14, 3, dtype=torch.float64)
    kd, ce = align_loss_from_hidden(hidden, taught, head, targets, teacher_head_weight=teacher_head, chunk=4)
    torch.testing.assert_close(kd, distillation(hidden @ head.T, taught @ teacher_head[:10].T))
    torch.testing.assert_close(ce, nll(hidden @ head.T, targets))
    small = teacher_head[:8]
    kd, ce = align_loss_from_hidden(hidden, taught, head, targets.clamp(max=7), teacher_head_weight=small)
    torch.testing.assert_close(kd, distillation(hidden @ head[:8].T, taught @ small.T))


class Watch(TorchDispatchMode):
    """Notes the largest tensor that any operation makes, and matmuls on strided operands."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.strided: list[tuple[int, ...]] = []
        self.matmuls = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            self.matmuls += 1
            for operand in args:
                if isinstance(operand, Tensor) and not (operand.is_contiguous() or operand.t().is_contiguous()):
                    self.strided.append(tuple(operand.stride()))
        for value in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(value, Tensor):
                self.largest = max(self.largest, value.numel())
        return out


@pytest.mark.parametrize("options", [{}, {"divergence": "js"}, {"top_k": 5}], ids=str)
def test_no_tensor_is_larger_than_the_logits_of_a_chunk(options: dict[str, Any]) -> None:
    tokens, width, vocabulary, chunk = 64, 4, 500, 8
    hidden = torch.randn(tokens, width, requires_grad=True)
    taught, head = torch.randn(tokens, width), torch.randn(vocabulary, width)
    targets = torch.zeros(tokens, dtype=torch.long)
    kept: list[weakref.ref[Tensor]] = []

    def keep(value: Tensor) -> Tensor:
        alias = value.detach()  # an output that is kept as it is would hold its own graph, in a circle
        kept.append(weakref.ref(alias))
        return alias

    with Watch() as watch, torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        kd, ce = align_loss_from_hidden(hidden, taught, head, targets, chunk=chunk, **options)
        alive = [value for value in (reference() for reference in kept) if value is not None]
        held = sum(value.numel() for value in alive if value.data_ptr() != head.data_ptr())
        (kd + ce).backward()
    assert watch.largest <= chunk * vocabulary
    assert 0 < held <= 4 * tokens * width, "between the passes no logits are held"


@pytest.mark.parametrize("side", ["student", "teacher", "head"])
def test_strided_inputs_are_made_contiguous_for_the_matmuls(side: str) -> None:
    """Trap: on a CPU a bf16 matmul on a strided view is many times slower."""
    values = {"student": torch.randn(16, 8), "teacher": torch.randn(16, 8), "head": torch.randn(50, 8)}
    expected = align_loss_from_hidden(*values.values(), torch.arange(16))
    wide = torch.randn(values[side].shape[0], 3, 8)
    wide[:, 1] = values[side]
    values[side] = wide[:, 1]
    assert not values[side].is_contiguous()
    values["student"].requires_grad_()
    with Watch() as watch:
        kd, ce = align_loss_from_hidden(*values.values(), torch.arange(16))
        (kd + ce).backward()
    torch.testing.assert_close((kd.detach(), ce.detach()), expected)
    assert watch.matmuls >= 3
    assert watch.strided == []


def test_without_gradients_too() -> None:
    student, teacher, head = tensors()
    with torch.no_grad():
        got = lean(student, teacher, head, LABELS, chunk=4)
    torch.testing.assert_close(got, tuple(part.detach() for part in plain(student, teacher, head, LABELS)))


def test_what_does_not_fit_is_refused() -> None:
    student, teacher, head = tensors()
    hidden, targets = gather(student, LABELS)
    taught, _ = gather(teacher, LABELS)
    with pytest.raises(ValueError, match="no hidden states of the teacher"):
        align_loss_from_hidden(hidden, None, head, targets)
    with pytest.raises(ValueError, match=r"number of response tokens: \[5, 6\]"):
        align_loss_from_hidden(hidden, taught[1:], head, targets)
    with pytest.raises(ValueError, match="chunk is 0"):
        align_loss_from_hidden(hidden, taught, head, targets, chunk=0)
