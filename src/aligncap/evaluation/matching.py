"""Which row a prediction is about: by its id, else by the name of its recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aligncap.audio.files import AUDIO_SUFFIXES
from aligncap.corpora.row import Row

__all__ = ["Finder"]


class Finder:
    """Finds the row that a prediction is about.

    Args:
        rows: those that are scored.
        others: further ones that predictions may be about.
    """

    def __init__(self, rows: Sequence[Row], others: Iterable[Row]) -> None:
        self._ids: set[str] = set()
        self._ends: dict[str, str | None] = {}  # None: of several rows
        for row in (*rows, *others):
            self._ids.add(row.id)
            for end in {*_ends(row.id), *_ends(row.audio)}:
                self._ends[end] = row.id if self._ends.get(end, row.id) == row.id else None

    def find(self, values: Mapping[str, Any]) -> tuple[str | None, str]:
        """The row's id and how it was found (``id`` or ``path``); or None and the kind of `Note`."""
        name = values.get("id")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if isinstance(name, str) and name.strip() in self._ids:
            return name.strip(), "id"
        paths = [text for text in (values.get("audio"), name) if isinstance(text, str) and text.strip()]
        if not paths:
            return None, "no id"
        for path in paths:
            for end in _ends(path.strip()):
                if end in self._ends:
                    row = self._ends[end]
                    return (row, "path") if row is not None else (None, "ambiguous")
        return None, "extra"


def _ends(path: str) -> list[str]:
    """``a/b/c.wav`` → ``a/b/c``, ``b/c``, ``c``."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts:
        return []
    stem, dot, suffix = parts[-1].rpartition(".")
    if stem and f"{dot}{suffix}".lower() in AUDIO_SUFFIXES:
        parts[-1] = stem
    return ["/".join(parts[index:]) for index in range(len(parts))]
