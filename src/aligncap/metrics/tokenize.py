"""From captions to words separated by spaces, which is what the metrics take.

English captions are tokenised as the captioning literature does it: as in the Penn Treebank, lower-cased, punctuation
removed. The exact program for that is Java (`aligncap.metrics.java.ptb`); `ptb` here needs nothing, and docs/metrics.md
says how far the two differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from aligncap.errors import MissingExtraError

__all__ = [
    "PUNCTUATION",
    "TOKENIZERS",
    "characters",
    "jieba_words",
    "ptb",
    "tokenize",
    "tokenizer_for",
    "unicode_words",
]

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-", "£": "#", "€": "$"}
_QUOTES = {
    '"': "\u201c\u201d\u201e\u00ab\u00bb",
    "'": "\u2018\u2019\u201a",
    "--": "\u2013\u2014\u2015",
    "...": "\u2026",
}
_SAME = {ord(c): plain for plain, variants in _QUOTES.items() for c in variants}
_SAME |= {ord(c): "" for c in "\u00ad\u200b\u200c\u200d\ufeff"}  # invisible, and no boundary between words

# words that the Treebank cuts in two, and where
_SPLIT_WORDS = {
    word.replace(" ", ""): word
    for word in ("can not", "gon na", "wan na", "got ta", "lem me", "gim me", "'t is", "'t was", "d' ye", "mor 'n")
}
_ABBREVIATIONS = (
    r"(?:mr|mrs|ms|dr|prof|st|jr|sr|rev|gen|col|capt|lt|sgt|vs|etc|inc|co|corp|ltd|ave|blvd|rd|approx|dept|fig"
    r"|jan|feb|mar|apr|aug|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri|vol|ed|est|min|max|ph\.d)\."
)
_CLITIC = r"(?:'s|'m|'d|'re|'ve|'ll)"
_LETTER = r"[^\W\d_]"
_WORD = (
    r"(?:[^\W_]|[\u0300-\u036f])+(?:(?:[-_/&.@]|'(?!(?:s|m|d|re|ve|ll|t)\b)(?=[^\W\d]))(?:[^\W_]|[\u0300-\u036f])+)*"
)
_TOKEN = re.compile(
    rf"""
      https?://\S+ | www\.\S+ | [\w.+-]{{1,64}}@[\w-]+(?:\.[\w-]+)+   # addresses
    | </?[a-z][^<>\s]*>                                        # tags
    | [@#]{_LETTER}\w*                                         # names and topics, as on the web
    | {_LETTER}(?:\.{_LETTER})+\.?(?![^\W_])                   # u.s.a.
    | (?<!\w){_LETTER}\.(?!\w) | {_ABBREVIATIONS}(?!\w) | nos?\.(?=\s*\d)
    | {_LETTER}+?(?=n't\b) | n't\b                             # did n't
    | (?:(?<=\s)|^)'(?:n'|em\b|cause\b|\d\ds?\b|t(?=is\b|was\b))  # 'n' 'em '90s 't is
    | (?:(?<=[\s$\#])|^)(?:[+-]?\d+(?:[.,:/]\d+)+|[+-]\d+)(?=[^\W\d_]|\b)  # 1,000.5 10:30 3/4 +2
    | {_CLITIC}\b
    | {_WORD}
    | [!?]{{2,}} | \.{{2,}} | -{{2,}} | \*{{2,}}
    | \S
    """,
    re.VERBOSE,
)
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_CJK_OR_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")


def ptb(text: str) -> str:
    """Penn Treebank words of an English text, lower-cased, without punctuation.

    Args:
        text: any text; what is neither letter, digit nor common symbol (emoji, say) is dropped.

    Returns:
        Words separated by single spaces, as ``she does n't sound high-pitched`` from "She doesn't sound high-pitched!";
        empty where there are none.
    """
    tokens: list[str] = []
    for found in _TOKEN.findall(text.translate(_SAME).lower()):
        token = _BRACKETS.get(found, found)
        if token in PUNCTUATION or token == '"' or not token.strip(".-'"):
            continue
        if len(token) == 1 and not token.isascii() and unicodedata.category(token)[0] not in "LN":
            continue
        tokens.append(_SPLIT_WORDS.get(token, token))
    return " ".join(tokens)


def characters(text: str) -> str:
    """Chinese, Japanese and Korean characters one by one, and words of other scripts; see `unicode_words`."""
    return " ".join(_CJK_OR_WORD.findall(unicode_words(text)))


def jieba_words(text: str) -> str:
    """Chinese words found by the package jieba, lower-cased, without punctuation.

    Raises:
        MissingExtraError: jieba is not installed.
    """
    return " ".join(word for word in _jieba().lcut(unicode_words(text)) if word.strip())


def unicode_words(text: str) -> str:
    """Runs of letters, marks and digits of any script, lower-cased, in compatibility form (NFKC)."""
    normal = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(map(_letter_or_space, normal)).split())


TOKENIZERS = {"ptb": ptb, "characters": characters, "jieba": jieba_words, "words": unicode_words}


def tokenize(texts: Iterable[str], tokenizer: str = "ptb") -> list[str]:
    """Tokenise texts.

    Args:
        texts: captions.
        tokenizer: ``ptb`` (English), ``ptb-java`` (the same by the literature's program; needs Java and the extra
            ``metrics``), ``characters`` (Chinese, Japanese, Korean), ``jieba`` (Chinese words; needs jieba) or
            ``words`` (anything else that is written with spaces).

    Returns:
        Each text as words separated by single spaces.

    Raises:
        ValueError: there is no such tokenizer.
        MissingExtraError, JavaError: the tokenizer needs what is not there.
    """
    if tokenizer == "ptb-java":
        from aligncap.metrics import java

        return java.ptb(list(texts))
    if tokenizer not in TOKENIZERS:
        raise ValueError(f"no tokenizer {tokenizer!r}; there are: ptb-java, {', '.join(TOKENIZERS)}")
    return [TOKENIZERS[tokenizer](text) for text in texts]


def tokenizer_for(language: str) -> str:
    """The tokenizer for a language given as a BCP 47 tag; for none, English."""
    primary = language.lower().partition("-")[0]
    if primary in ("", "en"):
        return "ptb"
    return "characters" if primary in ("zh", "yue", "ja", "ko") else "words"


@lru_cache(maxsize=1 << 16)
def _letter_or_space(character: str) -> str:
    return character if unicodedata.category(character)[0] in "LMN" else " "


@lru_cache(maxsize=1)
def _jieba():  # type: ignore[no-untyped-def]
    try:
        import jieba
    except ImportError as error:
        raise MissingExtraError("splitting Chinese captions into words", "metrics") from error
    import logging

    jieba.setLogLevel(logging.WARNING)
    return jieba
