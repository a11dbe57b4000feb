"""From numbers to words: documented thresholds, kept as data in ``words.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from math import isnan, log2, nan
from statistics import median
from typing import Any, Literal, TypeAlias

import yaml

from aligncap.clues.measure import MeasuredClues
from aligncap.errors import AlignCapError

__all__ = [
    "BASIC_DIMENSIONS",
    "DIMENSIONS",
    "MIN_RECORDINGS",
    "Bound",
    "ClueWord",
    "Population",
    "Scale",
    "SpeakerReference",
    "clue_record",
    "clue_words",
    "said_with_number",
    "scales",
    "speaker_reference",
]

BASIC_DIMENSIONS = ("pitch", "melody", "pace", "pauses", "dynamics")
"""The dimensions that the released checkpoint's clue prompt knows."""

DIMENSIONS = (*BASIC_DIMENSIONS, "contour", "effort", "quality", "loudness")
"""Every dimension that has words, in the order in which they are said."""

MIN_RECORDINGS = 5
"""A speaker's median is taken over at least this many recordings."""

Population: TypeAlias = Literal["pooled", "female", "male"]


@dataclass(frozen=True)
class ClueWord:
    """One clue in words.

    Attributes:
        dimension: what is judged: one of `DIMENSIONS`.
        level: the end of the dimension on which the recording lies, such as "high" or "flat".
        word: the word or phrase for it, such as "high-pitched".
    """

    dimension: str
    level: str
    word: str


@dataclass(frozen=True)
class Bound:
    """One end of a scale.

    Attributes:
        level: name of this end.
        word: the word for it.
        thresholds: population (or "relative") → threshold, in the unit of the scale; an end without a threshold for
            a population has no word there.
    """

    level: str
    word: str
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Scale:
    """How one measured clue becomes a word.

    Attributes:
        dimension: name of the dimension; two scales may serve one, and then the first that has a word says it.
        clue: the field of `MeasuredClues` that is judged.
        unit: unit of that field and of the thresholds.
        low: the end at its threshold and below; None where there is no word.
        high: the end at its threshold and above; None where there is no word.
        format: how the number is written, as in a format string.
        symbol: what is written behind it.
        semitones: whether the distance from a speaker's median is taken in semitones (else: in `unit`).
        at_least: clue → the least value with which the words can be relied on.
        at_most: clue → the largest value with which the words can be relied on.
    """

    dimension: str
    clue: str
    unit: str
    low: Bound | None
    high: Bound | None
    format: str = ".1f"
    symbol: str = ""
    semitones: bool = False
    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)

    def distance(self, value: float, reference: float) -> float:
        """How far `value` lies from a speaker's median."""
        return 12 * log2(value / reference) if self.semitones else value - reference


@dataclass(frozen=True)
class SpeakerReference:
    """What is usual for one speaker, in one set of recordings.

    Attributes:
        medians: clue → median over the recordings; NaN where it could be measured in fewer than five.
        recordings: how many there were.
    """

    medians: Mapping[str, float]
    recordings: int


def speaker_reference(recordings: Sequence[MeasuredClues]) -> SpeakerReference:
    """What is usual for a speaker, so that `clue_words` can say what is not.

    Args:
        recordings: the clues of at least five recordings of one speaker, made in one session, in different moods:
            where all of them are sad, nothing stands out as sad.

    Raises:
        AlignCapError: there are fewer than five.
    """
    if len(recordings) < MIN_RECORDINGS:
        raise AlignCapError(
            f"a speaker's usual voice takes at least {MIN_RECORDINGS} recordings to tell, and there "
            f"{'is' if len(recordings) == 1 else 'are'} {len(recordings)}: add some, or do without"
        )
    medians = {}
    for item in fields(MeasuredClues):
        values = [value for clues in recordings if not isnan(value := getattr(clues, item.name))]
        medians[item.name] = median(values) if len(values) >= MIN_RECORDINGS else nan
    return SpeakerReference(medians, len(recordings))


@cache
def scales() -> tuple[Scale, ...]:
    """The scales of ``words.yaml``, in the order in which their words are said."""
    text = resources.files("aligncap.clues").joinpath("words.yaml").read_text(encoding="utf-8")
    return tuple(
        Scale(
            dimension=entry.get("dimension", name),
            clue=entry["clue"],
            unit=entry["unit"],
            low=_bound(entry.get("low")),
            high=_bound(entry.get("high")),
            format=entry["format"],
            symbol=entry["symbol"],
            semitones=entry.get("semitones", False),
            at_least=entry.get("at_least", {}),
            at_most=entry.get("at_most", {}),
        )
        for name, entry in yaml.safe_load(text)["dimensions"].items()
    )


def _bound(entry: dict[str, Any] | None) -> Bound | None:
    if entry is None:
        return None
    thresholds = {name: float(entry[key]) for name, key in _THRESHOLD_KEYS.items() if key in entry}
    return Bound(str(entry["level"]), str(entry["word"]), thresholds)


_THRESHOLD_KEYS = {"pooled": "threshold", "female": "female", "male": "male", "relative": "relative"}


def clue_words(
    clues: MeasuredClues,
    *,
    dimensions: Collection[str] = BASIC_DIMENSIONS,
    reference: Population | SpeakerReference = "pooled",
) -> tuple[ClueWord, ...]:
    """Say what is out of the ordinary in a recording.

    Args:
        clues: what `measure` returned.
        dimensions: what to speak of: any of `DIMENSIONS`. The default is what the released checkpoint knows.
        reference: what to compare with. "pooled": women and men alike; "female" and "male": speakers of that
            sex, where it matters (pitch above all); or the speaker's own recordings. Dimensions for which a
            reference has no thresholds of its own are judged as if pooled. Loudness is judged against the
            speaker's own recordings or not at all, as a recording's level depends on the microphone.

    Returns:
        At most one word for each dimension, in the order of `DIMENSIONS`. A clue in the middle range of its
        dimension, or one that could not be measured (NaN) or not be relied on (noise, clipping), gives no word: an
        empty tuple is a normal answer.

    Raises:
        AlignCapError: there is no such dimension or population.
    """
    if unknown := sorted(set(dimensions) - set(DIMENSIONS)):
        raise AlignCapError(f"no such dimension of the voice: {', '.join(unknown)}: use {', '.join(DIMENSIONS)}")
    if not isinstance(reference, SpeakerReference) and reference not in ("pooled", "female", "male"):
        raise AlignCapError(f"no such reference: {reference!r}: use pooled, female or male")
    words: dict[str, ClueWord] = {}
    for scale in scales():
        if scale.dimension not in dimensions or scale.dimension in words or not _reliable(scale, clues):
            continue
        for bound, sign in ((scale.low, -1), (scale.high, 1)):
            if bound is not None and _beyond(scale, bound, sign, clues, reference):
                words[scale.dimension] = ClueWord(scale.dimension, bound.level, bound.word)
                break
    return tuple(words.values())


def _reliable(scale: Scale, clues: MeasuredClues) -> bool:
    return all(getattr(clues, clue) >= least for clue, least in scale.at_least.items()) and all(
        getattr(clues, clue) <= most for clue, most in scale.at_most.items()
    )


def _beyond(
    scale: Scale, bound: Bound, sign: int, clues: MeasuredClues, reference: Population | SpeakerReference
) -> bool:
    value: float = getattr(clues, scale.clue)
    if isinstance(reference, SpeakerReference) and "relative" in bound.thresholds:
        usual = reference.medians[scale.clue]
        return sign * scale.distance(value, usual) >= sign * bound.thresholds["relative"]
    population = "pooled" if isinstance(reference, SpeakerReference) else reference
    threshold = bound.thresholds.get(population, bound.thresholds.get("pooled", nan))
    return sign * value >= sign * threshold


def clue_record(clues: MeasuredClues, words: Sequence[ClueWord]) -> dict[str, Any]:
    """The clues as a JSON object, as manifests keep them (`aligncap.corpora.row.Row.clues`).

    Args:
        clues: what `measure` returned.
        words: what `clue_words` said of them.

    Returns:
        Every field of `MeasuredClues` with at most four decimals, None where it could not be measured; and ``words``,
        a list of ``dimension:level``.
    """
    values = {item.name: getattr(clues, item.name) for item in fields(clues)}
    record: dict[str, Any] = {name: None if isnan(value) else round(value, 4) for name, value in values.items()}
    record["words"] = [f"{word.dimension}:{word.level}" for word in words]
    return record


def said_with_number(word: ClueWord, clues: MeasuredClues) -> str:
    """A word and what it was judged by, such as "high-pitched (312 Hz)"."""
    numbers = [
        f"{getattr(clues, scale.clue):{scale.format}} {scale.symbol}"
        for scale in scales()
        if word.word in {bound.word for bound in (scale.low, scale.high) if bound}
    ]
    return f"{word.word} ({numbers[0]})"
