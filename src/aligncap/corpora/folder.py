"""Rows for a folder of recordings, whose names and folders say what is known about them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aligncap.corpora.fields import COLUMNS, parse_record
from aligncap.corpora.problems import Fault, ManifestError, Problem, shown
from aligncap.corpora.row import Row

__all__ = ["from_folder"]

_PATTERN = re.compile(r"(\{[^{}]*\}|\*)")


def from_folder(
    folder: str | os.PathLike[str],
    pattern: str = "",
    *,
    on_problem: Callable[[Problem], None] | None = None,
    **fixed: str,
) -> Iterator[Row]:
    """Find the recordings of a folder, at any depth, in sorted order.

    Args:
        folder: to search.
        pattern: what a recording's path in the folder, without its suffix, says: columns in braces, ``*`` for anything
            else, none of which reaches beyond a ``/``: ``{speaker}/{emotion}/*`` or ``{speaker}_*_{emotion}``. By
            default nothing.
        on_problem: called with each recording that cannot be used, which is then left out.
        **fixed: columns that are the same for all, such as ``corpus="mine"``, which also begins every id.

    Yields:
        rows whose audio paths are relative to `folder`, and whose ids are the paths without suffix.

    Raises:
        ManifestError: no such folder, no recording in it, a pattern that makes no sense; without `on_problem`, a
            recording that cannot be used.
    """
    from aligncap.audio import find_audio

    root = Path(folder)
    if not root.is_dir():
        raise ManifestError(f"{root}: there is no such folder")
    unknown = sorted(set(fixed) - set(COLUMNS))
    if unknown:
        raise ManifestError(f"a manifest has no column {unknown[0]!r}; it has {', '.join(COLUMNS)}")
    matcher = _compiled(pattern)
    number = 0
    for number, path in enumerate(find_audio(root), 1):
        name = path.relative_to(root).as_posix()
        row, faults = _row(name, matcher, pattern, fixed)
        for fault in faults:
            problem = Problem.of(fault, number, None, name)
            if on_problem is not None:
                on_problem(problem)
            elif problem.remedy == "left out":
                raise ManifestError(f"{root}: {problem}")
        if row is not None:
            yield row
    if not number:
        raise ManifestError(f"{root}: there are no recordings in this folder")


def _row(
    name: str, matcher: re.Pattern[str] | None, pattern: str, fixed: dict[str, str]
) -> tuple[Row | None, list[Fault]]:
    stem = os.path.splitext(name)[0]  # noqa: PTH122 (a posix path on all systems)
    if any("\ud800" <= char <= "\udfff" for char in name):
        return None, [Fault("encoding", "its name is not UTF-8: rename it")]
    found: dict[str, Any] = {}
    if matcher is not None:
        match = matcher.fullmatch(stem)
        if match is None:
            return None, [Fault("unmatched name", f"its path does not fit '{shown(pattern)}'")]
        found = match.groupdict()
    corpus = fixed.get("corpus", "")
    record = {"id": f"{corpus}/{stem}" if corpus else stem, **fixed, **found, "audio": name}
    if "emotion" in found:
        record.setdefault("label", found["emotion"])
    return parse_record(record)


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern as a regular expression; None for none."""
    if not pattern:
        return None
    parts, names = [], set[str]()
    for part in _PATTERN.split(pattern.strip("/")):
        name = part[1:-1]
        if part == "*":
            parts.append("[^/]*?")
        elif not part.startswith("{"):
            parts.append(re.escape(part))
        elif not name.isidentifier() or name in ("audio", "start", "end", "votes", "captions", "clues"):
            raise ManifestError(f"{pattern!r}: {part} is no column that a name can hold")
        else:
            parts.append(f"(?P={name})" if name in names else f"(?P<{name}>[^/]+?)")
            names.add(name)
    return re.compile("".join(parts))
