"""Reads records, one at a time, from JSON Lines, CSV and Parquet; what is broken in one does not stop the rest."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from aligncap.corpora.problems import Fault, ManifestError, shown
from aligncap.errors import MissingExtraError

__all__ = ["FORMATS", "Record", "format_of", "import_parquet", "read_records"]

FORMATS: dict[str, Literal["jsonl", "csv", "parquet"]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
"""Suffix → format."""

_MAX_LINE = 1 << 24  # characters; a line that is longer is no row, and must not fill the memory
_TOO_LONG = f"the line has more than {_MAX_LINE:,} characters"
_MAX_LINES = 200  # of one CSV row; beyond, a quotation mark was not closed
_BATCH = 1024  # rows of Parquet held at a time
_ID = re.compile(r'"id"\s*:\s*"((?:[^"\\]|\\.)*)"')

_Line = tuple[int, str | None]  # number from 1, and the line with its end; None for one that is too long


@dataclass(frozen=True)
class Record:
    """One row as the file has it.

    Attributes:
        row: number of the row, from 1, without a header and blank lines.
        line: number of its first line, from 1; None where the file is not text.
        values: column → value; of a broken row, whatever could still be read.
        faults: what is wrong with it.
    """

    row: int
    line: int | None
    values: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()


def format_of(path: Path) -> Literal["jsonl", "csv", "parquet"]:
    """The format that a name announces.

    Raises:
        ManifestError: none that is known.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        hint = " (write one object a line, as .jsonl)" if suffix == ".json" else ""
        raise ManifestError(f"{path}: a manifest's name ends in {', '.join(FORMATS)}{hint}")
    return FORMATS[suffix]


def read_records(path: Path, encoding: str | None = None, needed: Sequence[str] = ()) -> Iterator[Record]:
    """Read the records of a file in order, in constant memory.

    Args:
        path: the file.
        encoding: of a text file; by default UTF-8, or UTF-16 and UTF-32 where its first bytes say so.
        needed: columns that a table must have.

    Raises:
        ManifestError: there is no such file, or it is not of the format that its name announces.
        MissingExtraError: Parquet without pyarrow.
    """
    kind = format_of(path)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise ManifestError(f"{path}: it cannot be read: {(error.strerror or str(error)).lower()}") from None
    if kind == "parquet":
        return _parquet_records(path, needed)
    if head.startswith(b"PAR1"):
        raise ManifestError(f"{path}: it is a Parquet file: name it .parquet")
    guess = _encoding_of(head)
    if encoding is None and guess == "utf-8-sig" and not _is_text(head):
        raise ManifestError(f"{path}: it is not text")
    try:
        codecs.lookup(encoding or guess)
    except LookupError:
        raise ManifestError(f"{path}: there is no encoding {encoding!r}") from None
    lines = _lines(path, encoding or guess)
    records = _json_records(path, lines) if kind == "jsonl" else _csv_records(path, lines, needed)
    if encoding is None and guess != "utf-8-sig":
        return _with_note(records, Fault("odd encoding", f"the file is {guess.upper()}, and was read as that"))
    return records


def _with_note(records: Iterator[Record], note: Fault) -> Iterator[Record]:
    for record in records:
        yield replace(record, faults=(*record.faults, note)) if record.row == 1 else record


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return b"\0" not in head
    return True


def _encoding_of(head: bytes) -> str:
    """By the byte order mark, or by where the zero bytes of the first characters are."""
    if head.startswith(codecs.BOM_UTF32_LE):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = [byte == 0 for byte in head[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else "utf-8-sig"


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Keep undecodable bytes as U+DC00 + byte, in any encoding, so that their row can be named."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _lines(path: Path, encoding: str) -> Iterator[_Line]:
    codecs.register_error("aligncap.mark", _mark)
    with path.open(encoding=encoding, errors="aligncap.mark", newline="") as file:
        number = 0
        while line := file.readline(_MAX_LINE):
            number += 1
            whole = len(line) < _MAX_LINE or line.endswith(("\n", "\r"))
            yield number, line if whole else None
            while not whole and (rest := file.readline(_MAX_LINE)):
                whole = rest.endswith(("\n", "\r"))


def _json_records(path: Path, lines: Iterator[_Line]) -> Iterator[Record]:
    row = 0
    for number, line in lines:
        if line is not None and not line.strip():
            continue
        row += 1
        if line is None:
            yield Record(row, number, {}, (Fault("malformed row", _TOO_LONG),))
            continue
        if row == 1 and line.lstrip().startswith("["):
            raise ManifestError(f"{path}: it is one JSON list; write one object a line instead")
        try:
            value = json.loads(line, object_pairs_hook=_once)
            if not isinstance(value, dict):
                raise ValueError(f"a row is a JSON object, not {shown(value)}")
        except (ValueError, RecursionError) as error:
            found = _ID.search(line)
            reason = _json_error(error) if isinstance(error, json.JSONDecodeError) else shown(str(error))
            yield Record(row, number, {"id": found[1]} if found else {}, (Fault("malformed row", reason),))
        else:
            yield Record(row, number, value)


def _json_error(error: json.JSONDecodeError) -> str:
    near = error.doc[max(error.pos - 12, 0) : error.pos + 12].strip()
    return f"it is not JSON: {error.msg.lower()} at character {error.pos + 1}, near '{shown(near)}'"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return found


def _csv_records(path: Path, lines: Iterator[_Line], needed: Sequence[str]) -> Iterator[Record]:
    first = next(lines, (0, ""))
    header_line = first[1] or ""
    if not header_line.strip():
        raise ManifestError(f"{path}: it is empty, or does not begin with a line of column names")
    rows = _csv_rows(chain([first], lines), max(",;\t", key=header_line.count))
    _, header, fault = next(rows)
    if fault:
        raise ManifestError(f"{path}: the line of column names: {fault}")
    columns = [name.strip() or f"column_{index}" for index, name in enumerate(header, 1)]
    _check_columns(path, columns, needed)
    for row, (number, cells, broken) in enumerate(rows, 1):
        odd = f"it has {len(cells)} fields, and there are {len(columns)} column names"
        reason = broken or (odd if len(cells) != len(columns) else "")
        values = dict(zip(columns, cells, strict=False))
        yield Record(row, number, values, (Fault("malformed row", reason),) if reason else ())


def _check_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a table of which no row could be read."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ManifestError(f"{path}: column {twice[0]!r} is there twice")
    for name in needed:
        if name not in columns:
            have = shown(", ".join(columns))
            raise ManifestError(f"{path}: there is no column {name!r}; it has {have} (--column OURS=THEIRS renames)")


def _csv_rows(lines: Iterator[_Line], delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """Rows as (number of the first line, cells, fault).

    A quotation mark that is not closed would swallow the rest of the file: it costs its own line only, as reading
    goes on with the next one.
    """
    again: deque[_Line] = deque()
    while True:
        used: list[_Line] = []
        fault, cells = "", []
        try:
            cells = next(csv.reader(_feed(lines, again, used), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"it is not CSV: {error}"
            if len(used) > 1 or "unexpected end" in fault:
                fault = "a quotation mark in it is not closed"
                again.extendleft(reversed(used[1:]))
        if used[0][1] is None:
            fault = _TOO_LONG
        if cells or fault:  # neither for blank lines
            yield used[0][0], cells, fault


def _feed(lines: Iterator[_Line], again: deque[_Line], used: list[_Line]) -> Iterator[str]:
    """The next lines, those of `again` first; they are noted in `used`."""
    while len(used) < _MAX_LINES:
        item = again.popleft() if again else next(lines, None)
        if item is None:
            return
        used.append(item)
        yield item[1] or "\n"


def import_parquet() -> Any:
    """The module `pyarrow.parquet`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError("a Parquet manifest", "data") from error
    return pyarrow.parquet


def _parquet_records(path: Path, needed: Sequence[str]) -> Iterator[Record]:
    parquet = import_parquet()
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, needed)
            batches = (batch.to_pylist() for batch in file.iter_batches(batch_size=_BATCH))
            for row, values in enumerate(chain.from_iterable(batches), 1):
                yield Record(row, None, values)
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(f"{path}: it is not a Parquet file, or damaged: {shown(str(error))}") from error
