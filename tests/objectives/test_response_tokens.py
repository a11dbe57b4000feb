"""Which positions predict the response, and how likely it is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from aligncap.objectives import gather, nll, per_response, response_mask, token_log_probs

EOS, PAD = 9, 0
# prompt 5 5, caption 1 2 3 EOS, padded on the right; prompt 5 5 5, caption 4 EOS, padded on the left
LABELS = torch.tensor([[-100, -100, 1, 2, 3, EOS, -100], [-100, -100, -100, -100, -100, 4, EOS]])


def numbered(labels: Tensor) -> Tensor:
    """Hidden states of width 1 that hold 10 · row + position."""
    rows, tokens = labels.shape
    return (10 * torch.arange(rows)[:, None] + torch.arange(tokens))[..., None].double()


def test_positions_by_hand() -> None:
    """Trap: masks made of label positions and laid over logits that are not shifted lose the first token."""
    assert response_mask(LABELS).int().tolist() == [[0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1]]
    hidden, targets = gather(numbered(LABELS), LABELS)
    assert targets.tolist() == [1, 2, 3, EOS, 4, EOS]
    assert hidden[:, 0].tolist() == [1, 2, 3, 4, 14, 15], "each state predicts the token after it"
    assert hidden.is_contiguous()


def test_the_first_response_token_counts_and_nothing_beyond_the_end_does() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 10, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(nll(*gather(logits, LABELS)), logits)
    assert gradient.abs().sum(-1).gt(0).int().tolist() == [[0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 0]]


def test_a_prompt_that_is_all_response_has_no_prediction_of_its_first_token() -> None:
    labels = torch.tensor([[7, 8]])
    assert gather(numbered(labels), labels)[1].tolist() == [8]


def test_no_response_at_all() -> None:
    labels = torch.full((2, 4), -100)
    hidden, targets = gather(numbered(labels), labels)
    assert hidden.shape == (0, 1)
    assert targets.shape == (0,)
    assert nll(torch.zeros(0, 5), targets).item() == 0
    sums, lengths = per_response(torch.zeros(0), labels)
    assert (sums.tolist(), lengths.tolist()) == ([0, 0], [0, 0])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31 - 1), st.integers(0, 3), st.integers(0, 3))
def test_padding_changes_nothing(seed: int, left: int, right: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 7, 10, dtype=torch.float64, generator=generator)
    padded = torch.randn(2, left + 7 + right, 10, dtype=torch.float64, generator=generator)
    padded[:, left : left + 7] = logits
    labels = torch.nn.functional.pad(LABELS, (left, right), value=-100)
    for plain, other in zip(gather(logits, LABELS), gather(padded, labels), strict=True):
        assert torch.equal(plain, other)
    values = -nll(*gather(logits, LABELS), "none")
    for plain, other in zip(per_response(values, LABELS), per_response(values, labels), strict=True):
        torch.testing.assert_close(plain, other)


def test_nll_is_that_of_the_shifted_sequence() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 10, dtype=torch.float64)
    reference = cross_entropy(logits[:, :-1].flatten(0, 1), LABELS[:, 1:].flatten(), reduction="sum")
    torch.testing.assert_close(nll(*gather(logits, LABELS)), reference)
    losses = nll(*gather(logits, LABELS), "none")
    assert losses.shape == (6,)
    torch.testing.assert_close(losses.sum(), reference)


def test_half_precision_is_computed_in_single() -> None:
    torch.manual_seed(0)
    logits, targets = (8 * torch.randn(5, 300)).bfloat16(), torch.arange(5)
    assert nll(logits, targets).dtype == torch.float32
    assert torch.equal(nll(logits, targets), nll(logits.float(), targets))


def test_log_probability_of_each_response() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(2, 7, 4, dtype=torch.float64), torch.randn(10, 4, dtype=torch.float64)
    by_hand = torch.zeros(2, dtype=torch.float64)
    log_probs = (hidden @ head.T).log_softmax(-1)
    for row, first, last in ((0, 2, 5), (1, 5, 6)):
        for place in range(first, last + 1):
            by_hand[row] += log_probs[row, place - 1, LABELS[row, place]]
    states, targets = gather(hidden, LABELS)
    for chunk in (1, 4, 100):
        sums, lengths = per_response(token_log_probs(states, head, targets, chunk=chunk), LABELS)
        torch.testing.assert_close(sums, by_hand)
        assert lengths.tolist() == [4, 2]


@pytest.mark.parametrize("trained", [True, False], ids=["trained head", "frozen head"])
def test_gradient_of_log_probabilities(trained: bool) -> None:
    """A sum weighs each of its tokens by another gradient from above: a pair loss does."""
    torch.manual_seed(0)
    hidden = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    head = torch.randn(10, 3, dtype=torch.float64, requires_grad=trained)

    def sums(hidden: Tensor, head: Tensor) -> Tensor:
        states, targets = gather(hidden, LABELS)
        return per_response(token_log_probs(states, head, targets, chunk=4), LABELS)[0]

    assert torch.autograd.gradcheck(sums, (hidden, head))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        gather(torch.zeros(2, 6, 3), LABELS)
    with pytest.raises(ValueError, match="reduction"):
        nll(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), "mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"number of response tokens: \[2, 3\]"):
        token_log_probs(torch.zeros(3, 2), torch.zeros(5, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="chunk is 0"):
        token_log_probs(torch.zeros(2, 2), torch.zeros(5, 2), torch.zeros(2, dtype=torch.long), chunk=0)
