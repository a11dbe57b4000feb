from __future__ import annotations

import numpy as np
import pytest

from aligncap.captions import Facts, answer, emotions_in, obeys
from aligncap.captions.claims import find_claims
from aligncap.preferences.negatives import KINDS, Good, Negative, hard_negatives

CAPTION = "The speaker sounds a little sad, and speaks slowly in a low register."
DEFAULT = "Describe the emotion in the voice."


def spoil(
    kind: str, caption: str = CAPTION, instruction: str = DEFAULT, seed: int = 0, **more: object
) -> Negative | None:
    good = Good(caption, instruction, **more)  # type: ignore[arg-type]
    return next(iter(hard_negatives(good, [kind], np.random.default_rng(seed))), None)


def levels(caption: str) -> set[str]:
    return {claim.target for claim in find_claims(caption) if claim.kind == "acoustic"}


def test_a_swapped_label_is_all_that_changes() -> None:
    for seed in range(10):
        spoilt = spoil("label_swapped", seed=seed, heard=("sad", "calm", "neutral"))
        assert spoilt is not None
        assert not {"sad", "calm", "neutral"} & emotions_in(spoilt.caption).keys()
        assert levels(spoilt.caption) == levels(CAPTION)
        assert spoilt.reason.startswith("sad became ")


def test_an_inverted_clue_is_all_that_changes() -> None:
    spoilt = [spoil("clue_inverted", seed=seed) for seed in range(10)]
    for one in spoilt:
        assert one is not None
        assert emotions_in(one.caption) == emotions_in(CAPTION)
        changed = levels(one.caption) ^ levels(CAPTION)
        assert changed in ({"pace:slow", "pace:fast"}, {"pitch:low", "pitch:high"})
    assert len({one.caption for one in spoilt if one}) > 1


def test_what_is_exaggerated_stays_the_same_emotion() -> None:
    hedged = spoil("strength_exaggerated")
    assert hedged is not None
    assert "extremely sad" in hedged.caption
    assert emotions_in(hedged.caption)["sad"] > emotions_in(CAPTION)["sad"]
    plain = spoil("strength_exaggerated", "There is anger in the voice.")
    assert plain is not None
    assert list(emotions_in(plain.caption)) == ["angry"]
    assert spoil("strength_exaggerated", "sad", "Name the emotion in a single word.") is None


def test_an_emotion_is_told_again_in_the_place_of_the_voice_or_at_the_end() -> None:
    voiced, silent = "The speaker sounds afraid, and the pitch is high.", "There is fear in the voice."
    for seed in range(10):
        for caption in (voiced, silent):
            spoilt = spoil("emotion_repeated", caption, seed=seed)
            assert spoilt is not None
            told = [claim.target for claim in find_claims(spoilt.caption) if claim.kind == "emotion"]
            assert told == ["fear", "fear"]
            assert not levels(spoilt.caption)
            assert spoilt.caption.startswith(caption.removesuffix(".").partition(", and")[0] + ", and ")


@pytest.mark.parametrize(
    "caption",
    [
        "The pitch is high, and the speaker sounds afraid.",  # nothing of the voice at the end
        "The speaker sounds sad, and the tone is sad.",  # told twice already
        "The speaker sounds afraid, and the room is large.",
        "The speaker does not sound sad.",
        "The pitch is high.",
        "sad",
    ],
)
def test_what_tells_no_emotion_once_is_not_told_again(caption: str) -> None:
    assert spoil("emotion_repeated", caption) is None


def test_the_transcript_leaks_beside_the_caption() -> None:
    for seed in range(6):
        spoilt = spoil("transcript_leaked", seed=seed, transcript="Where have you been all day?")
        assert spoilt is not None
        assert CAPTION in spoilt.caption
        assert "where have you been all day" in spoilt.caption.lower()
    assert spoil("transcript_leaked") is None, "there is nothing to leak"


def test_an_ignored_instruction_gets_the_answer_to_another() -> None:
    word = spoil("instruction_ignored", "sad", "Name the emotion in a single word.", others=("gloomy", CAPTION))
    assert word is not None
    assert word.caption == CAPTION, "a word would have done"
    alone = spoil("instruction_ignored")
    assert alone is not None
    assert not emotions_in(alone.caption)


def test_broken_forms_are_of_several_kinds() -> None:
    spoilt = {seed: spoil("form_broken", seed=seed) for seed in range(20)}
    assert {one.reason for one in spoilt.values() if one} == {"cut off", "goes round in a loop", "words out of order"}
    for one in spoilt.values():
        assert one is not None
        if one.reason == "cut off":
            assert CAPTION.startswith(one.caption)
        if one.reason == "words out of order":
            assert sorted(one.caption.rstrip(".").split()) == sorted(CAPTION.rstrip(".").split())


def test_words_fit_the_sentence() -> None:
    spoilt = [spoil("label_swapped", "An angry tone carries the words.", seed=seed) for seed in range(12)]
    for one in spoilt:
        assert one is not None
        article, word = one.caption.split()[:2]
        assert article == ("An" if word[0] in "aeiou" else "A"), one.caption


@pytest.mark.parametrize("instruction", ["Describe the emotion in five words.", "Name the emotion in a single word."])
def test_the_form_that_was_asked_for_is_kept(instruction: str) -> None:
    rng = np.random.default_rng(1)
    form = "five_words" if "five" in instruction else "word"
    for label in ("angry", "happy", "fear", "sad"):
        caption = answer(Facts(((label, 1.0),)), instruction, rng)
        for kind in ("label_swapped", "strength_exaggerated"):
            spoilt = spoil(kind, caption, instruction)
            assert spoilt is None or not obeys(spoilt.caption, form), spoilt  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_and_no_negative_is_the_caption_itself() -> None:
    good = Good(CAPTION, DEFAULT, ("sad",), "Where have you been?", ("sad",))
    one, other = (hard_negatives(good, list(KINDS), np.random.default_rng(3)) for _ in range(2))
    assert one == other
    assert [negative.kind for negative in one] == list(KINDS)
    assert CAPTION not in {negative.caption for negative in one}
    assert hard_negatives(Good("Hm.", DEFAULT), ["label_swapped", "clue_inverted"], np.random.default_rng(0)) == []


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="unknown kind of negative 'typos'"):
        hard_negatives(Good(CAPTION, DEFAULT), ["typos"], np.random.default_rng(0))
