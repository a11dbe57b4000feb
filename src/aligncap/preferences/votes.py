"""Votes of listeners on two captions of a clip, by people or by a language model that stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncap.captions import INSTRUCTIONS
from aligncap.preferences.pairs import read_records

__all__ = ["LLM", "Choice", "Vote", "choices", "read_votes"]

_DEFAULT = next(iter(INSTRUCTIONS))

LLM = "llm:"
"""Raters whose name begins with this are language models."""


@dataclass(frozen=True)
class Vote:
    """One judgement.

    Attributes:
        id: of the clip.
        a: a caption of it.
        b: another one.
        choice: ``a``, ``b`` or ``tie``.
        rater: who judged; for a language model `LLM` and its name.
        instruction: that both captions answer.
        reason: why, where the rater said.
    """

    id: str
    a: str
    b: str
    choice: str
    rater: str
    instruction: str = _DEFAULT
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """What the raters made of two captions.

    Attributes:
        id: of the clip.
        instruction: that both answer.
        chosen: the caption with more votes.
        rejected: the other.
        margin: difference of their shares of the votes, in (0, 1].
        judge: ``human``, or ``llm`` where no person voted.
        reason: the votes in words, and a rater's own.
    """

    id: str
    instruction: str
    chosen: str
    rejected: str
    margin: float
    judge: str
    reason: str


def read_votes(path: Path, on_problem: Callable[[str], None]) -> Iterator[Vote]:
    """Read votes from JSON Lines: ``{"id", "a", "b", "choice", "rater"}``, and ``instruction``, ``reason`` if wanted.

    Args:
        path: the file.
        on_problem: told of each line that is no vote, which is left out.

    Raises:
        AlignCapError: the file cannot be read.
    """
    for where, record in read_records(path, on_problem):
        problem = _problem(record)
        if problem:
            on_problem(f"{where}: {problem}")
            continue
        yield Vote(**{name: record[name] for name in Vote.__dataclass_fields__ if name in record})


def _problem(record: Any) -> str | None:
    if not isinstance(record, dict):
        return "a vote is a JSON object"
    for name in ("id", "a", "b", "choice", "rater"):
        if not (isinstance(record.get(name), str) and record[name].strip()):
            return f"{name} must be text, not {record.get(name)!r}"
    for name in ("instruction", "reason"):
        if not isinstance(record.get(name, ""), str):
            return f"{name} must be text, not {record[name]!r}"
    if record["choice"] not in ("a", "b", "tie"):
        return f'choice is {record["choice"]!r}: it must be "a", "b" or "tie"'
    if record["a"].split() == record["b"].split():
        return "a and b are the same caption"
    return None


def choices(votes: Iterable[Vote], on_problem: Callable[[str], None]) -> Iterator[Choice]:
    """Sum votes up: one choice for each two captions of which one has more votes than the other.

    Which of the two was shown as a and which as b does not matter. A rater who voted twice counts once; one who voted
    both ways contradicts himself, and does not count. Language models count only where no person has voted. As many
    votes for one as for the other make no choice.

    Args:
        votes: in any order.
        on_problem: told of each contradiction and of each draw.
    """
    by_pair: dict[tuple[str, str, frozenset[str]], dict[str, list[Vote]]] = {}
    for vote in votes:
        raters = by_pair.setdefault((vote.id, vote.instruction, frozenset((vote.a, vote.b))), {})
        raters.setdefault(vote.rater, []).append(vote)
    for (clip, instruction, captions), raters in by_pair.items():
        first, second = sorted(captions)
        given = dict(_decided(clip, raters, on_problem))
        people = {rater: choice for rater, choice in given.items() if not rater.startswith(LLM)}
        counted = people or given
        if not counted:
            continue
        ahead = sum((choice == first) - (choice == second) for choice in counted.values())
        if ahead == 0:
            on_problem(f"{clip}: a draw of {len(counted)} votes: {first!r} and {second!r}")
            continue
        chosen, rejected = (first, second) if ahead > 0 else (second, first)
        tally = f"{sum(choice == chosen for choice in counted.values())} of {len(counted)} chose the other caption"
        said = next((vote.reason for rater in counted for vote in raters[rater] if vote.reason), "")
        yield Choice(
            id=clip,
            instruction=instruction,
            chosen=chosen,
            rejected=rejected,
            margin=abs(ahead) / len(counted),
            judge="human" if people else "llm",
            reason=f"{tally}: {said}" if said else tally,
        )


def _decided(
    clip: str, raters: Mapping[str, list[Vote]], on_problem: Callable[[str], None]
) -> Iterator[tuple[str, str | None]]:
    """Rater → the caption chosen; None for a tie."""
    for rater, votes in raters.items():
        chosen = {{"a": vote.a, "b": vote.b}.get(vote.choice) for vote in votes}
        if len(chosen - {None}) > 1:
            on_problem(f"{clip}: {rater} voted both ways on the same two captions: not counted")
            continue
        yield rater, next(iter(chosen - {None}), None)
