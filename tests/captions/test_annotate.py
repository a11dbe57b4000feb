from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aligncap.captions import INSTRUCTIONS, Facts, obeys
from aligncap.captions.annotate import Annotator, Statistics
from aligncap.captions.check import check_caption
from aligncap.corpora import Row
from aligncap.errors import AlignCapError

EMOTIONS = ("angry", "happy", "sad", "fear", "neutral", "calm", "disgust", "surprise")


def rows(count: int) -> list[Row]:
    """Rows as corpora have them: plain labels, intensities, votes, clue words."""
    chance = np.random.default_rng(0)
    words = ("pitch:high", "pace:slow", "melody:flat", "effort:forceful")
    made = []
    for i in range(count):
        emotion = str(chance.choice(EMOTIONS))
        row = Row(f"c/{i}", f"{i}.wav", emotion=emotion, gender="female", intensity=("", "mild", "strong")[i % 3])
        if i % 4 == 0:
            row = replace(row, votes={emotion: 0.6, "sad" if emotion != "sad" else "fear": 0.25})
        made.append(replace(row, clues={"words": [str(w) for w in words if chance.random() < 0.3]}))
    return made


SAD = Facts((("sad", 1.0),), voice=(("pace", "slow"),))
MIXED = Facts((("neutral", 0.6), ("sad", 0.2), ("fear", 0.2)), gender="female")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("The speaker sounds sad and talks slowly.", SAD),
        ("The speaker sounds sad, and there is no anger in it.", SAD),
        ("Her tone is mostly neutral, perhaps a little sad.", MIXED),
        ("The voice is unhurried and sad.", SAD),  # not fast
    ],
)
def test_captions_that_say_what_is_known(text: str, facts: Facts) -> None:
    assert check_caption(text, facts) == []


@pytest.mark.parametrize(
    ("text", "facts", "reason"),
    [
        ("The speaker sounds angry.", SAD, "'angry': nothing is known of angry"),
        ("The speaker sounds sad, with a hint of fear.", SAD, "'fear': nothing is known of fear"),
        ("The speaker is not sad.", SAD, "'sad' denies sad"),
        ("The pace is slow.", SAD, "the main emotion, sad, is not named"),
        ("A sad voice that is slow and high-pitched.", SAD, "claims pitch:high; pitch is not out of the ordinary"),
        ("A sad speaker who talks fast.", SAD, "claims pace:fast; pace is slow"),
        ("A sad voice, without any pauses, not slow.", SAD, "claims not pace:slow"),
        ("She sounds sad.", SAD, "'She': the speaker's sex is not known"),
        ("He sounds neutral.", MIXED, "'He': the speaker's sex is not known to be that"),
        ("A sad speaker at a funeral.", SAD, "'funeral': nothing is known about that (event)"),
        ("The tone is neutral and sad.", MIXED, "'sad': told as certain, its share being 0.20"),
        ("Perhaps neutral; slightly sad.", MIXED, "'sad' is told more strongly than neutral"),
    ],
)
def test_captions_that_say_more_than_is_known(text: str, facts: Facts, reason: str) -> None:
    assert reason in "; ".join(check_caption(text, facts))


def test_a_voice_word_that_may_mean_the_emotion_names_it() -> None:
    reasons = check_caption("A tense voice.", Facts((("fear", 1.0),)))
    assert "is not named" not in "".join(reasons)
    assert "is not named" in "".join(check_caption("A loud voice.", Facts((("fear", 1.0),))))


def test_a_voice_alone_names_no_emotion() -> None:
    assert check_caption("The speaker talks slowly.", SAD, needs_emotion=False) == []
    assert "names an emotion" in "".join(check_caption("A sad, slow voice.", SAD, needs_emotion=False))


def test_rows_get_captions_that_agree_with_them_and_are_never_repeated() -> None:
    annotator = Annotator(captions=5)
    done = [annotator.annotate(row) for row in rows(60)]
    texts = [text for row in done for text in row.captions]
    assert [len(row.captions) for row in done] == [5] * 60
    assert len(set(texts)) == 300
    assert annotator.statistics.contradictions == []
    assert not any(word in text.lower().split() for text in texts for word in ("she", "her", "woman"))
    assert [replace(row, captions=()) for row in done] == rows(60)


def test_the_same_seed_gives_the_same_captions() -> None:
    def annotated(seed: int) -> list[Row]:
        return [Annotator(seed=seed).annotate(row) for row in rows(5)]

    assert annotated(1) == annotated(1)
    assert annotated(1) != annotated(2)


def test_gender_on_request() -> None:
    annotator = Annotator(with_gender=True)
    texts = " ".join(text for row in rows(10) for text in annotator.annotate(row).captions).lower().split()
    assert {"she", "her"} & set(texts)


def test_resuming_gives_what_one_run_gives() -> None:
    whole, first, second = (Annotator() for _ in range(3))
    expected = [whole.annotate(row) for row in rows(20)]
    done = [first.annotate(row) for row in rows(20)[:8]]
    for row in done:
        second.resume(row)
    assert [*done, *(second.annotate(row) for row in rows(20)[8:])] == expected
    assert second.statistics.summary().keys() == whole.statistics.summary().keys()
    assert second.statistics.vocabulary == whole.statistics.vocabulary
    assert second.statistics.captions == whole.statistics.captions


def test_a_text_that_was_used_is_drawn_anew() -> None:
    row = rows(1)[0]
    first = Annotator().annotate(row)
    annotator = Annotator()
    annotator.resume(first)
    second = annotator.annotate(row)
    assert not set(first.captions) & set(second.captions)
    assert annotator.statistics.redrawn >= 1
    assert annotator.statistics.repeated == 0


def test_captions_of_people_are_kept() -> None:
    row = replace(rows(1)[0], captions=("Somebody wrote this.",))
    annotator = Annotator()
    assert annotator.annotate(row) == row
    assert annotator.statistics.captions == 0
    assert annotator.statistics.without == {}
    assert "Somebody wrote this." not in Annotator(renew=True).annotate(row).captions


def test_rows_without_an_emotion_stay_as_they_are() -> None:
    annotator = Annotator()
    for emotion in ("", "high", "pride"):
        row = Row("a", "a.wav", emotion=emotion, clues={"words": ["pitch:high"]})
        assert not annotator.wants(row)
        assert annotator.annotate(row) == row
    assert annotator.statistics.without == {"": 1, "high": 1, "pride": 1}
    assert annotator.statistics.summary()["without captions"] == "3 (no emotion 1, high 1, pride 1)"


def test_answers_have_their_form_and_say_what_is_known() -> None:
    annotator = Annotator(answers=4)
    for row in rows(25):
        facts_row = annotator.annotate(row)
        answers: list[dict[str, Any]] = facts_row.extra["answers"]
        assert len(answers) == len({entry["instruction"] for entry in answers}) == 4
        for entry in answers:
            assert INSTRUCTIONS[entry["instruction"]] == entry["form"]
            assert obeys(entry["answer"], entry["form"]) == []
    assert annotator.statistics.contradictions == []


def test_what_a_rewriter_returns_is_checked() -> None:
    answers = iter(
        ["The speaker sounds sad and slow, and high-pitched too.", "In short, a sad and slow way to talk it is.", None]
    )

    def rewriter(caption: str, facts: Facts) -> str | None:
        return next(answers)

    row = Row("a", "a.wav", emotion="sad", clues={"words": ["pace:slow"]})
    annotator = Annotator(3, rewriter=rewriter)
    texts = annotator.annotate(row).captions
    plain = Annotator(3).annotate(row).captions
    assert texts == (plain[0], "In short, a sad and slow way to talk it is.", plain[2])
    assert (annotator.statistics.rewritten, annotator.statistics.refused) == (1, 1)
    assert annotator.statistics.summary()["rewritten"] == "1 (1 refused by the check)"


def test_bad_votes_are_an_error_of_that_row() -> None:
    with pytest.raises(AlignCapError, match="c/7"):
        Annotator().annotate(Row("c/7", "a.wav", emotion="sad", votes={"sad": 3.0}))


def test_statistics() -> None:
    statistics = Statistics()
    statistics.add_captions(["The voice is low-pitched.", "The voice is low."])
    assert statistics.vocabulary == 5  # the voice is low-pitched low
    assert statistics.distinct_2 == 4 / 6
    assert statistics.summary()["words a caption"] == "4 to 4, median 4"
    assert Statistics().summary()["words a caption"] == "-"
