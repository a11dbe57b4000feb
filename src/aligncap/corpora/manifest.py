"""Manifests: the rows of a corpus as JSON Lines, CSV or Parquet, read and written one at a time."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from aligncap.corpora.fields import COLUMNS, parse_record, raw_column, to_record
from aligncap.corpora.paths import rebase
from aligncap.corpora.problems import ManifestError, Problem, shown
from aligncap.corpora.records import Record, format_of, import_parquet, read_records
from aligncap.corpora.row import Row

__all__ = ["Parsed", "parse_manifest", "read_manifest", "renamed", "write_manifest"]

_BATCH = 4096  # rows of a Parquet row group


@dataclass(frozen=True)
class Parsed:
    """What became of a record.

    Attributes:
        record: as the file has it.
        row: None where the record cannot be one.
        problems: what is wrong with it; with a row, what was repaired in it.
    """

    record: Record
    row: Row | None
    problems: tuple[Problem, ...]


def read_manifest(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    on_problem: Callable[[Problem], None] | None = None,
) -> Iterator[Row]:
    """Read a manifest, lazily and in constant memory.

    Rows come as they are meant: gender ``F`` is ``female``, split ``validation`` is ``dev``, backslashes in paths are
    slashes, empty captions are removed. Recordings are not looked at, and labels not judged: see `check_manifest`.

    Args:
        path: a file whose name ends in ``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv`` or ``.parquet``.
        columns: column of the schema → the file's name for it, where that differs.
        encoding: of a text file that is neither UTF-8 nor marked UTF-16 or UTF-32.
        on_problem: called with all that is wrong; rows that cannot be used are then left out.

    Raises:
        ManifestError: the file cannot be read; or, without `on_problem`, a row cannot be used.
    """
    for parsed in parse_manifest(path, columns=columns, encoding=encoding):
        for problem in parsed.problems:
            if on_problem is not None:
                on_problem(problem)
            elif problem.remedy == "left out":
                raise ManifestError(f"{path}: {problem} (to find every such row: aligncap manifest check {path})")
        if parsed.row is not None:
            yield parsed.row


def parse_manifest(
    path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> Iterator[Parsed]:
    """Read a manifest with all that is wrong in each row; arguments and errors as of `read_manifest`."""
    columns = {ours: theirs for ours, theirs in (columns or {}).items() if ours != theirs}
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise ManifestError(f"a manifest has no column {unknown[0]!r}; it has {', '.join(COLUMNS)}")
    needed = ["audio", *columns] if "audio" not in columns else [*columns]
    records = read_records(Path(path), encoding, [columns.get(name, name) for name in needed])
    return (_parse(record, columns) for record in records)


def _parse(record: Record, columns: Mapping[str, str]) -> Parsed:
    values = renamed(record.values, columns)
    row, faults = (None, []) if any(fault.kind == "malformed row" for fault in record.faults) else parse_record(values)
    name = row.id if row else values.get("id") or ""
    problems = [Problem.of(fault, record.row, record.line, name) for fault in (*record.faults, *faults)]
    return Parsed(replace(record, values=values), row, tuple(problems))


def renamed(values: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    """A record with the columns of the schema, as `read_manifest` explains `columns`."""
    if not columns:
        return values
    found = {name: value for name, value in values.items() if name not in columns.values()}
    for ours, theirs in columns.items():
        if theirs in values:
            if ours in found:  # another column of that name, which has to make room
                found[raw_column(ours)] = found[ours]
            found[ours] = values[theirs]
    return found


def write_manifest(
    rows: Iterable[Row],
    path: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> int:
    """Write rows as the format that the name announces, in constant memory; the file appears when it is complete.

    JSON Lines leave out what is not known. CSV and Parquet have all columns of the schema, and of the extra ones those
    that occur; captions, votes and clues are JSON there (in Parquet, captions are a list and votes a map).

    Args:
        rows: any number of them.
        path: ending in ``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv`` or ``.parquet``.
        folder: what the rows' audio paths are relative to; by default the folder of `path`. From another folder, they
            are rewritten.
        overwrite: whether an existing file may be replaced.

    Returns:
        the number of rows.

    Raises:
        ManifestError: the file exists, cannot be written, or a row holds what cannot be written.
        MissingExtraError: Parquet without pyarrow.
    """
    path = Path(path)
    kind = format_of(path)
    if path.exists() and not overwrite:
        raise ManifestError(f"{path}: it exists: choose another name, or allow it to be overwritten")
    if kind == "parquet":
        import_parquet()  # before the work
    if folder is not None:
        rows = rebase(rows, folder, path.parent)
    records = map(to_record, rows)
    with _complete(path) as partial:
        if kind == "jsonl":
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                return _dump(records, file)
        # the columns must be known before the first row is written, so all rows are written twice
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent) as spool:
            types: dict[str, set[type]] = {}
            count = _dump(_seen(records, types), spool)
            spool.seek(0)
            spooled = map(json.loads, spool)
            if kind == "csv":
                _write_csv(spooled, partial, [*COLUMNS, *types], "\t" if path.suffix.lower() == ".tsv" else ",")
            else:
                _write_parquet(spooled, partial, types)
            return count


def _seen(records: Iterable[dict[str, Any]], types: dict[str, set[type]]) -> Iterator[dict[str, Any]]:
    """Note the columns that are not of the schema, and the types of their values."""
    for record in records:
        for name in record.keys() - set(COLUMNS):
            value = record[name]
            types.setdefault(name, set()).add(str if isinstance(value, int) and abs(value) >= 2**63 else type(value))
        yield record


def _dump(records: Iterable[dict[str, Any]], file: IO[str]) -> int:
    """Write JSON Lines; return how many."""
    count = 0
    for record in records:
        try:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except UnicodeEncodeError:
            raise ManifestError(f"{shown(record.get('id', ''))}: it holds text that is not valid Unicode") from None
        count += 1
    return count


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value


def _write_csv(records: Iterable[dict[str, Any]], path: Path, columns: Sequence[str], delimiter: str) -> None:
    line = io.StringIO()
    writer = csv.writer(line, delimiter=delimiter, lineterminator="\r\n")  # with "\n", a "\r" would not be quoted
    with path.open("w", encoding="utf-8", newline="") as file:
        for cells in chain([columns], ([_cell(record.get(name, "")) for name in columns] for record in records)):
            writer.writerow(cells)
            file.write(line.getvalue().removesuffix("\r\n") + "\n")
            line.seek(line.truncate(0))


def _write_parquet(records: Iterator[dict[str, Any]], path: Path, types: Mapping[str, set[type]]) -> None:
    parquet = import_parquet()
    import pyarrow as pa

    plain = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    columns = dict.fromkeys(COLUMNS, pa.string()) | {"start": pa.float64(), "end": pa.float64()}
    columns |= {"captions": pa.list_(pa.string()), "votes": pa.map_(pa.string(), pa.float64())}
    for name, found in types.items():
        kinds = found - {int} if found == {int, float} else found
        columns[name] = plain.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()
    texts = {name for name, kind in columns.items() if kind == pa.string()}
    schema = pa.schema(list(columns.items()))
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(records, _BATCH)):
            for record in batch:
                record["votes"] = list(record.get("votes", {}).items())
                for name in texts & record.keys():
                    record[name] = value if isinstance(value := record[name], str) else json.dumps(value)
            writer.write_table(pa.Table.from_pylist(batch, schema))


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what was written takes the place of `path` if all went well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    except BrokenPipeError:  # not of this file
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ManifestError(f"{path}: it cannot be written: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)
