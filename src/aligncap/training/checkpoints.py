"""Checkpoints of a run: written aside and renamed, a manifest with hashes last; a torn or foreign one is skipped."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from aligncap.hashing import file_sha256

__all__ = ["latest", "problem", "prune", "seal"]

MANIFEST = "manifest.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path, key: str) -> None:
    """Write the manifest of a checkpoint that is complete.

    Args:
        folder: the checkpoint.
        key: hash of all that the run's state depends on.
    """
    files = {str(path.relative_to(folder)): file_sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    path = folder / MANIFEST
    with path.open("w") as file:
        json.dump({"key": key, "sha256": files}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def problem(folder: Path, key: str) -> str | None:
    """Why a checkpoint cannot be used; None where it can.

    Args:
        folder: the checkpoint.
        key: what its manifest must say.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        wanted, files = manifest["key"], manifest["sha256"]
    except OSError:
        return "torn: it has no manifest"
    except (ValueError, KeyError, TypeError):
        return "torn: its manifest cannot be read"
    if wanted != key:
        return "foreign: another recipe, manifest of clips or teacher made it"
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            return f"torn: {name} is missing"
        if file_sha256(path) != digest:
            return f"torn: {name} is not what was written"
    return None


def latest(folder: Path, key: str, say: Callable[[str], None]) -> Path | None:
    """The last usable checkpoint of a run.

    Args:
        folder: of the stage.
        key: see `problem`.
        say: told of each later checkpoint that is skipped, and why.
    """
    for _, path in sorted(_numbered(folder), reverse=True):
        reason = problem(path, key)
        if reason is None:
            return path
        say(f"skipped {path}: {reason}")
    return None


def prune(folder: Path, keep: int) -> None:
    """Delete all but the last ``keep`` checkpoints, and what was never finished."""
    for _, path in sorted(_numbered(folder))[: -max(keep, 1)]:
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob("checkpoint-*.part"):
        shutil.rmtree(path, ignore_errors=True)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    found = [(_NAME.fullmatch(path.name), path) for path in folder.glob("checkpoint-*") if path.is_dir()]
    return [(int(match.group(1)), path) for match, path in found if match]
