"""Guesses follow what responses had in common."""

from aligncap.captions.habits import Phrases


def test_goes_on_as_responses_did() -> None:
    phrases = Phrases([[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9], [11, 2, 12]])
    assert phrases.ahead([1]) == [2, 3, 4, 5, 6], "at most five tokens"
    assert phrases.ahead([1, 2, 3, 4, 5, 6, 7]) == [8, 9]
    assert phrases.ahead([7, 7, 7, 8]) == [9], "the longest known context, however short"
    assert phrases.ahead([9]) == phrases.ahead([77]) == phrases.ahead([]) == []


def test_a_longer_context_tells_more() -> None:
    phrases = Phrases([[1, 2, 3], [1, 2, 3], [5, 2, 6]])
    assert phrases.ahead([2]) == [3]
    assert phrases.ahead([5, 2]) == [6]


def test_nothing_is_guessed_that_is_unlikely() -> None:
    assert Phrases([[1, 2], [1, 3], [1, 4]]).ahead([1]) == []
    assert Phrases([[1, 2], [1, 3]]).ahead([1]) == [2], "of two equally likely ones always the same"
    # 3 and 4 follow with 0.6 each: together they are unlikely
    assert Phrases([[1, 2, 3, n] for n in (4, 4, 4, 5, 5)] + [[1, 2, 9, 9]] * 3).ahead([1]) == [2, 3]


def test_knows_nothing() -> None:
    assert Phrases([]).ahead([1, 2]) == []
