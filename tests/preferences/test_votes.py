from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligncap.preferences.votes import Choice, Vote, choices, read_votes

A, B = "Sad voice.", "Angry voice."


def vote(choice: str, rater: str, a: str = A, b: str = B, **more: str) -> Vote:
    return Vote("c/1", a, b, choice, rater, **more)


def summed(*votes: Vote) -> tuple[list[Choice], list[str]]:
    told: list[str] = []
    return list(choices(votes, told.append)), told


def test_the_margin_is_the_difference_of_the_shares() -> None:
    (choice,), told = summed(vote("a", "x"), vote("a", "y"), vote("b", "z"), vote("tie", "w"))
    assert (choice.chosen, choice.rejected, choice.judge, choice.margin) == (A, B, "human", 0.25)
    assert "2 of 4" in choice.reason
    assert told == []


def test_sides_do_not_matter() -> None:
    (choice,), _ = summed(vote("b", "x"), vote("a", "y", a=B, b=A, reason="it is loud"))
    assert (choice.chosen, choice.margin) == (B, 1.0)
    assert choice.reason.endswith(": it is loud")


def test_contradictions_and_draws_are_named_and_do_not_count() -> None:
    found, told = summed(vote("a", "x"), vote("b", "x"), vote("a", "y"), vote("a", "y"))
    assert [choice.margin for choice in found] == [1.0]
    assert told == ["c/1: x voted both ways on the same two captions: not counted"]
    found, told = summed(vote("a", "x"), vote("b", "y"))
    assert found == []
    assert "a draw of 2 votes" in told[0]


def test_people_come_before_language_models() -> None:
    (choice,), _ = summed(vote("a", "llm:one"), vote("a", "llm:two"), vote("b", "ann"))
    assert (choice.chosen, choice.judge) == (B, "human")
    (choice,), _ = summed(vote("a", "llm:one"))
    assert (choice.chosen, choice.judge) == (A, "llm")


def test_instructions_are_kept_apart() -> None:
    found, _ = summed(vote("a", "x"), vote("b", "y", instruction="Name the emotion in a single word."))
    assert {choice.instruction: choice.chosen for choice in found} == {
        "Describe the emotion in the voice.": A,
        "Name the emotion in a single word.": B,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "c"}, "choice is 'c'"),
        ({"rater": ""}, "rater must be text"),
        ({"b": A}, "the same caption"),
        ({"id": None}, "id must be text"),
        ({"reason": 1}, "reason must be text"),
    ],
)
def test_what_is_no_vote_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    good = {"id": "c/1", "a": A, "b": B, "choice": "a", "rater": "x"}
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join([json.dumps({**good, **change}), "[]", "nonsense", json.dumps(good)]))
    told: list[str] = []
    assert list(read_votes(path, told.append)) == [vote("a", "x")]
    assert message in told[0]
    assert len(told) == 3
