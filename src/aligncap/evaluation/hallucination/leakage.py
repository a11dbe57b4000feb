"""Transcript leakage: a caption that repeats what was said."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from aligncap.evaluation.hallucination.finding import Finding, finding
from aligncap.evaluation.hallucination.vocabulary import content_words
from aligncap.metrics import tokenize

__all__ = ["leaks", "repeats"]

_SHORTEST = 3  # words of a run that can be no coincidence, if two of them are content words
_LONGEST_RUN = 40
_SHARED = 2  # content words in common, wherever they stand
_SHARED_WEIGHT = 0.7


def leaks(text: str, transcript: str) -> Iterator[Finding]:
    """Words of the transcript in a caption: one finding or none.

    A leak is a run of at least three words with two content words in it, of four with one, or of five (Chinese,
    Japanese, Korean: characters; five of them); or two content words in common, wherever they stand, in any form
    of theirs. Words for emotions and voices are no content: "I am so happy" may well sound happy.

    Args:
        text: a caption.
        transcript: what was said; empty where unknown.
    """
    if not transcript.strip():
        return
    content = set(content_words(transcript))
    caption, spoken = tokenize([text, transcript], "characters")
    run = _longest_run(caption.split(), spoken.split())
    if _tells(run, content):
        words = " ".join(run)
        yield finding("leakage", f"{words!r} is what was said", words)
        return
    stems = {_stem(word) for word in content}
    shared = list(dict.fromkeys(word for word in content_words(text) if _stem(word) in stems))
    if len({_stem(word) for word in shared}) >= _SHARED:
        words = ", ".join(shared)
        yield finding("leakage", f"{words!r} are words of what was said", words, _SHARED_WEIGHT)


def repeats(words: str, transcript: str) -> bool:
    """Whether all content words of a text, of which there are some, are of the transcript."""
    content = content_words(words) if transcript else []
    return bool(content) and {_stem(word) for word in content} <= {_stem(word) for word in content_words(transcript)}


def _longest_run(words: list[str], spoken: list[str]) -> list[str]:
    """The longest stretch of `words`, up to 40, that `spoken` holds as well, word for word."""
    longest: list[str] = []
    for size in range(_SHORTEST, min(len(spoken), _LONGEST_RUN) + 1):
        places = {tuple(spoken[i : i + size]) for i in range(len(spoken) - size + 1)}
        start = next((i for i in range(len(words) - size + 1) if tuple(words[i : i + size]) in places), -1)
        if start < 0:
            break
        longest = words[start : start + size]
    return longest


def _tells(run: list[str], content: set[str]) -> bool:
    if all(len(word) == 1 and not word.isascii() for word in run):
        return len(run) >= 5
    told = sum(word in content for word in run)
    return len(run) >= 5 or (len(run) >= 4 and told >= 1) or (len(run) >= _SHORTEST and told >= 2)


def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")
