"""The corpora that AlignCap knows: one declarative entry each, beside this file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any, Literal

from aligncap.errors import AlignCapError

__all__ = ["Corpus", "CorpusError", "Groups", "Rule", "Table", "corpus_names", "load_corpus"]

Groups = dict[str, Any]
"""What is known of a clip, by name: groups of the pattern, columns of tables, and what details add."""


class CorpusError(AlignCapError):
    """A corpus cannot be read: unknown, not where it should be, or not laid out as it is distributed."""

    exit_code = 2


class _Blank(dict[str, Any]):
    """Unknown names are empty text."""

    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True)
class Rule:
    """How a value of a row is made.

    Attributes:
        of: text with the names of groups in braces; a group that is unknown is empty.
        map: what the text stands for; None where it stands for itself. What is not listed becomes empty.
    """

    of: str = ""
    map: Mapping[str, str] | None = None

    def __call__(self, groups: Groups) -> str:
        """Return the value for a clip."""
        known = {name: value for name, value in groups.items() if value is not None}
        text = " ".join(self.of.format_map(_Blank(known)).split())
        return text if self.map is None else self.map.get(text, "")

    @property
    def names(self) -> tuple[str, ...]:
        """The groups that the text names."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.of) if name)

    @classmethod
    def parse(cls, raw: str | Mapping[str, Any]) -> Rule:
        """Read a rule as an entry writes it: text, or `of` and `map`."""
        return cls(raw) if isinstance(raw, str) else cls(raw["of"], dict(raw["map"]))


@dataclass(frozen=True)
class Table:
    """A table of the distribution, whose columns become groups of the clips.

    Attributes:
        file: its path in the distribution.
        key: made of a row's columns.
        clip: made of a clip's groups; the clip gets the row with the same key.
        complete: whether the table lists every clip, so that a clip without a row cannot be used and a row without
            a clip is missing.
    """

    file: str
    key: Rule
    clip: Rule
    complete: bool = False


@dataclass(frozen=True)
class Corpus:
    """One corpus: what it is, and how its distributed files become rows.

    Attributes:
        name: short name, as in the rows.
        title: full name.
        languages: BCP 47 tags.
        clips: clips of the public distribution that are read; None where that varies.
        speakers: number of them; None where they are not told apart.
        licence: SPDX identifier, or the name by which the corpus calls it.
        homepage: the corpus's own page.
        citation: what its authors ask to cite.
        obtain: how to get it.
        layout: an example of a file name.
        note: what a user should know before relying on it.
        pattern: of the paths of its recordings, without the suffix; named groups.
        ignore: of the paths of recordings that belong to the distribution and are no clips; None where there are none.
        ignore_reason: what they are.
        id: a clip's name, unique in the corpus.
        fields: rules for language, speaker, gender, intensity, transcript, label and split.
        labels: the label's code → (label as the corpus calls it, emotion of the taxonomy or empty). The code ``*``
            stands for all others.
        answers: what a listener could answer → emotion; answers that are not listed are no votes.
        tables: of the distribution.
        details: name of the function in `aligncap.corpora.details` for what an entry cannot say, or empty.
        default_split: ``speakers``, ``corpus`` or ``none``; see `aligncap.corpora.adapters.assign_splits`.
    """

    name: str
    title: str
    languages: tuple[str, ...]
    clips: int | None
    speakers: int | None
    licence: str
    homepage: str
    citation: str
    obtain: str
    layout: str
    pattern: re.Pattern[str]
    note: str = ""
    ignore: re.Pattern[str] | None = None
    ignore_reason: str = ""
    id: Rule = field(default_factory=lambda: Rule("{stem}"))
    fields: Mapping[str, Rule] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    details: str = ""
    default_split: Literal["speakers", "corpus", "none"] = "speakers"

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions of the taxonomy that its labels stand for, in the order of its codes."""
        return tuple(dict.fromkeys(emotion for _, emotion in self.labels.values() if emotion))

    @property
    def has_own_split(self) -> bool:
        """Whether its authors split it."""
        return "split" in self.fields


_RULES = ("language", "speaker", "gender", "intensity", "transcript", "label", "split")


@cache
def corpus_names() -> tuple[str, ...]:
    """Names of all known corpora, in alphabetical order."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@cache
def load_corpus(name: str) -> Corpus:
    """Read an entry.

    Raises:
        CorpusError: there is none of that name.
    """
    import yaml

    if name not in corpus_names():
        raise CorpusError(f"{name}: no such corpus is known; known are {', '.join(corpus_names())}")
    raw = yaml.safe_load((resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    ignore = raw.get("ignore", {})
    return Corpus(
        name=name,
        title=raw["title"],
        languages=tuple(raw["languages"]),
        clips=raw["clips"],
        speakers=raw["speakers"],
        licence=raw["licence"],
        homepage=raw["homepage"],
        citation=raw["citation"],
        obtain=raw["obtain"],
        layout=raw["layout"],
        note=raw.get("note", ""),
        # an absolute path is matched, so that it does not matter which of the corpus's folders the user names
        pattern=re.compile(rf"(?:.*/)?(?:{raw['pattern']})", re.VERBOSE),
        ignore=re.compile(ignore["pattern"], re.VERBOSE) if ignore else None,
        ignore_reason=ignore.get("reason", ""),
        id=Rule.parse(raw.get("id", "{stem}")),
        fields={key: Rule.parse(raw[key]) for key in _RULES if key in raw},
        labels={code: _label(code, meaning) for code, meaning in raw.get("labels", {}).items()},
        answers=raw.get("answers", {}),
        tables=tuple(
            Table(table["file"], Rule(table["key"]), Rule(table["clip"]), table.get("complete", False))
            for table in raw.get("tables", ())
        ),
        details=raw.get("details", ""),
        default_split=raw.get("default_split", "speakers"),
    )


def _label(code: str, meaning: str | list[str]) -> tuple[str, str]:
    """``code: emotion`` where the code is the corpus's own word, else ``code: [word, emotion]``."""
    return (code, meaning) if isinstance(meaning, str) else (meaning[0], meaning[1])
