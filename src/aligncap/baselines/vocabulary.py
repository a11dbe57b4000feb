"""Captions as words of a closed list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = ["END", "PAD", "START", "UNKNOWN", "Vocabulary"]

PAD, START, END, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]")  # noqa: RUF001 (a typed apostrophe)
_NO_BLANK_BEFORE = re.compile(r"\s+([.,;:!?%)\]])")


class Vocabulary:
    """Words in lower case, and signs; sentences get their capitals back.

    Args:
        words: all of them but the special ones.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._all = (*_SPECIAL, *self.words)
        self._ids = {word: number for number, word in enumerate(self._all)}

    def __len__(self) -> int:
        return len(self._all)

    @classmethod
    def of(cls, captions: Iterable[str], least: int = 2) -> Vocabulary:
        """The words that occur at least so often."""
        counts = Counter(word for caption in captions for word in _WORD.findall(caption.lower()))
        return cls(sorted(word for word, count in counts.items() if count >= least))

    def ids(self, caption: str) -> list[int]:
        """Numbers of the words, the end's among them."""
        return [*(self._ids.get(word, UNKNOWN) for word in _WORD.findall(caption.lower())), END]

    def text(self, ids: Iterable[int]) -> str:
        """The caption of numbers, up to the end's."""
        words = []
        for number in ids:
            if number == END:
                break
            if number > UNKNOWN:
                words.append(self._all[number])
        text = _NO_BLANK_BEFORE.sub(r"\1", " ".join(words))
        return re.sub(r"(?:^|(?<=[.!?] ))[^\W\d_]", lambda match: match.group().upper(), text)
