"""Loading the parts that AlignCap does not train: speech encoder, language model, tokenizer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
)

from aligncap.errors import WeightsUnavailableError
from aligncap.model.configuration import SPEECH_TOKEN

__all__ = [
    "fingerprint",
    "load_feature_extractor",
    "load_language_model",
    "load_speech_encoder",
    "load_tokenizer",
]

_CATALOGUE = "aligncap:"


def locate(name: str) -> str:
    """Turn a base weights' name into something that ``transformers`` loads.

    Args:
        name: ``aligncap:NAME`` for an entry of the weights catalogue (fetched if need be), else a Hub name or
            a folder.
    """
    if name.startswith(_CATALOGUE):
        from aligncap.weights import resolve

        return str(resolve(name.removeprefix(_CATALOGUE)))
    path = Path(name).expanduser()
    if path.is_absolute() and not path.is_dir():
        raise WeightsUnavailableError(f"{name}: there is no such folder of base weights")
    return str(path) if path.is_dir() else name


def load_speech_encoder(name: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load the encoder; of an encoder-decoder such as Whisper only the encoder half."""
    path = locate(name)
    config = AutoConfig.from_pretrained(path)
    if config.model_type == "whisper":
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        if config.architectures == ["WhisperEncoder"]:
            return WhisperEncoder.from_pretrained(path, dtype=dtype)
    model = AutoModel.from_pretrained(path, dtype=dtype)
    return model.get_encoder() if config.model_type == "whisper" else model


def load_language_model(name: str, dtype: torch.dtype = torch.float32, **kwargs: Any) -> PreTrainedModel:
    """Load the causal language model."""
    return AutoModelForCausalLM.from_pretrained(locate(name), dtype=dtype, **kwargs)


def load_tokenizer(name: str) -> Any:
    """Load the tokenizer, with the speech placeholder added and padding on the left."""
    tokenizer = AutoTokenizer.from_pretrained(locate(name), padding_side="left")
    tokenizer.add_tokens([SPEECH_TOKEN], special_tokens=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_feature_extractor(name: str) -> Any:
    """Load the encoder's feature extractor."""
    return AutoFeatureExtractor.from_pretrained(locate(name))


def fingerprint(model: nn.Module) -> str:
    """Short hash of a model's parameters: names, shapes and sixteen values of each.

    Values are rounded to bfloat16, so that the hash is the same for float32 and bfloat16 copies.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        flat = parameter.detach().reshape(-1)
        positions = torch.arange(16, device=flat.device) * (flat.numel() - 1) // 15
        sample = flat[positions].to(torch.bfloat16).view(torch.int16).cpu().numpy().tobytes()
        digest.update(f"{name}{tuple(parameter.shape)}".encode() + sample)
    return digest.hexdigest()[:32]
