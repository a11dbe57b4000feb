"""Which words of a text are content: neither small words nor words with which emotion and voice are described."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from aligncap.captions.items import items_of

__all__ = ["content_words", "load_words"]


@cache
def load_words() -> Any:
    """The data file of this package, parsed once."""
    return yaml.safe_load(resources.files(__package__).joinpath("words.yaml").read_text(encoding="utf-8"))


def content_words(text: str) -> list[str]:
    """The content words of a text, lower case, in their order.

    Left out are the function words and describing words of ``words.yaml``, everything that
    `aligncap.captions.claims` knows as emotion, voice or grammar, pronouns, and words of fewer than three letters.

    Args:
        text: in English; in other languages every word of three letters is content.
    """
    return [
        item.text
        for item in items_of(text)
        if len(item.text) > 2
        and item.text[0].isalpha()
        and item.text not in _small()
        and not (item.entry.claims or item.entry.values or item.entry.heads or item.entry.denied)
        and all(kind != "gender" for kind, _ in item.entry.others)
        and (item.entry.role == "word" or (item.entry.role == "intensifier" and item.text.endswith("ly")))
    ]


@cache
def _small() -> frozenset[str]:
    words = load_words()
    return frozenset(words["languages"]["en"].split()) | frozenset(words["describing"].split())
