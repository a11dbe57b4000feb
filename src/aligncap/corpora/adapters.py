"""Reads a corpus as it is distributed: its files and tables become rows, and what could not be used becomes remarks."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligncap.corpora.details import DETAILS, Complete
from aligncap.corpora.known import Corpus, CorpusError, Groups, Table, load_corpus
from aligncap.corpora.row import Row
from aligncap.corpora.sidefiles import find_file, read_table
from aligncap.corpora.splits import split_by_speaker

__all__ = ["SPLITS", "Reading", "Remark", "assign_splits", "check_audio", "read_corpus"]

SPLITS = ("speakers", "corpus", "none", "train", "dev", "test", "zero_shot")
"""What `assign_splits` takes."""

_SUFFIXES = frozenset({".avi"})  # MER2023's films; no recording elsewhere is called so


@dataclass(frozen=True)
class Remark:
    """Something about a corpus's files that its user should know.

    Attributes:
        source: the file, relative to the corpus, or what else it is about.
        reason: what is wrong with it.
        lost: whether a clip is left out because of it.
    """

    source: str
    reason: str
    lost: bool = True

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass
class Reading:
    """What was found in a folder.

    Attributes:
        corpus: whose clips they are.
        root: the folder.
        rows: one for each clip, in the order of their ids; ``audio`` is absolute.
        remarks: about what was not used.
    """

    corpus: Corpus
    root: Path
    rows: list[Row] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def tell(self, source: str, reason: str) -> None:
        """Add a remark by which no clip is lost."""
        self.remarks.append(Remark(source, reason, lost=False))


def read_corpus(name: str, root: Path) -> Reading:
    """Read a known corpus; no recording is opened, see `check_audio`.

    A clip that is there in several formats is read once, as WAV if it is there as such; so is one that is there in
    identical copies.

    Args:
        name: one of `aligncap.corpora.known.corpus_names`.
        root: a folder with the corpus or a part of it, as it is distributed.

    Raises:
        CorpusError: no such corpus or folder, no clip of the corpus in it, or a table of it cannot be read.
    """
    corpus = load_corpus(name)
    if not root.is_dir():
        raise CorpusError(f"{root}: there is no such folder")
    reading = Reading(corpus, root)
    tables = [_Lookup.read(table, reading) for table in corpus.tables]
    complete = _details(corpus, root, reading)
    ids: dict[str, Path] = {}
    ignored = spare = 0
    for path in _recordings(reading):
        place = path.relative_to(root).as_posix()
        if corpus.ignore is not None and corpus.ignore.search(place):
            ignored += 1
            continue
        match = corpus.pattern.fullmatch(path.absolute().with_suffix("").as_posix())
        if match is None:
            reading.remarks.append(Remark(place, f"its name is none of {name}'s, such as {corpus.layout}"))
            continue
        groups: Groups = {**match.groupdict(), "stem": path.stem}
        rows = [table.row(groups) for table in tables]
        for row in rows:
            groups |= row or {}
        if not any(rows) and any(table.complete for table in corpus.tables):
            reading.remarks.append(Remark(place, "no table of the corpus names it"))
            continue
        for clip in complete(groups):
            row_or_remark = _row(corpus, clip, path, place)
            if isinstance(row_or_remark, Remark):
                reading.remarks.append(row_or_remark)
            elif (first := ids.setdefault(row_or_remark.id, path)) is path:
                reading.rows.append(row_or_remark)
            elif first.suffix.lower() != path.suffix.lower() or filecmp.cmp(first, path, shallow=False):
                spare += 1
            else:
                other = first.relative_to(root).as_posix()
                reading.remarks.append(Remark(place, f"it has the name of {other} and is another recording"))
    for table in tables:
        reading.remarks += table.unused()
    _sum_up(reading, ignored, spare)
    return reading


def check_audio(reading: Reading) -> Iterator[Row | Remark]:
    """Decode every recording once.

    Yields:
        For each row, in their order: the row, or a remark that names the recording and says why it cannot be used:
        unreadable, cut off, silent, shorter than the clip's end, and so on.
    """
    from aligncap.audio import read_audio
    from aligncap.errors import AudioError

    heard: dict[str, float | str] = {}
    for row in reading.rows:
        place = os.path.relpath(row.audio, reading.root.absolute()).replace(os.sep, "/")
        if row.audio not in heard:
            try:
                heard[row.audio] = read_audio(row.audio).duration
            except AudioError as error:
                heard[row.audio] = error.reason
        found = heard[row.audio]
        if isinstance(found, str):
            yield Remark(place, found)
        elif row.end is not None and row.end > found + 0.5:
            yield Remark(place, f"it ends at {found:g} s, before {row.id} does ({row.end:g} s)")
        else:
            yield row


def assign_splits(
    rows: Sequence[Row], corpus: Corpus, split: str = "", *, dev_share: float = 0.2, seed: int = 0
) -> list[Row]:
    """Give every row its split.

    Args:
        rows: of the corpus, with its own split where it has one.
        corpus: whose rows they are.
        split: ``speakers`` (train and dev, no speaker in both), ``corpus`` (as its authors split it), ``none``, or
            the split of all rows; empty for the corpus's default.
        dev_share: share of the speakers that go to dev, with ``speakers``.
        seed: of the draw, with ``speakers``.

    Raises:
        CorpusError: no such split, or the corpus has none of its own, or does not tell its speakers.
    """
    split = split or corpus.default_split
    if split not in SPLITS:
        raise CorpusError(f"{split}: no such split; there are {', '.join(SPLITS)}")
    if split == "speakers":
        return split_by_speaker(rows, dev_share=dev_share, seed=seed)
    if split == "corpus":
        if not any(row.split for row in rows):
            raise CorpusError(f"{corpus.name}: its authors did not split it: choose another split")
        return list(rows)
    return [replace(row, split="" if split == "none" else split) for row in rows]


def _details(corpus: Corpus, root: Path, reading: Reading) -> Complete:
    if not corpus.details:
        return lambda clip: [clip]
    return DETAILS[corpus.details](corpus, root, reading.tell)


def _recordings(reading: Reading) -> list[Path]:
    """All recordings, WAV before other formats, else in order of their paths; hidden files are left out."""
    from aligncap.audio import AUDIO_SUFFIXES

    found: list[Path] = []

    def unlisted(error: OSError) -> None:
        reading.remarks.append(Remark(str(error.filename), "this folder may not be listed"))

    for folder, folders, files in os.walk(reading.root, onerror=unlisted):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        paths = (Path(folder, name) for name in sorted(files) if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES | _SUFFIXES]
    return sorted(found, key=lambda path: (path.suffix.lower() != ".wav", path))


def _row(corpus: Corpus, clip: Groups, path: Path, place: str) -> Row | Remark:
    if "problem" in clip:
        return Remark(place, clip["problem"])
    values = {name: rule(clip) for name, rule in corpus.fields.items()}
    code = values.get("label", "")
    label, emotion = corpus.labels.get(code) or (code, corpus.labels.get("*", ("", ""))[1])
    if code not in corpus.labels and "*" not in corpus.labels and corpus.labels:
        return Remark(place, f"its label {code!r} is none of {corpus.name}'s: {', '.join(corpus.labels)}")
    return Row(
        id=f"{corpus.name}/{corpus.id(clip)}",
        audio=path.absolute().as_posix(),
        start=clip.get("start"),
        end=clip.get("end"),
        corpus=corpus.name,
        language=values.get("language", ""),
        speaker=values.get("speaker", ""),
        gender=values.get("gender", ""),
        emotion=emotion,
        label=label,
        intensity=values.get("intensity", ""),
        votes=clip.get("votes", {}),
        transcript=values.get("transcript", ""),
        captions=tuple(dict.fromkeys(clip.get("captions", ()))),
        split=values.get("split", ""),
        licence=corpus.licence,
    )


@dataclass
class _Lookup:
    """The rows of one table by their keys, and which of them have found a clip."""

    table: Table
    rows: dict[str, dict[str, str]]
    used: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, table: Table, reading: Reading) -> _Lookup:
        path = find_file(reading.root, table.file)
        if path is None:
            reading.tell(table.file, "it is not there: what it says of the clips is unknown")
            return cls(table, {})
        return cls(table, {table.key(row): row for row in read_table(path, table.key.names)})

    def row(self, clip: Groups) -> dict[str, str] | None:
        key = self.table.clip(clip)
        self.used.add(key)
        return self.rows.get(key)

    def unused(self) -> list[Remark]:
        """Clips that the table lists and nobody has found; none for a table that lists more than the clips."""
        if not self.table.complete:
            return []
        missing = [key for key in self.rows if key not in self.used]
        return [Remark(key, f"{self.table.file} names it, and there is no such recording") for key in missing]


def _sum_up(reading: Reading, ignored: int, spare: int) -> None:
    corpus = reading.corpus
    if not reading.rows:
        reasons = [str(remark) for remark in reading.remarks[:1]]
        raise CorpusError(
            f"{reading.root}: there is no clip of {corpus.name} in it; one is called {corpus.layout}"
            + "".join(f" ({reason})" for reason in reasons)
        )
    reading.rows.sort(key=lambda row: row.id)
    if ignored:
        reading.tell(str(ignored), f"recordings left out: {corpus.ignore_reason}")
    if spare:
        reading.tell(str(spare), "recordings left out: copies of clips, or the same in another format")
    if corpus.clips is not None and len(reading.rows) != corpus.clips:
        reading.tell(f"{len(reading.rows)} clips", f"the distribution has {corpus.clips}")
