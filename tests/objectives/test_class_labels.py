import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.objectives import set_cross_entropy


def sets(rows: list[list[int]], classes: int) -> torch.Tensor:
    out = torch.zeros(len(rows), classes, dtype=torch.bool)
    for row, members in enumerate(rows):
        out[row, members] = True
    return out


def test_one_target_among_all_is_the_ordinary_cross_entropy() -> None:
    logits = torch.randn(6, 5, dtype=torch.float64)
    labels = [0, 4, 2, 2, 1, 3]
    ours = set_cross_entropy(logits, sets([[x] for x in labels], 5), torch.ones(6, 5, dtype=torch.bool))
    reference = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")
    torch.testing.assert_close(ours, reference)


def test_by_hand() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(2.0), math.log(3.0), math.log(10.0)]])
    loss = set_cross_entropy(logits, sets([[0, 1]], 4), sets([[0, 1, 2]], 4))
    assert loss.item() == pytest.approx(-math.log(3 / 6))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31 - 1))
def test_not_negative_zero_when_all_allowed_are_targets_and_blind_to_the_rest(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    allowed = sets([[0, 1, 2], [1, 3], [2, 3, 4, 5]], 6)
    targets = sets([[0], [1, 3], [3, 4]], 6)
    losses = set_cross_entropy(logits, targets, allowed)
    assert (losses >= -1e-12).all()
    assert losses[1].item() == pytest.approx(0.0, abs=1e-12)
    changed = torch.where(allowed, logits, logits + 100)
    torch.testing.assert_close(set_cross_entropy(changed, targets, allowed), losses)


def test_gradient() -> None:
    logits = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    targets, allowed = sets([[0, 2], [1]], 4), sets([[0, 1, 2], [1, 3]], 4)
    assert torch.autograd.gradcheck(lambda z: set_cross_entropy(z, targets, allowed), (logits,))


def test_refuses_rows_without_target_and_targets_that_are_not_allowed() -> None:
    logits = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="target"):
        set_cross_entropy(logits, sets([[]], 3), sets([[0]], 3))
    with pytest.raises(ValueError, match="allowed"):
        set_cross_entropy(logits, sets([[2]], 3), sets([[0]], 3))
