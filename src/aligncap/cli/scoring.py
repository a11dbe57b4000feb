"""What the commands that score captions have in common: telling problems, progress, writing."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.cli.output import progress_bar
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.corpora import Row
    from aligncap.evaluation.notes import Note
    from aligncap.evaluation.sentence_encoder import SentenceEncoder

__all__ = ["TOLD", "Told", "dumped", "encoding_of", "no_rows", "save", "scoring_bar", "sentence_encoder"]

TOLD = 10
"""Problems of a file that are told one by one."""


class Told:
    """Says on standard error what is wrong, of each file the first of each kind one by one.

    Attributes:
        bad: whether something is not scored as it was written.
    """

    def __init__(self) -> None:
        self.bad = False

    def notes(self, path: Path | None, notes: Sequence[Note]) -> None:
        """Tell the notes of a file."""
        from aligncap.evaluation.notes import KINDS

        for kind, bad in KINDS.items():
            several = [note for note in notes if note.kind == kind]
            self.bad |= bad and bool(several)
            for note in several[:TOLD]:
                print(f"{'error' if bad else 'note'}: {path}: {note}", file=sys.stderr)
            if len(several) > TOLD:
                print(f"… and {len(several) - TOLD} more of that kind ({kind}); --json names them all", file=sys.stderr)


def encoding_of(path: Path, encoding: str | None) -> str | None:
    """What `--encoding` says, for a file that is not in UTF-8; None for one that is: files may differ in it."""
    if encoding is None:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                if b"\0" in chunk:  # UTF-16 and UTF-32 of English are bytes of UTF-8, too
                    return encoding
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except (UnicodeDecodeError, OSError):  # of the latter the reader tells
        return encoding
    return None


def no_rows(rows: Sequence[Row], split: Sequence[str] | None, corpus: Sequence[str] | None) -> str:
    """Why no row is left."""
    if not rows:
        return "there are no rows to score"
    splits, corpora = (", ".join(sorted({getattr(row, n) or "(none)" for row in rows})) for n in ("split", "corpus"))
    wanted = [("split", split), ("corpus", corpus)]
    asked = " and ".join(f"{name} {', '.join(values)}" for name, values in wanted if values)
    return f"no rows of {asked}: there are the splits {splits}, and the corpora {corpora}"


def sentence_encoder(quiet: bool) -> SentenceEncoder:
    """Of `--similarity`."""
    from aligncap.evaluation.sentence_encoder import SentenceEncoder

    return SentenceEncoder(progress=not quiet)


def dumped(data: dict[str, Any]) -> str:
    """Report data as JSON; the same data, the same bytes."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1) + "\n"


def save(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        AlignCapError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise AlignCapError(f"{path}: it cannot be written: {error.strerror or error}") from error


@contextmanager
def scoring_bar(quiet: bool, steps: int, title: str = "scoring") -> Iterator[Callable[[str], None]]:
    """A function to call with what was done; it moves a bar where there is a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with progress_bar(title, steps) as bar:
        task = bar.task_ids[0]
        yield lambda what: bar.update(task, advance=1, description=what or title)
