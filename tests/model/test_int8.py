"""8-bit layers: close to the plain ones, the same alone and in any batch, and decoded by the lean loop alike."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, LlamaConfig, LlamaForCausalLM

from aligncap.model import modeling
from aligncap.model.decoding import LlamaDecoder
from aligncap.model.int8 import Int8Linear, has_integer_dot_products, quantise
from aligncap.testing import tiny_model


def layer(inputs: int, outputs: int, *, bias: bool = False, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 64), (40, 64), (2, 3, 64)])
def test_close_to_the_plain_layer(shape: tuple[int, ...], bias: bool) -> None:
    plain = layer(64, 96, bias=bias)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = plain(x), Int8Linear.of(plain)(x)
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < 0.02


def test_exact_where_numbers_are_whole() -> None:
    """Weights and inputs that 8 bits hold exactly give the very products."""
    generator = torch.Generator().manual_seed(0)
    plain = layer(32, 16)
    weight = torch.randint(-127, 128, (16, 32), generator=generator).float()
    weight[:, 0] = 127
    x = torch.randint(-127, 128, (20, 32), generator=generator).float()
    x[:, 1] = -127
    with torch.inference_mode():
        plain.weight.copy_(weight)
        assert torch.equal(Int8Linear.of(plain)(x), x @ weight.T)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(2, 40), seed=st.integers(0, 1000), size=st.floats(1e-3, 1e4))
def test_a_row_is_the_same_alone_and_in_any_batch(rows: int, seed: int, size: float) -> None:
    quantised = Int8Linear.of(layer(48, 24))
    x = torch.randn(rows, 48, generator=torch.Generator().manual_seed(seed))
    x[0] *= size
    with torch.inference_mode():
        assert torch.equal(quantised(x)[1], quantised(x[1:2])[0])


def test_zeros_stay_zeros() -> None:
    plain = layer(16, 8)
    with torch.inference_mode():
        plain.weight[3] = 0.0
        found = Int8Linear.of(plain)(torch.zeros(2, 16))
        row = Int8Linear.of(plain)(torch.ones(2, 16))[:, 3]
    assert torch.equal(found, torch.zeros(2, 8))
    assert torch.equal(row, torch.zeros(2))


def test_layers_side_by_side() -> None:
    one, two = Int8Linear.of(layer(16, 8)), Int8Linear.of(layer(16, 4, seed=1))
    x = torch.randn(5, 16)
    with torch.inference_mode():
        assert torch.equal(Int8Linear.joined([one, two])(x), torch.cat([one(x), two(x)], -1))


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_whole_model(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantised, it writes the same alone, in a batch, and by the general loop."""
    model, processor = tiny_model("whisper", family, tmp_path)
    model.eval().merge_adapters(int8=True)
    assert not any(isinstance(module, nn.Linear) for module in model.language_model.modules())
    assert any(isinstance(module, nn.Linear) for module in model.bridge.modules()), "only the language model"
    clips = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in (16000, 40000, 9000)]
    with torch.inference_mode():
        together = model.generate(**processor(clips), max_new_tokens=12, do_sample=False)
        alone = [model.generate(**processor([clip]), max_new_tokens=12, do_sample=False)[0] for clip in clips]
        inputs = processor(clips)
        speech = model.hear(inputs.pop("features"), inputs.pop("feature_lengths"))
        general = model.language_model.generate(
            inputs_embeds=model.embed(inputs["input_ids"], speech),
            attention_mask=inputs["attention_mask"],
            max_new_tokens=12,
            do_sample=False,
        )
        assert torch.equal(general, together)
        for row, single in zip(together, alone, strict=True):
            assert torch.equal(row[: len(single)], single)
        if family == "llama":
            monkeypatch.setattr(GenerationMixin, "generate", None)
            again = model.generate(**processor(clips), max_new_tokens=12, do_sample=False)
            assert torch.equal(again, together)


def test_embeddings_that_are_tied_to_the_head_stay_as_they_are() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 8)
            self.head = nn.Linear(8, 10, bias=False)
            self.head.weight = self.embedding.weight

    model = Tied()
    before = model.embedding.weight.clone()
    quantise(model)
    assert isinstance(model.head, Int8Linear)
    assert torch.equal(model.embedding.weight, before)


def test_what_is_between_the_layers_is_the_same_in_any_batch_to_the_last_bit() -> None:
    """8 bits magnify a last bit that differs; so none may. Of a real model's width: in a small one none does."""
    torch.manual_seed(0)
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, num_hidden_layers=4, **shape)).eval()
    quantise(model)
    decoder = LlamaDecoder(model)
    lengths = torch.randint(20, 61, (16,)).tolist()
    prompts = [torch.randn(1, length, 576) for length in lengths]
    padded = torch.cat([functional.pad(prompt, (0, 0, 60 - prompt.shape[1], 0)) for prompt in prompts])
    mask = (torch.arange(60) >= 60 - torch.tensor(lengths)[:, None]).long()
    with torch.inference_mode():
        together, _ = decoder.read(padded, mask)
        written = decoder.generate(padded, mask, 8)
        for row, prompt in enumerate(prompts):
            alone, _ = decoder.read(prompt, torch.ones(1, lengths[row], dtype=torch.long))
            assert torch.equal(alone[0], together[row, 60 - lengths[row] :])
            [single] = decoder.generate(prompt, torch.ones(1, lengths[row], dtype=torch.long), 8)
            assert torch.equal(single, written[row, : len(single)])


def test_clips_are_heard_the_same_in_any_batch_to_the_last_bit(tmp_path: Path) -> None:
    model, processor = tiny_model("whisper", "llama", tmp_path)
    model.eval().merge_adapters(int8=True)
    clips = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in (16000, 40000, 16000, 9000)]
    features = processor.features(clips)
    with torch.inference_mode():
        together = model.hear(features["features"], features["feature_lengths"])
        for row, clip in enumerate(clips):
            one = processor.features([clip])
            alone = model.hear(one["features"], one["feature_lengths"])
            assert torch.equal(alone.embeddings[0], together.embeddings[row][together.mask[row]])
            assert torch.equal(alone.emotion_logits[0], together.emotion_logits[row])


@pytest.mark.parametrize(
    ("family", "dot_products", "expected"),
    [("llama", True, "int8"), ("llama", False, "float32"), ("qwen3", True, "float32")],
)
def test_chosen_where_it_pays_and_is_exact(family, dot_products, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(modeling, "has_integer_dot_products", lambda: dot_products)
    model, _ = tiny_model("whisper", family, tmp_path)
    assert model.number_format == "float32"
    model.eval().merge_adapters(int8=None)
    assert model.number_format == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"), [({"avx512_vnni": True}, True), ({"avx_vnni": True}, True), ({"avx2": True}, False)]
)
def test_integer_dot_products(capabilities: dict[str, bool], expected: bool, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_integer_dot_products() is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_integer_dot_products(), "a PyTorch that cannot tell"
