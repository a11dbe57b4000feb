"""Words and phrases of a text: cutting it into tokens, and finding known phrases among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar

import yaml

__all__ = ["PhraseTable", "Token", "expand", "expanded", "load_data", "normalise", "tokenize"]

_V = TypeVar("_V")

_TYPED = {0x2019: "'", 0x2018: "'", 0x02BC: "'", 0x2010: "-", 0x2011: "-", 0x201C: '"', 0x201D: '"', 0x00A0: " "}
_DASH = "\u2013\u2014"
_TOKEN = re.compile(
    rf"""(?P<stop>[{_DASH}]|--+|(?<=\s)-(?=\s)|\.\.\.)  # dashes part clauses; hyphens join words
    |(?P<is>(?:(?<=\bit)|(?<=\bhe)|(?<=\bshe)|(?<=\bthat)|(?<=\bthere))'s\b)
    |n't\b|can(?=not\b)|\w+?(?=n't\b)|'(?:s|re|ve|ll|d|m)\b|\w+|[^\w\s]""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = {"stop": ";", "is": "is"}
_CHOICE = re.compile(r"\(([^()]*)\)")


class Token(NamedTuple):
    """A word or a sign: its lower-case text (";" for any dash), and where it stands, in characters."""

    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Cut a text into words and signs.

    "isn't" is "is" and "n't", "she's" is "she" and "is", "cannot" is "can" and "not", "high-pitched" is "high", "-"
    and "pitched".
    """
    plain = text.translate(_TYPED)
    return [
        Token(_NAMED[match.lastgroup] if match.lastgroup else match.group().lower(), match.start(), match.end())
        for match in _TOKEN.finditer(plain)
    ]


def normalise(word: str) -> str:
    """A word or phrase as the tables spell it: lower case, plain apostrophes and hyphens, single blanks."""
    return " ".join(word.translate(_TYPED).lower().split())


def expand(phrase: str) -> list[str]:
    """Write a phrase of the data files out: "(a|an|) high~pitched" stands for six phrases.

    Args:
        phrase: "(x|y)" is one of these, "(x|)" is x or nothing, "~" is a hyphen or a blank.
    """
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(_CHOICE.split(phrase))]
    texts = ["".join(parts) for parts in product(*choices)]
    return [normalise(text.replace("~", sign)) for text in texts for sign in ("- " if "~" in text else "-")]


class PhraseTable(Generic[_V]):
    """Phrases and what they mean; the longest phrase at a place wins."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], _V]]] = {}

    def add(self, phrase: str, value: _V) -> None:
        """Add one phrase as it is written in a text (see `expand`)."""
        words = tuple(token.text for token in tokenize(phrase))
        entries = self._by_first.setdefault(words[0], [])
        entries.append((words, value))
        entries.sort(key=lambda entry: -len(entry[0]))

    def match(self, words: Sequence[str], at: int) -> tuple[int, _V] | None:
        """The longest phrase that begins at a token: (number of tokens, value), or None."""
        for phrase, value in self._by_first.get(words[at], ()):
            n = len(phrase)
            if n == 1 or tuple(words[at : at + n]) == phrase:
                return n, value
        return None


@cache
def load_data(name: str) -> Any:
    """A data file of this package, parsed once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where libyaml is there
    return yaml.load(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"), Loader=loader)


def expanded(phrases: Iterable[str]) -> Iterator[str]:
    """Every phrase of a list of the data files, written out."""
    for phrase in phrases:
        yield from expand(phrase)
