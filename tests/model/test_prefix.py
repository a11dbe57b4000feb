from pathlib import Path

import numpy as np
import pytest
import torch

from aligncap.model.likelihood import distinguishing, label_probabilities
from aligncap.model.prefix import run_prefix
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
