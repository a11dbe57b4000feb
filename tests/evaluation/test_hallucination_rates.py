from __future__ import annotations

import random

import pytest

from aligncap.evaluation.hallucination import TYPES, Evidence, grounding, judge, rates
from aligncap.evaluation.hallucination.finding import finding

WRONG, MILD, NONE = (
    finding("emotion", "r", "angry"),
    finding("overstated", "r", "sad", 0.25),
    finding("no_emotion", "r"),
)


def test_shares_of_captions() -> None:
    found = rates([[WRONG, WRONG, MILD], [MILD], [finding("loop", "r")], []])
    assert set(found) == {"any", "factuality", "faithfulness", *TYPES}
    assert {name: rate.share.value for name, rate in found.items() if rate.captions} == {
        "any": 0.75,
        "factuality": 0.5,
        "faithfulness": 0.25,
        "emotion": 0.25,
        "overstated": 0.5,
        "loop": 0.25,
    }
    assert found["factuality"].weight.value == pytest.approx((1 + 0.25) / 4)
    assert found["emotion"].captions == 1


def test_captions_that_leave_the_emotion_out_are_counted_apart() -> None:
    found = rates([[NONE], []])
    assert found["no_emotion"].share.value == 0.5
    assert found["any"].captions == found["faithfulness"].captions == 0


def test_intervals_are_over_speakers() -> None:
    findings = [[WRONG] if i < 50 else [] for i in range(100)]
    speakers = [i // 10 for i in range(100)]
    alone, clustered = rates(findings)["any"].share, rates(findings, speakers)["any"].share
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_no_captions() -> None:
    with pytest.raises(ValueError, match="no"):
        rates([])


FAST, SLOW, PLAIN = (("pace", "fast"),), (("pace", "slow"),), ()


def test_words_against_measurements() -> None:
    found = grounding(["A fast voice.", "A fast voice.", "A fast voice.", "Sad."], [FAST, SLOW, PLAIN, SLOW])
    assert set(found) == {"pace", "all"}
    pace = found["pace"]
    assert (pace.claims, pace.agree.value, pace.contradict.value) == (3, pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (pace.chance, pace.chance_contradict) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("caption", "voice", "agree", "contradict"),
    [
        ("Not a fast voice.", FAST, 0, 1),
        ("Not a fast voice.", SLOW, 1, 0),
        ("Not a fast voice.", PLAIN, 1, 0),
        ("Speech at a normal pace.", PLAIN, 1, 0),
        ("Speech at a normal pace.", FAST, 0, 0),
        ("Fast, fast, a fast voice.", FAST, 1, 0),
    ],
)
def test_claims(caption: str, voice: tuple[tuple[str, str], ...], agree: float, contradict: float) -> None:
    pace = grounding([caption], [voice])["pace"]
    assert (pace.claims, pace.agree.value, pace.contradict.value) == (1, agree, contradict)


def test_a_claim_of_two_meanings() -> None:
    low = "A low voice."
    assert grounding([low], [(("pitch", "high"),)])["pitch"].contradict.value == 1
    assert grounding([low], [(("pitch", "high"), ("loudness", "quiet"))])["pitch"].agree.value == 1


def test_chance_is_the_mean_over_shuffles() -> None:
    chance = random.Random(0)
    words = {"fast": "A fast voice.", "slow": "Slow speech, not fast.", "": "Speech of normal pace."}
    levels = [chance.choice(list(words)) for _ in range(40)]
    voices = [(("pace", level),) if level else () for level in levels]
    captions = [words[level if chance.random() < 0.7 else "slow"] for level in levels]
    pace = grounding(captions, voices)["pace"]
    shuffled = [grounding(captions, chance.sample(voices, 40), resamples=1)["pace"].agree.value for _ in range(150)]
    assert pace.chance == pytest.approx(sum(shuffled) / 150, abs=0.02)
    assert pace.agree.low > pace.chance


def test_what_was_not_measured_is_left_out() -> None:
    assert grounding(["A fast voice."], [None]) == {}
    assert grounding(["A loud, trembling voice."], [FAST]) == {}
    loud = grounding(["A loud voice.", "A loud voice."], [(("loudness", "loud"),), ()])
    assert (loud["loudness"].claims, loud["loudness"].agree.value) == (2, 0.5)
    assert list(grounding(["A fast voice with a high pitch."], [()])) == ["pitch", "pace", "all"]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="1 captions, 2 voices"):
        grounding(["Sad."], [None, None])


def test_grounding_and_judge_agree() -> None:
    voice = (("pace", "slow"),)
    evidence = Evidence((("sad", 1.0),), voice)
    for caption in ("Sad, a fast voice.", "Sad, a slow voice.", "Sad, not a slow voice.", "Sad, a normal pace."):
        opposite = any(one.type == "voice_opposite" for one in judge(caption, evidence))
        assert opposite == bool(grounding([caption], [voice])["pace"].contradict.value)
