"""What a model tends to write, by which decoding guesses ahead."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

__all__ = ["Phrases", "agreed"]

_CONTEXT = 4  # tokens that a guess is made from, at most
_MOST = 5  # tokens guessed at a time
_LIKELY = 0.5  # of the guessed tokens together, by the counts


class Phrases:
    """Guesses how a response goes on, from how others did: the likeliest token after the longest known context.

    A guess never changes what is written: decoding reads the guessed tokens in one pass and keeps those that the model
    would have written itself (Leviathan et al. 2023, "Fast Inference from Transformers via Speculative Decoding"; that
    a table of n-grams can be the drafter is in Saxena 2023, "Prompt Lookup Decoding").

    Args:
        responses: tokens of responses, with their end-of-turn tokens.
    """

    def __init__(self, responses: Iterable[Sequence[int]]) -> None:
        followers: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for tokens in responses:
            for place in range(1, len(tokens)):
                for context in range(1, min(_CONTEXT, place) + 1):
                    followers[tuple(tokens[place - context : place])][tokens[place]] += 1
        self._next = {
            context: (token, count / sum(counts.values()))
            for context, counts in followers.items()
            for token, count in [max(counts.items(), key=lambda pair: (pair[1], -pair[0]))]
        }

    def ahead(self, written: Sequence[int]) -> list[int]:
        """The tokens that probably follow; none where that is not known.

        Args:
            written: tokens of a response so far.
        """
        recent, likely = list(written[-_CONTEXT:]), 1.0
        guess: list[int] = []
        while len(guess) < _MOST and (found := self._after(recent)):
            likely *= found[1]
            if likely < _LIKELY:
                break
            guess.append(found[0])
            recent = [*recent[1 - _CONTEXT :], found[0]]
        return guess

    def _after(self, recent: Sequence[int]) -> tuple[int, float] | None:
        for start in range(len(recent)):
            if found := self._next.get(tuple(recent[start:])):
                return found
        return None


def agreed(chosen: Sequence[int], guess: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The chosen tokens up to the first that was not guessed, or that ends the response.

    Args:
        chosen: the token that follows on what was written, and one after each guessed token.
        guess: tokens that were guessed.
        ends: tokens that end a response.
    """
    for place, token in enumerate(chosen):
        if place == len(guess) or token != guess[place] or token in ends:
            return list(chosen[: place + 1])
    raise AssertionError("there is one more choice than guesses")
