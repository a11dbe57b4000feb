"""Tiny random speech encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    HubertConfig,
    HubertModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

__all__ = ["SPEECH_FAMILIES", "tiny_speech_encoder"]

WIDTH = 16
LAYERS = 2
MELS = 16


def tiny_speech_encoder(family: str, folder: str | Path) -> Path:
    """Write a speech encoder with random weights, and its feature extractor, into a folder.

    Width 16, two layers, the frame rate of the real family. Whisper has a decoder too, as public Whisper
    weights have. HuBERT normalises over time and WavLM per frame (with the norm before each block), so that
    both kinds of the wav2vec 2.0 family are there.

    Args:
        family: one of `SPEECH_FAMILIES`.
        folder: made if need be; left alone where it already holds a model.

    Returns:
        The folder.

    Raises:
        ValueError: no such family.
    """
    if family not in _BUILDERS:
        raise ValueError(f"unknown speech encoder family {family!r}; choose one of {', '.join(SPEECH_FAMILIES)}")
    folder = Path(folder)
    if not (folder / "model.safetensors").is_file():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, extractor = _BUILDERS[family]()
        extractor.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def _whisper() -> tuple[Any, Any]:
    config = WhisperConfig(
        d_model=WIDTH,
        encoder_layers=LAYERS,
        encoder_attention_heads=2,
        encoder_ffn_dim=2 * WIDTH,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=2 * WIDTH,
        num_mel_bins=MELS,
        vocab_size=16,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        begin_suppress_tokens=None,
        init_std=0.2,
    )
    return WhisperModel(config), WhisperFeatureExtractor(feature_size=MELS)


def _wav2vec2_settings(per_frame: bool) -> dict[str, Any]:
    return {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 2 * WIDTH,
        "conv_dim": [WIDTH] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "feat_extract_norm": "layer" if per_frame else "group",
        "do_stable_layer_norm": per_frame,
        "initializer_range": 0.2,
    }


def _hubert() -> tuple[Any, Any]:
    return HubertModel(HubertConfig(**_wav2vec2_settings(per_frame=False))), Wav2Vec2FeatureExtractor(
        do_normalize=False
    )


def _wavlm() -> tuple[Any, Any]:
    return WavLMModel(WavLMConfig(**_wav2vec2_settings(per_frame=True))), Wav2Vec2FeatureExtractor(do_normalize=True)


def _wav2vec2_bert() -> tuple[Any, Any]:
    config = Wav2Vec2BertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        feature_projection_input_dim=2 * MELS,
        output_hidden_size=WIDTH,
        initializer_range=0.2,
    )
    return Wav2Vec2BertModel(config), SeamlessM4TFeatureExtractor(feature_size=MELS, num_mel_bins=MELS)


_BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "whisper": _whisper,
    "hubert": _hubert,
    "wavlm": _wavlm,
    "wav2vec2-bert": _wav2vec2_bert,
}
SPEECH_FAMILIES = tuple(_BUILDERS)
