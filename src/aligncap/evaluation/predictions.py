"""Reads what systems wrote and finds the row of each prediction, naming all that is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligncap.corpora.check import taxonomy_label
from aligncap.corpora.problems import shown
from aligncap.corpora.records import read_records
from aligncap.corpora.row import Row
from aligncap.evaluation.matching import Finder
from aligncap.evaluation.notes import Note, record_name

__all__ = ["LONGEST", "Prediction", "System", "read_system"]

LONGEST = 10_000
"""Characters of a caption that are read; nobody describes a voice at greater length."""

_STRETCH = re.compile(r"#(\d+)$")


@dataclass(frozen=True)
class Prediction:
    """What a system says of one clip.

    Attributes:
        caption: as the system wrote it, at most `LONGEST` characters.
        emotions: label → probability; empty where the system gives none.
        label: the emotion that the system states beside its caption; empty where it states none.
    """

    caption: str
    emotions: Mapping[str, float] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class System:
    """The predictions of one system, for the rows that they fit.

    Attributes:
        name: as reports call it.
        predictions: row id → prediction.
        notes: all that is wrong, in the order of the file, then the rows that have no prediction.
        lines: records in the file.
        elsewhere: how many predictions are of rows that are known but not scored.
        by_path: how many predictions were matched by the names of their recordings, for want of the id.
    """

    name: str
    predictions: Mapping[str, Prediction]
    notes: tuple[Note, ...] = ()
    lines: int = 0
    elsewhere: int = 0
    by_path: int = 0


def read_system(
    path: Path,
    rows: Sequence[Row],
    *,
    name: str = "",
    others: Iterable[Row] = (),
    encoding: str | None = None,
    missing_is_empty: bool = False,
) -> System:
    """Read the predictions of a system and find the row of each.

    Lines are ``{"id": …, "caption": …}``, with ``emotions`` (label → probability) and ``label`` where the system gives
    them, or what ``aligncap caption`` writes. A prediction belongs to the row of its ``id``; without one, to the only
    row whose recording (or id) ends in the same names as its ``audio`` (or ``id``), whatever its folder and format.
    The stretches of a long recording (``NAME#0``, ``NAME#1``) become one: captions joined, probabilities averaged by
    their seconds.

    Args:
        path: a file whose name ends in ``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv`` or ``.parquet``.
        rows: what is scored.
        name: of the system; the file's by default.
        others: rows that are known but not scored, such as those of other splits.
        encoding: of the file, where it is neither UTF-8 nor marked.
        missing_is_empty: count a row without a prediction as an empty caption, rather than leave it out.

    Raises:
        ManifestError: the file cannot be read at all.
    """
    notes: list[Note] = []
    found = Finder(rows, others)
    predictions: dict[str, Prediction] = {}
    wanted = {row.id for row in rows}
    failed: set[str] = set()
    by_path = elsewhere = 0
    records = list(_records(path, encoding, notes))
    for key, values in _joined(records):
        row_id, how = found.find(values)
        if row_id is None:
            notes.append(Note(how, key, _NOT_FOUND[how]))
            continue
        if row_id not in wanted:
            elsewhere += 1
            continue
        prediction = _prediction(key, values, notes)
        if prediction is None:
            failed.add(row_id)
        elif row_id in predictions:
            notes.append(
                Note("duplicate", key, f"there is a prediction for {shown(row_id)} already; the first is used")
            )
        else:
            predictions[row_id] = prediction
            by_path += how == "path"
    outcome = "scored as an empty caption" if missing_is_empty else "not scored"
    for row in rows:
        if row.id not in predictions:
            if row.id not in failed:
                notes.append(Note("missing", shown(row.id), f"there is no prediction for it; {outcome}"))
            if missing_is_empty:
                predictions[row.id] = Prediction("")
    ordered = {row.id: predictions[row.id] for row in rows if row.id in predictions}
    return System(name or path.stem, ordered, tuple(notes), len(records), elsewhere, by_path)


_NOT_FOUND = {
    "extra": "there is no row for it; not scored",
    "ambiguous": "its name fits several rows; give the row's id; not scored",
    "no id": "it has neither an id nor audio; not scored",
}


def _records(path: Path, encoding: str | None, notes: list[Note]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and values of each line that is a record."""
    for record in read_records(path, encoding):
        key = record_name(record.values, record)
        fault = next((fault for fault in record.faults if fault.kind != "odd encoding"), None)
        if fault:
            notes.append(Note("malformed", key, f"{shown(fault.message)}; not scored"))
        else:
            yield key, dict(record.values)


def _joined(records: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records, those of the stretches of one recording made one at the place of the first."""
    parts: dict[str, list[dict[str, Any]]] = {}
    whole: list[tuple[str, dict[str, Any]]] = []
    for key, values in records:
        name, audio = str(values.get("id") or ""), values.get("audio")
        if isinstance(audio, str) and _STRETCH.search(name) and _STRETCH.sub("", name) == audio:
            if audio not in parts:
                whole.append((shown(audio), {"id": audio, "audio": audio}))
            parts.setdefault(audio, []).append(values)
        else:
            whole.append((key, values))
    for key, values in whole:
        several = parts.get(str(values.get("id")))
        yield key, (values | _one(several) if several and len(values) == 2 else values)


def _one(stretches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Caption and probabilities of a recording from those of its stretches."""
    good = [part for part in stretches if isinstance(part.get("caption"), str)]
    if not good:
        return {key: value for key, value in stretches[0].items() if key not in {"id", "audio"}}
    joined: dict[str, Any] = {"caption": " ".join(part["caption"] for part in good)}
    given = [part for part in good if isinstance(part.get("emotions"), Mapping)]
    total: dict[str, float] = {}
    for part in given:
        try:
            seconds = max(float(part["end"]) - float(part["start"]), 0.0)
        except (KeyError, TypeError, ValueError):
            seconds = 1.0
        for label, value in part["emotions"].items():
            number = value * seconds if isinstance(value, int | float) else math.nan
            total[label] = total.get(label, 0.0) + number
    return joined | ({"emotions": total} if given else {})


def _prediction(key: str, values: Mapping[str, Any], notes: list[Note]) -> Prediction | None:
    """None where there is nothing to score."""
    caption = values.get("caption")
    if "error" in values and caption in (None, ""):
        error = values["error"]
        reason = error.get("message", "") if isinstance(error, Mapping) else error
        notes.append(Note("failed", key, f"{shown(str(reason))}; not scored"))
        return None
    if not isinstance(caption, str):
        notes.append(Note("not text", key, f"the caption is {_kind_of(values, 'caption')}; not scored"))
        return None
    if not _is_unicode(caption):
        notes.append(
            Note("encoding", key, "the caption is not valid Unicode; save as UTF-8 or name --encoding; not scored")
        )
        return None
    if not caption.strip():
        notes.append(Note("empty", key, "the caption is empty; scored as it is"))
    if len(caption) > LONGEST:
        notes.append(Note("overlong", key, f"{len(caption):,} characters; the first {LONGEST:,} are scored"))
        caption = caption[:LONGEST]
    emotions, wrong = _emotions(values.get("emotions"))
    if wrong:
        notes.append(Note("bad emotions", key, f"{wrong}; the caption alone is scored"))
    label = values.get("label")
    return Prediction(caption, emotions, _emotion(label) if isinstance(label, str) and _is_unicode(label) else "")


def _kind_of(values: Mapping[str, Any], column: str) -> str:
    if column not in values:
        return "not there"
    value = values[column]
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return f"not text but {shown(value)}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _emotion(word: str) -> str:
    """The label for a word, or the word itself where the taxonomy has none."""
    return taxonomy_label(word) or word.strip().lower()


def _emotions(value: Any) -> tuple[dict[str, float], str]:
    """Probabilities that sum to 1, and what is wrong with them."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            return {}, "emotions are not a JSON object"
    if value is None or value in ("", {}) or (isinstance(value, float) and math.isnan(value)):
        return {}, ""
    if not isinstance(value, Mapping):
        return {}, f"emotions are {shown(value)}, not label: probability"
    total: dict[str, float] = {}
    for word, number in value.items():
        good = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not good or number < 0 or not _is_unicode(str(word)):
            return {}, f"the probability of {shown(word)} is {shown(number)}"
        label = _emotion(str(word))
        total[label] = total.get(label, 0.0) + float(number)
    whole = sum(total.values())
    if not 0 < whole < math.inf:
        return {}, "the probabilities sum to nothing"
    return {label: number / whole for label, number in total.items()}, ""
