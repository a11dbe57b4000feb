from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from aligncap.captions import (
    EMOTIONS,
    INSTRUCTIONS,
    VOICE_LEVELS,
    Facts,
    answer,
    clue_prompt,
    emotions_in,
    instructions_for,
    main_emotion,
    write_caption,
)
from aligncap.captions.emotions import load_data
from aligncap.errors import AlignCapError

INTENSITIES: tuple[Any, ...] = (None, "mild", "normal", "strong")
GENDERS: tuple[Any, ...] = (None, "female", "male")
VOICES = [
    tuple((d, level) for d, level in zip(VOICE_LEVELS, levels, strict=True) if level)
    for levels in itertools.product(*[(None, *levels) for levels in VOICE_LEVELS.values()])
]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_facts(chance: np.random.Generator) -> Facts:
    first, second = (str(label) for label in chance.permutation(EMOTIONS)[:2])
    share = float(chance.uniform(0.0, 0.5))
    return Facts(
        emotions=((first, 1 - share), (second, share)) if chance.random() < 0.5 else ((first, 1.0),),
        intensity=INTENSITIES[chance.integers(4)],
        voice=VOICES[chance.integers(len(VOICES))],
        gender=GENDERS[chance.integers(3)],
    )


def voice_named(text: str) -> set[tuple[str, str]]:
    """The (dimension, level) whose phrases occur in the text."""
    voice = load_data("lexicon.yaml")["voice"]
    return {
        (dimension, level)
        for dimension, levels in voice.items()
        for level, forms in levels.items()
        for phrase in (*forms["speaks_how"], *forms["has"], *forms["clause"])
        if re.search(rf"\b{phrase}\b", text, re.IGNORECASE)
    }


def check_form(text: str) -> None:
    assert re.fullmatch(r"[A-Z][^.{}]*\.( [A-Z][^.{}]*\.)?", text), text
    assert "  " not in text
    assert ",," not in text
    assert " ," not in text
    assert not re.search(r"\b(\w+) \1\b", text), text
    assert not re.search(r"\b[Aa] [aeio]|\b[Aa] u(?!ni)|\b[Aa]n [^aeiou]", text), text
    assert not re.search(r"speaker (speaks|speak)|\bthey \w+s\b", text, re.IGNORECASE), text


@pytest.mark.parametrize("label", EMOTIONS)
def test_captions_say_the_label_and_no_other(label: str) -> None:
    chance = rng(1)
    for intensity, voice in itertools.product(INTENSITIES, VOICES):
        gender = GENDERS[chance.integers(3)]
        text = write_caption(Facts(((label, 1.0),), intensity, voice, gender), chance)
        assert main_emotion(text) == label, text
        assert set(emotions_in(text)) == {label}, text
        check_form(text)


@pytest.mark.parametrize("share", [0.1, 0.29, 0.3, 0.5])
def test_a_second_emotion_is_told_and_weaker(share: float) -> None:
    chance = rng(2)
    for first, second in itertools.permutations(EMOTIONS, 2):
        for intensity in INTENSITIES:
            for voice in ((), VOICES[int(chance.integers(1, len(VOICES)))]):
                text = write_caption(Facts(((first, 1 - share), (second, share)), intensity, voice), chance)
                named = emotions_in(text)
                assert main_emotion(text) == first, text
                assert set(named) == {first, second}, text
                assert named[second] <= 0.5, text


@pytest.mark.parametrize("emotions", [(("sad", 0.95), ("fear", 0.05)), (("sad", 0.5), ("sad", 0.5))])
def test_a_second_emotion_that_is_too_small_or_the_same_is_not_told(emotions: Any) -> None:
    texts = [write_caption(Facts(emotions), rng(seed)) for seed in range(50)]
    assert all(emotions_in(text) == {"sad": 1.0} for text in texts)
    assert not any(re.search(r"trace|hint|touch|perhaps|mixed", text) for text in texts)


def test_the_voice_is_told_only_as_measured() -> None:
    chance = rng(3)
    for voice in VOICES:
        for label in EMOTIONS:
            text = write_caption(Facts(((label, 1.0),), "normal", voice), chance)
            assert voice_named(text) <= set(voice), text
            if not voice:
                assert not re.search(r"pitch|pace|pause|volume|loud|intonation|melod|quick|slow", text), text


def test_random_captions_are_well_formed_and_varied() -> None:
    chance = rng(4)
    texts = [write_caption(random_facts(chance), chance) for _ in range(500)]
    for text in texts:
        check_form(text)
        assert 8 <= len(text.split()) <= 25, text
    assert len(set(texts)) >= 0.9 * len(texts)


@pytest.mark.parametrize("label", EMOTIONS)
def test_one_label_alone_gives_many_captions(label: str) -> None:
    chance = rng(5)
    texts = {write_caption(Facts(((label, 1.0),)), chance) for _ in range(100)}
    assert len(texts) >= 30


def test_gender_only_where_known() -> None:
    gendered = r"\b(she|he|her|his|woman|man|woman's|man's)\b"
    other = {"female": r"\b(he|his|man|man's|they)\b", "male": r"\b(she|her|woman|woman's|they)\b"}
    known = 0
    for seed in range(200):
        for voice in ((), (("pitch", "high"),)):
            assert not re.search(gendered, write_caption(Facts((("sad", 1.0),), voice=voice), rng(seed)), re.I)
            for gender in ("female", "male"):
                text = write_caption(Facts((("sad", 1.0),), voice=voice, gender=gender), rng(seed))
                assert not re.search(other[gender], text, re.I), text
                known += bool(re.search(gendered, text, re.I))
    assert known > 600


def test_intensity_changes_the_words() -> None:
    def words(intensity: Any) -> set[str]:
        texts = [write_caption(Facts((("angry", 1.0),), intensity), rng(seed)) for seed in range(60)]
        return set(re.findall(r"\w+", " ".join(texts).lower()))

    assert {"furious", "fury"} <= words("strong")
    assert not {"furious", "fury", "rage"} & (words("mild") | words("normal"))
    assert {"irritated", "annoyance"} <= words("mild")
    assert words(None) == words("normal")


def test_a_caption_does_not_repeat_a_word_for_the_emotion() -> None:
    texts = [write_caption(Facts((("angry", 1.0),), "normal"), rng(seed)) for seed in range(200)]
    assert all(len(re.findall(r"ang[er]", text, re.I)) <= 1 for text in texts)
    assert all(len(re.findall(r"indign", text, re.I)) <= 1 for text in texts)


def test_equal_seeds_give_equal_captions() -> None:
    facts = [random_facts(rng(seed)) for seed in range(50)]
    first = [write_caption(f, rng(7)) for f in facts]
    assert first == [write_caption(f, rng(7)) for f in facts]
    assert first != [write_caption(f, rng(8)) for f in facts]


def test_every_plan_is_used() -> None:
    """Each plan has a literal part by which its captions can be told, and some caption has it."""
    chance = rng(9)
    texts = [
        write_caption(Facts(((label, 1.0),), voice=voice), chance)
        for label in EMOTIONS
        for voice in (((),) * 20 + tuple(VOICES))
    ]
    for kind in ("emotion", "emotion_and_voice"):
        for plan in load_data("plans.yaml")[kind]:
            parts = re.split(r"\{[^}]*\}", plan["text"])
            shape = ".*".join(re.escape(part) for part in parts)
            assert any(re.fullmatch(shape, text, re.I) for text in texts), plan["text"]


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_answers_have_the_form_that_was_asked_for(instruction: str) -> None:
    form = INSTRUCTIONS[instruction]
    facts = Facts((("fear", 0.7), ("sad", 0.3)), "strong", (("pitch", "high"), ("pace", "fast")), "female")
    texts = [answer(facts, instruction, rng(seed)) for seed in range(40)]
    if form == "word":
        assert set(texts) == {"afraid"}
    elif form == "words":
        assert set(texts) == {"Afraid; high-pitched, fast."}
    elif form == "voice":
        assert all(emotions_in(text) == {} and voice_named(text) for text in texts)
        assert len(set(texts)) > 10
    else:
        assert all(main_emotion(text) == "fear" for text in texts)
        assert len(set(texts)) > 30
        assert any(text.count(".") == 2 for text in texts) == (form == "caption")
    if form != "word":
        for text in texts:
            check_form(text)


def test_instructions_need_their_facts() -> None:
    emotion, voice = (("sad", 1.0),), (("pace", "slow"),)
    assert instructions_for(Facts(emotion, voice=voice)) == tuple(INSTRUCTIONS)
    assert {INSTRUCTIONS[text] for text in instructions_for(Facts(emotion))} == {
        "caption",
        "sentence",
        "word",
    }
    assert {INSTRUCTIONS[text] for text in instructions_for(Facts(voice=voice))} == {"voice"}
    assert instructions_for(Facts()) == ()
    with pytest.raises(AlignCapError, match="name no voice"):
        answer(Facts(emotion), "Describe only the voice.", rng(0))
    with pytest.raises(AlignCapError, match="'Sing'"):
        answer(Facts(emotion), "Sing", rng(0))
    with pytest.raises(AlignCapError, match="emotion"):
        write_caption(Facts(voice=voice), rng(0))


@pytest.mark.parametrize(
    ("emotions", "voice", "expected"),
    [
        ([], [], ""),
        ([("angry", 0.5), ("disgust", 0.3)], [], "Feeling: angry, perhaps disgusted."),
        ([("disgust", 0.25), ("angry", 0.6)], [], "Feeling: angry, perhaps disgusted."),
        ([("angry", 0.5), ("disgust", 0.24)], [], "Feeling: angry."),
        ([("boredom", 0.8), ("sad", 0.2)], [], "Feeling: clearly bored."),
        ([("boredom", 0.79), ("sad", 0.21)], [], "Feeling: bored."),
        ([("sad", 0.0), ("fear", float("nan"))], [], ""),
        ([], [("pitch", "high"), ("pace", "fast")], "Voice: high-pitched, fast."),
        ([("fear", 0.9)], [("pauses", "halting")], "Feeling: clearly afraid. Voice: many pauses."),
    ],
)
def test_clue_prompt(emotions: Any, voice: Any, expected: str) -> None:
    assert clue_prompt(emotions, voice) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emotions": (("rage", 1.0),)}, "unknown emotion 'rage'"),
        ({"voice": (("timbre", "soft"),)}, "unknown dimension of the voice 'timbre'"),
        ({"voice": (("pitch", "flat"),)}, "unknown level of pitch 'flat': use one of high, low"),
        ({"voice": (("pitch", "high"), ("pitch", "low"))}, "two levels"),
        ({"intensity": "XX"}, "unknown intensity 'XX'"),
        ({"gender": ""}, "unknown gender ''"),
    ],
)
def test_unknown_facts_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(AlignCapError, match=message):
        Facts(**arguments)


def test_data_covers_every_level() -> None:
    voice = load_data("lexicon.yaml")["voice"]
    assert {dimension: tuple(levels) for dimension, levels in voice.items()} == dict(VOICE_LEVELS)
    for levels in voice.values():
        for forms in levels.values():
            assert forms["clue"]
            assert all(len(forms[slot]) >= 2 for slot in ("speaks_how", "has", "clause"))
