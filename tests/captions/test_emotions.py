from __future__ import annotations

import pytest

from aligncap.captions import EMOTIONS, emotions_in, main_emotion
from aligncap.captions.emotions import load_data
from aligncap.captions.phrases import expand
from aligncap.captions.taxonomy import emotion_of, words

FORMS = ("feeling", "tone", "noun", "manner")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("angry", "angry Angrily ANGER furious irritated annoyed frustrated enraged"),
        ("fear", "frightened scared terrified anxious nervous worried afraid fearful"),
        ("happy", "joyful cheerful delighted excited happily joy"),
        ("sad", "upset sorrowful gloomy unhappy tearful grief"),
        ("disappointed", "disappointed disappointment dissatisfied"),
        ("disgust", "disgusted revolted repulsed disgust revulsion"),
        ("surprise", "astonished amazed shocked startled surprised"),
        ("boredom", "bored weary indifferent boredom"),
        ("calm", "serene relaxed peaceful calmly tranquil"),
        ("neutral", "neutral unemotional matter-of-fact even-tempered"),
    ],
)
def test_common_words_have_their_label(label: str, words: str) -> None:
    for word in words.split():
        assert emotions_in(f"The speaker sounds {word}.") == {label: 1.0}, word


@pytest.mark.parametrize(
    "text",
    [
        "The voice shows no particular emotion.",
        "It is said without strong emotion.",
        "He speaks with little emotion",
        "She does not show any feelings.",
        "The delivery lacks emotion.",
        "It is not very emotional.",
    ],
)
def test_absence_of_emotion_is_neutral(text: str) -> None:
    assert emotions_in(text) == {"neutral": 1.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She is not angry.", {}),
        ("He isn\u2019t happy", {}),
        ("There is no trace of anger or sadness, just calm.", {"calm": 1.0}),
        ("Not angry, sad or afraid.", {}),
        ("She sounds neither happy nor sad, only neutral.", {"neutral": 1.0}),
        ("Not angry, but sad.", {"sad": 1.0}),
        ("He sounds calm, without any fear.", {"calm": 1.0}),
        ("Sad rather than angry.", {"sad": 1.0}),
        ("She is anything but calm.", {}),
        ("There is little joy in it, and much sorrow.", {"sad": 1.0}),
        ("a non-angry voice", {}),
        ("There are no feelings of anger.", {}),
        ("No longer afraid, she sounds relieved.", {"happy": 1.0}),
        ("He is not speaking loudly \u2013 he sounds sad.", {"sad": 1.0}),
        ("Not loud at all and yet angry.", {"angry": 1.0}),
        # these look like negations and are none
        ("Not only angry but also disgusted.", {"angry": 1.0, "disgust": 1.0}),
        ("He cannot hide his delight.", {"happy": 1.0}),
        ("She couldn't be happier.", {"happy": 1.0}),
        ("No doubt she is sad.", {"sad": 1.0}),
    ],
)
def test_negation(text: str, expected: dict[str, float]) -> None:
    assert emotions_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She sounds slightly sad.", {"sad": 0.7}),
        ("She sounds sad, with a trace of anger.", {"sad": 1.0, "angry": 0.4}),
        ("She sounds neutral, perhaps a little sad.", {"neutral": 1.0, "sad": 0.4}),
        ("A hint of fear, anger and sadness.", {"fear": 0.4, "angry": 0.4, "sad": 0.4}),
        ("A hint of fear, and anger.", {"fear": 0.4, "angry": 1.0}),
        ("Slightly sad but very angry.", {"sad": 0.7, "angry": 1.0}),
        ("More sad than angry.", {"sad": 1.0, "angry": 0.5}),
        ("Joy mixed with surprise.", {"happy": 1.0, "surprise": 0.5}),
        ("Perhaps surprised; certainly surprised.", {"surprise": 1.0}),
    ],
)
def test_hedges(text: str, expected: dict[str, float]) -> None:
    assert emotions_in(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "The voice is flat, low and slow.",
        "As a matter of fact, it is a bright room.",
        "The unsurprising soundtrack",
        "madam, sadist, calmat",
    ],
)
def test_nothing_named(text: str) -> None:
    assert emotions_in(text) == {}
    assert main_emotion(text) is None


def test_main_emotion_is_the_strongest_then_the_earliest() -> None:
    assert main_emotion("A hint of fear in an angry voice.") == "angry"
    assert main_emotion("Happy and surprised.") == "happy"
    assert main_emotion("Surprised and happy.") == "surprise"
    assert main_emotion("Perhaps sad, angry, and clearly sad.") == "angry"


def test_white_space_and_case_do_not_matter() -> None:
    text = "taken aback, with a hint of fear"
    assert emotions_in("  " + text.upper().replace(" ", "\n ")) == emotions_in(text)


@pytest.mark.parametrize("label", EMOTIONS)
def test_every_phrase_of_the_lexicon_names_its_emotion_alone(label: str) -> None:
    entry = load_data("lexicon.yaml")["emotions"][label]
    phrases = [entry["word"], entry["name"]]
    for form in FORMS:
        assert set(entry[form]) == {"mild", "normal", "strong"}
        for choices in entry[form].values():
            assert len(choices) == len(set(choices)) >= 2
            phrases += [phrase for choice in choices for phrase in expand(choice)]
    for phrase in phrases:
        assert set(emotions_in(phrase)) == {label}, phrase


def test_every_word_of_the_taxonomy_names_its_emotion_of_a_voice() -> None:
    for word in words():
        label = emotion_of(word)
        named = emotions_in(f"She sounds {word}.")
        assert label is None or set(named) == {label}, word


def test_feelings_that_count_as_no_label_are_not_named() -> None:
    assert emotions_in("She sounds proud, sarcastic and ashamed, in a tender, cold voice.") == {}


def test_phrases_about_the_voice_name_no_emotion() -> None:
    for levels in load_data("lexicon.yaml")["voice"].values():
        for level in levels.values():
            for phrases in level.values():
                for phrase in [phrases] if isinstance(phrases, str) else phrases:
                    for text in expand(phrase):
                        assert emotions_in(text) == {}, text
