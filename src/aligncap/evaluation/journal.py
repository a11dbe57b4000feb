"""A file of JSON Lines that is only ever added to, so that interrupted work goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from aligncap.errors import AlignCapError

__all__ = ["Journal"]


class Journal:
    """The records that a file holds, and a way to add more; each is on disk as soon as it was added.

    Reading changes nothing on disk. A last line that was broken off (power cut, full disk) is not read, and overwritten
    by the first record that is added.

    Args:
        path: the file; it is made with its first record.
        fields: that every record has; a file that holds anything else is refused.
        what: the file holds, for messages.

    Attributes:
        records: that were there at first, in order.

    Raises:
        AlignCapError: it cannot be read, or holds something else.
    """

    def __init__(self, path: Path, fields: tuple[str, ...], what: str) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._file: IO[bytes] | None = None
        self._size = 0
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise AlignCapError(f"{path}: it cannot be read: {error.strerror or error}") from error
        whole = content[: content.rfind(b"\n") + 1]
        if content and not whole and not content.startswith(b"{"):
            raise AlignCapError(f"{path}: this is no file of {what}: name another")
        self._size = len(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or not set(fields) <= record.keys():
                raise AlignCapError(f"{path}: line {number} is no record of {what}: name another file, or delete it")
            self.records.append(record)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            AlignCapError: it cannot be written.
        """
        try:
            line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:  # a file name that is not valid UTF-8
            line = json.dumps(record, allow_nan=False).encode()
        try:
            if self._file is None:
                self._file = self.path.open("r+b" if self.path.exists() else "xb")
                self._file.seek(self._size)
                self._file.truncate()
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise AlignCapError(f"{self.path}: it cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
