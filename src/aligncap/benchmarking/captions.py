"""Runs a system over rows, and keeps each result as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.captioner.results import Failure
from aligncap.corpora.row import Row
from aligncap.errors import AlignCapError, AudioError
from aligncap.evaluation.journal import Journal

if TYPE_CHECKING:
    from aligncap.audio import Audio
    from aligncap.captioner.results import Caption, Classification

__all__ = ["CAPTIONS", "LABELS", "drop_failures", "fill", "missing_rows"]

CAPTIONS, LABELS = "captions.jsonl", "labels.jsonl"


def missing_rows(rows: Sequence[Row], kept: Path) -> list[Row]:
    """The rows of which nothing is kept, neither a result nor a failure."""
    done = {record["audio"] for record in _journal(kept).records}
    return [row for row in rows if row.id not in done]


def fill(
    rows: Sequence[Row],
    folder: Path,
    kept: Path,
    run: Callable[[Iterable[Audio | Failure]], Iterator[Caption | Classification | Failure]],
    *,
    more: Mapping[str, Any] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Run a system over rows and add what it says to a file.

    A row's results (one for each stretch of a long recording) are written together, when the next row's begin, so that
    what is kept of a row is all of it.

    Args:
        rows: of which nothing is kept yet.
        folder: of the manifest.
        kept: JSON Lines; ``id`` and ``audio`` are the row's id (with the stretch's number behind the former).
        run: recordings → results in order.
        more: fields that every result gets.
        advance: called after each row.

    Raises:
        AlignCapError: the file cannot be written, or the system's results are not those of the recordings.
    """
    with _journal(kept) as journal:
        waiting: list[dict[str, Any]] = []

        def write() -> None:
            for record in waiting:
                journal.append({**record, **(more or {})})
            if waiting:
                advance()
            waiting.clear()

        for result in run(_recordings(rows, folder)):
            record = result.to_dict()
            if waiting and waiting[0]["audio"] != record["audio"]:
                write()
            waiting.append(record)
        write()


def drop_failures(kept: Path) -> int:
    """Take the rows that failed out of a file of results, so that they are tried again; returns how many."""
    records = _journal(kept).records
    failed = {record["audio"] for record in records if "error" in record}
    if failed:
        part = kept.with_name(f"{kept.name}.part")
        good = [record for record in records if record["audio"] not in failed]
        try:
            part.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in good), encoding="utf-8")
            part.replace(kept)
        except OSError as error:
            raise AlignCapError(f"{kept}: it cannot be written: {error.strerror or error}") from error
    return len(failed)


def _journal(kept: Path) -> Journal:
    return Journal(kept, ("id", "audio"), "results of a benchmark")


def _recordings(rows: Sequence[Row], folder: Path) -> Iterator[Audio | Failure]:
    """Each row's part of its recording, under the row's id."""
    from aligncap.audio import Audio
    from aligncap.evaluation.voices import row_samples

    for row in rows:
        try:
            yield Audio(row_samples(row, folder), row.id)
        except AudioError as error:
            yield Failure.of(error, row.id)
