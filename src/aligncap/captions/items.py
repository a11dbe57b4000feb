"""From a text to items: its words and phrases, each with everything that the data files say about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from aligncap.captions.phrases import PhraseTable, Token, expanded, load_data, tokenize
from aligncap.captions.taxonomy import readings, words

__all__ = ["Entry", "Item", "Target", "items_of"]

_BOUND_CLASSES = ("voice", "tone", "person", "speech", "bare")


class Target(NamedTuple):
    """What words claim (a category of the taxonomy or "dimension:level"), or deny, and what they may mean as well."""

    name: str
    negated: bool = False
    also: tuple[str, ...] = ()


@dataclass
class Entry:
    """What the data files say about one phrase.

    Attributes:
        role: part in the sentence: word, negator, post_negator, suffix, hedge, transparent, stop, comma,
            connector, intensifier, link, determiner, preposition.
        strength: of what a hedge governs.
        claims: what it claims wherever it stands.
        values: class of head → what it claims when it is said of such a head.
        heads: classes of head to which it belongs.
        follows: whether, as a head, it may stand after its value word ("a low voice", never "a low he").
        denied: what it claims when it is negated.
        others: (kind, target) of claims about other things than emotion and voice.
    """

    role: str = "word"
    strength: float = 1.0
    claims: tuple[Target, ...] = ()
    values: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    heads: frozenset[str] = frozenset()
    follows: bool = True
    denied: str = ""
    others: tuple[tuple[str, str], ...] = ()


class Item:
    """A phrase in a text: its entry, where it stands (characters), and what it turned out to claim or deny there.

    ``head`` is the head that follows a value word, where one does.
    """

    __slots__ = ("claims", "denied", "end", "entry", "head", "start", "text")

    def __init__(self, entry: Entry, text: str, start: int, end: int) -> None:
        self.entry = entry
        self.text = text
        self.start = start
        self.end = end
        self.claims = entry.claims
        self.denied = entry.denied
        self.head: Item | None = None


_WORD, _DEGREE = Entry(), Entry("intensifier")
_SIGNS = {**dict.fromkeys(".;:!?()[]", Entry("stop")), ",": Entry("comma"), '"': Entry("transparent")}


def items_of(text: str, skip: Sequence[tuple[int, int]] = ()) -> list[Item]:
    """Cut a text into known phrases and single words.

    Args:
        text: any English text.
        skip: stretches (start, end) in characters to leave out; each becomes a stop.
    """
    tokens = tokenize(text)
    if skip:
        tokens = _without(tokens, skip)
    names = [token.text for token in tokens]
    table, items, at = _table(), [], 0
    while at < len(tokens):
        start = tokens[at].start
        match = table.match(names, at)
        if match:
            length, entry = match
            items.append(Item(entry, " ".join(names[at : at + length]), start, tokens[at + length - 1].end))
            at += length
            continue
        name = names[at]
        entry = _SIGNS.get(name) or (_DEGREE if name.endswith("ly") else _WORD)
        items.append(Item(entry, name, start, tokens[at].end))
        at += 1
    return items


def _without(tokens: Iterable[Token], skip: Sequence[tuple[int, int]]) -> list[Token]:
    kept: list[Token] = []
    for token in tokens:
        if not any(start <= token.start < end for start, end in skip):
            kept.append(token)
        elif not kept or kept[-1].text != ";":
            kept.append(Token(";", token.start, token.end))
    return kept


_Entries = dict[str, Entry]


@cache
def _table() -> PhraseTable[Entry]:
    """All phrases of the data files. One phrase may have several parts to play, as "flat" and "sounds" have."""
    entries: _Entries = {}
    _add_modifiers(entries)
    _add_emotions(entries)
    _add_voice(entries)
    _add_others(entries)
    table: PhraseTable[Entry] = PhraseTable()
    for phrase, entry in entries.items():
        table.add(phrase, entry)
    return table


def _of(entries: _Entries, phrases: Iterable[str]) -> Iterator[Entry]:
    for phrase in expanded(phrases):
        yield entries.setdefault(phrase, Entry())


def _add_modifiers(entries: _Entries) -> None:
    data = load_data("modifiers.yaml")
    for role, phrases in data["roles"].items():
        for entry in _of(entries, phrases):
            entry.role = role
    for strength, phrases in data["hedges"].items():
        for entry in _of(entries, phrases):
            entry.role, entry.strength = "hedge", float(strength)


def _add_emotions(entries: _Entries) -> None:
    data = load_data("taxonomy.yaml")
    bound = {form for word in data["only_of_voices"] for form in expanded([word])}
    for word in words():
        first, *rest = readings(word)
        target = (Target(first, also=tuple(rest)),)
        entry = entries.setdefault(word, Entry())
        if word in bound:
            entry.values = dict.fromkeys(_BOUND_CLASSES, target)
        else:
            entry.claims = target
    _add_denied(entries, data)


def _add_voice(entries: _Entries) -> None:
    data = load_data("voice_words.yaml")
    for key, phrases in data["words"].items():
        for entry in _of(entries, phrases):
            entry.claims += _targets(key)
    for name, phrases in data["heads"].items():
        for entry in _of(entries, phrases):
            entry.heads |= {name}
    for entry in _of(entries, data["only_after_heads"]):
        entry.follows = False
    for name, levels in data["values"].items():
        for key, phrases in levels.items():
            for entry in _of(entries, phrases):
                entry.values[name] = entry.values.get(name, ()) + _targets(key)
    _add_denied(entries, data)


def _add_denied(entries: _Entries, data: Mapping[str, Any]) -> None:
    for target, phrases in data["denied"].items():
        for entry in _of(entries, phrases):
            entry.denied = target


def _add_others(entries: _Entries) -> None:
    data = load_data("other_words.yaml")
    groups = [(kind, target, phrases) for kind, targets in data["words"].items() for target, phrases in targets.items()]
    groups += [(kind, "", data[kind]) for kind in ("place", "cause", "topic")]
    for kind, target, phrases in groups:
        for phrase in expanded(phrases):
            entry = entries.setdefault(phrase, Entry())
            entry.others += ((kind, target or phrase),)
    for phrase, entry in entries.items():  # "raises his voice" still says who
        if " " in phrase:
            parts = [entries[word].others for word in phrase.split() if word in entries]
            told = [other for others in parts for other in others if other[0] == "gender"]
            entry.others += tuple(other for other in told if other not in entry.others)


def _targets(key: str) -> tuple[Target, ...]:
    """Read a key of ``voice_words.yaml``: "A + B", "A / B", "not A"."""
    targets = []
    for part in key.split(" + "):
        name, *also = part.split(" / ")
        targets.append(Target(name.removeprefix("not "), name.startswith("not "), tuple(also)))
    return tuple(targets)
