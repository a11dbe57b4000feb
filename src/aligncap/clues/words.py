"""From numbers to words: documented thresholds, kept as data in ``words.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from aligncap.clues.measure import MeasuredClues

__all__ = ["ClueWord", "Scale", "clue_words", "scales"]


@dataclass(frozen=True)
class ClueWord:
    """One clue in words.

    Attributes:
        dimension: what is judged: "pitch", "melody", "pace", "pauses" or "dynamics".
        level: the end of the dimension on which the recording lies, such as "high" or "flat".
        word: the word or phrase for it, such as "high-pitched".
    """

    dimension: str
    level: str
    word: str


@dataclass(frozen=True)
class Scale:
    """How one measured clue becomes a word.

    Attributes:
        dimension: name of the dimension.
        clue: the field of `MeasuredClues` that is judged.
        unit: unit of that field and of the thresholds.
        low: (threshold, level, word), used at the threshold and below; None where there is no word.
        high: (threshold, level, word), used at the threshold and above; None where there is no word.
    """

    dimension: str
    clue: str
    unit: str
    low: tuple[float, str, str] | None
    high: tuple[float, str, str] | None


@cache
def scales() -> tuple[Scale, ...]:
    """The scales of ``words.yaml``, in the order in which their words are said."""
    text = resources.files("aligncap.clues").joinpath("words.yaml").read_text(encoding="utf-8")
    return tuple(
        Scale(dimension, entry["clue"], entry["unit"], _end(entry, "low"), _end(entry, "high"))
        for dimension, entry in yaml.safe_load(text)["dimensions"].items()
    )


def _end(entry: dict[str, Any], which: str) -> tuple[float, str, str] | None:
    end = entry.get(which)
    return (float(end["threshold"]), str(end["level"]), str(end["word"])) if end else None


def clue_words(clues: MeasuredClues) -> tuple[ClueWord, ...]:
    """Say what is out of the ordinary in a recording.

    Args:
        clues: what `measure` returned.

    Returns:
        At most one word for each dimension, in the order of ``words.yaml``. A clue in the middle range of its
        dimension, or one that could not be measured (NaN), gives no word: an empty tuple is a normal answer.
    """
    words = []
    for scale in scales():
        value: float = getattr(clues, scale.clue)
        if scale.low and value <= scale.low[0]:
            words.append(ClueWord(scale.dimension, *scale.low[1:]))
        elif scale.high and value >= scale.high[0]:
            words.append(ClueWord(scale.dimension, *scale.high[1:]))
    return tuple(words)
