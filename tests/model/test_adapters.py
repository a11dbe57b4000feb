"""Adapters and what trains."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from aligncap.errors import CheckpointError
from aligncap.model.base import load_language_model
from aligncap.testing import LLM_FAMILIES

FAMILIES = pytest.mark.parametrize("llm", LLM_FAMILIES)


def is_base(name: str) -> bool:
    return name.startswith(("speech_encoder.", "language_model.")) and "lora_" not in name


def loss_of(model: Any, processor: Any, clip: Any) -> Any:
    clips = [clip(0.3, 0), clip(0.8, 1)]
    batch = processor.features(clips)
    counts = [processor.embedding_count(int(n)) for n in batch["feature_lengths"]]
    speech = model.hear(**batch)
    out = model(**processor.prompts(counts, responses=["sad", "glad and fast"]), speech=speech)
    assert torch.equal(out.emotion_logits, speech.emotion_logits)
    targets = torch.tensor([0, 1])
    heads = (speech.emotion_logits, speech.bridge_logits)
    return out.loss + sum(nn.functional.cross_entropy(logits, targets) for logits in heads)


@pytest.mark.parametrize("kind", ["qformer", "conv"])
@pytest.mark.parametrize(("bridge", "adapters"), [(True, False), (False, True), (True, True)])
def test_gradients_reach_exactly_what_is_to_train(
    build: Any, clip: Any, kind: str, bridge: bool, adapters: bool
) -> None:
    model, processor = build(bridge={"kind": kind})
    model.train_parts(bridge=bridge, adapters=adapters)
    loss_of(model, processor, clip).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    lora = {name for name, _ in model.named_parameters() if "lora_" in name}
    own = {name for name, _ in model.named_parameters() if not is_base(name)} - lora
    assert {"layer_weights", "bridge.scale", "emotion_head.weight", "bridge_head.weight"} <= own
    assert reached == (own if bridge else set()) | (lora if adapters else set())
    assert not any(p.grad is not None for name, p in model.named_parameters() if is_base(name))


def test_a_new_model_trains_bridge_and_adapters_only(build: Any) -> None:
    model, _ = build()
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name for name, _ in model.named_parameters() if is_base(name)
    }


def test_emotion_head_reads_the_summary_and_leaves_the_bridge_alone(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor.features([clip(0.3, 0), clip(0.8, 1)])
    model.hear(**batch).emotion_logits.square().sum().backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {"emotion_head.weight", "emotion_head.bias"}


def test_bridge_head_trains_the_bridge(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor.features([clip(0.3, 0), clip(0.8, 1)])
    model.hear(**batch).bridge_logits[:, 0].sum().backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"layer_weights", "bridge", "bridge_head"}


def test_nothing_trains_when_nothing_is_to(build: Any) -> None:
    model, _ = build()
    model.train_parts(bridge=False, adapters=False)
    assert not any(p.requires_grad for p in model.parameters())


@FAMILIES
def test_new_adapters_change_nothing(bases: Path, llm: str) -> None:
    from aligncap.testing import tiny_model

    model, processor = tiny_model("whisper", llm, bases)
    batch = processor.prompts([0], ["What is joy?"])
    plain = load_language_model(str(bases / llm))
    assert torch.equal(model.eval()(**batch).logits, plain.eval()(**batch).logits)


@FAMILIES
def test_teacher_is_the_plain_language_model_and_the_student_comes_back(build: Any, bases: Path, llm: str) -> None:
    model, processor = build(llm=llm)
    batch = processor.prompts([0, 0], ["What is joy?", "And what is it that you fear?"])
    plain = load_language_model(str(bases / llm)).eval()
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    expected = plain(**batch, position_ids=positions).logits
    student = model(**batch).logits
    with model.teacher():
        teacher = model(**batch).logits
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(teacher[real], expected[real])
    assert not torch.allclose(student[real], teacher[real], atol=0.01)
    assert torch.equal(model(**batch).logits, student)


def test_student_comes_back_after_an_exception(build: Any) -> None:
    model, processor = build()
    batch = processor.prompts([0], ["What is joy?"])
    student = model(**batch).logits
    with pytest.raises(KeyError), model.teacher():
        raise KeyError
    assert torch.equal(model(**batch).logits, student)


def test_teacher_within_teacher(build: Any) -> None:
    model, processor = build()
    batch = processor.prompts([0], ["What is joy?"])
    with model.teacher():
        outer = model(**batch).logits
        with model.teacher():
            pass
        assert torch.equal(model(**batch).logits, outer)


@pytest.mark.parametrize(("bridge", "adapters"), [(True, False), (False, True), (True, True), (False, False)])
def test_teacher_leaves_alone_what_trains(build: Any, bridge: bool, adapters: bool) -> None:
    model, _ = build()
    model.train_parts(bridge=bridge, adapters=adapters)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    with model.teacher():
        pass
    assert {name: p.requires_grad for name, p in model.named_parameters()} == before


def test_gradients_of_the_student_survive_a_teacher_pass(build: Any, clip: Any) -> None:
    model, processor = build()
    student = loss_of(model, processor, clip)
    with torch.no_grad(), model.teacher():
        model(**processor.prompts([0], ["What is joy?"]))
    student.backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "lora_" in name)


def test_without_adapters(build: Any, clip: Any) -> None:
    model, processor = build(lora=None)
    assert not any("lora_" in name for name, _ in model.named_parameters())
    with model.teacher():
        inside = loss_of(model, processor, clip)
    assert torch.equal(inside, loss_of(model, processor, clip))
    model.merge_adapters()
    assert torch.equal(inside, loss_of(model, processor, clip))


def test_a_merged_model_has_no_teacher(build: Any) -> None:
    """Its adapters can no longer be switched off: what passed for the teacher would be the student."""
    model, processor = build()
    batch = processor.prompts([0], ["What is joy?"])
    model.merge_adapters()
    student = model(**batch).logits
    with pytest.raises(CheckpointError, match="merged"), model.teacher():
        raise AssertionError("the block was entered")
    assert torch.equal(model(**batch).logits, student)


@FAMILIES
def test_merged_adapters_give_the_same_logits(build: Any, clip: Any, llm: str) -> None:
    model, processor = build(llm=llm)
    batch = processor([clip(0.3, 0), clip(0.8, 1)])
    with torch.no_grad():
        before = model(**batch).logits
        captions = model.generate(**batch, max_new_tokens=6)
        model.merge_adapters()
        after = model(**batch).logits
    assert not any("lora_" in name for name, _ in model.named_parameters())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.generate(**batch, max_new_tokens=6), captions)
