from __future__ import annotations

import sys

import pytest

from aligncap.captions import parser
from aligncap.captions.parser import Clue, ClueCount, clue_vocabulary, parse_clues
from aligncap.errors import MissingExtraError


def brief(caption: str) -> list[tuple[str, str, str, str]]:
    return [(clue.text, clue.lemma, clue.part_of_speech, clue.target) for clue in parse_clues(caption)]


@pytest.mark.parametrize(
    ("caption", "clues"),
    [
        ("She sounds furious.", [("furious", "furious", "adjective", "angry")]),
        ("He speaks angrily.", [("angrily", "angrily", "adverb", "angry")]),
        ("There is contempt in it.", [("contempt", "contempt", "noun", "disgust")]),
        ("The voice trembles.", [("trembles", "tremble", "verb", "steadiness:trembling")]),
        ("Alas, it is over.", [("Alas", "alas", "interjection", "sad")]),
        ("It is high-pitched.", [("high-pitched", "high-pitched", "adjective", "pitch:high")]),
        ("He is at ease.", [("at ease", "at ease", "phrase", "calm")]),
        ("He may be sad.", [("may", "may", "modal", "doubt"), ("sad", "sad", "adjective", "sad")]),
        ("", []),
        ("\u00bf? \U0001f600", []),
        ("The table is green.", []),
    ],
)
def test_clues_have_part_of_speech_and_lemma(caption: str, clues: list[tuple[str, str, str, str]]) -> None:
    assert brief(caption) == clues


def test_clues_keep_negation_strength_and_place() -> None:
    text = "Not angry, but with a hint of \u201cjoy\u201d."
    angry, joy = parse_clues(text)
    assert angry == Clue("angry", "angry", "adjective", "emotion", "angry", 1.0, True, 4, 9)
    assert (joy.target, joy.strength, joy.negated, text[joy.start : joy.end]) == ("happy", 0.4, False, "joy")


def test_what_is_no_clue() -> None:
    assert [clue.target for clue in parse_clues("The woman sounds sad because she lost her job.")] == ["sad"]


def test_vocabulary_counts_what_is_said_and_denied() -> None:
    captions = ["She is sad.", "He is sad, not angry.", "Sad and trembling.", "A trembling voice, not sad."]
    vocabulary = clue_vocabulary(iter(captions))
    assert vocabulary[0] == ClueCount("sad", "adjective", "emotion", "sad", count=3, denied=1)
    assert {(entry.target, entry.count, entry.denied) for entry in vocabulary} == {
        *[("sad", 3, 1), ("steadiness:trembling", 2, 0), ("angry", 0, 1)]
    }
    totals = [entry.count + entry.denied for entry in vocabulary]
    assert totals == sorted(totals, reverse=True)
    assert clue_vocabulary([]) == []


def test_without_hanta_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "HanTa", None)
    parser._tagger.cache_clear()
    with pytest.raises(MissingExtraError, match=r"aligncap\[captions\]"):
        parse_clues("She is sad.")
    parser._tagger.cache_clear()
