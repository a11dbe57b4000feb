"""Votes as aligncap's preferences read them, and what to know about their raters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from aligncap.server.judging.agreement import krippendorff_alpha
from aligncap.server.judging.store import Judgement

__all__ = ["Rater", "Summary", "summary", "vote_records"]


@dataclass(frozen=True)
class Rater:
    """One listener.

    Attributes:
        name: of the listener.
        votes: attention checks not counted.
        checks: answered.
        passed: of them.
        left: share of the choices of one caption that fell on the left one; far from 0.5 is suspicious. NaN: none.
    """

    name: str
    votes: int
    checks: int
    passed: int
    left: float

    @property
    def attentive(self) -> float:
        """Share of the checks that were passed; 1 where there were none."""
        return self.passed / self.checks if self.checks else 1.0


@dataclass(frozen=True)
class Summary:
    """All listeners together.

    Attributes:
        raters: by name.
        left_out: names of those who failed too many checks: of their votes nothing else here tells.
        votes: attention checks not counted.
        ties: among them.
        both_wrong: among them.
        alpha: Krippendorff's, of the four choices. NaN where no question has two votes.
        shared: questions that two or more listeners answered.
    """

    raters: tuple[Rater, ...]
    left_out: tuple[str, ...]
    votes: int
    ties: int
    both_wrong: int
    alpha: float
    shared: int


def summary(votes: Sequence[Judgement], min_checks: float = 0.0) -> Summary:
    """Sum up.

    Args:
        votes: all.
        min_checks: raters who passed a smaller share of their attention checks are left out.
    """
    by_rater: dict[str, list[Judgement]] = defaultdict(list)
    for vote in votes:
        by_rater[vote.rater].append(vote)
    raters = tuple(_rater(name, by_rater[name]) for name in sorted(by_rater))
    out = tuple(rater.name for rater in raters if rater.attentive < min_checks)
    kept = [vote for vote in votes if vote.rater not in out and not vote.question.check]
    units: dict[str, list[str]] = defaultdict(list)
    for vote in kept:
        units[vote.question.key].append(vote.choice)
    return Summary(
        raters=raters,
        left_out=out,
        votes=len(kept),
        ties=sum(vote.choice == "tie" for vote in kept),
        both_wrong=sum(vote.choice == "both_wrong" for vote in kept),
        alpha=krippendorff_alpha(units.values()),
        shared=sum(len(unit) > 1 for unit in units.values()),
    )


def _rater(name: str, votes: Sequence[Judgement]) -> Rater:
    checks = [vote for vote in votes if vote.question.check]
    sided = [vote for vote in votes if vote.choice in ("a", "b")]
    return Rater(
        name=name,
        votes=len(votes) - len(checks),
        checks=len(checks),
        passed=sum(vote.choice == vote.question.check for vote in checks),
        left=sum(vote.choice == vote.left for vote in sided) / len(sided) if sided else nan,
    )


def vote_records(votes: Sequence[Judgement], left_out: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Votes as `aligncap.preferences.votes.read_votes` takes them.

    "Both wrong" prefers neither, and so is a tie for who reads ``choice`` alone; ``both_wrong`` keeps it apart.
    Attention checks are no votes.

    Args:
        votes: all.
        left_out: raters whose votes are left out.
    """
    records = []
    for vote in votes:
        if vote.question.check or vote.rater in left_out:
            continue
        wrong = vote.choice == "both_wrong"
        record: dict[str, Any] = {
            "id": vote.question.id,
            "a": vote.question.a,
            "b": vote.question.b,
            "choice": "tie" if wrong else vote.choice,
            "rater": vote.rater,
            "instruction": vote.question.instruction,
        }
        if wrong:
            record |= {"reason": "both are wrong", "both_wrong": True}
        records.append({**record, "seconds": round(vote.seconds, 2), "time": vote.time})
    return records
