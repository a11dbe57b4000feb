"""A language model with absolute positions: left padding must not shift them (rotary positions hide that)."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.base import load_tokenizer
from aligncap.testing import tiny_language_model, tiny_speech_encoder


@pytest.fixture(scope="session")
def gpt2(bases: Path) -> tuple[AlignCapForConditionalGeneration, AlignCapProcessor]:
    folder = bases / "gpt2"
    llama = tiny_language_model("llama", bases / "llama")
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llama / name, folder / name)
    eos = load_tokenizer(str(llama)).eos_token_id
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=300,
        n_positions=256,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.2,
        bos_token_id=eos,
        eos_token_id=eos,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    encoder = tiny_speech_encoder("whisper", bases / "whisper")
    model = AlignCapForConditionalGeneration.from_base(str(encoder), str(folder), taps=[1, 2])
    return model.eval(), AlignCapProcessor.from_config(model.config)


def test_caption_alone_is_caption_in_a_batch(gpt2: tuple[Any, Any], clip: Any) -> None:
    model, processor = gpt2
    clips = [clip(0.2, 0), clip(3.0, 1)]
    batch = processor(clips)
    logits = model(**batch).logits[:, -1]
    captions = model.generate(**batch, max_new_tokens=6, do_sample=False).tolist()
    for row, audio in enumerate(clips):
        inputs = processor([audio])
        torch.testing.assert_close(model(**inputs).logits[0, -1], logits[row], rtol=1e-4, atol=1e-4)
        alone = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0].tolist()
        assert captions[row][: len(alone)] == alone


def test_loss_of_a_batch_is_that_of_its_clips(gpt2: tuple[Any, Any], clip: Any) -> None:
    model, processor = gpt2
    clips, responses = [clip(0.2, 0), clip(3.0, 1)], ["sad", "She sounds frightened."]

    def total(rows: list[int]) -> float:
        batch = processor.features([clips[row] for row in rows])
        counts = [processor.embedding_count(int(n)) for n in batch["feature_lengths"]]
        batch.update(processor.prompts(counts, responses=[responses[row] for row in rows]))
        return float(model(**batch, num_items_in_batch=1).loss.detach())

    assert total([0, 1]) == pytest.approx(total([0]) + total([1]), rel=1e-4)
