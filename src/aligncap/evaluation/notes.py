"""What can be wrong with predictions and with the rows that they are scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aligncap.corpora.problems import shown
from aligncap.corpora.records import Record

__all__ = ["KINDS", "Note", "record_name"]

KINDS: Mapping[str, bool] = {
    "missing": True,  # no prediction for a row
    "failed": True,  # the system itself says that it failed
    "malformed": True,  # a line that is no record
    "encoding": True,  # text that is not valid Unicode
    "no id": True,
    "not text": True,  # a caption that is null, NaN, a number, a list
    "duplicate": True,
    "ambiguous": True,  # its name fits several rows
    "overlong": True,
    "bad emotions": True,
    "bad claims": True,
    "bad row": True,  # of the references or the manifest
    "not measured": True,  # a recording whose voice was to be measured
    "extra": False,  # no row for a prediction
    "empty": False,
}
"""Kind of `Note` → whether it makes something be left out, or scored other than as it was written."""


@dataclass(frozen=True)
class Note:
    """Something to know about one prediction or row.

    Attributes:
        kind: one of `KINDS`.
        id: of the prediction or row; of a line that has none, its number.
        message: what is the matter and what became of it, in one printable line.
    """

    kind: str
    id: str
    message: str

    def __str__(self) -> str:
        return f"{self.id}: {self.kind}: {self.message}"


def record_name(values: Mapping[str, Any], record: Record) -> str:
    """What to call a record: its id or recording, else its line; printable."""
    name = values.get("id") or values.get("audio")
    return shown(str(name)) if name else f"line {record.line or record.row}"
