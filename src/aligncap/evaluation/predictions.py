"""Reads what systems wrote and finds the row of each prediction, naming all that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncap.corpora.problems import shown
from aligncap.corpora.records import read_records
from aligncap.corpora.row import Row
from aligncap.evaluation.matching import Finder
from aligncap.evaluation.notes import Note, record_name
from aligncap.evaluation.prediction import Prediction, read_prediction

__all__ = ["Prediction", "System", "read_system"]

_STRETCH = re.compile(r"#(\d+)$")


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

    Lines are ``{"id": …, "caption": …}``, with ``emotions`` (label → probability), ``label``, ``claims`` and
    ``abstained`` where the system gives them, or what ``aligncap caption`` writes. A prediction belongs to the row of
    its ``id``; without one, to the only row whose recording (or id) ends in the same names as its ``audio`` (or
    ``id``), whatever its folder and format. The stretches of a long recording (``NAME#0``, ``NAME#1``) become one:
    captions and claims joined, probabilities averaged by their seconds.

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
        prediction = read_prediction(key, values, notes)
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
    joined |= {"emotions": total} if given else {}
    told = [part["claims"] for part in good if part.get("claims") is not None]
    lists = [claims if isinstance(claims, list) else [claims] for claims in told]
    joined |= {"claims": [claim for claims in lists for claim in claims]} if told else {}
    return joined | ({"abstained": True} if all(part.get("abstained") is True for part in good) else {})
