"""The contrast between speech and captions: the plain formula, and what it must and must not depend on."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from aligncap.objectives import speech_text_contrast

SEEDS = st.integers(0, 2**31 - 1)
ANY = settings(deadline=None, max_examples=40)


def vectors(seed: int = 0, clips: int = 6, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    speech, text = torch.randn(2, clips, width, dtype=torch.float64, generator=generator)
    return speech, text


def same_labels(labels: list[int]) -> Tensor:
    known = torch.tensor(labels)
    return known[:, None] == known[None]


def plain(speech: Tensor, text: Tensor, temperature: float, same: Tensor) -> Tensor:
    """Each clip by itself, among the clips that it is told apart from."""
    losses = []
    for here in range(len(speech)):
        others = [there for there in range(len(speech)) if there != here and not same[here, there]]
        among = torch.tensor([here, *others])
        first = torch.tensor([0])
        captions = cosine_similarity(speech[here : here + 1], text[among]) / temperature
        voices = cosine_similarity(speech[among], text[here : here + 1]) / temperature
        losses += [cross_entropy(captions[None], first), cross_entropy(voices[None], first)]
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [0.07, 0.1, 1.0])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 0], [7] * 6], ids=str)
def test_is_the_cross_entropy_of_each_clip_by_itself(labels: list[int], temperature: float) -> None:
    speech, text = vectors()
    got = speech_text_contrast(speech, text, temperature, same_labels(labels))
    torch.testing.assert_close(got, plain(speech, text, temperature, same_labels(labels)), rtol=1e-12, atol=1e-12)


def test_without_labels_all_are_told_apart() -> None:
    speech, text = vectors()
    ours = speech_text_contrast(speech, text, 0.1)
    torch.testing.assert_close(ours, plain(speech, text, 0.1, same_labels([0, 1, 2, 3, 4, 5])), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(speech_text_contrast(speech, text), ours)  # the temperature's default
    torch.testing.assert_close(speech_text_contrast(speech, text, 0.1, torch.zeros(6, 6, dtype=torch.bool)), ours)


def test_by_hand() -> None:
    speech = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[3.0, 0.0], [4.0, 0.0]])  # both captions are the first clip's
    to_captions = (math.log(2) + math.log(2)) / 2
    to_voices = (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert speech_text_contrast(speech, text, 0.5).item() == pytest.approx((to_captions + to_voices) / 2)


@pytest.mark.parametrize("labels", [None, [0, 0, 1, 2, 1]], ids=str)
def test_gradient(labels: list[int] | None) -> None:
    speech, text = (values.requires_grad_() for values in vectors(clips=5, width=3))
    same = None if labels is None else same_labels(labels)
    assert torch.autograd.gradcheck(lambda s, t: speech_text_contrast(s, t, 0.3, same), (speech, text))


@ANY
@given(SEEDS, st.integers(1, 8), st.sampled_from([0.05, 0.1, 1.0]), st.booleans())
def test_neither_order_nor_side_nor_length_matters_and_it_is_never_negative(
    seed: int, clips: int, temperature: float, labelled: bool
) -> None:
    speech, text = vectors(seed, clips)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(clips, generator=generator)
    same = same_labels(torch.randint(3, (clips,), generator=generator).tolist()) if labelled else None
    loss = speech_text_contrast(speech, text, temperature, same)
    assert loss.item() >= 0
    mixed = None if same is None else same[order][:, order]
    torch.testing.assert_close(speech_text_contrast(speech[order], text[order], temperature, mixed), loss)
    torch.testing.assert_close(speech_text_contrast(text, speech, temperature, same), loss)
    torch.testing.assert_close(speech_text_contrast(3 * speech, text / 5, temperature, same), loss)


@ANY
@given(SEEDS, st.integers(2, 5), st.sampled_from([0.1, 0.5, 2.0]))
def test_matched_vectors_at_right_angles_to_the_others(seed: int, clips: int, temperature: float) -> None:
    """The least that vectors can reach whose speech is at right angles to, or nearer to, other clips' captions."""
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(clips, clips, dtype=torch.float64, generator=generator)
    apart = torch.linalg.qr(square).Q
    least = speech_text_contrast(apart, apart, temperature)
    assert least.item() == pytest.approx(math.log1p((clips - 1) * math.exp(-1 / temperature)), abs=1e-12)
    positive = square.abs()  # cosines of 0 and above, as of matched vectors at right angles
    other = torch.randn(clips, clips, dtype=torch.float64, generator=generator).abs()
    assert speech_text_contrast(positive, other, temperature) >= least
    assert speech_text_contrast(apart, apart.roll(1, 0), temperature) > least


@ANY
@given(SEEDS)
def test_marked_pairs_play_no_part(seed: int) -> None:
    """Of all cosines only that of the first voice and the second caption changes, from far to near."""
    own = torch.tensor([5.0, 0, 0, 0, 0], dtype=torch.float64)[:, None]
    speech, text = vectors(seed, 5)
    speech = torch.cat([speech, own], 1)
    far, near = (torch.cat([text, sign * own.roll(1, 0)], 1) for sign in (-1, 1))
    marked, others = same_labels([0, 0, 1, 2, 3]), same_labels([0, 1, 1, 2, 3])
    torch.testing.assert_close(*(speech_text_contrast(speech, x, 0.1, marked) for x in (far, near)))
    losses = [speech_text_contrast(speech, x, 0.1, others) for x in (far, near)]
    assert losses[1] > losses[0]


def test_one_sided_marks_leave_out_one_direction() -> None:
    speech, text = vectors(clips=2)
    marked = torch.tensor([[False, True], [False, False]])  # the first voice and the second caption
    logits = cosine_similarity(speech[:, None], text[None], dim=-1) / 0.1
    voices = (logits[1].logsumexp(0) - logits[1, 1]) / 2
    captions = (logits[:, 0].logsumexp(0) - logits[0, 0]) / 2
    torch.testing.assert_close(speech_text_contrast(speech, text, 0.1, marked), (voices + captions) / 2)


def test_nothing_to_tell_apart_is_zero_and_differentiable() -> None:
    for clips, same in ((1, None), (4, torch.ones(4, 4, dtype=torch.bool))):
        speech, text = (values.requires_grad_() for values in vectors(clips=clips))
        loss = speech_text_contrast(speech, text, 0.1, same)
        assert loss.item() == 0
        for gradient in torch.autograd.grad(loss, (speech, text)):
            torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_temperature() -> None:
    """A small one makes right batches cheap and wrong ones dear; a large one makes all the same."""
    right, wrong = torch.eye(4), torch.eye(4).roll(1, 0)
    losses = [[speech_text_contrast(torch.eye(4), x, t).item() for t in (0.05, 0.1, 1.0, 1e4)] for x in (right, wrong)]
    assert losses[0] == sorted(losses[0])
    assert losses[1] == sorted(losses[1], reverse=True)
    for side in losses:
        assert side[-1] == pytest.approx(math.log(4), abs=1e-3)


def test_half_precision_is_computed_in_single() -> None:
    speech, text = (values.to(torch.bfloat16) for values in vectors())
    loss = speech_text_contrast(speech, text, 0.01)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, speech_text_contrast(speech.float(), text.float(), 0.01))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": torch.ones(2, 3)}, r"speech \(3, 3\) and text \(2, 3\)"),
        ({"speech": torch.ones(0, 3), "text": torch.ones(0, 3)}, r"speech \(0, 3\)"),
        ({"speech": torch.ones(1, 3, 3), "text": torch.ones(1, 3, 3)}, "one vector each"),
        ({"same": torch.ones(2, 2, dtype=torch.bool)}, r"same \(2, 2\) does not fit 3 clips"),
        ({"temperature": 0.0}, r"temperature is 0\.0"),
        ({"temperature": -0.1}, r"temperature is -0\.1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        speech_text_contrast(**{"speech": torch.ones(3, 3), "text": torch.ones(3, 3), **change})
