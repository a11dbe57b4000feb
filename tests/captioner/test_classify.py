"""Classification by any labels: how probabilities are shared out, and with a tiny random model."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import aligncap
from aligncap.audio import RATE
from aligncap.captioner import Captioner, Classification, Failure
from aligncap.captioner import torch_captioner as captioner_module
from aligncap.captioner.captioner import TEMPLATES
from aligncap.captioner.labels import LabelSet
from aligncap.captioner.results import Formatter
from aligncap.captioner.words import Words
from aligncap.captions import EMOTIONS
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.testing import LLM_FAMILIES

HEARD = {"angry": 0.4, "fear": 0.2, "happy": 0.1, "sad": 0.3}


# ---------------------------------------------------------------------------------- sharing out


def share(labels: list[str], words: list[float] | None = None, heard: dict[str, float] = HEARD) -> dict[str, float]:
    found = LabelSet.of(labels).probabilities(heard, words or [1 / len(labels)] * len(labels))
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == set(labels)
    return found


def test_own_labels_are_the_emotions_restricted() -> None:
    assert share(["sad", "happy", "angry"]) == pytest.approx({"angry": 0.5, "sad": 0.375, "happy": 0.125})


def test_other_forms_of_emotions_mean_the_same() -> None:
    labels = ["Sadness", "joyful", "FURIOUS"]
    assert LabelSet.of(labels).by_emotions_alone
    assert share(labels) == pytest.approx({"FURIOUS": 0.5, "Sadness": 0.375, "joyful": 0.125})


def test_labels_of_one_emotion_share_it_by_their_words() -> None:
    labels = ["annoyed", "furious", "sad"]
    assert not LabelSet.of(labels).by_emotions_alone
    found = share(labels, [0.1, 0.3, 0.6])
    assert found == pytest.approx({"sad": 3 / 7, "furious": 3 / 7, "annoyed": 1 / 7})


def test_a_word_of_several_readings() -> None:
    """upset: sad 0.7, angry 0.3; beside sad and angry it gets a part of either."""
    found = share(["sad", "upset", "angry"])
    assert found["upset"] == pytest.approx((3 / 7) * 0.7 / 1.7 + (4 / 7) * 0.3 / 1.3)


def test_other_words_have_the_share_of_their_words() -> None:
    labels = ["angry", "sarcastic", "sad", "blorp"]
    assert not LabelSet.of(labels).by_emotions_alone
    found = share(labels, [0.3, 0.4, 0.2, 0.1])
    assert found == pytest.approx({"sarcastic": 0.4, "angry": 0.5 * 4 / 7, "sad": 0.5 * 3 / 7, "blorp": 0.1})


def test_other_words_alone() -> None:
    assert share(["proud", "blorp"], [0.2, 0.8]) == pytest.approx({"blorp": 0.8, "proud": 0.2})


def test_emotions_of_no_probability() -> None:
    assert share(["angry", "calm"], heard={"angry": 0.0, "calm": 0.0, "sad": 1.0}) == {"angry": 0.5, "calm": 0.5}
    assert share(["annoyed", "furious"], [0.0, 0.0001])["furious"] == pytest.approx(1)


def test_emotions_that_the_model_does_not_know_are_other_words() -> None:
    labels = LabelSet.of(["disappointed", "sad"], [emotion for emotion in EMOTIONS if emotion != "disappointed"])
    assert labels.readings == ({}, {"sad": 1.0})


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([], "at least two"),
        (["sad"], "at least two"),
        (["sad", " "], "empty"),
        (["sad", "happy", "SAD "], "'sad' is given twice"),
    ],
)
def test_labels_that_make_no_choice(labels: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LabelSet.of(labels)


# ---------------------------------------------------------------------------------- words under the model


def plainly(model, processor, words: list[str], row: int, speech, prompts) -> torch.Tensor:
    """Each word written out after each template, without a cache: scores of one clip, or without speech."""
    ids = prompts["input_ids"][row][prompts["attention_mask"][row].bool()].tolist()
    heard = None if speech is None else speech.select([row])
    scores = []
    for word in words:
        total = 0.0
        for template in TEMPLATES:
            stem, answer = processor.response_ids(template)[:-1], processor.response_ids(f" {word}")[:-1]
            whole = torch.tensor([ids + stem + answer])
            mask = torch.ones_like(whole)
            logits = model(input_ids=whole, attention_mask=mask, speech=heard, use_cache=False).logits[0]
            steps = logits.double().log_softmax(-1)
            total += sum(float(steps[-len(answer) - 1 + at, token]) for at, token in enumerate(answer))
        scores.append(total / len(TEMPLATES))
    return torch.tensor(scores)


@pytest.mark.parametrize("llm", [*LLM_FAMILIES, "merged llama"])
@torch.no_grad()
def test_words_equal_a_plain_computation(build, clip, llm: str) -> None:
    captioner = build(llm=llm.rsplit(maxsplit=1)[-1])
    model, processor = captioner.model, captioner.processor
    if llm.startswith("merged"):
        model.merge_adapters()
        assert model.lean is not None
    words = ["sad", "in high spirits", "x"]
    batch = processor.features([clip(2.0, 1), clip(0.5, 2)])
    speech = model.hear(batch["features"], batch["feature_lengths"])
    prompts = processor.prompts(speech.mask.sum(1).tolist(), clues=["Feeling: sad.", ""])
    prefix = captioner_module.run_prefix(model, prompts, prompts, speech)
    found = Words(model, processor, words).probabilities(prompts, speech, prefix)
    without = plainly(model, processor, words, 0, None, processor.prompts([0], DEFAULT_INSTRUCTION))
    for row in range(2):
        expected = (plainly(model, processor, words, row, speech, prompts) - 0.5 * without).softmax(-1).float()
        torch.testing.assert_close(found[row], expected, rtol=1e-3, atol=1e-5)


# ---------------------------------------------------------------------------------- recordings


def test_own_labels_of_recordings(captioner: Captioner, clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioner_module, "Words", None)  # not needed, so not made
    sounds = [(clip(1.0), RATE), (clip(0.4, 2), RATE)]
    for caption, found in zip(captioner.caption(sounds), captioner.classify(sounds, ["happy", "sad"]), strict=True):
        assert isinstance(found, Classification)
        both = caption.emotions["happy"] + caption.emotions["sad"]
        assert found.probabilities["sad"] == pytest.approx(caption.emotions["sad"] / both, abs=1e-5)
        assert (found.id, found.start, found.end, found.model) == (caption.id, caption.start, caption.end, "tiny")


@pytest.mark.parametrize("labels", [["sad", "happy"], ["sarcastic", "angry", "in high spirits", "blorp"]])
def test_alone_and_in_any_batch(captioner: Captioner, clip, labels: list[str]) -> None:
    clips = [(clip(seconds, seed), RATE) for seed, seconds in enumerate((0.12, 4.0, 0.5, 1.3))]
    alone = [captioner.classify(one, labels)[0] for one in clips]
    assert len({str(result.probabilities) for result in alone}) > 1
    for batch_size in (2, 4):
        for one, other in zip(alone, captioner.classify(clips, labels, batch_size=batch_size), strict=True):
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
            assert math.isclose(sum(other.probabilities.values()), 1, abs_tol=1e-6)


def test_segments_and_failures(captioner: Captioner, clip) -> None:
    sources = [(np.zeros(RATE, np.float32), RATE), "no.wav", aligncap.Audio(clip(15.0), "long")]
    silent, missing, first, second = captioner.classify(sources, ["sad", "happy"])
    assert (silent.type, missing.type) == ("AudioSilentError", "AudioNotFoundError")
    assert (first.id, second.id, first.end) == ("long#0", "long#1", 7.5)


def test_wrong_use(captioner: Captioner) -> None:
    with pytest.raises(ValueError, match="at least two"):
        captioner.classify("x.wav", ["sad"])
    with pytest.raises(ValueError, match="batch_size"):
        captioner.classify("x.wav", ["sad", "happy"], batch_size=0)


# ---------------------------------------------------------------------------------- formats

RESULT = Classification("a.wav#1", "a.wav", 10.0, 12.34567, {"sad": 0.75, "glad, sort of": 0.25}, "m", ("clipped",))
FAILED = Failure("b.wav", "b.wav", "AudioEmptyError", "it is empty")
LABELS = ("glad, sort of", "sad")


def test_json_line() -> None:
    assert json.loads(Formatter("jsonl", LABELS)(RESULT)) == {
        "id": "a.wav#1",
        "audio": "a.wav",
        "start": 10.0,
        "end": 12.346,
        "label": "sad",
        "probabilities": {"sad": 0.75, "glad, sort of": 0.25},
        "model": "m",
        "warnings": ["clipped"],
    }


def test_csv_and_text() -> None:
    formatter = Formatter("csv", LABELS)
    assert formatter.header == 'id,audio,start,end,label,"p(glad, sort of)",p(sad),model,warnings,error\n'
    assert formatter(RESULT) == "a.wav#1,a.wav,10.000,12.346,sad,0.2500,0.7500,m,clipped,\n"
    assert formatter(FAILED) == "b.wav,b.wav,,,,,,,,AudioEmptyError: it is empty\n"
    assert Formatter("text", LABELS)(RESULT) == "a.wav [10.0–12.3 s]: sad 75%, glad, sort of 25%\n"  # noqa: RUF001
    assert Formatter("text", LABELS)(FAILED) == ""
