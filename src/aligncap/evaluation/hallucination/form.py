"""Captions that are broken whatever they say: refusals, loops, cut-off text, markup, remains of a chat."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from aligncap.evaluation.hallucination.finding import Finding, finding
from aligncap.evaluation.hallucination.vocabulary import load_words
from aligncap.metrics import tokenize

__all__ = ["broken_form", "loops", "refusals"]

_LONGEST_WORD = 45
_FEWEST_REPEATS = {1: 4, 2: 3, 3: 3}  # of one word ("very, very, very" is emphasis), two, three; else two
_LONGEST_PERIOD = 30


def refusals(text: str) -> Iterator[Finding]:
    """Where a model says that it cannot, will not, or is a model."""
    if match := _pattern("refusals").search(_plain(text)):
        yield finding("refusal", f"{match.group()!r} is no description", match.group())


def loops(text: str) -> Iterator[Finding]:
    """The first stretch that is repeated at once, or else a sentence that comes again.

    Enough repeats are four of a word, three of two or three words, two of a longer stretch.
    """
    words = tokenize([text], "characters")[0].split()
    for start in range(len(words)):
        for period in range(1, min(_LONGEST_PERIOD, (len(words) - start) // 2) + 1):
            unit = words[start : start + period]
            repeats = 1
            while words[start + repeats * period : start + (repeats + 1) * period] == unit:
                repeats += 1
            if repeats >= _FEWEST_REPEATS.get(period, 2) and not (period > 1 and len(set(unit)) == 1):
                phrase = " ".join(unit)
                yield finding("loop", f"{phrase!r} {repeats} times over", phrase)
                return
    yield from _said_again(text)


def _said_again(text: str) -> Iterator[Finding]:
    """A sentence of at least four words that comes twice."""
    seen = set()
    for sentence in re.split(r"[.!?;\n]+", text):
        words = tuple(tokenize([sentence], "characters")[0].split())
        if len(words) >= 4 and words in seen:
            yield finding("loop", f"{' '.join(words)!r} is said twice", sentence.strip())
            return
        seen.add(words)


def broken_form(text: str) -> Iterator[Finding]:
    """What no caption has: nothing in it, no end, markup, remains of a chat, strange signs."""
    if not any(char.isalpha() for char in text):
        yield finding("form", "there are no words in it" if text.strip() else "it is empty")
        return
    if match := _pattern("remains").search(_plain(text)):
        yield finding("form", f"{match.group().strip()!r} belongs to no caption", match.group())
    if strange := next((char for char in text if _is_strange(char)), ""):
        yield finding("form", f"a sign that cannot be read (U+{ord(strange):04X})", strange)
    if long := next((word for word in text.split() if len(word) > _LONGEST_WORD), ""):
        yield finding("form", f"{long[:20] + '…'!r} is no word", long)
    if end := _cut_off(text):
        yield finding("form", f"it is cut off after {end!r}", end)


def _is_strange(char: str) -> bool:
    """Whether no text has it: control signs, halves of surrogate pairs, unassigned and private ones."""
    return char == "\ufffd" or (unicodedata.category(char) in {"Cc", "Cs", "Cn", "Co"} and not char.isspace())


def _cut_off(text: str) -> str:
    """The last word of a text that breaks off; empty where it does not."""
    end = text.rstrip()
    last = re.search(r"[\w']+\W*$", end)
    if not last:
        return ""
    word = last.group().lower()
    if word in _unfinished() or end[-1] in ",-(\u2013\u2014" or end.count("(") > end.count(")"):
        return last.group()
    return last.group() if end.count('"') % 2 or end.count("\u201c") > end.count("\u201d") else ""


def _plain(text: str) -> str:
    return text.replace("\u2019", "'")


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in load_words()[name]), re.IGNORECASE | re.MULTILINE)


@cache
def _unfinished() -> frozenset[str]:
    return frozenset(load_words()["unfinished"].split())
