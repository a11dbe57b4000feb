"""Inventions: events, places, persons, sounds and content that nobody can hear in a voice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from aligncap.captions.claims import Claim
from aligncap.captions.phrases import expanded
from aligncap.evaluation.hallucination.finding import Finding, finding
from aligncap.evaluation.hallucination.leakage import leaks, repeats
from aligncap.evaluation.hallucination.vocabulary import content_words, load_words

__all__ = ["inventions"]

_TYPES = {"person": "identity", "age": "identity", "accent": "identity", "cause": "content", "topic": "content"}
_TYPES |= {"quote": "content", "event": "event", "place": "place", "sound": "sound"}
_MILD = {"age": 0.5, "accent": 0.5}  # can be heard, if nobody told
_DENIED = re.compile(r"(?:n't|\b(?:no|not|without|free (?:of|from)|nor|neither))\b(?:\s+\w+){0,2}\s*$", re.IGNORECASE)
_IN_VOICE = re.compile(r"\s+(?:in|of|through) (?:his|her|their|the) (?:\w+ )?(?:voice|tone|words|speech|delivery)\b")
_SIMILE = re.compile(r"\b(?:like|as if|as though)\b[^.,;]*$", re.IGNORECASE)


class _Told(NamedTuple):
    category: str
    target: str
    start: int
    end: int


def inventions(text: str, claims: Sequence[Claim], transcript: str) -> Iterator[Finding]:
    """What a caption tells that is neither emotion nor voice.

    A cause or topic that lies in the voice or the feeling ("because the voice trembles", "due to her anger") is none,
    and neither is what the text denies ("no background noise") or says of the voice ("fire in her voice"). What the
    transcript tells is leakage.

    Args:
        text: a caption.
        claims: of `find_claims` for it.
        transcript: what was said.
    """
    told = [_Told(claim.category, claim.target, claim.start, claim.end) for claim in claims if claim.kind == "other"]
    genders = {(one.start, one.end) for one in told if one.category == "gender"}
    found = [one for one in told if one.category in _TYPES and not (one.category == "age" and one[2:] in genders)]
    found += [one for one in _listed(text) if not any(_overlap(one, other) for other in found)]
    found += [one for one in _causes(text) if not any(_overlap(one, other) for other in found)]
    for one in sorted(found, key=lambda one: one.start):
        words = text[one.start : one.end]
        if words.lower() in _not_inventions() or _DENIED.search(text[: one.start]) or _IN_VOICE.match(text, one.end):
            continue
        if one.category in {"cause", "topic"} and not content_words(one.target):
            continue
        if repeats(words, transcript) or (one.category == "quote" and any(leaks(words, transcript))):
            yield finding("leakage", f"{words!r} is from what was said", words, 0.7)
        else:
            reason = f"{words!r}: nothing is known about that ({one.category})"
            yield finding(_TYPES[one.category], reason, words, _MILD.get(one.category, 1.0))


def _overlap(one: _Told, other: _Told) -> bool:
    return one.start < other.end and other.start < one.end


def _listed(text: str) -> Iterator[_Told]:
    for category, pattern in _patterns().items():
        for match in pattern.finditer(text):
            if category in {"sound", "event"} and _SIMILE.search(text[: match.start()]):
                continue  # "syllables strike like a drum"
            yield _Told(category, match.group(1).lower(), *match.span(1))


def _causes(text: str) -> Iterator[_Told]:
    """ "at the thought of her exam", "surprised to receive a letter": up to the end of the clause."""
    for match in _cause_pattern().finditer(text):
        yield _Told("cause", match.group("what").lower(), *match.span())


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    lists = load_words()["inventions"]
    alternatives = {name: "|".join(map(re.escape, expanded(phrases))) for name, phrases in lists.items()}
    before = {"place": r"\b(?:in|at|on|from|inside|near|outside|into|behind|across)(?:\s+\w+){0,3}\s+"}
    return {
        name: re.compile(rf"{before.get(name, '')}\b({words})\b", re.IGNORECASE) for name, words in alternatives.items()
    }


@cache
def _cause_pattern() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(load_words()['causes'])})\s+(?P<what>[^.,;:!?]+)", re.IGNORECASE)


@cache
def _not_inventions() -> frozenset[str]:
    return frozenset(load_words()["not_inventions"])
