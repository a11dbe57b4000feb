"""The lean way reads and writes what transformers' general one does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationMixin

from aligncap.captions.habits import Phrases
from aligncap.model.decoding import LlamaDecoder, chosen_by, likeliest
from aligncap.model.prefix import run_prefix
from aligncap.testing import tiny_model

CLUES = ["Feeling: sad.", "", "Feeling: angry, perhaps afraid. Voice: fast."]


@pytest.fixture
def ready(tmp_path: Path) -> Any:
    """A merged model whose adapters did something, and prompts of three lengths."""
    model, processor = tiny_model("whisper", "llama", tmp_path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3)
    model.eval().merge_adapters()
    clips = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in (16000, 40000, 9000)]
    features = processor.features(clips)
    with torch.inference_mode():
        speech = model.hear(features["features"], features["feature_lengths"])
    return model, processor, speech


def general(model: Any, prompts: Any, speech: Any, **options: Any) -> torch.Tensor:
    embedded = model.embed(prompts["input_ids"], speech)
    return model.language_model.generate(
        inputs_embeds=embedded, attention_mask=prompts["attention_mask"], do_sample=False, **options
    )


@pytest.mark.parametrize("rows", [[0, 1, 2], [1]])
def test_the_same_tokens_as_the_general_loop(ready: Any, rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor, speech = ready
    speech = speech.select(rows)
    speech.embeddings, speech.mask = (x[:, : int(speech.mask.sum(1).max())] for x in (speech.embeddings, speech.mask))
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=[CLUES[row] for row in rows])
    assert (len(rows) == 1) == bool(prompts["attention_mask"].all())
    with torch.inference_mode():
        expected = general(model, prompts, speech, max_new_tokens=24)
        assert len(set(expected.flatten().tolist())) > 3
        monkeypatch.setattr(GenerationMixin, "generate", None)
        written = model.generate(**prompts, speech=speech, max_new_tokens=24, do_sample=False)
    assert torch.equal(written, expected)


def test_rows_end_where_they_say_so(ready: Any) -> None:
    model, processor, speech = ready
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=CLUES)
    with torch.inference_mode():
        free = general(model, prompts, speech, max_new_tokens=12)
        model.generation_config.eos_token_id = [int(free[0, 3]), int(free[1, 7])]
        model.generation_config.pad_token_id = 1
        expected = general(model, prompts, speech, max_new_tokens=12)
        assert (expected == 1).any()
        written = model.generate(**prompts, speech=speech, max_new_tokens=12, do_sample=False)
    assert torch.equal(written, expected)


def noisy(scores: torch.Tensor, rows: Any, places: Any) -> torch.Tensor:
    """A chooser under which every row says something else, and never the same for long."""
    sources = [torch.Generator().manual_seed(7 * row + place) for row, place in zip(rows, places, strict=True)]
    noise = [torch.randn(scores.shape[1], generator=source) for source in sources]
    return (scores + 3 * torch.stack(noise)).argmax(-1)


def test_goes_on_from_a_prefix_and_asks_the_chooser(ready: Any) -> None:
    model, processor, speech = ready
    counts = speech.mask.sum(1).tolist()
    prompts = processor.prompts(counts, "Describe.", CLUES)
    other = processor.prompts(counts, "What does the speaker feel?", CLUES)
    with torch.inference_mode():
        expected = general(model, prompts, speech, max_new_tokens=9, logits_processor=chosen_by(noisy))
        prefix = run_prefix(model, other, prompts, speech)
        before = [layer.keys.clone() for layer in prefix.cache.layers]
        for _ in range(2):
            written = model.generate(
                **prompts,
                speech=speech,
                max_new_tokens=9,
                do_sample=False,
                past_key_values=prefix.copy(),
                chooser=noisy,
            )
            assert torch.equal(written, expected)
    assert all(torch.equal(a, layer.keys) for a, layer in zip(before, prefix.cache.layers, strict=True))


def test_guesses_change_nothing_but_the_number_of_passes(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor, speech = ready
    speech = speech.select([0, 1, 2, 1])
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=[*CLUES, "Voice: slow."])
    model.generation_config.pad_token_id = 1
    passes = []
    plain = model.lean._run
    monkeypatch.setattr(model.lean, "_run", lambda x, *rest: (passes.append(len(x)), plain(x, *rest))[1])
    for chooser in (likeliest, noisy):
        options = {"speech": speech, "max_new_tokens": 24, "do_sample": False, "chooser": chooser}
        with torch.inference_mode():
            free = model.generate(**prompts, **options)
            if chooser is noisy:  # one row ends early, in the midst of a guess, and one late
                model.generation_config.eos_token_id = [int(free[0, 4]), int(free[1, 13])]
            expected = model.generate(**prompts, **options)
            lengths = set((expected != 1).sum(1).tolist())
            assert len(lengths) == (4 if chooser is noisy else 1), lengths
            knowing = Phrases([row.tolist() for row in free])
            wrong = Phrases([[int(token), 3, 5, 3, 5] for token in free.unique()])
            counts = []
            for phrases in (None, knowing, wrong):
                passes.clear()
                assert torch.equal(model.generate(**prompts, **options, phrases=phrases), expected)
                counts.append(len(passes))
            assert counts[1] < counts[0] / 2, "known phrases save passes"
            assert max(passes) > 4, "nothing was guessed that could be wrong"


def test_reads_as_the_general_way_wherever_the_padding_is(ready: Any) -> None:
    model, _, _ = ready
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(3, 9, model.language_model.config.hidden_size, generator=generator)
    mask = torch.tensor([[1] * 9, [0, 0, 1, 1, 1, 1, 1, 0, 1], [1, 1, 0, 0, 0, 1, 1, 1, 1]])
    with torch.inference_mode():
        whole, state = model.lean.read(embeddings, mask)
        _, beginning = model.lean.read(embeddings[:, :6], mask[:, :6])
        kept = [layer.keys.clone() for layer in beginning.layers]
        rest, _ = model.lean.read(embeddings[:, 6:], mask, beginning)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        expected = model.language_model.model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=places, use_cache=True
        )
    seen = mask.bool()
    torch.testing.assert_close(whole[seen], expected.last_hidden_state[seen], rtol=1e-4, atol=1e-5)
    assert not whole[~seen].any()
    torch.testing.assert_close(rest, whole[:, 6:], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(old, layer.keys) for old, layer in zip(kept, beginning.layers, strict=True))
    for layer, other in zip(state.layers, expected.past_key_values.layers, strict=True):
        torch.testing.assert_close(
            layer.keys.transpose(1, 2)[seen], other.keys.transpose(1, 2)[seen], rtol=1e-4, atol=1e-5
        )


def test_rows_that_ended_cost_nothing_and_change_nothing(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor, speech = ready
    speech = speech.select([0, 1, 2, 1])
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=[*CLUES, "Voice: slow."])
    run = []
    plain = model.lean._run
    monkeypatch.setattr(model.lean, "_run", lambda x, *rest: (run.append(len(x)), plain(x, *rest))[1])
    options = {"speech": speech, "max_new_tokens": 12, "do_sample": False, "chooser": noisy}
    with torch.inference_mode():
        free = model.generate(**prompts, **options)
        model.generation_config.eos_token_id = [int(free[row, at]) for row, at in enumerate((2, 5, 7))]
        model.generation_config.pad_token_id = 1
        run.clear()
        written = model.generate(**prompts, **options)
    lengths = [int((row != 1).sum()) for row in written]
    assert min(lengths) < max(lengths)
    for row, length in enumerate(lengths):
        assert torch.equal(written[row, :length], free[row, :length])
    assert run[1] == 4
    assert run[-1] <= 2, "the rows that ended were run to the last"


def test_what_it_cannot_decode_goes_the_general_way(ready: Any, tmp_path: Path) -> None:
    model, processor, speech = ready
    assert LlamaDecoder.supports(model.language_model)
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=CLUES)
    with torch.inference_mode():
        before = model.generate(**prompts, speech=speech, max_new_tokens=5, do_sample=False)
        assert model.generate(**prompts, speech=speech, max_new_tokens=5, num_beams=2).shape[0] == 3
        model.language_model.double().float()
        assert not model._decoder.attached()
        assert torch.equal(model.generate(**prompts, speech=speech, max_new_tokens=5, do_sample=False), before)
    for family in ("qwen3", "gemma3"):
        assert not LlamaDecoder.supports(tiny_model("whisper", family, tmp_path)[0].language_model)
    assert not LlamaDecoder.supports(tiny_model("whisper", "llama", tmp_path)[0].language_model), "not merged"
