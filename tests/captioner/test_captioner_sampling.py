"""Sampled captions: seeds, batches, alternatives, and the distribution that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aligncap.captioner import Captioner, Sampling
from aligncap.captioner.drawing import Draws, _drawn, _seed
from aligncap.captioner.sampling import CAREFUL, VARIED

pytestmark = pytest.mark.usefixtures("short_captions")
RATE = 16_000


def captions(results) -> list[tuple[str, ...]]:
    return [(result.caption, *result.alternatives) for result in results]


def test_seeds(captioner: Captioner, clip) -> None:
    sound = (clip(1.0), RATE)
    drawn = [captions(captioner.caption(sound, sampling=Sampling(seed=seed))) for seed in (1, 1, 2, -1, 2**70)]
    assert drawn[0] == drawn[1]
    assert len({str(row) for row in drawn}) == 4


def test_alone_and_in_any_batch(captioner: Captioner, clip) -> None:
    sounds = [(clip(seconds, seed), RATE) for seed, seconds in enumerate((0.3, 4.0, 1.0))]
    options = {"num_captions": 2, "sampling": Sampling(seed=3)}
    together = captions(captioner.caption(sounds, **options))
    assert together == [captions(captioner.caption(sound, **options))[0] for sound in sounds]
    assert together[::-1] == captions(captioner.caption(sounds[::-1], batch_size=2, **options))


def test_alternatives(captioner: Captioner, clip) -> None:
    sound = (clip(1.0), RATE)
    [four] = captioner.caption(sound, num_captions=4, sampling=Sampling(temperature=1.5, top_p=1))
    assert len(four.alternatives) == 3
    assert len({four.caption, *four.alternatives}) == 4
    [two] = captioner.caption(sound, num_captions=2, sampling=Sampling(temperature=1.5, top_p=1))
    assert (two.caption, *two.alternatives) == (four.caption, *four.alternatives[:1])
    assert two.emotions == pytest.approx(four.emotions)


def test_several_captions_are_sampled_unless_told_otherwise(captioner: Captioner, clip) -> None:
    sound = (clip(1.0), RATE)
    default = captioner.caption(sound, num_captions=2)
    assert captions(default) == captions(captioner.caption(sound, num_captions=2, sampling=Sampling()))


def test_almost_no_temperature_is_greedy(captioner: Captioner, clip) -> None:
    sound = (clip(1.0), RATE)
    greedy = captions(captioner.caption(sound, sampling=Sampling(temperature=0)))
    for sampling in (Sampling(temperature=1e-4), Sampling(temperature=5, top_p=1e-6)):
        assert captions(captioner.caption(sound, sampling=sampling)) == greedy
    with pytest.raises(ValueError, match="2 captions at temperature 0"):
        captioner.caption(sound, num_captions=2, sampling=Sampling(temperature=0))


def test_only_the_opening_is_drawn() -> None:
    logits = np.array([[0.0, 0.1, 0.2, 0.3]], np.float32)
    rows, opening = 200, 3
    draw = Draws(Sampling(1.0, 1.0, opening=opening), [np.zeros(1, np.float32)], rows)
    for step in range(opening + 2):
        drawn = draw(logits.repeat(rows, 0), range(rows), [step] * rows)
        assert len(set(drawn.tolist())) == (4 if step < opening else 1)
        assert step < opening or int(drawn[0]) == 3


def test_single_captions_are_drawn_and_unverified_ones_only_as_they_begin(
    captioner: Captioner, clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = [(clip(1.0, seed), RATE) for seed in range(6)]

    def written(sampling: Sampling) -> list[str]:
        return captions(captioner.caption(sounds, verify=False, sampling=sampling))

    assert len({tuple(written(sampling)) for sampling in (CAREFUL, VARIED, Sampling(temperature=0))}) == 3
    assert captions(captioner.caption(sounds, verify=False)) == written(CAREFUL)
    assert captions(captioner.caption(sounds, prompt="Was sagt die Stimme?")) == captions(
        captioner.caption(sounds, prompt="Was sagt die Stimme?", sampling=CAREFUL)
    )
    monkeypatch.setattr(captioner, "_write_again", lambda *_: None)
    assert captions(captioner.caption(sounds)) == written(VARIED)


def test_rounding_does_not_change_what_is_drawn(captioner: Captioner, clip) -> None:
    samples = clip(1.0)
    rounded = (samples * 32768).round().astype(np.int16)
    assert not np.array_equal(rounded / np.float32(32768), samples)
    (one,), (other,) = (captioner.caption((sound, RATE), sampling=Sampling(seed=4)) for sound in (samples, rounded))
    assert one.caption == other.caption


def test_random_state_of_the_caller(captioner: Captioner, clip) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    captioner.caption((clip(0.5), RATE), num_captions=2, sampling=Sampling(seed=1))
    captioner.caption((clip(0.5), RATE))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])


def test_distribution() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -torch.inf]])
    temperature, rows = 0.5, 4000
    draw = Draws(Sampling(temperature, 1.0, seed=9), [np.zeros(1, np.float32)], rows)
    drawn = torch.from_numpy(draw(logits.repeat(rows, 1).numpy(), range(rows), [0] * rows))
    shares = torch.bincount(drawn, minlength=5) / rows
    assert torch.allclose(shares, (logits[0] / temperature).softmax(-1), atol=0.02)


def test_draws_depend_on_row_and_place_alone() -> None:
    """So that decoding may ask about places in any order, and about some that come to nothing."""
    scores = np.zeros((6, 50), np.float32)
    clips = [np.zeros(n, np.float32) for n in (1, 2)]
    rows, places = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]
    drawn = Draws(Sampling(1.0, 1.0), clips)(scores, rows, places).tolist()
    assert len(set(drawn)) > 3
    other = Draws(Sampling(1.0, 1.0), clips)
    for at in (5, 0, 2, 3, 2, 1, 4):
        assert other(scores[:1], rows[at : at + 1], places[at : at + 1]).tolist() == drawn[at : at + 1]


def test_chances_are_those_of_pytorch() -> None:
    """So that captions are those that were drawn when PyTorch's generators drew them."""
    draws = Draws(Sampling(seed=3), [np.zeros(4, np.float32)])
    source = torch.Generator().manual_seed(_seed(3, 0, np.zeros(4, np.float32)))
    assert [draws._chance(0, place) for place in range(20)] == [
        float(torch.rand(1, generator=source)) for _ in range(20)
    ]


def test_nucleus() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    rows = 500
    draw = Draws(Sampling(1.0, 0.7), [np.zeros(1, np.float32)], rows)
    drawn = draw(logits.repeat(rows, 1).numpy(), range(rows), [0] * rows)
    assert set(drawn.tolist()) == {0, 1}


def test_a_wide_nucleus() -> None:
    """Wider than what is looked at first; the tokens' order in the vocabulary plays no part."""
    shares = torch.linspace(0, 4, 1000).softmax(-1)
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    inside = shares.sort(descending=True).values.cumsum(0) - shares.sort(descending=True).values < 0.9
    smallest = shares.sort(descending=True).values[inside][-1]
    rows = 3000
    draw = Draws(Sampling(1.0, 0.9), [np.zeros(1, np.float32)], rows)
    drawn = draw(shares[order].log().repeat(rows, 1).numpy(), range(rows), [0] * rows)
    found = shares[order][drawn]
    assert int(inside.sum()) > 256
    assert found.min() >= smallest
    expected = shares[shares >= smallest]
    assert float(found.mean()) == pytest.approx(float((expected**2).sum() / expected.sum()), rel=0.05)


@pytest.mark.parametrize("top_p", [1.0, 0.999, 0.9, 0.3])
@pytest.mark.parametrize("spread", [0.1, 2.0, 8.0, 30.0])
def test_what_is_drawn_is_what_sorting_the_vocabulary_would_draw(spread: float, top_p: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = (rng.normal(size=2000) * spread).astype(np.float32)
        order = np.argsort(-scores)
        shares = np.exp(scores[order].astype(np.float64) - scores.max())
        shares /= shares.sum()
        below = (shares * (shares.cumsum() - shares < top_p)).cumsum()
        for chance in rng.random(20):
            expected = order[np.searchsorted(below, chance * below[-1], side="right")]  # rounding may take a neighbour
            assert scores[_drawn(scores, chance, top_p)] == pytest.approx(scores[expected], abs=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": np.inf},
        {"temperature": -1},
        {"opening": 0},
        {"temperature": np.nan},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_p": np.nan},
    ],
)
def test_out_of_range(options: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        Sampling(**options)
