from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aligncap.model import AlignCapForConditionalGeneration
from aligncap.model.utterance import UtteranceSummary, tap_means

TAPS, WIDTH = 2, 3
SIZE = TAPS * WIDTH


def batch_of(lengths: list[int], frames: int | None = None) -> tuple[Tensor, Tensor]:
    frames = frames or max(lengths)
    mask = torch.arange(frames)[None] < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), frames, TAPS, WIDTH), mask


def speakers_of(clips: int, each: int) -> list[str]:
    return [f"speaker {row // each}" for row in range(clips)]


def voices(speakers: int, each: int, size: int = SIZE) -> tuple[Tensor, list[str]]:
    """Tap means of clips whose speakers differ, off centre and of unlike scales."""
    own = 2 * torch.randn(speakers, size).repeat_interleave(each, 0)
    means = own + torch.randn(speakers * each, size)
    return means * torch.linspace(0.1, 20, size) + 5, speakers_of(speakers * each, each)


def fitted(rank: int, strength: float) -> tuple[UtteranceSummary, Tensor, list[str]]:
    means, speakers = voices(4, 10)
    summary = UtteranceSummary(SIZE, rank)
    summary.fit(means, speakers, strength)
    return summary, means, speakers


def nuisance(x: Tensor, speakers: list[str]) -> tuple[Tensor, Tensor]:
    """Variances of the speakers' means, largest first, and directions (rows), by plain eigendecomposition."""
    centres = []
    for speaker in dict.fromkeys(speakers):
        own = [row for row, name in zip(x, speakers, strict=True) if name == speaker]
        centres.append(sum(own) / len(own))
    stacked = torch.stack(centres) - sum(centres) / len(centres)
    covariance = sum(torch.outer(row, row) for row in stacked) / len(stacked)
    variances, directions = torch.linalg.eigh(covariance)
    return variances.flip(0), directions.T.flip(0)


# --------------------------------------------------------------------------------------- tap means


def test_tap_means_are_those_of_the_clips_own_frames() -> None:
    states, mask = batch_of([3, 7, 1])
    expected = torch.stack([s[m].mean(0).flatten() for s, m in zip(states, mask, strict=True)])
    torch.testing.assert_close(tap_means(states, mask), expected)


def test_padding_never_matters() -> None:
    lengths = [3, 11, 1]
    states, mask = batch_of(lengths, frames=20)
    summary, _, _ = fitted(rank=3, strength=5.0)
    clean = summary(states, mask)
    assert torch.equal(summary(states.masked_fill(~mask[..., None, None], 1e4), mask), clean)
    for row, length in enumerate(lengths):
        alone = summary(states[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], clean[row])


def test_forward_normalises_the_tap_means() -> None:
    states, mask = batch_of([3, 7])
    summary, _, _ = fitted(rank=3, strength=5.0)
    assert torch.equal(summary(states, mask), summary.normalise(tap_means(states, mask)))


# --------------------------------------------------------------------------------------------- fit


def test_before_it_is_fitted_it_changes_nothing() -> None:
    means = torch.randn(5, SIZE)
    torch.testing.assert_close(UtteranceSummary(SIZE, 3).normalise(means), means)


@pytest.mark.parametrize("rank", [0, 3, 50])
def test_strength_zero_is_plain_standardisation(rank: int) -> None:
    summary, means, _ = fitted(rank, strength=0.0)
    x = summary.normalise(means)
    torch.testing.assert_close(x, (means - means.mean(0)) / (means.std(0) + 1e-4))
    torch.testing.assert_close(x.mean(0), torch.zeros(SIZE), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.std(0), torch.ones(SIZE), rtol=0, atol=1e-3)


def test_what_never_varies_stays_finite() -> None:
    means, speakers = voices(4, 10)
    means[:, 2] = 7.0
    summary = UtteranceSummary(SIZE, 3)
    summary.fit(means, speakers, 5.0)
    x = summary.normalise(means)
    assert torch.isfinite(x).all()
    assert x[:, 2].abs().max() < 0.1


@pytest.mark.parametrize("strength", [0.5, 5.0, 100.0])
def test_speaker_directions_are_damped_exactly_and_others_untouched(strength: float) -> None:
    summary, means, speakers = fitted(rank=3, strength=strength)
    x = (means - means.mean(0)) / (means.std(0) + 1e-4)
    variances, directions = nuisance(x, speakers)
    assert variances[2] > 0.1, "four speakers differ in three directions"
    assert variances[3:].abs().max() < 1e-5
    before, after = (points @ directions.T for points in (x, summary.normalise(means)))
    scale = torch.ones(SIZE)
    scale[:3] = (1 + strength * variances[:3]).rsqrt()
    assert scale[:3].max() < 0.95
    torch.testing.assert_close(after, before * scale, rtol=1e-3, atol=1e-4)


def test_of_many_directions_the_strongest_are_damped() -> None:
    summary, means, speakers = fitted(rank=1, strength=5.0)
    x = (means - means.mean(0)) / (means.std(0) + 1e-4)
    variances, directions = nuisance(x, speakers)
    before, after = (points @ directions.T for points in (x, summary.normalise(means)))
    scale = torch.ones(SIZE)
    scale[0] = (1 + 5.0 * variances[0]).rsqrt()
    torch.testing.assert_close(after, before * scale, rtol=1e-3, atol=1e-4)


def test_speakers_with_few_clips_do_not_count_as_speakers() -> None:
    means, speakers = voices(5, 8)
    loners = 100 * torch.randn(7, SIZE)
    everything, names = torch.cat([means, loners]), [*speakers, *["loner"] * 7]
    summary = UtteranceSummary(SIZE, 4)
    summary.fit(everything, names, 5.0)
    x = (everything - everything.mean(0)) / (everything.std(0) + 1e-4)
    variances, directions = nuisance(x[:40], speakers)
    expected = torch.ones(SIZE)
    expected[:4] = (1 + 5.0 * variances[:4]).rsqrt()
    before, after = (points @ directions.T for points in (x, summary.normalise(everything)))
    torch.testing.assert_close(after, before * expected, rtol=1e-3, atol=1e-4)


def test_without_a_speaker_of_enough_clips_it_only_standardises() -> None:
    means, _ = voices(4, 5)
    summary, plain = UtteranceSummary(SIZE, 3), UtteranceSummary(SIZE, 3)
    summary.fit(means, speakers_of(20, 5), 5.0)
    plain.fit(means, speakers_of(20, 5), 0.0, min_clips=1)
    torch.testing.assert_close(summary.normalise(means), plain.normalise(means))


def test_order_of_the_clips_does_not_matter() -> None:
    summary, means, speakers = fitted(rank=3, strength=5.0)
    order = torch.randperm(len(means)).tolist()
    again = UtteranceSummary(SIZE, 3)
    again.fit(means[order], [speakers[row] for row in order], 5.0)
    torch.testing.assert_close(again.normalise(means), summary.normalise(means), rtol=1e-3, atol=1e-4)


def test_fitting_again_forgets_the_first_fit() -> None:
    summary, means, _ = fitted(rank=3, strength=5.0)
    summary.fit(means, ["one"] * len(means), 5.0)
    torch.testing.assert_close(summary.normalise(means), (means - means.mean(0)) / (means.std(0) + 1e-4))


# --------------------------------------------------------------------------------- in a checkpoint


def test_statistics_survive_a_checkpoint(build: Any, clip: Any, tmp_path: Path) -> None:
    model, processor = build()
    size = len(model.summary.mean)
    model.summary.fit(*voices(4, 8, size), strength=5.0)
    assert model.summary.damping.min() > 0.1
    model.save_pretrained(tmp_path)
    again = AlignCapForConditionalGeneration.from_pretrained(tmp_path)
    for name, buffer in model.summary.named_buffers():
        assert torch.equal(again.summary.get_buffer(name), buffer), name
    assert {name for name, _ in model.summary.named_buffers()} == {
        "mean",
        "deviation",
        "directions",
        "damping",
    }
    assert not list(model.summary.parameters())
    batch = processor.features([clip(0.4, 0), clip(0.9, 1)])
    with torch.no_grad():
        heard, expected = again.hear(**batch), model.hear(**batch)
    assert torch.equal(heard.emotion_logits, expected.emotion_logits)
    assert torch.equal(heard.embeddings, expected.embeddings)


def test_emotion_head_reads_the_fitted_summary(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor.features([clip(0.4, 0), clip(0.9, 1)])
    with torch.no_grad():
        speech = model.speech_encoder(batch["features"], batch["feature_lengths"])
        x = model.summary(speech.states, speech.mask)
        expected = x @ model.emotion_head.weight.T + model.emotion_head.bias
        torch.testing.assert_close(model.hear(**batch).emotion_logits, expected)
