"""Tiny models for tests: random weights of the families that AlignCap supports, made offline in no time.

Nothing here was trained: the captions are noise. The folders look exactly like those of public base weights
(configuration, safetensors, tokenizer or feature extractor), so that tests go the way that users go.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.testing.language_models import LLM_FAMILIES, tiny_language_model
from aligncap.testing.speech_encoders import SPEECH_FAMILIES, tiny_speech_encoder

__all__ = ["LLM_FAMILIES", "SPEECH_FAMILIES", "tiny_language_model", "tiny_model", "tiny_speech_encoder"]

_SETTINGS: dict[str, Any] = {
    "taps": [0, 1, 2],
    "frame_stride": 2,
    "bridge": {
        "width": 16,
        "layers": 1,
        "heads": 2,
        "window": 4,
        "queries": 2,
        "utterance_embeddings": 2,
        "nuisance_rank": 3,
    },
    "lora": {"rank": 2, "alpha": 4},
}


def tiny_model(
    speech_family: str, llm_family: str, folder: str | Path, **settings: Any
) -> tuple[AlignCapForConditionalGeneration, AlignCapProcessor]:
    """A new model on tiny base weights, with its processor.

    The weights are random and always the same. The base weights stay in ``folder``, where a saved checkpoint
    of the model looks for them.

    Args:
        speech_family: one of `SPEECH_FAMILIES`.
        llm_family: one of `LLM_FAMILIES`.
        folder: where the base weights are written; what is already there is used as it is.
        settings: fields of `AlignCapConfig`, instead of the tiny defaults; ``bridge`` field by field.

    Raises:
        ValueError: no such family.
    """
    encoder = tiny_speech_encoder(speech_family, Path(folder) / speech_family)
    llm = tiny_language_model(llm_family, Path(folder) / llm_family)
    settings = {**_SETTINGS, **settings, "bridge": {**_SETTINGS["bridge"], **settings.get("bridge", {})}}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AlignCapForConditionalGeneration.from_base(str(encoder), str(llm), **settings)
    return model, AlignCapProcessor.from_config(model.config)
