"""The loss: on which tokens, and how it is divided."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aligncap.errors import PromptError
from aligncap.testing import LLM_FAMILIES

FAMILIES = pytest.mark.parametrize("llm", LLM_FAMILIES)
RESPONSES = ["sad", "She sounds frightened, with a trace of anger.", "low and slow", "glad"]


@pytest.fixture(scope="session")
def training_batch(clip: Any) -> Callable[..., Any]:
    def training_batch(processor: Any, rows: list[int] | None = None) -> Any:
        rows = list(range(4)) if rows is None else rows
        batch = processor.features([clip(0.2 + 0.3 * row, row) for row in rows])
        counts = [processor.embedding_count(int(n)) for n in batch["feature_lengths"]]
        batch.update(processor.prompts(counts, responses=[RESPONSES[row] for row in rows]))
        return batch

    return training_batch


@FAMILIES
def test_loss_is_the_plain_cross_entropy_on_all_response_tokens(build: Any, training_batch: Any, llm: str) -> None:
    model, processor = build(llm=llm)
    batch = training_batch(processor)
    loss = model(**batch).loss
    with torch.no_grad():
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits
    total, count = 0.0, 0
    for row, response in enumerate(RESPONSES):
        ids = processor.response_ids(response)
        start = batch["input_ids"].shape[1] - len(ids)
        assert batch["input_ids"][row, start:].tolist() == ids
        for place, token in enumerate(ids, start):  # predicted one before: the first by the prompt's last token
            total -= float(logits[row, place - 1].double().log_softmax(-1)[token])
            count += 1
    assert loss.item() == pytest.approx(total / count, rel=1e-4)


def test_first_response_token_is_learned_and_the_prompt_is_not(build: Any, training_batch: Any) -> None:
    model, processor = build()
    batch = training_batch(processor, [1])
    first = int((batch["labels"][0] != -100).nonzero()[0])
    only_first = batch["labels"].clone()
    only_first[0, first + 1 :] = -100
    logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits[0, first - 1]
    expected = -logits.log_softmax(-1)[batch["input_ids"][0, first]]
    loss = model(**{**batch, "labels": only_first}).loss
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    assert (batch["labels"][0, :first] == -100).all()


def test_loss_is_given_without_logits(build: Any, training_batch: Any) -> None:
    model, processor = build()
    out = model(**training_batch(processor))
    assert out.logits is None
    assert out.loss.dim() == 0
    assert out.emotion_logits.shape == (4, len(model.config.emotions))


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("parts", [[[0], [1], [2], [3]], [[0, 1], [2, 3]], [[0, 1, 2], [3]]])
def test_accumulation_is_exact(build: Any, training_batch: Any, parts: list[list[int]]) -> None:
    model, processor = build()
    batch = training_batch(processor)
    items = int((batch["labels"] != -100).sum())
    whole = model(**batch).loss
    whole.backward()
    expected = gradients(model)
    model.zero_grad()
    total = 0.0
    for rows in parts:
        loss = model(**training_batch(processor, rows), num_items_in_batch=torch.tensor(items)).loss
        loss.backward()
        total += float(loss.detach())
    assert total == pytest.approx(float(whole.detach()), rel=1e-5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-5, msg=name)


@FAMILIES
@pytest.mark.parametrize("change", ["fewer", "more", "no speech", "no placeholder"])
def test_placeholders_must_match_embeddings(build: Any, clip: Any, llm: str, change: str) -> None:
    model, processor = build(llm=llm)
    batch = processor([clip(0.3), clip(0.6)])
    ids, places = batch["input_ids"], batch["input_ids"] == model.speech_token_id
    if change == "fewer":
        ids[0, places[0].nonzero()[0]] = 5
    elif change == "more":
        ids[1, (~places[1]).nonzero()[-1]] = model.speech_token_id
    elif change == "no placeholder":
        ids[places] = 5
    else:
        del batch["features"], batch["feature_lengths"]
    for call in (model.forward, lambda **inputs: model.generate(**inputs, max_new_tokens=1)):
        with pytest.raises(PromptError, match="placeholders"):
            call(**batch)


def test_same_total_in_the_wrong_clips_is_refused(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor([clip(0.3), clip(0.6)])
    ids, places = batch["input_ids"], batch["input_ids"] == model.speech_token_id
    ids[1, places[1].nonzero()[0]] = 5
    ids[0, (~places[0]).nonzero()[-1]] = model.speech_token_id
    with pytest.raises(PromptError):
        model(**batch)


def test_speech_embeddings_stand_where_the_placeholders_are(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor([clip(0.3, 0), clip(0.9, 1)])
    speech = model.hear(batch["features"], batch["feature_lengths"])
    embedded = model.embed(batch["input_ids"], speech)
    table = model.get_input_embeddings().weight
    for row, ids in enumerate(batch["input_ids"]):
        place = ids == model.speech_token_id
        assert torch.equal(embedded[row, place], speech.embeddings[row, speech.mask[row]])
        assert torch.equal(embedded[row, ~place], table[ids[~place]])


def test_speech_heard_once_serves_many_prompts(build: Any, clip: Any) -> None:
    model, processor = build()
    clips = [clip(0.3, 0), clip(0.9, 1)]
    batch = processor(clips)
    speech = model.hear(batch.pop("features"), batch.pop("feature_lengths"))
    whole = model.generate(**processor(clips), max_new_tokens=5)
    assert torch.equal(model.generate(**batch, speech=speech, max_new_tokens=5), whole)
    twice = {key: value[[1, 1, 0]] for key, value in batch.items()}
    again = model.generate(**twice, speech=speech.select([1, 1, 0]), max_new_tokens=5)
    assert torch.equal(again, whole[[1, 1, 0]])


def test_generation_options_are_obeyed(build: Any, clip: Any) -> None:
    model, processor = build()
    batch = processor([clip(0.3, 0), clip(0.9, 1)])
    beams = model.generate(**batch, max_new_tokens=4, num_beams=2, num_return_sequences=2)
    assert beams.shape[0] == 4
    torch.manual_seed(3)
    sampled = model.generate(**batch, max_new_tokens=8, do_sample=True)
    torch.manual_seed(3)
    assert torch.equal(model.generate(**batch, max_new_tokens=8, do_sample=True), sampled)
    assert not torch.equal(sampled[:, :4], model.generate(**batch, max_new_tokens=4, do_sample=False))


@FAMILIES
def test_speech_embeddings_begin_as_large_as_token_embeddings(bases: Path, clip: Any, llm: str) -> None:
    from aligncap.testing import tiny_model

    model, processor = tiny_model("whisper", llm, bases)
    batch = processor([clip(3.0)])
    with torch.no_grad():
        heard = model.eval().hear(batch["features"], batch["feature_lengths"])
        embedded = model.embed(batch["input_ids"], heard)
    speech = batch["input_ids"] == model.speech_token_id
    ratio = float(embedded[speech].std() / embedded[~speech].std())
    assert 0.5 < ratio < 2, ratio
