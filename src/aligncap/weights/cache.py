"""Files of the weights cache: where they lie, and how they are written, locked and checked.

Nothing appears under its final name before it is complete, on disk and of the right hash.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.errors import WeightsDiskError, WeightsHashError
from aligncap.hashing import file_sha256

if TYPE_CHECKING:
    from aligncap.weights.catalog import Entry

__all__ = [
    "MANIFEST",
    "adopt",
    "cache_root",
    "copy_or_link",
    "disk_errors",
    "disk_fault",
    "file_chunks",
    "has_hash",
    "locked",
    "problems",
    "remove_tree",
    "sync",
    "tree_size",
    "write_checked",
    "write_manifest",
]

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# Programs and extensions that we call report the code only in their message.
_CODE_IN_TEXT = re.compile(r"(?:\[Errno|\(os error) (\d+)")


def cache_root() -> Path:
    """Directory of the weights cache: under ``ALIGNCAP_CACHE`` when set, else under the user's cache."""
    chosen = os.environ.get("ALIGNCAP_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute() / "weights"
    import platformdirs

    return platformdirs.user_cache_path("aligncap") / "weights"


def disk_fault(cause: BaseException | str) -> OSError | None:
    """Return an OSError when an exception, or a program's error output, means that the disk failed."""
    code = cause.errno if isinstance(cause, OSError) else None
    if code is None and (found := _CODE_IN_TEXT.search(str(cause))):
        code = int(found[1])
    return OSError(code, os.strerror(code)) if code is not None and code in _FULL | _DENIED else None


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Raise every OSError of the block as a WeightsDiskError that names the cache directory."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            told = f"no room for the base weights in {root} ({reason}); free some space, "
            told += "or set ALIGNCAP_CACHE to a directory on a larger disk, and try again"
        else:
            told = f"cannot use {root} for the base weights ({reason}); make it readable and writable, "
            told += "or set ALIGNCAP_CACHE to another directory, and try again"
        raise WeightsDiskError(told) from error


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold an inter-process lock on a file; call ``on_wait`` once when somebody else holds it."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def file_chunks(path: Path) -> Iterator[bytes]:
    """Read a file in pieces of at most 1 MiB."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def has_hash(path: Path, sha256: str) -> bool:
    """Whether the file exists and has that SHA-256."""
    return path.is_file() and file_sha256(path) == sha256


def sync(path: Path) -> None:
    """Flush a file, or on POSIX a directory's entries, to disk."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require(actual: str, expected: str, what: str) -> None:
    if actual != expected:
        raise WeightsHashError(f"{what} is not the expected file (sha256 {actual[:12]}…, not {expected[:12]}…)")


def write_checked(chunks: Iterable[bytes], target: Path, sha256: str, what: str) -> None:
    """Write a file that appears only when all of it has arrived and its hash is right.

    Args:
        chunks: the content.
        target: final path; its directory is created.
        sha256: the expected hash, in hex.
        what: how to name the content in an error.

    Raises:
        WeightsHashError: the content is another one; nothing is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        _require(digest.hexdigest(), sha256, what)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync(target.parent)


def adopt(source: Path, target: Path, sha256: str, what: str) -> None:
    """Move a downloaded file of the same file system to its final path if its hash is right.

    Raises:
        WeightsHashError: it is another file.
    """
    _require(file_sha256(source), sha256, what)
    target.parent.mkdir(parents=True, exist_ok=True)
    sync(source)
    source.replace(target)
    sync(target.parent)


def copy_or_link(source: Path, target: Path) -> None:
    """Give a file a second name, by a hard link where the file system has them, else by a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def remove_tree(path: Path) -> None:
    """Delete a directory if it is there, in spite of what another process deletes or writes meanwhile."""
    shutil.rmtree(path, ignore_errors=True)


def _files(directory: Path) -> dict[str, Path]:
    found = (path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(directory).as_posix(): path for path in sorted(found)}


def tree_size(directory: Path) -> int:
    """Bytes of all files below a directory, which may change while it is being read."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except OSError:
                continue
    return total


def _identity(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "raw": {file.name: file.sha256 for file in entry.files},
        "convert": {"kind": entry.convert.kind, "version": entry.convert.version} if entry.convert else None,
    }


def write_manifest(directory: Path, entry: Entry) -> None:
    """Record size and hash of every file of a finished directory, all flushed to disk first."""
    files = {}
    for name, path in _files(directory).items():
        path.chmod(0o644)  # safetensors writes 0600, of no use in a cache that several users share
        sync(path)
        files[name] = {"size": path.stat().st_size, "sha256": file_sha256(path)}
    path = directory / MANIFEST
    path.write_text(json.dumps({**_identity(entry), "files": files}, indent=2) + "\n", encoding="utf-8")
    sync(path)
    for folder in {path.parent for path in _files(directory).values()} | {directory}:
        sync(folder)


def problems(directory: Path, entry: Entry, *, full: bool) -> list[str]:
    """Compare a finished directory with its manifest.

    Args:
        directory: the directory.
        entry: what it should hold, in which version.
        full: also hash every file, where otherwise only the sizes are compared.

    Returns:
        What is wrong, one item a file; empty when all is well.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        expected = {name: (int(file["size"]), str(file["sha256"])) for name, file in manifest["files"].items()}
        identity = {key: manifest[key] for key in ("name", "raw", "convert")}
    except FileNotFoundError:
        return ["not fetched" if not directory.exists() else f"{MANIFEST} is missing"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return [f"{MANIFEST} is damaged"]
    if identity != _identity(entry):
        return ["made from other raw files or by another converter"]
    found = _files(directory)
    wrong = [f"{name} does not belong here" for name in found.keys() - expected.keys()]
    for name, (size, sha256) in expected.items():
        if name not in found:
            wrong.append(f"{name} is missing")
        elif found[name].stat().st_size != size:
            wrong.append(f"{name} has another size")
        elif full and not has_hash(found[name], sha256):
            wrong.append(f"{name} has other content")
    return sorted(wrong)
