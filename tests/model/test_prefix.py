from pathlib import Path

import numpy as np
import pytest
import torch

from aligncap.model.likelihood import distinguishing, label_probabilities
from aligncap.model.prefix import pad_inside, run_prefix
from aligncap.testing import LLM_FAMILIES, tiny_model

CLUES = ["Feeling: sad.", "", "Feeling: angry, perhaps afraid. Voice: fast."]


@pytest.mark.parametrize("family", LLM_FAMILIES)
def test_running_the_common_beginning_once_changes_nothing(family: str, tmp_path: Path) -> None:
    model, processor = tiny_model("whisper", family, tmp_path)
    model.eval()
    clips = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in (16000, 40000, 9000)]
    features = processor.features(clips)
    speech = model.hear(features["features"], features["feature_lengths"])
    counts = speech.mask.sum(1).tolist()
    word = processor.prompts(counts, "What does the speaker feel?", CLUES)
    caption = processor.prompts(counts, "Describe the emotion in the voice.", CLUES)
    answers = [processor.response_ids(text) for text in ("sad", "angry", "a")]
    with torch.inference_mode():
        prefix = run_prefix(model, word, caption, speech)
        assert prefix.length > max(counts), "speech and clues belong to the beginning"
        shared = label_probabilities(model, word, speech, answers, prefix)
        torch.testing.assert_close(shared, label_probabilities(model, word, speech, answers), rtol=1e-4, atol=1e-6)
        plain = model.generate(**caption, speech=speech, max_new_tokens=8, do_sample=False)
        reused = model.generate(
            **caption, speech=speech, max_new_tokens=8, do_sample=False, past_key_values=prefix.copy()
        )
    assert torch.equal(plain, reused)


def test_what_all_prompts_share_is_run_for_one_row_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_model("whisper", "llama", tmp_path, system_prompt="You describe voices.")
    clips = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in (16000, 40000, 9000)]
    features = processor.features(clips)
    speech = model.hear(features["features"], features["feature_lengths"])
    counts = speech.mask.sum(1).tolist()
    word, caption = (processor.prompts(counts, text, CLUES) for text in ("What does the speaker feel?", "Describe."))
    assert pad_inside(model, word) is word, "transformers' way: sliding windows would count the padding"
    model.eval().merge_adapters()
    inside = [pad_inside(model, prompts) for prompts in (word, caption)]
    first, mask = inside[0]["input_ids"], inside[0]["attention_mask"]
    shared = int((first == model.speech_token_id).int().argmax(1).min())
    assert shared > 5
    assert mask[:, :shared].all()
    assert (first[:, :shared] == first[0, :shared]).all()
    for old, new in zip((word, caption), inside, strict=True):
        for row in range(3):
            kept = [prompts["input_ids"][row][prompts["attention_mask"][row].bool()].tolist() for prompts in (old, new)]
            assert kept[0] == kept[1]
    rows = []
    read = model.lean.read
    monkeypatch.setattr(model.lean, "read", lambda x, *rest: (rows.append(x.shape[:2]), read(x, *rest))[1])
    answers = [processor.response_ids(text) for text in ("sad", "angry", "a")]
    with torch.inference_mode():
        prefix = run_prefix(model, *inside, speech)
        run_prefix(model, *inside, speech)
        rest = (3, prefix.length - shared)
        assert rows == [(1, shared), rest, rest]
        likely = label_probabilities(model, inside[0], speech, answers, prefix)
        torch.testing.assert_close(likely, label_probabilities(model, word, speech, answers), rtol=1e-4, atol=1e-6)
        plain = model.generate(**caption, speech=speech, max_new_tokens=8, do_sample=False)
        reused = model.generate(
            **inside[1], speech=speech, max_new_tokens=8, do_sample=False, past_key_values=prefix.cache
        )
        assert torch.equal(plain, reused)
        processor.config.system_prompt = "Another one."
        changed = processor.prompts(counts, "Describe.", CLUES)
        moved = pad_inside(model, changed)
        options = {"speech": speech, "max_new_tokens": 8, "do_sample": False}
        plain = model.generate(**changed, **options)
        prefix = run_prefix(model, moved, moved, speech)
        assert torch.equal(plain, model.generate(**moved, past_key_values=prefix.cache, **options))
        assert len(rows) > 3, "the beginning of other prompts was taken for theirs"


def test_the_same_prompt_twice_keeps_one_token_to_run(tmp_path: Path) -> None:
    model, processor = tiny_model("whisper", "llama", tmp_path)
    prompts = processor.prompts([0, 0], "Describe.")
    with torch.inference_mode():
        assert run_prefix(model, prompts, prompts, None).length == prompts["input_ids"].shape[1] - 1


def test_shortest_beginnings_that_tell_answers_apart() -> None:
    assert distinguishing([[1, 2, 3], [1, 2, 4], [5, 6]]) == [[1, 2, 3], [1, 2, 4], [5]]
    for answers in ([[1, 2], [1]], [[1], [1]]):
        with pytest.raises(ValueError, match="beginning of another"):
            distinguishing(answers)
