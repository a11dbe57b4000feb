"""Audio paths of a manifest: relative to its folder, however the name is written."""

from __future__ import annotations

import ntpath
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from aligncap.corpora.row import Row

__all__ = ["audio_path", "find_audio_path", "rebase"]


def rebase(rows: Iterable[Row], source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Iterator[Row]:
    """The same rows, with audio paths that were relative to the folder `source` relative to `target`."""
    here, there = os.path.realpath(source), os.path.realpath(target)
    for row in rows:
        if here == there or _is_absolute(row.audio):
            yield row
            continue
        try:
            audio = os.path.relpath(os.path.join(here, row.audio), there)  # noqa: PTH118 (keeps ..)
        except ValueError:  # another drive
            audio = os.path.join(here, row.audio)  # noqa: PTH118
        yield replace(row, audio=audio.replace(os.sep, "/"))


def audio_path(audio: str, folder: str | os.PathLike[str]) -> Path:
    """Where a row's recording is: as written if there is such a file, else as `find_audio_path` finds it.

    Args:
        audio: as the row has it.
        folder: of the manifest.

    Returns:
        a path, of no file where there is none.
    """
    return Path(folder, find_audio_path(audio, folder) or audio)


def find_audio_path(audio: str, folder: str | os.PathLike[str]) -> str | None:
    """A row's audio path as it is on disk: the same name may be composed of other Unicode characters there.

    macOS and some archives decompose names ("ü" is "u" and a mark): equal to the eye, not to the file system.

    Returns:
        the path, relative or absolute as it came; None where there is no such file.
    """
    for name in dict.fromkeys([audio, audio.strip()]):
        if _exists(os.path.join(folder, name)):  # noqa: PTH118
            return name
    if audio.isascii():
        return None
    found = ""
    for part in audio.strip().split("/"):
        step = f"{found}{part}"
        if part and not _exists(os.path.join(folder, step)):  # noqa: PTH118
            same = _same_name(os.path.join(folder, found), part)  # noqa: PTH118
            if same is None:
                return None
            step = f"{found}{same}"
        found = f"{step}/"
    return found.rstrip("/")


def _same_name(folder: str, name: str) -> str | None:
    """The name in a folder that is composed to the same characters."""
    try:
        names = _composed_names(folder, Path(folder).stat().st_mtime_ns)
    except OSError:
        return None
    return names.get(unicodedata.normalize("NFC", name))


@lru_cache(maxsize=8)
def _composed_names(folder: str, _changed: int) -> dict[str, str]:
    """Composed name → name on disk, for all in a folder as of its last change."""
    return {unicodedata.normalize("NFC", name): name for name in os.listdir(folder)}  # noqa: PTH208 (names alone)


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (never raises)


def _is_absolute(audio: str) -> bool:
    return os.path.isabs(audio) or ntpath.isabs(audio) or "://" in audio  # noqa: PTH117
