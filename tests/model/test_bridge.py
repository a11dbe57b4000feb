import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.model.bridge import Bridge, build_bridge, embedding_count, layer_mix
from aligncap.model.configuration import BridgeConfig
from aligncap.testing import SPEECH_FAMILIES

KINDS = pytest.mark.parametrize("kind", ["qformer", "conv"])
SPEECH_WIDTH, LLM_WIDTH, SUMMARY_WIDTH = 6, 10, 7


def make(kind: str, **fields: Any) -> tuple[Bridge, BridgeConfig]:
    config = BridgeConfig(kind=kind, width=8, heads=2, **fields)
    return build_bridge(config, SPEECH_WIDTH, LLM_WIDTH, SUMMARY_WIDTH).eval(), config


def batch_of(lengths: list[int], frames: int | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States, mask and summary of a batch of clips."""
    frames = frames or max(lengths)
    mask = torch.arange(frames)[None] < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), frames, SPEECH_WIDTH), mask, torch.randn(len(lengths), SUMMARY_WIDTH)


def test_layer_mix_is_the_plain_weighted_sum() -> None:
    states, weights = torch.randn(2, 3, 4, 5), torch.randn(4)
    expected = torch.zeros(2, 3, 5)
    share = [math.exp(w) / sum(math.exp(v) for v in weights.tolist()) for w in weights.tolist()]
    for clip in range(2):
        for frame in range(3):
            for tap in range(4):
                x = states[clip, frame, tap]
                unit = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5)
                expected[clip, frame] += share[tap] * unit
    torch.testing.assert_close(layer_mix(states, weights), expected)


def test_layer_mix_does_not_care_how_large_a_layer_is() -> None:
    states, weights = torch.randn(2, 3, 4, 16), torch.zeros(4)
    loud = states * torch.tensor([1.0, 100.0, 0.5, 7.0])[:, None]
    torch.testing.assert_close(layer_mix(loud, weights), layer_mix(states, weights), rtol=1e-3, atol=1e-3)


@KINDS
def test_summary_makes_the_first_embeddings_and_no_others(kind: str) -> None:
    bridge, config = make(kind, utterance_embeddings=3)
    states, mask, summary = batch_of([3, 11])
    before, _ = bridge(states, mask, summary)
    after, _ = bridge(states, mask, summary + torch.tensor([[0.0], [1.0]]))
    changed = (after != before).any(-1)
    count = config.utterance_embeddings
    assert changed[1, :count].all()
    assert not changed[1, count:].any()
    assert not changed[0].any(), "one clip's summary reached another clip"
    other, _ = bridge(torch.randn_like(states), mask, summary)
    assert torch.equal(other[:, :count], before[:, :count])


@KINDS
def test_padded_frames_never_change_embeddings(kind: str) -> None:
    bridge, _ = make(kind)
    states, mask, summary = batch_of([3, 11, 6, 16, 1])
    spoilt = states.masked_fill(~mask.unsqueeze(-1), 1e4)
    clean, clean_mask = bridge(states, mask, summary)
    dirty, dirty_mask = bridge(spoilt, mask, summary)
    assert torch.equal(clean_mask, dirty_mask)
    assert torch.equal(clean[clean_mask], dirty[dirty_mask])


@KINDS
def test_windows_of_padding_alone_give_no_nan(kind: str) -> None:
    bridge, config = make(kind)
    bridge.train()
    states, mask, summary = batch_of([1, 2], frames=40)
    states.requires_grad_()
    embeddings, embedding_mask = bridge(states, mask, summary)
    embeddings.square().sum().backward()
    assert torch.isfinite(embeddings).all()
    for tensor in (states, *bridge.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
    assert embedding_mask.sum(1).tolist() == [embedding_count(config, 1), embedding_count(config, 2)]


@KINDS
def test_no_gradient_reaches_padded_frames(kind: str) -> None:
    bridge, _ = make(kind)
    states, mask, summary = batch_of([3, 11])
    states.requires_grad_()
    embeddings, embedding_mask = bridge(states, mask, summary)
    embeddings[embedding_mask].square().sum().backward()
    assert states.grad is not None
    assert not states.grad[~mask].any()
    assert states.grad[mask].any(-1).all(), "some frame is not heard"


@KINDS
def test_embeddings_alone_are_embeddings_in_a_batch(kind: str) -> None:
    bridge, _ = make(kind)
    lengths = [1, 13, 5, 6]
    states, mask, summary = batch_of(lengths, frames=31)
    together, together_mask = bridge(states, mask, summary)
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        alone, alone_mask = bridge(states[one, :length], mask[one, :length], summary[one])
        assert alone_mask.all()
        torch.testing.assert_close(together[row][together_mask[row]], alone[0], rtol=1e-5, atol=1e-6)


@KINDS
@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    window=st.integers(1, 9),
    queries=st.integers(1, 9),
    utterance=st.integers(1, 4),
)
def test_embedding_count_is_the_real_number(
    kind: str, lengths: list[int], window: int, queries: int, utterance: int
) -> None:
    bridge, config = make(kind, layers=1, window=window, queries=queries, utterance_embeddings=utterance)
    with torch.no_grad():
        embeddings, mask = bridge(*batch_of(lengths))
    assert embeddings.shape[:2] == mask.shape
    assert embeddings.shape[2] == LLM_WIDTH
    assert mask.sum(1).tolist() == [embedding_count(config, length) for length in lengths]
    assert all(row.tolist() == sorted(row.tolist(), reverse=True) for row in mask), "a clip's own come first"


@KINDS
@pytest.mark.parametrize("family", SPEECH_FAMILIES)
def test_processor_and_model_agree_on_the_number(build: Any, clip: Any, kind: str, family: str) -> None:
    model, processor = build(family, bridge={"kind": kind, "window": 5, "queries": 2}, frame_stride=3)
    lengths = [1600, 1761, 2003, 3199, 4800, 6401, 9999, 16000, 17777]
    clips = [clip(n / 16_000) for n in lengths]
    batch = processor(clips)
    with torch.no_grad():
        speech = model.hear(batch["features"], batch["feature_lengths"])
    counts = [processor.embedding_count(int(n)) for n in batch["feature_lengths"]]
    assert speech.mask.sum(1).tolist() == counts
    assert (batch["input_ids"] == model.speech_token_id).sum(1).tolist() == counts
    assert len(set(counts)) > 2


@KINDS
def test_speech_embeddings_begin_as_large_as_asked(kind: str) -> None:
    bridge, _ = make(kind)
    bridge.match_scale(0.05)
    with torch.no_grad():
        embeddings, mask = bridge(*batch_of([200, 150]))
    assert 0.03 < float(embeddings[mask].std()) < 0.08


def test_unknown_bridge_is_refused() -> None:
    with pytest.raises(ValueError, match="pontoon"):
        build_bridge(BridgeConfig(kind="pontoon"), 4, 4, 4)
