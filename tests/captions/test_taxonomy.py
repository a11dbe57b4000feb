from __future__ import annotations

from pathlib import Path

import pytest

from aligncap.captions import taxonomy
from aligncap.captions.phrases import load_data
from aligncap.captions.taxonomy import (
    EMOTIONS,
    Wheel,
    categories,
    category_of,
    emotion_of,
    emotions_of,
    own_wheel,
    read_wheel,
    readings,
    same_group,
    strength,
    vad,
    words,
)
from aligncap.errors import AlignCapError


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("angry", "furious fury furiously annoyed irritation enraged indignant hostile resentful frustrated outraged"),
        ("fear", "terrified terror anxious anxiously dread panic worried uneasy tense timid nervousness"),
        ("sad", "dismayed grief sorrowful heartbroken gloomily despair lonely regret tearful helpless"),
        ("happy", "delighted joyful cheerfully excited amused relieved content hopeful ecstatic"),
        ("disappointed", "disappointment crestfallen dissatisfied disillusioned"),
        ("disgust", "revolted contempt scornful loathing appalled"),
        ("surprise", "astonished shocked startled bewildered disbelief"),
        ("calm", "serene peacefully composed tranquility relaxed"),
        ("boredom", "bored weary indifference apathetic tired"),
        ("neutral", "neutral matter-of-fact unemotional deadpan"),
    ],
)
def test_words_count_as_their_label(label: str, text: str) -> None:
    for word in text.split():
        assert emotion_of(word) == label, word
        assert next(iter(emotions_of(word))) == label, word


@pytest.mark.parametrize(
    ("word", "category"),
    [
        ("proudly", "pride"),
        ("ashamed", "shame"),
        ("sarcastic", "sarcasm"),
        ("tenderness", "affection"),
        ("confident", "confidence"),
    ],
)
def test_feelings_without_a_label_have_a_category(word: str, category: str) -> None:
    assert category_of(word) == category
    assert emotion_of(word) is None
    assert emotions_of(word) == {}


def test_words_of_several_readings() -> None:
    assert emotions_of("dismayed") == {"sad": 0.5, "fear": 0.3, "disappointed": 0.2}
    assert emotions_of("excited") == {"happy": 0.8, "surprise": 0.2}
    assert emotions_of("Content") == {"happy": 0.7, "calm": 0.3}
    assert readings("cold") == {"coldness": 0.6, "hostility": 0.2, "contempt": 0.2}
    assert emotions_of("cold") == {"angry": 0.2, "disgust": 0.2}  # coldness itself counts as none
    assert readings("furious") == {"rage": 1.0}


@pytest.mark.parametrize("word", ["", "  ", "table", "furious!", "sad sad", "\u00fc\u4f60"])
def test_unknown_words(word: str) -> None:
    assert category_of(word) is emotion_of(word) is strength(word) is vad(word) is None
    assert readings(word) == emotions_of(word) == {}


def test_case_white_space_and_typography_do_not_matter() -> None:
    assert category_of("  Matter\u2010of\u2010FACT ") == "neutrality"
    assert category_of("taken\n aback") == "surprise"


@pytest.mark.parametrize(
    "ladder",
    [
        "annoyed angry furious enraged",
        "uneasy worried anxious",
        "uneasy afraid panicked terrified",
        "wistful sad sorrowful heartbroken",
        "pleased happy delighted ecstatic",
        "surprised amazed astounded",
        "distaste disgusted revolted",
    ],
)
def test_strength_grows_along_ladders(ladder: str) -> None:
    strengths = [strength(word) or 0.0 for word in ladder.split()]
    assert strengths == sorted(strengths)
    assert len(set(strengths)) == len(strengths)


def test_vad_has_the_right_signs_and_order() -> None:
    def of(word: str) -> taxonomy.VAD:
        found = vad(word)
        assert found is not None
        return found

    assert of("neutral") == (0.0, 0.0, 0.0)
    assert of("delighted").valence > of("pleased").valence > 0 > of("sad").valence > of("heartbroken").valence
    assert of("furious").arousal > of("angry").arousal > of("annoyed").arousal > 0 > of("bored").arousal
    assert of("serene").arousal < 0 < of("serene").valence
    assert of("angry").dominance > 0 > of("terrified").dominance
    assert of("furiously") == of("fury") == of("furious")
    assert of("furious") == pytest.approx((-0.6 * 1.32, 0.75 * 1.32, 0.45 * 1.32))
    assert of("heartbroken").valence < of("miserable").valence
    for word in words():
        assert all(-1.0 <= value <= 1.0 for value in of(word)), word
    # two readings: between them
    low, high = sorted((categories()["grief"].vad.arousal, categories()["fear"].vad.arousal))
    assert low < of("dismayed").arousal < high


def test_the_data_are_consistent() -> None:
    data = load_data("taxonomy.yaml")
    assert {category.emotion for category in categories().values()} == {*EMOTIONS, None}
    assert {category.group for category in categories().values()} == set(data["groups"])
    for category in categories().values():
        assert all(-1.0 <= value <= 1.0 for value in category.vad), category
        assert words(category.name), category
    assert len(words()) > 900
    for word, weights in data["readings"].items():
        assert sum(weights.values()) == pytest.approx(1.0), word
        assert set(weights) <= set(categories()), word
        assert next(iter(weights)) == category_of(word), word
        assert max(weights, key=weights.__getitem__) == category_of(word), word
    for word in data["only_of_voices"]:
        assert category_of(word), word
    assert {
        type(word) for entry in data["categories"].values() for lemma in entry["words"].values() for word in lemma[1:]
    } == {str}
    with pytest.raises(AlignCapError, match="unknown emotion category 'joy'"):
        words("joy")


def test_no_word_stands_in_two_categories() -> None:
    seen: dict[str, str] = {}
    for category, entry in load_data("taxonomy.yaml")["categories"].items():
        for lemma, (_, *forms) in entry["words"].items():
            for form in taxonomy.expanded([lemma, *forms]):
                assert seen.setdefault(form, f"{category}/{lemma}") == f"{category}/{lemma}", form


def test_own_wheel_groups() -> None:
    assert same_group("furious", "annoyed")
    assert same_group("furiously", "rage", level=2)
    assert same_group("furious", "annoyed", level=2) is False
    assert same_group("furious", "sad") is False
    assert same_group("furious", "table") is None
    assert same_group("dismayed", "afraid") is True
    assert same_group("dismayed", "heartbroken") is True
    assert own_wheel().groups_of("anger") == {"anger"}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_reading_a_wheel(tmp_path: Path) -> None:
    text = "level1,level2,level3\nMad,Salty,Bitter\nMad,Anger,Furious\nSad,Hurt,Let Down\nSad,Lonely,Bitter\n"
    wheel = read_wheel(write(tmp_path / "wheel9.csv", text, "utf-8-sig"))
    assert wheel.name == "wheel9"
    assert wheel.groups_of("BITTER") == {"mad", "sad"}
    assert wheel.groups_of("bitter", level=2) == {"salty", "lonely"}
    assert wheel.groups_of("fury") == {"mad"}  # the wheel shows another form of it
    assert wheel.groups_of("mad") == {"mad"}
    assert wheel.groups_of("sad", level=2) == frozenset()
    assert wheel.groups_of("joy") == frozenset()
    assert same_group("furious", "salty", wheel) is True
    assert same_group("furious", "let down", wheel) is False
    assert same_group("furious", "let down", Wheel("none", ())) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an emotion wheel"),
        ("level1,level2,level3\n", "not an emotion wheel"),
        ("a,b\n1,2\n", "not an emotion wheel"),
        ("level1,level2,level3\nMad,Anger,Furious\nMad,,Rage\n", "line 3 lacks"),
        ("level1,level2,level3\nMad\n", "line 2 lacks"),
    ],
)
def test_bad_wheels_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AlignCapError, match=message):
        read_wheel(write(tmp_path / "w.csv", text))


def test_unreadable_wheels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AlignCapError, match=r"w\.csv: the wheel cannot be read"):
        read_wheel(tmp_path / "w.csv")
    with pytest.raises(AlignCapError, match="cannot be read"):
        read_wheel(write(tmp_path / "latin.csv", "level1,level2,level3\nA,B,\u00e9\n", "latin-1"))
