"""Claims about other things than emotion and voice: who, where, what happened, why, what was said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from aligncap.captions.items import Item
from aligncap.captions.phrases import load_data, normalise

__all__ = ["other_claims", "quotations", "topics"]

_QUOTED = re.compile(
    r"[\"\u201c]([^\"\u201c\u201d]+)[\"\u201d]"
    r"|(?<!\w)['\u2018]((?:[^'\u2018\u2019]|(?<=\w)['\u2019](?=\w))+)['\u2019](?!\w)"
)
_QUOTE_WORDS = 3  # fewer are a word in quotation marks, not what somebody said
_NAME = re.compile(r"\b(?:in|at|from|near|outside)\s+((?:[A-Z]\w+)(?:\s+[A-Z]\w+)*)")
_PLACE_REACH = 4  # words between "in" and the place


def quotations(text: str) -> list[tuple[int, int]]:
    """Where a text quotes what was said: (start, end) in characters, quotation marks included."""
    if not any(mark in text for mark in "\"'\u201c\u2018"):
        return []
    return [
        match.span()
        for match in _QUOTED.finditer(text)
        if len((match.group(1) or match.group(2)).split()) >= _QUOTE_WORDS
    ]


def topics(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Stretches that say what the talk is about: their words claim nothing of the voice."""
    return [
        (item.start, _end(items, at, {"stop", "comma"}))
        for at, item in enumerate(items)
        if any(kind == "topic" for kind, _ in item.entry.others)
    ]


def other_claims(
    text: str, items: Sequence[Item], quotes: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, str, int, int]]:
    """(target, category, start, end) of each claim, in any order."""
    for start, end in quotes:
        yield normalise(text[start + 1 : end - 1]), "quote", start, end
    for at, item in enumerate(items):
        for kind, target in item.entry.others:
            match kind:
                case "cause" | "topic":
                    end = _end(items, at, {"stop", "comma"} if kind == "topic" else {"stop"})
                    if end > item.end:
                        yield normalise(text[item.end : end]), kind, item.start, end
                case "place":
                    if _is_place(items, at):
                        yield target, kind, item.start, item.end
                case _:
                    yield target, kind, item.start, item.end
    for match in _NAME.finditer(text):
        if match.group(1).split()[0].lower() not in _not_names():
            yield match.group(1).lower(), "place", match.start(1), match.end(1)


def _end(items: Sequence[Item], at: int, roles: set[str]) -> int:
    end = items[at].end
    for item in items[at + 1 :]:
        if item.entry.role in roles:
            break
        end = item.end
    return end


def _is_place(items: Sequence[Item], at: int) -> bool:
    return any(item.text in _before_places() for item in items[max(0, at - _PLACE_REACH) : at])


@cache
def _before_places() -> frozenset[str]:
    return frozenset(load_data("other_words.yaml")["before_places"])


@cache
def _not_names() -> frozenset[str]:
    return frozenset(load_data("other_words.yaml")["not_names"])
