"""The speech encoder, the emotion head and the bridge as an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from aligncap.model import AlignCapForConditionalGeneration

__all__ = ["export_hearing"]


class _Hearing(nn.Module):
    """One clip: features to probabilities of emotions, speech embeddings and tap means."""

    def __init__(self, model: AlignCapForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        model = self.model
        states = model.speech_encoder.encode(features) - offset
        mask = torch.ones_like(states[:, :, 0, 0], dtype=torch.bool)
        speech = model.hear_states(states, mask)
        return speech.emotion_logits.softmax(-1), speech.embeddings, states.mean(1)


def export_hearing(model: AlignCapForConditionalGeneration, path: Path) -> None:
    """Write the graph: ``features`` (1, mel bands, T) and ``offset`` (taps, width), which is taken off every frame's
    states, to ``emotions`` (1, emotions), ``embeddings`` (1, K, width) and ``means`` (1, taps, width).

    Args:
        model: in float32, on the CPU, with a Whisper encoder.
        path: of the file to write; all weights lie in it.
    """
    config = model.config
    features = torch.zeros(1, config.speech_config.num_mel_bins, 417)
    offset = torch.zeros(len(config.taps), model.speech_encoder.width)
    for chatty in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Hearing(model).eval(),
            (features, offset),
            path,
            input_names=["features", "offset"],
            output_names=["emotions", "embeddings", "means"],
            dynamic_shapes=({2: torch.export.Dim.DYNAMIC}, None),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
