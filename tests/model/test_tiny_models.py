"""The tiny models that `aligncap.testing` makes are ordinary base weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCausalLM, AutoTokenizer

from aligncap.testing import (
    LLM_FAMILIES,
    SPEECH_FAMILIES,
    tiny_language_model,
    tiny_model,
    tiny_speech_encoder,
)


@pytest.mark.parametrize("family", SPEECH_FAMILIES)
def test_speech_encoder_loads_with_the_auto_classes(bases: Path, family: str) -> None:
    folder = tiny_speech_encoder(family, bases / family)
    assert AutoConfig.from_pretrained(folder).model_type == family
    assert sum(p.numel() for p in AutoModel.from_pretrained(folder).parameters()) < 100_000
    assert AutoFeatureExtractor.from_pretrained(folder).sampling_rate == 16_000


@pytest.mark.parametrize("family", LLM_FAMILIES)
def test_language_model_loads_with_the_auto_classes(bases: Path, family: str) -> None:
    folder = tiny_language_model(family, bases / family)
    assert AutoConfig.from_pretrained(folder).model_type.startswith(family)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert sum(p.numel() for p in model.parameters()) < 100_000
    assert len(tokenizer) == model.config.vocab_size
    text = "She sounds frightened; ¿why? 你好 🙂\n"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert (tokenizer.chat_template is None) is (family == "llama")


def test_weights_are_always_the_same_and_seeds_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    models = [tiny_model("wavlm", "gemma3", tmp_path / name)[0] for name in "ab"]
    assert torch.equal(torch.rand(1), expected)
    for part in ("wavlm", "gemma3"):
        a, b = (load_file(tmp_path / name / part / "model.safetensors") for name in "ab")
        assert all(torch.equal(a[key], b[key]) for key in a.keys() | b.keys())
    a, b = (model.own_state() for model in models)
    assert all(torch.equal(a[key], b[key]) for key in a.keys() | b.keys())


def test_a_model_already_there_is_left_alone(tmp_path: Path) -> None:
    path = tiny_language_model("llama", tmp_path) / "model.safetensors"
    before = path.stat().st_mtime_ns
    tiny_language_model("llama", tmp_path)
    assert path.stat().st_mtime_ns == before


def test_unknown_families_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whisper, hubert"):
        tiny_speech_encoder("gramophone", tmp_path)
    with pytest.raises(ValueError, match="llama, qwen3"):
        tiny_language_model("eliza", tmp_path)
