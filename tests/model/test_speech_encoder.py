import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aligncap.model.base import load_speech_encoder
from aligncap.model.speech_encoder import SpeechEncoder, encoder_frames
from aligncap.testing import SPEECH_FAMILIES, tiny_speech_encoder

FAMILIES = pytest.mark.parametrize("family", SPEECH_FAMILIES)


def layers(encoder: SpeechEncoder) -> int:
    inner = encoder.encoder
    return len(inner.layers if encoder.is_whisper else inner.encoder.layers)


@pytest.fixture(scope="session")
def load(bases: Path) -> Callable[..., Any]:
    def load(family: str) -> Any:
        return load_speech_encoder(str(tiny_speech_encoder(family, bases / family))).eval()

    return load


@FAMILIES
@pytest.mark.parametrize("taps", [[3], [-1], [0, 7], []])
def test_taps_outside_the_encoder_are_refused(load: Any, family: str, taps: list[int]) -> None:
    with pytest.raises(ValueError, match="taps"):
        SpeechEncoder(load(family), taps, 1)


def test_unknown_architecture_is_refused() -> None:
    model = torch.nn.Linear(1, 1)
    model.config = type("Config", (), {"model_type": "abacus"})()
    with pytest.raises(ValueError, match="abacus"):
        SpeechEncoder(model, [0], 1)


@FAMILIES
@pytest.mark.parametrize("taps", [[1], [0, 1], [2, 0]])
def test_layers_above_the_last_tap_are_cut(load: Any, family: str, taps: list[int]) -> None:
    assert layers(SpeechEncoder(load(family), taps, 1)) == max(taps)


@FAMILIES
@pytest.mark.parametrize("taps", [[0], [0, 1], [1]])
def test_cut_encoder_gives_the_states_of_the_whole(
    load: Any, build: Any, clip: Any, family: str, taps: list[int]
) -> None:
    _, processor = build(family)
    seconds = 30.0 if family == "whisper" else 1.0  # transformers' Whisper takes nothing else
    batch = processor.features([clip(seconds)])
    with torch.no_grad():
        hidden = load(family)(batch["features"], output_hidden_states=True).hidden_states
        speech = SpeechEncoder(load(family), taps, 1)(batch["features"], batch["feature_lengths"])
    assert speech.mask.all()
    for position, tap in enumerate(taps):
        torch.testing.assert_close(speech.states[:, :, position], hidden[tap], rtol=1e-4, atol=1e-4)


def test_last_whisper_layer_is_transformers_before_its_final_norm(load: Any, build: Any, clip: Any) -> None:
    _, processor = build("whisper")
    batch = processor.features([clip(30.0)])
    whole = load("whisper")
    with torch.no_grad():
        speech = SpeechEncoder(load("whisper"), [2], 1)(batch["features"], batch["feature_lengths"])
        assert speech.states.shape == (1, 1500, 1, 16)
        expected = whole(batch["features"]).last_hidden_state
        torch.testing.assert_close(whole.layer_norm(speech.states[:, :, 0]), expected, rtol=1e-4, atol=1e-4)


def test_last_layer_of_a_stable_encoder_is_transformers_before_its_final_norm(load: Any, build: Any, clip: Any) -> None:
    _, processor = build("wavlm")
    batch = processor.features([clip(1.0)])
    whole = load("wavlm")
    assert whole.config.do_stable_layer_norm
    encoder = SpeechEncoder(load("wavlm"), [1, 2], 1)
    with torch.no_grad():
        speech = encoder(batch["features"], batch["feature_lengths"])
        expected = whole(batch["features"]).last_hidden_state
        normed = whole.encoder.layer_norm(speech.states[:, :, 1])
        # what older versions of transformers report as the last hidden state
        reported = encoder.encoder(batch["features"]).last_hidden_state
    torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(speech.states[:, :, 1], reported)


def test_norm_below_the_layers_is_kept(load: Any) -> None:
    """HuBERT's norm stands before the first layer, where every tap depends on it."""
    assert isinstance(SpeechEncoder(load("hubert"), [1], 1).encoder.encoder.layer_norm, torch.nn.LayerNorm)


def test_unpadded_whisper_is_transformers_encoder_with_fewer_positions(load: Any, build: Any, clip: Any) -> None:
    _, processor = build("whisper")
    batch = processor.features([clip(1.0)])
    whole = load("whisper")
    frames = batch["features"].shape[-1] // 2
    config = copy.deepcopy(whole.config)
    config.max_source_positions = frames
    short = type(whole)(config).eval()
    own = {**whole.state_dict(), "embed_positions.weight": whole.embed_positions.weight[:frames]}
    short.load_state_dict(own)
    with torch.no_grad():
        hidden = short(batch["features"], output_hidden_states=True).hidden_states
        speech = SpeechEncoder(load("whisper"), [0, 1], 1)(batch["features"], batch["feature_lengths"])
    assert speech.states.shape[1] == frames == 50
    for tap in (0, 1):
        torch.testing.assert_close(speech.states[:, :, tap], hidden[tap], rtol=1e-4, atol=1e-4)


@FAMILIES
def test_states_alone_are_states_in_a_batch(build: Any, clip: Any, family: str) -> None:
    model, processor = build(family)
    clips = [clip(0.3, 0), clip(5.0, 1), clip(0.3, 2), clip(0.11, 3)]
    encoder = model.speech_encoder
    batch = processor.features(clips)
    with torch.no_grad():
        together = encoder(batch["features"], batch["feature_lengths"])
        for row, audio in enumerate(clips):
            one = processor.features([audio])
            alone = encoder(one["features"], one["feature_lengths"])
            frames = alone.states.shape[1]
            assert alone.mask.all()
            assert together.mask[row].sum() == frames
            torch.testing.assert_close(together.states[row, :frames], alone.states[0], rtol=1e-5, atol=1e-5)
            assert not together.states[row, frames:].any()


@FAMILIES
def test_padding_of_the_features_is_never_read(build: Any, clip: Any, family: str) -> None:
    model, processor = build(family)
    batch = processor.features([clip(0.4, 0), clip(1.0, 1)])
    features, lengths = batch["features"], batch["feature_lengths"]
    spoilt = features.clone()
    time_first = spoilt if family in {"wav2vec2-bert", "hubert", "wavlm"} else spoilt.transpose(1, 2)
    time_first[0, lengths[0] :] = 1e6
    assert not torch.equal(spoilt, features)
    with torch.no_grad():
        clean, dirty = (model.hear(f, lengths) for f in (features, spoilt))
    for field in ("embeddings", "mask", "emotion_logits", "bridge_logits"):
        assert torch.equal(getattr(clean, field), getattr(dirty, field)), field


@FAMILIES
def test_frozen_encoder_stays_deterministic_while_training(build: Any, clip: Any, family: str) -> None:
    """No dropout, no dropped layer, no masked frame (wav2vec 2.0's SpecAugment) while the rest trains."""
    model, processor = build(family)
    batch = processor.features([clip(0.3)])
    quiet = model.speech_encoder(batch["features"], batch["feature_lengths"]).states
    model.train()
    for _ in range(3):
        states = model.speech_encoder(batch["features"], batch["feature_lengths"]).states
        torch.testing.assert_close(states, quiet)


@FAMILIES
def test_number_of_frames_is_known_beforehand(build: Any, clip: Any, family: str) -> None:
    model, processor = build(family, frame_stride=1)
    for samples in (1600, 1601, 1999, 2000, 2320, 3679, 3680, 3681, 5000, 7777, 16000, 20159):
        batch = processor.features([clip(samples / 16_000)])
        length = int(batch["feature_lengths"][0])
        with torch.no_grad():
            frames = model.speech_encoder(batch["features"], batch["feature_lengths"]).states.shape[1]
        assert frames == encoder_frames(model.config.speech_config, length), samples


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 100])
def test_pooling_averages_runs_of_frames(load: Any, build: Any, clip: Any, stride: int) -> None:
    _, processor = build("hubert")
    batch = processor.features([clip(0.5)])
    with torch.no_grad():
        full = SpeechEncoder(load("hubert"), [1, 2], 1)(batch["features"], batch["feature_lengths"]).states[0]
        pooled = SpeechEncoder(load("hubert"), [1, 2], stride)(batch["features"], batch["feature_lengths"])
    assert len(full) % 5 != 0, "a length that leaves a rest"
    expected = [full[start : start + stride].mean(0) for start in range(0, len(full), stride)]
    torch.testing.assert_close(pooled.states[0], torch.stack(expected))


def test_whisper_clip_longer_than_its_positions_is_refused(build: Any, clip: Any) -> None:
    model, processor = build("whisper")
    batch = processor.features([clip(30.5)])
    with pytest.raises(ValueError, match="30"):
        model.hear(**batch)


def test_whisper_reads_the_last_moments_of_a_short_clip(build: Any, clip: Any) -> None:
    model, processor = build("whisper")
    audio = clip(1.0)
    changed = audio.copy()
    changed[-1600:] = np.random.default_rng(0).standard_normal(1600) * 0.05
    a, b = (model.hear(**processor.features([x])).embeddings for x in (audio, changed))
    assert a.shape == b.shape
    assert not torch.allclose(a, b, atol=1e-3)
