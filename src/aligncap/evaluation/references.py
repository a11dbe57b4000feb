"""Reads what predictions are scored against: manifests and references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from aligncap.corpora.fields import parse_record
from aligncap.corpora.manifest import parse_manifest
from aligncap.corpora.problems import shown
from aligncap.corpora.records import read_records
from aligncap.corpora.row import Row
from aligncap.evaluation.notes import Note, record_name

__all__ = ["read_references", "read_rows", "with_references"]


def read_rows(path: Path, encoding: str | None = None) -> tuple[list[Row], list[Note]]:
    """Read a manifest; rows that cannot be used, and those whose id is there already, are left out and named.

    Raises:
        ManifestError: it cannot be read at all.
    """
    rows: dict[str, Row] = {}
    notes = []
    for parsed in parse_manifest(path, encoding=encoding):
        for problem in parsed.problems:
            if problem.remedy == "left out":
                notes.append(Note("bad row", problem.id or f"row {problem.row}", f"{problem.message}; left out"))
        if parsed.row is not None:
            _add(parsed.row, rows, notes)
    return list(rows.values()), notes


def read_references(path: Path, encoding: str | None = None) -> tuple[list[Row], list[Note]]:
    """Read references: lines ``{"id": …, "captions": […]}``, with any other columns of a manifest; audio is not needed.

    Raises:
        ManifestError: it cannot be read at all.
    """
    rows: dict[str, Row] = {}
    notes = []
    for record in read_records(path, encoding):
        values = dict(record.values)
        name = record_name(values, record)
        if not record.faults and "id" not in values:
            notes.append(Note("bad row", name, "it has no id; left out"))
            continue
        values.setdefault("audio", str(values.get("id")))
        if "captions" not in values and "caption" in values:
            values["captions"] = [values.pop("caption")]
        row, faults = (None, list(record.faults)) if record.faults else parse_record(values)
        if row is None:
            notes += [Note("bad row", name, f"{fault.kind}: {shown(fault.message)}; left out") for fault in faults]
        else:
            _add(row, rows, notes)
    return list(rows.values()), notes


def _add(row: Row, rows: dict[str, Row], notes: list[Note]) -> None:
    if row.id in rows:
        notes.append(Note("bad row", shown(row.id), "it is there twice; the first is used"))
    else:
        rows[row.id] = row


def with_references(rows: Sequence[Row], references: Iterable[Row]) -> tuple[list[Row], list[Note]]:
    """Rows of a manifest with captions from elsewhere; references that no row has are named."""
    by_id = {row.id: row for row in references}
    merged = [replace(row, captions=by_id[row.id].captions) if row.id in by_id else row for row in rows]
    known = {row.id for row in rows}
    notes = [
        Note("bad row", shown(name), "a reference, but no row of the manifest") for name in by_id if name not in known
    ]
    return merged, notes
