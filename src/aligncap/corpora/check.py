"""Checks a manifest, row by row: labels, times, recordings, duplicates, speakers in two splits."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aligncap.corpora.fields import COLUMNS, SPLITS, column_hint, raw_column
from aligncap.corpora.manifest import Parsed, parse_manifest
from aligncap.corpora.problems import KINDS, Fault, Problem, shown
from aligncap.corpora.recordings import Heard, with_recordings
from aligncap.corpora.row import Row

__all__ = ["Checked", "Report", "Survey", "check_manifest", "survey_manifest", "taxonomy_label"]

_TOLERANCE = 0.1  # seconds that a row may end after its recording: times are rounded, and encoders cut
_MAX_VALUES = 1000  # distinct values counted of a kind of problem
_Key = tuple[str, str]


@dataclass(frozen=True)
class Checked:
    """A row and what is wrong with it.

    Attributes:
        row: as it can be used, repaired where that was needed; None where it has to be left out.
        problems: none, for a good row.
    """

    row: Row | None
    problems: tuple[Problem, ...]

    @property
    def bad(self) -> bool:
        """Whether there is an error among the problems."""
        return any(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True)
class Survey:
    """What only a look at all rows can tell.

    Attributes:
        rows: how many there are.
        splits: of each speaker found in several splits, (corpus, speaker) → the one split with most of the rows.
    """

    rows: int
    splits: Mapping[_Key, str]


@dataclass
class Report:
    """Counts of what was checked.

    Attributes:
        rows: checked.
        bad: rows with an error.
        left_out: bad rows that cannot be repaired.
        repaired: rows kept, but not as they were.
        problems: kind → problems.
        values: kind → value → problems, for the kinds where the value says much.
    """

    rows: int = 0
    bad: int = 0
    left_out: int = 0
    repaired: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, checked: Checked) -> None:
        """Count a row."""
        self.rows += 1
        self.bad += checked.bad
        self.left_out += checked.row is None
        self.repaired += checked.row is not None and any(item.remedy == "repaired" for item in checked.problems)
        for problem in checked.problems:
            self.problems[problem.kind] += 1
            values = self.values.setdefault(problem.kind, Counter())
            if problem.value and (problem.value in values or len(values) < _MAX_VALUES):
                values[problem.value] += 1

    @property
    def kinds(self) -> list[str]:
        """The kinds of problems that occurred, errors first, then by number."""
        return sorted(self.problems, key=lambda kind: (KINDS[kind].severity, -self.problems[kind]))

    def to_dict(self) -> dict[str, Any]:
        """The JSON record."""
        problems = {kind: self.problems[kind] for kind in self.kinds}
        values = {kind: dict(self.values[kind].most_common(20)) for kind in self.kinds if self.values[kind]}
        counts = {"rows": self.rows, "bad": self.bad, "left_out": self.left_out, "repaired": self.repaired}
        return {**counts, "problems": problems, "values": values}


def survey_manifest(
    path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> Survey:
    """Read a manifest once, for what `check_manifest` must know before it begins; memory grows with the speakers.

    Raises:
        ManifestError: the file cannot be read.
    """
    rows, splits = 0, dict[_Key, Counter[str]]()
    for parsed in parse_manifest(path, columns=columns, encoding=encoding):
        rows += 1
        if parsed.row is not None and parsed.row.speaker and parsed.row.split:
            splits.setdefault(_speaker(parsed.row), Counter())[parsed.row.split] += 1
    several = {speaker: counts for speaker, counts in splits.items() if len(counts) > 1}
    best = {speaker: max(SPLITS, key=counts.__getitem__) for speaker, counts in several.items()}
    return Survey(rows, best)


def check_manifest(
    path: str | os.PathLike[str],
    *,
    label_of: Callable[[str], str | None] | None = None,
    audio: bool = True,
    threads: int | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    survey: Survey | None = None,
) -> Iterator[Checked]:
    """Check every row of a manifest, in order.

    The rows that come back can be used: written as they are, they make a manifest without errors. Of rows with one id
    the first good one stays; of a speaker in several splits, the rows in the split with most of them. Memory does not
    grow but by about 200 bytes a row, for finding duplicates.

    Args:
        path: see `aligncap.corpora.read_manifest`, which explains `columns` and `encoding` too.
        label_of: word → the label that `emotion` and `votes` should have for it (a known label is its own), or None
            for what is no emotion; by default `taxonomy_label`.
        audio: whether to read the recordings, each to its end; False does not even look whether they exist.
        threads: that read recordings; by default one for each processor, 8 at most.
        survey: of the same file, where there is one already.

    Raises:
        ManifestError: the file cannot be read.
    """
    label_of = label_of or taxonomy_label
    survey = survey or survey_manifest(path, columns=columns, encoding=encoding)
    seen = _Seen(survey)
    rows = parse_manifest(path, columns=columns, encoding=encoding)
    for parsed, heard in with_recordings(rows, Path(path).parent, audio, threads):
        findings = _Findings(parsed)
        row = parsed.row
        if row is not None:
            seen.columns(row, findings)
            row = _judge_emotions(row, label_of, findings)
            if heard is not None:
                row = _judge_audio(row, heard, findings)
            if not findings.left_out:
                seen.judge(row, heard, findings)
        yield Checked(None if findings.left_out else row, tuple(findings.problems))


@lru_cache(maxsize=4096)
def taxonomy_label(word: str) -> str | None:
    """The label for an emotion word.

    That is the model's own label for a word of the same category ("Anger" → "angry"), a word with a finer meaning
    itself ("frustrated"), None for what the taxonomy does not have ("low").
    """
    from aligncap.captions.taxonomy import EMOTIONS, category_of, emotion_of

    name = word.strip().lower()
    category, label = category_of(name), emotion_of(name)
    if name in EMOTIONS or category is None:
        return name if name in EMOTIONS else None
    return label if label and category_of(label) == category else name


class _Findings:
    """Collects the problems of one row."""

    def __init__(self, parsed: Parsed) -> None:
        self.problems = list(parsed.problems)
        self._place = (parsed.record.row, parsed.record.line)
        self._id = parsed.row.id if parsed.row else ""
        self.left_out = parsed.row is None

    def add(self, kind: str, message: str, value: str = "") -> None:
        problem = Problem.of(Fault(kind, message, value), *self._place, self._id)
        self.left_out |= problem.remedy == "left out"
        self.problems.append(problem)

    @property
    def number(self) -> int:
        return self._place[0]


def _judge_emotions(row: Row, label_of: Callable[[str], str | None], findings: _Findings) -> Row:
    """Replace emotions that are not known."""
    if row.emotion and (meant := label_of(row.emotion)) != row.emotion:
        findings.add("unknown emotion", _meaning(row.emotion, meant), row.emotion)
        extra = row.extra
        if row.label and row.label != row.emotion:
            extra = {**row.extra, raw_column("emotion"): row.emotion}
        row = replace(row, emotion=meant or "", label=row.label or row.emotion, extra=extra)
    labels = {emotion: label_of(emotion) for emotion in row.votes}
    unknown = [emotion for emotion, label in labels.items() if label != emotion]
    for emotion in unknown:
        findings.add("unknown emotion", f"votes for {_meaning(emotion, labels[emotion])}", emotion)
    if unknown:
        votes: dict[str, float] = {}
        for emotion, label in labels.items():
            if label:
                votes[label] = votes.get(label, 0.0) + row.votes[emotion]
        row = replace(row, votes=votes, extra={**row.extra, raw_column("votes"): dict(row.votes)})
    return row


def _meaning(emotion: str, label: str | None) -> str:
    return f"'{shown(emotion)}': " + (f"it means {label!r}" if label else "the taxonomy does not have it")


def _judge_audio(row: Row, heard: Heard, findings: _Findings) -> Row:
    if heard.fault is not None:
        findings.add(*heard.fault)
        return row
    for warning in heard.warnings:
        findings.add("odd audio", shown(warning))
    for name, time in (("start", row.start), ("end", row.end)):
        if time is not None and time > heard.seconds + _TOLERANCE:
            findings.add("beyond the recording", f"{name} is {time:g} s, and the recording has {heard.seconds:.2f} s")
            break
    if heard.path != row.audio:
        findings.add("path", f"'{shown(row.audio)}' is written with other characters than on disk")
    return replace(row, audio=heard.path)


class _Seen:
    """What good rows have taken: ids, recordings, columns; and where speakers belong."""

    def __init__(self, survey: Survey) -> None:
        self._splits = survey.splits
        self._ids: dict[bytes, int] = {}
        self._audio: dict[bytes, tuple[int, str]] = {}
        self._columns: set[str] = {raw_column(name) for name in COLUMNS}

    def columns(self, row: Row, findings: _Findings) -> None:
        for name in row.extra.keys() - self._columns:
            self._columns.add(name)
            findings.add("unknown column", f"'{shown(name)}' is kept as it is{column_hint(name)}", name)

    def judge(self, row: Row, heard: Heard | None, findings: _Findings) -> None:
        home = self._splits.get(_speaker(row), row.split)
        if row.split and row.split != home:
            findings.add(
                "speaker in two splits",
                f"'{shown(row.speaker)}' is in {row.split}, and with more rows in {home}",
                row.speaker,
            )
            return
        key = _digest(unicodedata.normalize("NFC", row.id))
        if key in self._ids:
            findings.add("duplicate id", f"row {self._ids[key]} has the same")
            return
        self._ids[key] = findings.number
        if heard is not None:
            key = _digest(repr((heard.samples, row.start or 0.0, row.end)))
            first, split = self._audio.setdefault(key, (findings.number, row.split))
            if first != findings.number:
                other = f", in split {split}" if split != row.split else ""
                findings.add("duplicate audio", f"row {first} has the same recording under another id{other}")


def _speaker(row: Row) -> _Key:
    return unicodedata.normalize("NFC", row.corpus), unicodedata.normalize("NFC", row.speaker)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
