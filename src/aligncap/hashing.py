"""SHA-256 of files and of code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path

__all__ = ["code_version", "file_sha256", "text_hash"]

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex; it is read block by block.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def text_hash(parts: Iterable[str]) -> str:
    """The first 16 hex digits of the SHA-256 of texts, in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:16]


@cache
def code_version(package: str) -> str:
    """Hash of the code and the data files of a package of ours: what was computed by other code has another."""
    files = [entry for entry in resources.files(package).iterdir() if entry.name.endswith((".py", ".yaml"))]
    files.sort(key=lambda entry: entry.name)
    return text_hash(f"{entry.name} {entry.read_text(encoding='utf-8')}" for entry in files)
