"""The emotion taxonomy: words, their categories and groups, labels, valence, arousal and dominance, and emotion wheels.

All of it is data: ``taxonomy.yaml``. See docs/taxonomy.md.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from aligncap.captions.phrases import expanded, load_data, normalise
from aligncap.errors import AlignCapError

__all__ = [
    "EMOTIONS",
    "VAD",
    "Category",
    "Wheel",
    "categories",
    "category_of",
    "emotion_of",
    "emotions_of",
    "lemma",
    "own_wheel",
    "read_wheel",
    "readings",
    "same_group",
    "strength",
    "vad",
    "words",
]

EMOTIONS = (
    "angry",
    "boredom",
    "calm",
    "disappointed",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)
"""The labels that the models of this package know, in their order."""


class VAD(NamedTuple):
    """Valence, arousal and dominance, each in [-1, 1]; (0, 0, 0) is neutral."""

    valence: float
    arousal: float
    dominance: float


@dataclass(frozen=True)
class Category:
    """One category of emotion.

    Attributes:
        name: such as "irritation".
        group: the wider group that it belongs to, such as "anger".
        emotion: the label of `EMOTIONS` that it counts as, or None where none fits (pride, sarcasm).
        vad: of a plain word of the category.
    """

    name: str
    group: str
    emotion: str | None
    vad: VAD


class _Word(NamedTuple):
    lemma: str
    category: str
    strength: float


@cache
def categories() -> Mapping[str, Category]:
    """All categories, by name."""
    entries = load_data("taxonomy.yaml")["categories"]
    return MappingProxyType(
        {
            name: Category(name, entry["group"], entry.get("emotion"), VAD(*entry["vad"]))
            for name, entry in entries.items()
        }
    )


@cache
def _words() -> dict[str, _Word]:
    table: dict[str, _Word] = {}
    for category, entry in load_data("taxonomy.yaml")["categories"].items():
        for lemma_, (strength_, *forms) in entry["words"].items():
            for form in expanded([lemma_, *forms]):
                table[form] = _Word(lemma_, category, float(strength_))
    return table


def words(category: str | None = None) -> tuple[str, ...]:
    """Every word and phrase of the taxonomy, or of one category.

    Raises:
        AlignCapError: there is no such category.
    """
    if category is not None and category not in categories():
        raise AlignCapError(f"unknown emotion category {category!r}: use one of {', '.join(categories())}")
    return tuple(word for word, entry in _words().items() if category in {None, entry.category})


def category_of(word: str) -> str | None:
    """The category of a word in any of its forms ("furious", "fury", "furiously"), or None where it is unknown.

    Of a word with several readings, the first (see `readings`). Case and white space do not matter.
    """
    entry = _words().get(normalise(word))
    return entry.category if entry else None


def readings(word: str) -> dict[str, float]:
    """Category → weight in (0, 1], summing to 1: several where a word may mean several things.

    "dismayed" is grief 0.5, fear 0.3, disappointment 0.2. Empty where the word is unknown.
    """
    name = normalise(word)
    found: dict[str, float] | None = load_data("taxonomy.yaml")["readings"].get(name)
    category = category_of(name)
    return dict(found) if found else {category: 1.0} if category else {}


def emotion_of(word: str) -> str | None:
    """The label of `EMOTIONS` that a word counts as, or None where it is unknown or counts as none."""
    category = category_of(word)
    return categories()[category].emotion if category else None


def emotions_of(word: str) -> dict[str, float]:
    """Label of `EMOTIONS` → weight in (0, 1]; readings that count as none are left out. The first is `emotion_of`."""
    weights: dict[str, float] = {}
    for category, weight in readings(word).items():
        label = categories()[category].emotion
        if label:
            weights[label] = weights.get(label, 0.0) + weight
    return weights


def strength(word: str) -> float | None:
    """How strong a feeling the word names, in [0, 1] (annoyed 0.3, angry 0.6, furious 0.9), or None where unknown.

    Comparable within a group; across groups it is a rough guide.
    """
    entry = _words().get(normalise(word))
    return entry.strength if entry else None


def lemma(word: str) -> str | None:
    """The word under which the taxonomy lists a form ("furiously" → "furious"), or None where it is unknown."""
    entry = _words().get(normalise(word))
    return entry.lemma if entry else None


def vad(word: str) -> VAD | None:
    """Valence, arousal and dominance of a word, or None where it is unknown.

    The categories' values, weighted by the word's readings, times 0.6 + 0.8 × `strength` (so that a plain word, of
    strength 0.5, has its category's values), cut off at ±1. Values and rule are ours, not norms collected from people.
    """
    entry = _words().get(normalise(word))
    if entry is None:
        return None
    scale = 0.6 + 0.8 * entry.strength
    sums = [
        sum(weight * categories()[name].vad[axis] for name, weight in readings(word).items()) * scale
        for axis in range(3)
    ]
    return VAD(*(max(-1.0, min(1.0, value)) for value in sums))


@dataclass(frozen=True)
class Wheel:
    """An emotion wheel: words in three rings, from the wide inside to the fine outside.

    Attributes:
        name: where it is from.
        paths: (level 1, level 2, level 3) of each word of the outer ring, lower case.
    """

    name: str
    paths: tuple[tuple[str, str, str], ...]

    def groups_of(self, word: str, level: int = 1) -> frozenset[str]:
        """The groups that hold a word.

        A word that the wheel does not show is looked up by the other forms that the taxonomy knows of it
        ("furiously" where the wheel says "Furious").

        Args:
            word: any case.
            level: 1 for the inner ring, 2 for the middle one.

        Returns:
            Names of that level; empty where the wheel does not know the word. Wheels may place a word twice.
        """
        name = normalise(word)
        found = self._holding({name}, level)
        family = lemma(name)
        if found or family is None:
            return found
        return self._holding({form for form, entry in _words().items() if entry.lemma == family}, level)

    def _holding(self, names: set[str], level: int) -> frozenset[str]:
        # a word of an inner ring belongs to its own path alone, and a group at `level` must lie at or inside it
        return frozenset(
            path[level - 1] for path in self.paths if any(path[ring] in names for ring in range(level - 1, 3))
        )


@cache
def own_wheel() -> Wheel:
    """Our own wheel: group, category, word (every form of it)."""
    paths = [
        (categories()[category].group, category, form)
        for form, entry in _words().items()
        for category in (readings(form) or {entry.category: 1.0})
    ]
    return Wheel("aligncap", tuple(paths))


def read_wheel(path: str | Path) -> Wheel:
    """Read an emotion wheel from CSV with the columns ``level1``, ``level2``, ``level3``, as in the MER2025 challenge.

    Raises:
        AlignCapError: there is no such file, it is not such a table, or a row lacks a level.
    """
    source = Path(path)
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AlignCapError(f"{source}: the wheel cannot be read: {error}") from error
    levels = ("level1", "level2", "level3")
    if not rows or not all(level in rows[0] for level in levels):
        raise AlignCapError(f"{source}: not an emotion wheel: it needs the columns {', '.join(levels)}, and rows")
    paths = []
    for number, row in enumerate(rows, start=2):
        names = [normalise(row[level] or "") for level in levels]
        if not all(names):
            raise AlignCapError(f"{source}: line {number} lacks one of {', '.join(levels)}")
        paths.append((names[0], names[1], names[2]))
    return Wheel(source.stem, tuple(paths))


def same_group(first: str, second: str, wheel: Wheel | None = None, level: int = 1) -> bool | None:
    """Whether two words share a group of an emotion wheel.

    Args:
        first: a word in any form.
        second: another.
        wheel: None for our own.
        level: 1 for the inner ring, 2 for the middle one.

    Returns:
        None where the wheel does not know one of the words.
    """
    chosen = wheel or own_wheel()
    one, two = chosen.groups_of(first, level), chosen.groups_of(second, level)
    return bool(one & two) if one and two else None
