from __future__ import annotations

import itertools
import re
from functools import cache
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
    facts_of,
    instructions_for,
    main_emotion,
    obeys,
    write_caption,
)
from aligncap.captions.phrases import expand, load_data
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION
from aligncap.corpora import Row
from aligncap.errors import AlignCapError

INTENSITIES: tuple[Any, ...] = (None, "mild", "normal", "strong")
GENDERS: tuple[Any, ...] = (None, "female", "male")
STYLES: tuple[Any, ...] = ("plain", "literary", "clinical")
LEVELS = [(dimension, level) for dimension, levels in VOICE_LEVELS.items() for level in levels]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_voice(chance: np.random.Generator, most: int = 4) -> tuple[tuple[str, str], ...]:
    names = list(VOICE_LEVELS)
    chosen = sorted(chance.permutation(len(names))[: chance.integers(most + 1)])
    return tuple((names[i], str(chance.choice(VOICE_LEVELS[names[i]]))) for i in chosen)


def random_facts(chance: np.random.Generator) -> Facts:
    first, second = (str(label) for label in chance.permutation(EMOTIONS)[:2])
    share = float(chance.uniform(0.0, 0.5))
    return Facts(
        emotions=((first, 1 - share), (second, share)) if chance.random() < 0.5 else ((first, 1.0),),
        intensity=INTENSITIES[chance.integers(4)],
        voice=random_voice(chance),
        gender=GENDERS[chance.integers(3)],
    )


def voice_named(text: str) -> set[tuple[str, str]]:
    """The (dimension, level) whose phrases occur in the text; a text without any, of other words alone."""
    return {fact for fact in LEVELS if _pattern(*fact).search(text)}


@cache
def _pattern(dimension: str, level: str) -> re.Pattern[str]:
    forms = load_data("lexicon.yaml")["voice"][dimension][level]
    slots = ("speaks_how", "has", "clause", "the", "literary", "clinical")
    phrases = [text for slot in slots for phrase in forms[slot] for text in expand(phrase) if " " in text]
    return re.compile(rf"\b({'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)


def check_form(text: str) -> None:
    assert re.fullmatch(r"[A-Z][^.{}()|]*\.( [A-Z][^.{}()|]*\.)?", text), text
    assert "  " not in text
    assert ",," not in text
    assert " ," not in text
    assert not re.search(r"\b(\w+) \1\b", text), text
    assert not re.search(r"\b[Aa] [aeio]|\b[Aa] u(?!ni[^nm])|\b[Aa]n [^aeiou]", text), text
    assert not re.search(r"speaker (speaks|speak)|\bthey \w+s\b", text, re.IGNORECASE), text


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("label", EMOTIONS)
def test_captions_say_the_label_and_no_other(label: str, style: Any) -> None:
    chance = rng(1)
    for intensity in INTENSITIES * 2:
        gender = GENDERS[chance.integers(3)]
        text = write_caption(Facts(((label, 1.0),), intensity, random_voice(chance), gender), chance, style=style)
        assert main_emotion(text) == label, text
        assert set(emotions_in(text)) == {label}, text
        check_form(text)
        assert 8 <= len(text.split()) <= 30, text


@pytest.mark.parametrize("share", [0.1, 0.29, 0.3, 0.45])
def test_a_second_emotion_is_told_and_weaker(share: float) -> None:
    chance = rng(2)
    for first, second in itertools.permutations(EMOTIONS, 2):
        for voice in [random_voice(chance)]:
            intensity = INTENSITIES[chance.integers(4)]
            facts = Facts(((first, 1 - share), (second, share)), intensity, voice)
            text = write_caption(facts, chance, style=STYLES[chance.integers(3)])
            named = emotions_in(text)
            assert set(named) == {first, second}, text
            assert named[second] <= min(0.5, named[first]), text


@pytest.mark.parametrize("emotions", [(("sad", 0.95), ("fear", 0.05)), (("sad", 0.5), ("sad", 0.5))])
def test_a_second_emotion_that_is_too_small_or_the_same_is_not_told(emotions: Any) -> None:
    texts = [write_caption(Facts(emotions), rng(seed)) for seed in range(50)]
    assert all(set(emotions_in(text)) == {"sad"} for text in texts)
    assert not any(re.search(r"trace|hint|touch|perhaps|mixed", text) for text in texts)


def test_doubt_is_told_as_far_as_the_listeners_had_it() -> None:
    def words(share: float) -> str:
        return " ".join(write_caption(Facts((("angry", share),)), rng(seed)) for seed in range(60)).lower()

    doubtful = (
        r"hard to be certain|as far as one can tell|if one had to choose|not easy to tell|at a guess|probably|likely"
    )
    rather = r"on the whole|for the most part|by and large|all in all|more than anything|mostly|mainly|largely"
    assert not re.search(f"{doubtful}|{rather}", words(0.7))
    assert len(re.findall(rather, words(0.6))) == 60
    assert len(re.findall(doubtful, words(0.4))) == 60
    assert not re.search("clearly|plainly|unmistakably", words(0.6) + words(0.4))
    assert re.search("clearly|plainly|unmistakably", words(1.0))


def test_a_tie_is_told_as_an_alternative() -> None:
    facts = Facts((("angry", 0.4), ("disgust", 0.4)))
    texts = [write_caption(facts, rng(seed)) for seed in range(40)]
    assert all(re.search(r"or (perhaps|maybe|possibly) disgusted|could (equally|almost) be disgust", t) for t in texts)


def test_the_voice_is_told_only_as_measured() -> None:
    chance = rng(3)
    for _ in range(150):
        voice = random_voice(chance)
        label = str(chance.choice(EMOTIONS))
        text = write_caption(Facts(((label, 1.0),), "normal", voice), chance, style=STYLES[chance.integers(3)])
        named = voice_named(text)
        assert named <= set(voice), text
        if not voice:
            assert not re.search(r"pitch|pace|pause|volume|loud|intonation|melod|quick|slow|tempo", text), text


def test_what_is_unusual_for_an_emotion_is_never_given_as_its_sign() -> None:
    """Nobody would say "sad, judging by the fast pace"; but "sad, although the pace is fast"."""
    odd = Facts((("sad", 1.0),), voice=(("pace", "fast"),))
    texts = [write_caption(odd, rng(seed)) for seed in range(150)]
    assert not any(
        re.search("judging by the (fast|quick|rapid)|one can tell|shows in the (fast|quick)", t) for t in texts
    )
    assert any(re.search("although|though|despite|even so|and yet|still", t, re.I) for t in texts)
    usual = Facts((("sad", 1.0),), voice=(("pace", "slow"),))
    texts = [write_caption(usual, rng(seed)) for seed in range(150)]
    assert any("udging by the" in t for t in texts)
    assert not any(re.search(r"although|though|despite|even so", t, re.I) for t in texts)


def test_random_captions_are_varied() -> None:
    chance = rng(4)
    texts = [write_caption(random_facts(chance), chance) for _ in range(300)]
    for text in texts:
        check_form(text)
    assert len(set(texts)) >= 0.99 * len(texts)


@pytest.mark.parametrize("label", EMOTIONS)
def test_one_label_alone_gives_many_captions(label: str) -> None:
    chance = rng(5)
    texts = {write_caption(Facts(((label, 1.0),)), chance) for _ in range(100)}
    assert len(texts) >= 90


def test_gender_only_where_known() -> None:
    gendered = r"\b(she|he|her|his|woman|man|woman's|man's)\b"
    other = {"female": r"\b(he|his|man|man's|they)\b", "male": r"\b(she|her|woman|woman's|they)\b"}
    known = 0
    for seed in range(60):
        for voice in ((), (("pitch", "high"),)):
            assert not re.search(gendered, write_caption(Facts((("sad", 1.0),), voice=voice), rng(seed)), re.I)
            for gender in ("female", "male"):
                text = write_caption(Facts((("sad", 1.0),), voice=voice, gender=gender), rng(seed))
                assert not re.search(other[gender], text, re.I), text
                known += bool(re.search(gendered, text, re.I))
    assert known > 150


def test_intensity_changes_the_words() -> None:
    def words(intensity: Any) -> set[str]:
        texts = [write_caption(Facts((("angry", 1.0),), intensity), rng(seed)) for seed in range(80)]
        return set(re.findall(r"\w+", " ".join(texts).lower()))

    assert {"furious", "fury"} <= words("strong")
    assert not {"furious", "fury", "rage"} & (words("mild") | words("normal"))
    assert {"irritated", "annoyance"} <= words("mild")
    assert words(None) == words("normal")


def test_clinical_degrees_need_a_known_intensity() -> None:
    def texts(intensity: Any) -> str:
        return " ".join(
            write_caption(Facts((("sad", 1.0),), intensity), rng(seed), style="clinical") for seed in range(60)
        )

    assert "intensity" not in texts(None)
    assert re.search("with (high|marked|pronounced|considerable) intensity", texts("strong"))


def test_a_caption_does_not_repeat_a_word_for_the_emotion() -> None:
    texts = [write_caption(Facts((("angry", 1.0),), "normal"), rng(seed)) for seed in range(100)]
    assert all(len(re.findall(r"ang[er]", text, re.I)) <= 1 for text in texts)
    assert all(len(re.findall(r"indign", text, re.I)) <= 1 for text in texts)


def test_equal_seeds_give_equal_captions() -> None:
    facts = [random_facts(rng(seed)) for seed in range(30)]
    first = [write_caption(f, rng(7)) for f in facts]
    assert first == [write_caption(f, rng(7)) for f in facts]
    assert first != [write_caption(f, rng(8)) for f in facts]


@pytest.mark.parametrize("style", STYLES)
def test_every_plan_is_used(style: Any) -> None:
    """Each plan has literal parts by which its sentences can be told, and some caption has them."""
    chance = rng(9)
    texts = []
    for _ in range(1500):
        label = str(chance.choice(EMOTIONS))
        facts = Facts(((label, 1.0),), "normal", random_voice(chance, 2) if chance.random() < 0.7 else ())
        texts.append(write_caption(facts, chance, style=style))
    sentences = {sentence for text in texts for sentence in text.rstrip(".").split(". ")}
    for kind in ("emotion", "both", "more_voice", "more_emotion"):
        for plan in load_data("plans.yaml")[kind]:
            if plan.get("style", "plain") == style:
                shape = re.sub(r"\\\{[^}]*\\\}", ".*", re.escape(plan["text"]))
                shape = shape.replace(r"\(", "(").replace(r"\)", ")").replace(r"\|", "|")
                assert any(re.fullmatch(shape, sentence, re.I) for sentence in sentences), plan["text"]


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_answers_have_the_form_that_was_asked_for(instruction: str) -> None:
    form = INSTRUCTIONS[instruction]
    facts = Facts((("fear", 0.7), ("sad", 0.3)), "strong", (("pitch", "high"), ("pace", "fast")), "female")
    texts = [answer(facts, instruction, rng(seed)) for seed in range(40)]
    assert [obeys(text, form) for text in texts] == [[]] * 40
    if form == "word":
        assert set(texts) == {"afraid"}
    elif form == "words":
        assert set(texts) == {"Afraid; high-pitched, fast."}
    elif form == "list":
        assert all(text.startswith("Afraid, ") and text.endswith("perhaps sad, high-pitched, fast") for text in texts)
    elif form == "voice":
        assert all(emotions_in(text) == {} for text in texts)
        assert len(set(texts)) > 20
    else:
        assert all(main_emotion(text) == "fear" for text in texts)
        assert len(set(texts)) > 10
    if form == "emotion":
        assert not any(voice_named(text) for text in texts)
    if form == "five_words":
        assert all(len(text.split()) == 5 for text in texts)
    if form not in {"word", "list"}:
        for text in texts:
            check_form(text)


@pytest.mark.parametrize("label", EMOTIONS)
def test_five_words_are_five_for_every_emotion(label: str) -> None:
    for intensity, voice in itertools.product(INTENSITIES, [(), *(((fact),) for fact in LEVELS[::4])]):
        facts = Facts(((label, 0.6), ("neutral" if label != "neutral" else "sad", 0.4)), intensity, voice)
        for form in ("five_words", "ten_words"):
            instruction = next(text for text, asked in INSTRUCTIONS.items() if asked == form)
            text = answer(facts, instruction, rng(1))
            assert obeys(text, form) == [], text  # type: ignore[arg-type]
            assert main_emotion(text) == label, text


def test_a_reason_names_only_what_is_typical_of_the_emotion() -> None:
    facts = Facts((("angry", 1.0),), voice=(("pace", "fast"), ("effort", "soft")))
    for seed in range(40):
        text = answer(facts, "What does the speaker feel, and how can you tell?", rng(seed))
        assert voice_named(text) <= {("pace", "fast")}, text
        assert re.search("fast|quick|rapid|hurried|brisk", text), text


def test_instructions_need_their_facts() -> None:
    emotion, voice = (("sad", 1.0),), (("pace", "slow"),)
    assert instructions_for(Facts(emotion, voice=voice)) == tuple(INSTRUCTIONS)
    assert {INSTRUCTIONS[text] for text in instructions_for(Facts(emotion))} == set(INSTRUCTIONS.values()) - {
        "words",
        "voice",
        "reason",
    }
    assert {INSTRUCTIONS[text] for text in instructions_for(Facts(voice=voice))} == {"voice"}
    assert "reason" not in {INSTRUCTIONS[text] for text in instructions_for(Facts(emotion, voice=(("pace", "fast"),)))}
    assert instructions_for(Facts()) == ()
    with pytest.raises(AlignCapError, match="name no voice"):
        answer(Facts(emotion), "Describe only the voice.", rng(0))
    with pytest.raises(AlignCapError, match="'Sing'"):
        answer(Facts(emotion), "Sing", rng(0))
    with pytest.raises(AlignCapError, match="emotion"):
        write_caption(Facts(voice=voice), rng(0))


def test_the_instructions_of_the_released_model_are_still_there() -> None:
    assert INSTRUCTIONS[DEFAULT_INSTRUCTION] == "caption"
    assert INSTRUCTIONS[WORD_INSTRUCTION] == "word"
    assert INSTRUCTIONS["Describe only the voice."] == "voice"


@pytest.mark.parametrize(
    ("text", "form", "complaint"),
    [
        ("She sounds very sad today.", "five_words", ""),
        ("She sounds sad.", "five_words", "3 words instead of 5"),
        ("She sounds sad. Her voice is slow.", "sentence", "2 sentences instead of 1"),
        ("She sounds sad and slow.", "two_sentences", "1 sentences instead of 2"),
        ("very sad", "word", "2 words instead of 1"),
        ("Sad, slow, low", "list", ""),
        ("Sad and slow", "list", "not a list"),
        ("Sad, slow.", "words", "no semicolon"),
        ("One two three four five six seven eight nine ten eleven.", "ten_words", "11 words"),
        ("", "caption", "0 words"),
    ],
)
def test_obeys(text: str, form: Any, complaint: str) -> None:
    found = "; ".join(obeys(text, form))
    assert complaint in found
    assert bool(found) == bool(complaint)


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


def test_clue_words_of_the_released_model() -> None:
    """The released model was trained on these words."""
    words = {
        ("pace", "fast"): "fast",
        ("pace", "slow"): "slow",
        ("pauses", "halting"): "many pauses",
        ("pitch", "high"): "high-pitched",
        ("pitch", "low"): "low-pitched",
        ("melody", "lively"): "varied intonation",
        ("melody", "flat"): "level intonation",
        ("dynamics", "even"): "even loudness",
        ("dynamics", "strong"): "strong changes in loudness",
    }
    assert {fact: clue_prompt([], [fact]) for fact in words} == {f: f"Voice: {word}." for f, word in words.items()}
    labels = ["angry", "bored", "calm", "disappointed", "disgusted", "afraid", "happy", "neutral", "sad", "surprised"]
    assert [clue_prompt([(label, 0.5)], []) for label in EMOTIONS] == [f"Feeling: {word}." for word in labels]


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


def test_facts_of_a_row() -> None:
    row = Row("a", "a.wav", emotion="happy", intensity="strong", gender="female", clues={"words": ["pitch:high"]})
    assert facts_of(row) == Facts((("happy", 1.0),), "strong", (("pitch", "high"),))
    assert facts_of(row, with_gender=True).gender == "female"
    assert facts_of(row, [("pace", "slow")]).voice == (("pace", "slow"),)
    assert facts_of(Row("a", "a.wav", clues={"words": [["pitch", "low"]]})) == Facts(voice=(("pitch", "low"),))


@pytest.mark.parametrize(
    ("emotion", "votes", "expected"),
    [
        ("", {}, ()),
        ("nonsense", {}, ()),
        ("rage", {}, (("angry", 1.0),)),  # a category of a label
        ("happy", {"happy": 0.65}, (("happy", 0.65),)),
        ("happy", {"neutral": 0.6, "happy": 0.31, "sad": 0.09}, (("neutral", 0.6), ("happy", 0.31))),
        ("sad", {"angry": 0.5, "sad": 0.5}, (("sad", 0.5), ("angry", 0.5))),  # of equals, what was meant
        ("", {"anger": 0.3, "rage": 0.3, "pride": 0.4}, (("angry", 0.6),)),  # added up; pride is no label
        ("sad", {"pride": 1.0}, (("sad", 1.0),)),
    ],
)
def test_votes_come_before_the_label(emotion: str, votes: dict[str, float], expected: Any) -> None:
    assert facts_of(Row("a", "a.wav", emotion=emotion, votes=votes)).emotions == expected


def test_the_intensity_is_that_of_the_label() -> None:
    row = Row("a", "a.wav", emotion="happy", intensity="strong", votes={"neutral": 0.8, "happy": 0.2})
    assert facts_of(row).intensity is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("a", "a.wav", votes={"sad": 1.5}), "a: 1.5 of the listeners"),
        (Row("a", "a.wav", clues={"words": ["high-pitched"]}), "a: clue words"),
        (Row("a", "a.wav", clues={"words": ["pitch:odd"]}), "unknown level of pitch 'odd'"),
    ],
)
def test_rows_that_make_no_sense(row: Row, message: str) -> None:
    with pytest.raises(AlignCapError, match=message):
        facts_of(row)


def test_data_covers_every_level() -> None:
    voice = load_data("lexicon.yaml")["voice"]
    assert {dimension: tuple(levels) for dimension, levels in voice.items()} == {
        dimension: tuple(VOICE_LEVELS[dimension]) for dimension in voice
    }
    assert set(voice) == set(VOICE_LEVELS)
    for levels in voice.values():
        for forms in levels.values():
            assert forms["clue"]
            assert all(len(forms[slot]) >= 2 for slot in ("speaks_how", "has", "clause", "literary", "clinical"))


def test_phrases_of_the_data_have_the_right_article() -> None:
    lexicon = load_data("lexicon.yaml")
    plans = [
        plan if isinstance(plan, str) else plan["text"] for plans in _lists(load_data("plans.yaml")) for plan in plans
    ]
    phrases = [phrase for found in _lists(lexicon["emotions"]) + _lists(lexicon["voice"]) for phrase in found]
    assert len(phrases) > 1500
    for phrase in [*phrases, *(re.sub(r"\{[^}]*\}", "_", plan) for plan in plans)]:
        for text in expand(phrase):
            assert not re.search(r"\ba ([aeio]|u(?!ni[^nm]))|\ban [^aeiou]", text), text


def _lists(data: Any) -> list[Any]:
    if isinstance(data, list):
        return [data]
    return [found for value in data.values() for found in _lists(value)] if isinstance(data, dict) else []


def test_data_covers_every_emotion() -> None:
    emotions = load_data("lexicon.yaml")["emotions"]
    assert set(emotions) == set(EMOTIONS)
    known = {":".join(fact) for fact in LEVELS}
    for entry in emotions.values():
        assert not set(entry["signs"]) & set(entry["unlike"])
        assert set(entry["signs"]) | set(entry["unlike"]) <= known
        assert min(len(entry["stirs"]), len(entry["as_if"])) >= 8
        for slot in ("feeling", "tone", "noun", "manner"):
            assert all(len(phrases) >= 2 for phrases in entry[slot].values())
