"""What a text claims: emotions, the voice, and other things, with negations and hedges.

The words are data: ``taxonomy.yaml``, ``voice_words.yaml``, ``other_words.yaml``, ``modifiers.yaml``; see
docs/claims.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from aligncap.captions.items import Item, Target, items_of
from aligncap.captions.others import other_claims, quotations, topics
from aligncap.captions.phrases import load_data
from aligncap.captions.taxonomy import categories
from aligncap.captions.voice import bind

__all__ = ["Claim", "find_claims"]

_REACH = 5  # words between a negation or hedge and the word that it still governs


@dataclass(frozen=True)
class Claim:
    """One thing that a text claims or denies.

    Attributes:
        kind: of what: an emotion, the voice, or anything else.
        target: emotion: the label of `EMOTIONS`, or the taxonomy's category where it counts as none; acoustic:
            "dimension:level", such as "pitch:high"; other: what is named, in lower case.
        category: emotion: the taxonomy's category; acoustic: the dimension; other: gender, age, person, place,
            event, sound, accent, cause, topic or quote.
        strength: 1, or less after a hedge: 0.7 for degree ("slightly"), 0.6 for what is
            likely ("probably"), 0.5 for the lesser part of a mixture, 0.4 for
            doubt and traces ("perhaps", "a hint of"). "very" does not raise it.
        negated: the text denies it.
        start: first character of the words that claim it.
        end: the character after the last.
        text: these words as the text has them.
        also: further targets that the same words may mean (a "low" voice may be quiet): right where one of them is.
    """

    kind: Literal["emotion", "acoustic", "other"]
    target: str
    category: str
    strength: float
    negated: bool
    start: int
    end: int
    text: str
    also: tuple[str, ...] = ()


def find_claims(text: str) -> list[Claim]:
    """Find what a text claims.

    Args:
        text: a caption, or any English text, of any length.

    Returns:
        Claims in the order in which their words stand. A word may claim two things (to whisper is quiet and
        breathy). What stands in quotation marks (three words or more) is what was said, not how: it makes one
        claim of category "quote"; and what a caption says the talk is about makes one of category "topic".
    """
    quotes = quotations(text)
    items = items_of(text, quotes)
    bind(items)
    told = topics(items)
    claims = [
        _claim(text, finding)
        for finding in _findings(items)
        if not any(start <= finding.item.start < end for start, end in told)
    ]
    for target, category, start, end in other_claims(text, items, quotes):
        claims.append(Claim("other", target, category, 1.0, False, start, end, text[start:end]))
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


@dataclass
class _Finding:
    item: Item
    target: Target
    strength: float
    negated: bool
    shown: bool = True  # False: counts only once a later word denies it


def _claim(text: str, finding: _Finding) -> Claim:
    item, name = finding.item, finding.target.name
    is_voice = ":" in name
    return Claim(
        kind="acoustic" if is_voice else "emotion",
        target=_label(name),
        category=name.partition(":")[0],
        strength=finding.strength,
        negated=finding.negated,
        start=item.start,
        end=item.end,
        text=text[item.start : item.end],
        also=tuple(_label(other) for other in finding.target.also),
    )


def _label(name: str) -> str:
    category = categories().get(name)
    return (category.emotion or name) if category else name


def _findings(items: Sequence[Item]) -> list[_Finding]:
    """Each word that claims something, with the negation and the hedges that govern it.

    A modifier governs the words up to the end of the clause, `_REACH` words on, or the end of the list of
    claiming words that follows it.
    """
    found: list[_Finding] = []
    clause = 0  # the first finding of this clause
    negated, strength, reach, after_term = False, 1.0, 0, False
    for i, item in enumerate(items):
        role = item.entry.role
        is_term = _is_term(items, i)
        if role == "comma" and after_term and _list_goes_on(items, i, negated=negated):
            continue
        if is_term:
            found += _of_item(item, strength, negated)
        elif role == "suffix" and after_term:
            _deny(found, [finding for finding in found if finding.item is items[i - 1]])
            continue
        elif role in {"negator", "suffix"}:
            negated, reach = True, _REACH
        elif role == "post_negator":
            _deny(found, found[clause:])
        elif role == "hedge":
            strength, reach = strength if negated else min(strength, item.entry.strength), _REACH
        elif role == "connector":
            following = _next(items, i)
            joins = item.text == "or" or (following == "hedge" and not negated)
            joins = joins or (following == "term" and not (negated and _begins_anew(items, i)))
            negated, strength, reach = (negated, strength, _REACH) if joins else (False, 1.0, 0)
        elif role in {"stop", "comma"}:
            negated, strength = False, 1.0
            clause = len(found) if role == "stop" else clause
        elif role not in {"transparent", "intensifier"}:
            reach -= 1
            if after_term or reach < 0:
                negated, strength = False, 1.0
        after_term = is_term or (after_term and role == "intensifier")
    return [finding for finding in found if finding.shown]


def _is_term(items: Sequence[Item], at: int) -> bool:
    item = items[at]
    if item.denied and not item.claims:
        return not (at + 1 < len(items) and items[at + 1].text == "of")
    return bool(item.claims)


def _of_item(item: Item, strength: float, negated: bool) -> Iterator[_Finding]:
    denied = item.denied
    if denied:
        yield _Finding(item, Target(denied), 1.0, negated=False, shown=negated)
    if not (denied and negated):
        for target in item.claims:
            yield _Finding(item, target, strength, negated != target.negated)


def _deny(found: list[_Finding], denied: Sequence[_Finding]) -> None:
    """Take back what was claimed: "Fear is absent", "emotion-free"."""
    for finding in denied:
        if not finding.shown:
            finding.shown = True
        elif any(other.item is finding.item and other.target.name == finding.item.denied for other in found):
            finding.shown = False
        else:
            finding.negated = not finding.negated


def _begins_anew(items: Sequence[Item], at: int) -> bool:
    """Whether "and" begins a phrase of its own, out of a negation's reach.

    So in "no fear and reduced loudness" and "without anger and loudly", not in "not a loud and harsh voice".
    """
    before, following = items[at - 1], items[at + 1]
    if following.head and following.head is not before.head:
        return True
    return _is_adverbial(following) and not _is_adverbial(before)


def _is_adverbial(item: Item) -> bool:
    """Whether it says how something is said: "loudly", "under his breath"."""
    of_voice = any(":" in target.name for target in item.claims)
    return of_voice and (item.text.endswith("ly") or item.text.partition(" ")[0] in _prepositions())


@cache
def _prepositions() -> frozenset[str]:
    return frozenset(load_data("modifiers.yaml")["roles"]["preposition"])


def _next(items: Sequence[Item], at: int) -> str:
    """What follows: term, or its role."""
    if at + 1 == len(items):
        return ""
    return "term" if _is_term(items, at + 1) else items[at + 1].entry.role


_GOES_ON = {True: re.compile(r"(,t)*,?ort"), False: re.compile(r"(,t)+,?(or|and)t")}


def _list_goes_on(items: Sequence[Item], at: int, *, negated: bool) -> bool:
    """Whether a comma continues a list: ", fear or sadness".

    In "not angry, sad and tired" and in "a hint of fear, and anger" it does not.
    """
    shape = ""
    for i in range(at, len(items)):
        role = items[i].entry.role
        code = "t" if _is_term(items, i) else "," if role == "comma" else items[i].text if role == "connector" else ""
        if not code:
            break
        shape += code
    return _GOES_ON[negated].match(shape) is not None
