"""Results in a JSON Lines file that is only ever appended to, so that a run which was cut short can go on.

Beside ``out.jsonl`` lies ``out.jsonl.run.json``, which says with what options it is made. Records stand in the order
of the work, each a line; a line that was torn when the process died is cut off before the next is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligncap.errors import AlignCapError

__all__ = ["Done", "begin", "read_done", "run_file"]

_KIND = "aligncap-run-1"


@dataclass
class Done:
    """What is in a file already.

    Attributes:
        ids: of all records.
        whole: recording → whether nothing of it failed.
        last: the recording of the last record, of which more may be to come; None where there is no record, or where
            it is of a whole recording.
    """

    ids: set[str] = field(default_factory=set)
    whole: dict[str, bool] = field(default_factory=dict)
    last: str | None = None

    def has(self, recording: str) -> bool:
        """Whether all records of a recording are there."""
        return recording in self.whole and recording != self.last


def run_file(path: Path) -> Path:
    """Where it is written with what options a file is made."""
    return path.with_name(f"{path.name}.run.json")


def begin(path: Path, options: Mapping[str, Any]) -> None:
    """Make room for a new file: from here on, whatever is at ``path`` is of a run with these options."""
    path.unlink(missing_ok=True)  # first: records must never stand beside options that are not theirs
    target = run_file(path)
    draft = target.with_name(f"{target.name}.part")
    draft.write_text(json.dumps({"kind": _KIND, **options}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(target)


def read_done(path: Path, options: Mapping[str, Any]) -> Done:
    """Read what a run has written so far; cut off what it did not finish writing.

    Raises:
        AlignCapError: it was made with other options, or something else has changed it.
    """
    try:
        before = json.loads(run_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AlignCapError(f"{run_file(path)}: it cannot be read: {error}") from None
    wanted = json.loads(json.dumps({"kind": _KIND, **options}))
    if other := sorted(key for key in {*before, *wanted} if before.get(key) != wanted.get(key)):
        raise AlignCapError(
            f"{path}: it was begun with other options ({', '.join(other)}): give the same, choose another name, or "
            "add --overwrite"
        )
    done = Done()
    good = 0  # bytes
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            record = _record(line)
            if record is None:
                if any(_record(later) is not None for later in file):
                    raise AlignCapError(f"{path}, line {number}: it is no record, and there are others after it")
                break
            good += len(line)
            _add(done, record)
    if good < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(good)
    return done


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    good = isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("id", "audio"))
    return record if good else None


def _add(done: Done, record: Mapping[str, Any]) -> None:
    name, recording = record["id"], record["audio"]
    done.ids.add(recording if name == recording else name)  # one string for both
    done.whole[recording] = "error" not in record and done.whole.get(recording, True)
    done.last = recording if name != recording else None
