"""What the rows of a manifest are, in numbers."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources

from aligncap.corpora.row import Row

__all__ = ["Counts", "Group", "count_rows", "hub_languages", "hub_licence"]

_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass
class Group:
    """Rows that belong together: of a corpus, of a split, or all.

    Attributes:
        rows: how many.
        speakers: (corpus, speaker) of the rows that name one.
        seconds: of the rows whose length is known.
        timed: how many these are.
        languages: tag → rows.
        labels: emotion, or the corpus's own label where that has none → rows.
        licences: name → rows; empty where a row names none.
        genders: as written → rows.
        splits: name → rows.
    """

    rows: int = 0
    speakers: set[tuple[str, str]] = field(default_factory=set)
    seconds: float = 0.0
    timed: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    genders: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        if row.speaker:
            self.speakers.add((row.corpus, row.speaker))
        seconds = _seconds(row)
        if seconds is not None:
            self.seconds += seconds
            self.timed += 1
        self.languages[row.language] += 1
        self.labels[row.emotion or row.label] += 1
        self.licences[row.licence] += 1
        self.genders[row.gender] += 1
        self.splits[row.split] += 1


@dataclass
class Counts:
    """A manifest in numbers.

    Attributes:
        total: of all rows.
        corpora: name → its rows.
        captions: captions in all rows; several of a row count each.
        captioned: rows with at least one.
        voted: rows with listeners' votes.
        transcribed: rows with a transcript.
        shared_speakers: speakers with rows in two splits or more.
    """

    total: Group = field(default_factory=Group)
    corpora: dict[str, Group] = field(default_factory=dict)
    captions: int = 0
    captioned: int = 0
    voted: int = 0
    transcribed: int = 0
    shared_speakers: int = 0


def count_rows(rows: Iterable[Row]) -> Counts:
    """Count the rows of a manifest, one at a time.

    Args:
        rows: any number of them.
    """
    counts = Counts()
    splits: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        counts.total.add(row)
        counts.corpora.setdefault(row.corpus, Group()).add(row)
        counts.captions += len(row.captions)
        counts.captioned += bool(row.captions)
        counts.voted += bool(row.votes)
        counts.transcribed += bool(row.transcript)
        if row.speaker:
            splits[row.corpus, row.speaker].add(row.split)
    counts.shared_speakers = sum(len(found - {""}) > 1 for found in splits.values())
    return counts


def hub_licence(licences: Iterable[str]) -> dict[str, str]:
    """The Hub's fields for the licence of something whose parts have these.

    Args:
        licences: names; empty ones are unknown.

    Returns:
        ``license``, and where they are several, or one that the Hub has no word for, ``other`` with ``license_name``.
        Nothing where none is known: the Hub takes that for unknown.
    """
    known = sorted({name for name in licences if name})
    if not known:
        return {}
    words = (resources.files(__package__) / "licences.txt").read_text(encoding="utf-8").split()
    if len(known) == 1 and known[0].lower() in words:
        return {"license": known[0].lower()}
    return {"license": "other", "license_name": " and ".join(known).lower().replace(" ", "-")}


def hub_languages(tags: Iterable[str]) -> list[str]:
    """The languages of BCP 47 tags, without region; several may stand in one, as ``en-IN/hi``."""
    languages = {part.split("-")[0].lower() for tag in tags for part in re.split(r"[/,; ]+", tag)}
    return sorted(name for name in languages if _LANGUAGE.fullmatch(name))


def _seconds(row: Row) -> float | None:
    """The length of a clip, from its times or from a column ``duration_s``."""
    if row.end is not None:
        return row.end - (row.start or 0.0)
    try:
        seconds = float(row.extra["duration_s"])
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
