from __future__ import annotations

import pytest

from aligncap.corpora import Row
from aligncap.preferences.judges import assess, confusions, evidence_for, listeners

DEFAULT = "Describe the emotion in the voice."


def row(**fields: object) -> Row:
    return Row(**{"id": "a", "audio": "a.wav", "emotion": "sad", **fields})  # type: ignore[arg-type]


def score(caption: str, clip: Row, voice: tuple[tuple[str, str], ...] = (), **more: object) -> float:
    return assess(caption, evidence_for(clip, voice, DEFAULT), **more).score  # type: ignore[arg-type]


def test_the_margin_comes_from_the_votes() -> None:
    divided = row(votes={"sad": 0.5, "neutral": 0.4, "angry": 0.1})
    best, half, few, none = (
        score(f"The speaker sounds {word} in this clip.", divided) for word in ("sad", "neutral", "angry", "happy")
    )
    assert best == 1
    assert best > half > few > none
    assert half == pytest.approx(0.8, abs=0.01), "nearly as many would agree"
    assert none == 0
    certain = row(votes={"sad": 1.0})
    assert score("The speaker sounds neutral in this clip.", certain) < half


def test_a_doubtful_mention_weighs_less() -> None:
    clip = row(votes={"sad": 0.7, "fear": 0.3})
    both, swapped = (
        score(f"The speaker sounds {text}.", clip) for text in ("sad, perhaps afraid", "afraid, perhaps sad")
    )
    assert 1 > both > swapped


def test_each_judge_sees_its_own_faults() -> None:
    caption = "The speaker sounds sad and speaks fast at a funeral."
    evidence = evidence_for(row(), (("pace", "slow"),), DEFAULT)
    seen = assess(caption, evidence)
    assert seen.scores["factuality"] == 1
    assert seen.scores["acoustic"] == 0
    assert seen.scores["faithfulness"] < 1
    assert {one.kind for one in seen.findings} == {"factuality", "faithfulness"}
    assert seen.gravest is not None
    alone = assess(caption, evidence, ["factuality"])
    assert alone.score == 1
    assert alone.findings == ()
    assert alone.gravest is None
    with pytest.raises(ValueError, match="unknown judge 'taste'"):
        assess(caption, evidence, ["taste"])


def test_calm_is_as_good_as_neutral_where_nobody_tells_them_apart() -> None:
    assert score("The speaker sounds calm.", row(emotion="neutral")) == 1
    assert score("The speaker sounds calm.", row(emotion="angry")) == 0


VOTED = [
    row(id="1", emotion="happy", votes={"happy": 0.6, "neutral": 0.4}),
    row(id="2", emotion="happy", votes={"happy": 0.2, "surprise": 0.2}),
    row(id="3", emotion="happy", votes={"angry": 1.0}, split="zero_shot"),
    row(id="4", emotion="", votes={"sad": 1.0}),
    row(id="5", emotion="fear"),
]


def test_confusions_are_means_of_what_was_heard() -> None:
    found = confusions(VOTED)
    assert found.keys() == {"happy"}
    assert found["happy"] == pytest.approx({"happy": 0.55, "neutral": 0.2, "surprise": 0.25})


def test_what_votes_leave_open_is_spread_as_listeners_confuse() -> None:
    prior = confusions(VOTED)
    recognised = row(emotion="happy", votes={"happy": 0.8})
    assert dict(listeners(recognised)) == {"happy": 1.0}
    spread = dict(listeners(recognised, prior))
    assert spread == pytest.approx({"happy": 0.8, "surprise": 0.2 * 0.25 / 0.45, "neutral": 0.2 * 0.2 / 0.45})
    assert list(spread) == ["happy", "surprise", "neutral"]
    labelled = dict(listeners(row(emotion="happy"), prior, trust=0.5))
    assert labelled == pytest.approx({"happy": 0.5 + 0.5 * 0.55, "surprise": 0.125, "neutral": 0.1})
    assert listeners(row(emotion="sad"), prior) == (("sad", 1.0),), "nothing is known of how sad is heard"
    assert listeners(row(emotion="")) == ()


def test_telling_an_emotion_again_is_held_against_a_caption() -> None:
    clip = row(emotion="angry")
    once, other_word, same_word = (
        score(text, clip, judges=["wording"])
        for text in (
            "The speaker sounds angry in this clip.",
            "The speaker sounds angry, and the tone is furious.",
            "The speaker talks angrily, and the tone is angry.",
        )
    )
    assert (once, other_word, same_word) == (1, pytest.approx(0.8), pytest.approx(0.5))
    seen = assess("The speaker talks angrily, and the tone is angry.", evidence_for(clip, (), DEFAULT), ["wording"])
    assert [one.reason for one in seen.findings] == ["'angrily' and 'angry' tell the same"]
    assert score("The speaker talks angrily, and the tone is angry.", clip) == 1, "not asked for, it does not count"
    two = assess("She sounds angry, perhaps a little sad.", evidence_for(clip, (), DEFAULT), ["wording"])
    assert two.scores["wording"] == 1, "two emotions"
