"""Label likelihoods equal a plain computation: every answer written out after its prompt, without a cache."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from aligncap.model.likelihood import label_probabilities
from aligncap.testing import LLM_FAMILIES

FAMILIES = pytest.mark.parametrize("llm", LLM_FAMILIES)
LABELS = ["sad", "in fear", "glad", "g", "angry"]
LONG = [f"{one}, with a trace of {other}" for one in ("fear", "sadness") for other in ("joy", "pain")]


def plainly(model: Any, inputs: Any, speech: Any, answers: Sequence[Sequence[int]]) -> Tensor:
    """One clip and one answer at a time: log-probabilities."""
    rows = []
    for row, (ids, mask) in enumerate(zip(inputs["input_ids"], inputs["attention_mask"], strict=True)):
        prompt = ids[mask.bool()].tolist()
        totals = []
        for answer in answers:
            whole = torch.tensor([prompt + list(answer)])
            heard = None if speech is None else speech.select([row])
            logits = model(
                input_ids=whole, attention_mask=torch.ones_like(whole), speech=heard, use_cache=False
            ).logits[0]
            likelihoods = logits.double().log_softmax(-1)
            totals.append(sum(likelihoods[len(prompt) - 1 + at, token] for at, token in enumerate(answer)))
        rows.append(torch.stack(totals))
    expected = torch.stack(rows).log_softmax(-1)
    assert expected.min() > -60, "an answer is too unlikely to be seen in float32: it tests nothing"
    return expected.float()


@pytest.fixture
def case(build: Any, clip: Any) -> Callable[..., Any]:
    """``case(llm)``: model, processor, a batch of prompts with padding, the speech and the answers."""

    def case(llm: str) -> tuple[Any, ...]:
        model, processor = build(llm=llm)
        batch = processor([clip(0.3, 0), clip(1.6, 1), clip(0.8, 2)], clues=["", "high, fast", "low"])
        speech = model.hear(batch.pop("features"), batch.pop("feature_lengths"))
        answers = [processor.response_ids(label) for label in LABELS]
        assert batch["attention_mask"][0, 0] == 0, "no padding in this batch: it tests nothing"
        assert len({len(answer) for answer in answers}) >= 3
        return model, processor, batch, speech, answers

    return case


@FAMILIES
@torch.no_grad()
def test_equals_the_plain_computation(case: Any, llm: str) -> None:
    model, _, batch, speech, answers = case(llm)
    found = label_probabilities(model, batch, speech, answers)
    assert found.shape == (3, len(LABELS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    expected = plainly(model, batch, speech, answers)
    torch.testing.assert_close(found.log(), expected, rtol=1e-4, atol=1e-3)
    assert (found[0].log() - found[1].log()).abs().max() > 0.1, "the speech is not heard"


@FAMILIES
@pytest.mark.parametrize("labels", [LABELS, LONG])
@pytest.mark.parametrize("instructions", [["A", "Ab, c"], ["What is it?", "What? " * 40]])
@torch.no_grad()
def test_text_alone(build: Any, llm: str, instructions: list[str], labels: list[str]) -> None:
    """Gemma's local attention sees 32 tokens: prompts and answers that end before, at and long after that."""
    model, processor = build(llm=llm, system_prompt="")
    batch = processor.prompts([0, 0], instructions)
    answers = [processor.response_ids(label) for label in labels]
    found = label_probabilities(model, batch, None, answers)
    torch.testing.assert_close(found.log(), plainly(model, batch, None, answers), rtol=1e-4, atol=1e-3)


@FAMILIES
@torch.no_grad()
def test_answers_of_one_token(case: Any, llm: str) -> None:
    model, _, batch, speech, _ = case(llm)
    answers = [[9], [70], [40]]
    found = label_probabilities(model, batch, speech, answers)
    torch.testing.assert_close(found.log(), plainly(model, batch, speech, answers), rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_order_of_the_answers_does_not_matter(case: Any) -> None:
    model, _, batch, speech, answers = case("qwen3")
    found = label_probabilities(model, batch, speech, answers)
    order = [3, 0, 4, 2, 1]
    again = label_probabilities(model, batch, speech, [answers[at] for at in order])
    torch.testing.assert_close(again, found[:, order], rtol=1e-4, atol=1e-6)


@FAMILIES
@torch.no_grad()
def test_alone_as_in_a_batch(case: Any, llm: str) -> None:
    model, processor, batch, speech, answers = case(llm)
    together = label_probabilities(model, batch, speech, answers)
    counts = speech.mask.sum(1).tolist()
    for row, clues in enumerate(["", "high, fast", "low"]):
        one = processor.prompts([counts[row]], clues=[clues])
        assert one["attention_mask"].all()
        alone = label_probabilities(model, one, speech.select([row]), answers)
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_one_answer_is_certain(case: Any) -> None:
    model, _, batch, speech, answers = case("llama")
    assert label_probabilities(model, batch, speech, answers[1:2]).tolist() == [[1.0]] * 3


@torch.no_grad()
def test_merged_adapters_give_the_same(case: Any) -> None:
    model, _, batch, speech, answers = case("qwen3")
    before = label_probabilities(model, batch, speech, answers)
    model.merge_adapters()
    torch.testing.assert_close(label_probabilities(model, batch, speech, answers), before, rtol=1e-3, atol=1e-5)
