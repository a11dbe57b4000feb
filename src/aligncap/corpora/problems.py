"""What can be wrong with a manifest: the kinds of problems, and what is done about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from aligncap.errors import AlignCapError

__all__ = ["KINDS", "Fault", "Kind", "ManifestError", "Problem", "shown"]


class ManifestError(AlignCapError):
    """A manifest cannot be read or written at all."""

    exit_code = 2


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        severity: an ``error`` makes a row bad; a ``warning`` is to be known.
        remedy: what `aligncap manifest check --fix` does: the row is ``left out``, ``repaired``, or ``kept`` as it is.
        repair: how, in a few words; empty where nothing is changed.
    """

    severity: Literal["error", "warning"]
    remedy: Literal["left out", "repaired", "kept"]
    repair: str = ""


KINDS = {
    "malformed row": Kind("error", "left out"),
    "encoding": Kind("error", "left out"),
    "NUL byte": Kind("error", "left out"),
    "missing value": Kind("error", "left out"),
    "wrong type": Kind("error", "left out"),
    "bad times": Kind("error", "left out"),
    "unmatched name": Kind("error", "left out"),
    "missing file": Kind("error", "left out"),
    "unreadable audio": Kind("error", "left out"),
    "beyond the recording": Kind("error", "left out"),
    "duplicate id": Kind("error", "left out"),
    "speaker in two splits": Kind("error", "left out"),
    "unknown emotion": Kind("error", "repaired", "the taxonomy's word, or moved to `label`"),
    "unknown split": Kind("error", "repaired", "moved to a column split_raw"),
    "bad votes": Kind("error", "repaired", "moved to a column votes_raw"),
    "empty caption": Kind("error", "repaired", "removed"),
    "no id": Kind("warning", "repaired", "the audio path without suffix"),
    "path": Kind("warning", "repaired", "as it is on disk, with forward slashes"),
    "unknown value": Kind("warning", "repaired", "moved to a column NAME_raw"),
    "spelling": Kind("warning", "repaired", "the word of the schema"),
    "duplicate audio": Kind("warning", "kept"),
    "odd audio": Kind("warning", "kept"),
    "odd language": Kind("warning", "kept"),
    "damaged text": Kind("warning", "kept"),
    "odd encoding": Kind("warning", "repaired", "written as UTF-8"),
    "unknown column": Kind("warning", "kept"),
    "unwritable value": Kind("warning", "repaired", "removed"),
}
"""Every kind, the errors first."""

_SHOWN = 120


class Fault(NamedTuple):
    """Something wrong with a record; a `Problem` says where too."""

    kind: str
    message: str
    value: str = ""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one row.

    Attributes:
        row: number of the row, from 1, without a header.
        line: number of its (first) line in a text file, from 1; None in other files.
        id: the row's id, as far as it is known.
        kind: one of `KINDS`.
        message: what is wrong, in one line; printable.
        value: what was found there, where it helps to count it ("high" as an emotion); printable.
    """

    row: int
    line: int | None
    id: str
    kind: str
    message: str
    value: str = ""

    @classmethod
    def of(cls, fault: Fault, row: int, line: int | None, name: object) -> Problem:
        """A fault of the row `name`."""
        return cls(row, line, shown(name), fault.kind, fault.message, shown(fault.value))

    @property
    def severity(self) -> Literal["error", "warning"]:
        """Whether it makes the row bad."""
        return KINDS[self.kind].severity

    @property
    def remedy(self) -> Literal["left out", "repaired", "kept"]:
        """What a repair does with the row."""
        return KINDS[self.kind].remedy

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line not in (None, self.row) else ""
        return f"row {self.row}{line}{' ' * bool(self.id)}{self.id}: {self.kind}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON record."""
        record: dict[str, Any] = {"row": self.row, "line": self.line, "id": self.id, "kind": self.kind}
        record |= {"severity": self.severity, "remedy": self.remedy, "message": self.message}
        return record | ({"value": self.value} if self.value else {})


def shown(value: object) -> str:
    """Any value as one short line that can be printed anywhere."""
    text = " ".join((value if isinstance(value, str) else repr(value))[: 4 * _SHOWN].split())
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
