"""Every speech encoder family with every language model family, all the way."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.base import fingerprint, load_language_model, load_speech_encoder
from aligncap.testing import LLM_FAMILIES, SPEECH_FAMILIES

COMBINATIONS = list(itertools.product(SPEECH_FAMILIES, LLM_FAMILIES))


def is_own(name: str) -> bool:
    return "lora_" in name or not name.startswith(("speech_encoder.", "language_model."))


@pytest.mark.parametrize(("speech", "llm"), COMBINATIONS)
def test_steps_saves_reloads_and_generates(build: Any, clip: Any, tmp_path: Path, speech: str, llm: str) -> None:
    kind = ("qformer", "conv")[COMBINATIONS.index((speech, llm)) % 2]
    model, processor = build(speech, llm, bridge={"kind": kind})
    clips = [clip(0.5, 0), clip(1.3, 1), clip(0.9, 2)]
    batch = processor.features(clips)
    counts = [processor.embedding_count(int(n)) for n in batch["feature_lengths"]]
    batch.update(processor.prompts(counts, responses=["sad", "She sounds frightened.", "calm and slow"]))

    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    heard = model.hear(batch.pop("features"), batch.pop("feature_lengths"))
    loss = model(**batch, speech=heard).loss
    for logits in (heard.emotion_logits, heard.bridge_logits):
        loss = loss + nn.functional.cross_entropy(logits, torch.tensor([1, 2, 3]))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is is_own(name), name
        assert torch.equal(parameter, before[name]) is not is_own(name), name

    model.eval()
    inputs = processor(clips)
    captions = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)

    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == {name for name in model.state_dict() if is_own(name)}
    config = json.loads((tmp_path / "config.json").read_text())
    for part, family, load in (
        ("speech_encoder", speech, load_speech_encoder),
        ("language_model", llm, load_language_model),
    ):
        name = config["base_weights"][part]["name"]
        assert Path(name).name == family
        assert config["base_weights"][part] == {"name": name, "fingerprint": fingerprint(load(name))}

    again = AlignCapForConditionalGeneration.from_pretrained(tmp_path)
    assert not again.training
    for name, tensor in model.own_state().items():
        assert torch.equal(tensor, again.own_state()[name]), name
    inputs = AlignCapProcessor.from_pretrained(tmp_path)(clips)
    assert torch.equal(again.generate(**inputs, max_new_tokens=8, do_sample=False), captions)


@pytest.mark.parametrize(("speech", "llm"), COMBINATIONS)
def test_caption_alone_is_caption_in_a_batch(build: Any, clip: Any, speech: str, llm: str) -> None:
    model, processor = build(speech, llm)
    clips = [clip(0.15, 0), clip(4.0, 1), clip(0.15, 2)]
    clues = ["", "Feeling tense, high-pitched, hurried.", ""]
    batch = processor(clips, clues=clues)
    assert not batch["attention_mask"].all(1).all(), "no padding in this batch: it tests nothing"
    together = model.generate(**batch, max_new_tokens=10, do_sample=False).tolist()
    logits = model(**batch).logits[:, -1]
    assert float((logits[0] - logits[2]).detach().abs().max()) > 0.01, "the speech is not heard"
    for row, (audio, clue) in enumerate(zip(clips, clues, strict=True)):
        inputs = processor([audio], clues=[clue])
        alone = model.generate(**inputs, max_new_tokens=10, do_sample=False)[0].tolist()
        padding = together[row][len(alone) :]
        assert together[row][: len(alone)] == alone
        assert set(padding) <= {processor.tokenizer.pad_token_id}
        torch.testing.assert_close(model(**inputs).logits[0, -1], logits[row], rtol=1e-4, atol=1e-4)
