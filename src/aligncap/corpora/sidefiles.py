"""The tables and texts that come with corpora, in whatever encoding they were written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from aligncap.corpora.known import CorpusError

__all__ = ["find_file", "find_files", "read_table", "read_text", "shares"]

# Windows' typographic signs that were taken for Latin-1 on the way, as in MELD
_C1 = {code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in {0x81, 0x8D, 0x8F, 0x90, 0x9D}}


def find_file(root: Path, name: str) -> Path | None:
    """Find a file of a corpus.

    Args:
        root: the folder that the user named: the corpus, one of its folders, or a folder around it.
        name: the file's path in the distribution, with forward slashes.

    Returns:
        The file at that path in `root` or in the two folders around it, else the uppermost in `root` that has its
        name, else None.
    """
    for folder in (root, *root.absolute().parents[:2]):
        if (folder / name).is_file():
            return folder / name
    return min(find_files(root, Path(name).name), key=lambda path: (len(path.parts), path), default=None)


def find_files(root: Path, pattern: str) -> list[Path]:
    """All files in `root`, at any depth, whose names match a glob pattern; hidden ones are left out."""
    return sorted(path for path in root.rglob(pattern) if path.is_file() and not path.name.startswith("."))


def read_text(path: Path, encodings: Iterable[str] = ("utf-8", "cp1252", "latin-1")) -> str:
    """Read a text of unknown encoding.

    Args:
        path: a file; one that begins with a byte order mark is read as that mark says.
        encodings: tried one after the other.

    Raises:
        CorpusError: it cannot be read, or is in none of the encodings.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: it cannot be read: {error.strerror or error}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    elif data.startswith(b"\xef\xbb\xbf"):
        encodings = ("utf-8-sig",)
    for encoding in encodings:
        try:
            return data.decode(encoding).translate(_C1)
        except UnicodeDecodeError:
            continue
    raise CorpusError(f"{path}: it is text in an encoding other than {', '.join(encodings)}")


def read_table(path: Path, needed: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """Read a table with a header, separated by tabs if its name ends in ``.tsv``, else by commas.

    Args:
        path: the file.
        needed: columns that must be there.

    Yields:
        column → value, without blanks around either; missing values are empty.

    Raises:
        CorpusError: it cannot be read, or lacks a column.
    """
    text = read_text(path).replace("\0", "")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [(name or "").strip() for name in rows.fieldnames or ()]
        missing = [name for name in needed if name not in columns]
        if missing:
            raise CorpusError(f"{path}: it has no column {', '.join(missing)}")
        for row in rows:
            yield {(name or "").strip(): value.strip() for name, value in row.items() if isinstance(value, str)}
    except csv.Error as error:
        raise CorpusError(f"{path}: line {rows.line_num} is not a line of a table: {error}") from error


def shares(counts: Mapping[str, float], total: float) -> dict[str, float]:
    """Answers → shares of `total`, the largest first; emotions that nobody heard are left out."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return {emotion: round(count / total, 6) for emotion, count in ordered if count > 0} if total else {}
