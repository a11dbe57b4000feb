"""Instructions, the forms of their answers, and whether a text has the form that was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["INSTRUCTIONS", "AnswerForm", "obeys"]

AnswerForm: TypeAlias = Literal[
    "caption",
    "sentence",
    "two_sentences",
    "five_words",
    "ten_words",
    "word",
    "words",
    "list",
    "voice",
    "emotion",
    "reason",
    "literary",
    "clinical",
]

INSTRUCTIONS: Mapping[str, AnswerForm] = MappingProxyType(
    {
        "Describe the emotion in the voice.": "caption",
        "Describe how the speaker feels and sounds.": "caption",
        "Describe the speaker's emotion in one sentence.": "sentence",
        "What does the speaker feel? Answer with one word.": "word",
        "Name the emotion and what is striking in the voice, in a few words.": "words",
        "Describe only the voice.": "voice",
        "How does this person sound?": "caption",
        "Summarise the speaker's feelings in a single sentence.": "sentence",
        "Describe the emotion in two sentences.": "two_sentences",
        "Describe the emotion in five words.": "five_words",
        "Use exactly five words to say how the speaker feels.": "five_words",
        "Describe the emotion in at most ten words.": "ten_words",
        "Name the emotion in a single word.": "word",
        "List words for the emotion and the voice, separated by commas.": "list",
        "Describe how the voice sounds, without naming any emotion.": "voice",
        "Describe only the emotion, and say nothing about the voice.": "emotion",
        "What does the speaker feel, and how can you tell?": "reason",
        "Which emotion do you hear, and what in the voice tells you so?": "reason",
        "Describe the emotion as a novelist would.": "literary",
        "Describe the emotion as a clinician would note it.": "clinical",
    }
)
"""Instruction → form of its answer.

caption: one or two sentences of 8 to 30 words; sentence: one; two_sentences: two; five_words: exactly five, and
ten_words: at most ten, about the main emotion alone; word: the emotion's word; words: "Angry; fast, high-pitched.";
list: words and phrases between commas; voice: a sentence about the voice without any emotion; emotion: a caption
without anything measured in the voice; reason: the emotion and the measured facts that are typical of it; literary,
clinical: captions of that style.
"""

_SENTENCES: Mapping[str, tuple[int, int]] = {
    "caption": (1, 2),
    "sentence": (1, 1),
    "two_sentences": (2, 2),
    "voice": (1, 2),
    "emotion": (1, 2),
    "reason": (1, 2),
    "literary": (1, 2),
    "clinical": (1, 2),
    "five_words": (1, 1),
    "ten_words": (1, 1),
    "words": (1, 1),
}
_WORDS: Mapping[str, tuple[int, int]] = {
    "word": (1, 1),
    "five_words": (5, 5),
    "ten_words": (1, 10),
    "words": (1, 15),
    "list": (2, 15),
}


def obeys(text: str, form: AnswerForm) -> list[str]:
    """Check the form of an answer: how many words and sentences, and which signs. What it says is not judged.

    Args:
        text: an answer.
        form: that was asked for, a value of `INSTRUCTIONS`.

    Returns:
        What is wrong, in words; empty where nothing is.
    """
    words = text.split()
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    found = []
    least, most = _WORDS.get(form, (3, 60))
    if not least <= len(words) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        found.append(f"{len(words)} words instead of {wanted}")
    least, most = _SENTENCES.get(form, (1, 1))
    if not least <= len(sentences) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        found.append(f"{len(sentences)} sentences instead of {wanted}")
    if form == "list" and (text.count(",") < 1 or re.search(r"[.;:!?]", text)):
        found.append("not a list with commas")
    if form == "words" and ";" not in text:
        found.append("no semicolon between the emotion and the voice")
    return found
