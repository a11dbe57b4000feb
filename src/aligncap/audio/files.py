"""Which files are recordings, judged by their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["AUDIO_SUFFIXES", "find_audio", "kind_of_suffix"]

_SUFFIXES = {
    "3gp": "mp4",
    "aac": "aac",
    "aif": "aiff",
    "aifc": "aiff",
    "aiff": "aiff",
    "amr": "amr",
    "au": "au",
    "caf": "caf",
    "flac": "flac",
    "m4a": "mp4",
    "m4b": "mp4",
    "mka": "matroska",
    "mkv": "matroska",
    "mov": "mp4",
    "mp2": "mp3",
    "mp3": "mp3",
    "mp4": "mp4",
    "oga": "ogg",
    "ogg": "ogg",
    "opus": "ogg",
    "snd": "au",
    "spx": "ogg",
    "w64": "w64",
    "wav": "wav",
    "wave": "wav",
    "webm": "matroska",
    "wma": "asf",
    "wv": "wv",
}

AUDIO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES)
"""Suffixes (lower case, with the dot) of the files that `find_audio` picks from directories."""


def kind_of_suffix(name: str) -> str | None:
    """Return the kind of container that a name's suffix announces (`"x.OPUS"` → `"ogg"`), or None."""
    return _SUFFIXES.get(Path(name).suffix.lower().removeprefix("."))


def find_audio(paths: Sequence[str | Path] | str | Path) -> list[Path]:
    """Expand directories into the recordings they hold, at any depth.

    Args:
        paths: files and directories. Files keep their place and are kept whatever their suffix; so are files
            that do not exist, which the reader then reports.

    Returns:
        the files in the order given, each directory replaced by its recordings (known suffixes) in sorted
        order. Hidden files and directories inside it are left out. A directory that may not be listed stays
        in the list as itself, so that the reader reports it.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    found: list[Path] = []
    for path in map(Path, paths):
        found.extend(_recordings(path) if os.path.isdir(path) else [path])  # noqa: PTH112 (never raises)
    return found


def _recordings(directory: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, files in os.walk(directory, onerror=lambda error: found.append(Path(error.filename))):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        found.extend(
            Path(root, file)
            for file in files
            if not file.startswith(".") and Path(file).suffix.lower() in AUDIO_SUFFIXES
        )
    return sorted(found)
