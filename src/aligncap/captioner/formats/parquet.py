"""Parquet: a row for each record, with the columns of the JSON records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aligncap.captioner.results import Caption, Failure, Result
from aligncap.errors import AlignCapError, MissingExtraError

__all__ = ["ParquetFile"]

_ROWS = 1000  # of a row group; what is held in memory


class ParquetFile:
    """Writes results to a Parquet file, which is there, whole, once it is closed.

    Columns: id, audio, start, end, silence, speaker, caption, emotion, probability (of the likeliest), emotions
    (a map), clues, model, calibrated, abstained, alternatives, doubts, warnings (lists), error_type, error_message.
    Null where a record has no such thing.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise MissingExtraError("writing Parquet", "data") from error
        text, texts = pa.string(), pa.list_(pa.string())
        self._schema = pa.schema(
            {
                **{"id": text, "audio": text, "start": pa.float64(), "end": pa.float64(), "silence": pa.bool_()},
                **{"speaker": text, "caption": text, "emotion": text, "probability": pa.float64()},
                **{"emotions": pa.map_(text, pa.float64()), "clues": text, "model": text},
                **{"calibrated": pa.bool_(), "abstained": pa.bool_()},
                **{"alternatives": texts, "doubts": texts, "warnings": texts},
                **{"error_type": text, "error_message": text},
            }
        )
        self._path = path
        self._draft = path.with_name(f".{path.name}.part")
        self._rows: list[dict[str, Any]] = []
        self._table = pa.Table
        try:
            self._writer = pq.ParquetWriter(self._draft, self._schema, compression="zstd")
        except OSError as error:
            raise AlignCapError(f"{path}: it cannot be written: {error}") from error

    def add(self, result: Result) -> None:
        """Take a result."""
        self._rows.append(_row(result))
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()
        self._draft.replace(self._path)

    def _flush(self) -> None:
        if self._rows:
            try:
                self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            except OSError as error:
                raise AlignCapError(f"{self._path}: it cannot be written: {error}") from error
            self._rows.clear()


def _row(result: Result) -> dict[str, Any]:
    row = result.to_dict()
    if isinstance(result, Failure):
        return {"id": row["id"], "audio": row["audio"], "error_type": result.type, "error_message": result.message}
    if isinstance(result, Caption):
        label, probability = next(iter(row["emotions"].items()))
        row |= {"emotion": label, "probability": probability, "emotions": list(row["emotions"].items())}
        row |= {"silence": False, "calibrated": result.calibrated, "abstained": result.abstained}
    return row
