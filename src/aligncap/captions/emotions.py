"""Which emotions a text names, and how strongly: a lexicon, whole words, negations and hedges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

__all__ = ["EMOTIONS", "emotions_in", "load_data", "main_emotion"]

EMOTIONS = (
    "angry",
    "boredom",
    "calm",
    "disappointed",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)

_REACH = 5  # words between a negation or hedge and the emotion word that it still governs
_PLAIN = {0x2019: "'", 0x2010: "-", 0x2011: "-", 0x2013: " - ", 0x2014: " - "}  # typographic signs, as typed


def emotions_in(text: str) -> dict[str, float]:
    """The emotions that a text names.

    A word counts 1, or less when a hedge governs it: 0.7 after words of degree ("slightly"), 0.5 as part of a
    mixture ("mixed with", "more sad than angry"), 0.4 after words of doubt or trace ("perhaps", "a hint of").
    Words that a negation governs ("not angry", "no trace of fear or sadness", "calm rather than sad") do not
    count. An emotion named several times has the strength of its strongest mention.

    Args:
        text: a caption, or any English text.

    Returns:
        Label of `EMOTIONS` → strength in (0, 1], in the order of the strongest mentions; empty where none is
        named.
    """
    found: dict[str, float] = {}
    for label, strength in _mentions(list(_tokens(text))):
        if strength > found.get(label, 0.0):
            found.pop(label, None)
            found[label] = strength
    return found


def main_emotion(text: str) -> str | None:
    """The emotion that a text names most strongly (of equals, the first), or None where it names none."""
    found = emotions_in(text)
    return max(found, key=found.__getitem__) if found else None


@dataclass(frozen=True)
class _Token:
    """`kind` is term, negator, hedge, transparent, stop (the clause ends), comma, connector or word."""

    kind: str
    text: str
    label: str = ""
    strength: float = 1.0


def _mentions(tokens: list[_Token]) -> Iterator[tuple[str, float]]:
    """Each emotion word that counts, with its strength.

    A modifier governs the words up to the end of the clause, `_REACH` words on, or the end of the list of
    emotion words that follows it.
    """
    strength, reach, after_term = 1.0, 0, False
    for i, token in enumerate(tokens):
        following = tokens[i + 1].kind if i + 1 < len(tokens) else ""
        if token.kind == "comma" and after_term and _list_goes_on(tokens[i:], negated=strength == 0.0):
            continue
        if token.kind == "term" and strength > 0.0:
            yield token.label, strength
        elif token.kind == "negator":
            strength, reach = 0.0, _REACH
        elif token.kind == "hedge":
            strength, reach = min(strength, token.strength), _REACH
        elif token.kind == "connector":
            joins = token.text == "or" or following == "term" or (following == "hedge" and strength > 0.0)
            strength, reach = (strength, _REACH) if joins else (1.0, 0)
        elif token.kind in {"stop", "comma"}:
            strength = 1.0
        elif token.kind == "word":
            reach -= 1
            strength = 1.0 if after_term or reach < 0 else strength
        after_term = token.kind == "term"


def _list_goes_on(tokens: list[_Token], *, negated: bool) -> bool:
    """Whether the comma at the head of `tokens` continues a list of emotion words: ", fear or sadness".

    In "not angry, sad and tired" and in "a hint of fear, and anger" it does not.
    """
    codes = {"comma": ",", "term": "t"}
    shape = "".join(t.text if t.kind == "connector" else codes.get(t.kind, "-") for t in tokens)
    return re.match(r"(,t)*,?ort" if negated else r"(,t)+,?(or|and)t", shape) is not None


def _tokens(text: str) -> Iterator[_Token]:
    text = " ".join(text.translate(_PLAIN).split())
    strengths = list(load_data("lexicon.yaml")["modifiers"]["hedges"])
    for match in _pattern().finditer(text):
        kind, found = str(match.lastgroup), match.group().lower()
        if kind.startswith("term"):
            yield _Token("term", found, label=EMOTIONS[int(kind[4:])])
        elif kind.startswith("hedge"):
            yield _Token("hedge", found, strength=strengths[int(kind[5:])])
        else:
            yield _Token(kind, found)


@cache
def _pattern() -> re.Pattern[str]:
    """One alternation of everything that matters, the more specific first."""
    lexicon = load_data("lexicon.yaml")
    emotions, modifiers = lexicon["emotions"], lexicon["modifiers"]
    groups = {f"term{i}": emotions[label]["words"] for i, label in enumerate(EMOTIONS)}
    groups["transparent"] = modifiers["transparent"]
    groups["negator"] = modifiers["negators"]
    groups |= {f"hedge{i}": words for i, words in enumerate(modifiers["hedges"].values())}
    groups["connector"] = ["and", "or"]
    parts = [rf"(?P<{name}>(?<!\w)(?:{_alternatives(words)})(?!\w))" for name, words in groups.items()]
    breakers = _alternatives(modifiers["breakers"])
    parts.append(rf"(?P<stop>[.;:!?()\[\]\"]| - |(?<!\w)(?:{breakers})(?!\w))")
    parts += [r"(?P<comma>,)", r"(?P<word>\w+(?:'\w+)?)"]
    return re.compile("|".join(parts), re.IGNORECASE)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


@cache
def load_data(name: str) -> Any:
    """A data file of this package, parsed once: ``lexicon.yaml`` or ``plans.yaml``."""
    return yaml.safe_load(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
