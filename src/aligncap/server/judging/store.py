"""Questions and votes in an SQLite file that survives whatever happens to the server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

from aligncap.errors import AlignCapError
from aligncap.server.judging.questions import Question

__all__ = ["CHOICES", "Judgement", "Store"]

CHOICES = ("a", "b", "tie", "both_wrong")
_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS questions (
  key TEXT PRIMARY KEY, id TEXT NOT NULL, instruction TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
  audio TEXT NOT NULL, start REAL, "end" REAL, "check" TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS votes (
  rater TEXT NOT NULL, question TEXT NOT NULL REFERENCES questions (key),
  choice TEXT NOT NULL CHECK (choice IN ('a', 'b', 'tie', 'both_wrong')),
  "left" TEXT NOT NULL CHECK ("left" IN ('a', 'b')), seconds REAL NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (rater, question)
);
"""


@dataclass(frozen=True)
class Judgement:
    """A vote.

    Attributes:
        question: that was asked.
        rater: who judged.
        choice: one of `CHOICES`.
        left: ``a`` or ``b``: which caption stood on the left.
        seconds: from the showing of the question to the vote.
        time: of the vote, UTC, ISO 8601.
    """

    question: Question
    rater: str
    choice: str
    left: str
    seconds: float
    time: str


class Store:
    """An SQLite file: write-ahead log, every vote on the disk before `vote` returns.

    Every call opens the file anew, so that any thread may call.

    Args:
        path: the file; made where it is not there.
        new: whether it may be made.

    Raises:
        AlignCapError: it cannot be opened, or is something else.
    """

    def __init__(self, path: Path, *, new: bool = True) -> None:
        self.path = path
        if not new and not path.is_file():
            raise AlignCapError(f"{path}: there is no such file of votes")
        with self._open() as db:
            if not new and not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'votes'").fetchone():
                raise AlignCapError(f"{path}: it holds no votes")
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)
            with db:
                db.execute("INSERT OR IGNORE INTO settings VALUES ('format', ?)", [_FORMAT])
            (found,) = db.execute("SELECT value FROM settings WHERE name = 'format'").fetchone()
        if found != _FORMAT:
            raise AlignCapError(f"{path}: its format is {found}, and {_FORMAT} is known here: use a newer aligncap")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=20)) as db:
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
                yield db
        except sqlite3.Error as error:
            raise AlignCapError(f"{self.path}: the database says: {error}") from error

    def add(self, asked: Iterable[Question], seed: int) -> int:
        """Add questions; those that are there get the recording's new place. The first seed stays.

        Returns:
            The seed that holds.
        """
        columns = ", ".join(f'"{item.name}"' for item in fields(Question))
        marks = ", ".join("?" * (len(fields(Question)) + 1))
        with self._open() as db, db:
            db.execute("INSERT OR IGNORE INTO settings VALUES ('seed', ?)", [seed])
            db.executemany(
                f"INSERT INTO questions (key, {columns}) VALUES ({marks}) "
                "ON CONFLICT (key) DO UPDATE SET audio = excluded.audio",
                [(question.key, *astuple(question)) for question in asked],
            )
            (held,) = db.execute("SELECT value FROM settings WHERE name = 'seed'").fetchone()
        return int(held)

    def questions(self) -> dict[str, Question]:
        """All questions by their keys."""
        columns = ", ".join(f'"{item.name}"' for item in fields(Question))
        with self._open() as db:
            return {key: Question(*values) for key, *values in db.execute(f"SELECT key, {columns} FROM questions")}

    def vote(self, question: str, rater: str, choice: str, left: str, seconds: float) -> None:
        """Keep a vote; one of the same rater on the same question is replaced. It is on the disk on return."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with self._open() as db, db:
            db.execute(
                "INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (rater, question) DO UPDATE SET "
                'choice = excluded.choice, "left" = excluded."left", seconds = excluded.seconds, time = excluded.time',
                [rater, question, choice, left, seconds, now],
            )

    def voted(self, rater: str) -> dict[str, str]:
        """A rater's choices by the questions' keys."""
        with self._open() as db:
            return dict(db.execute("SELECT question, choice FROM votes WHERE rater = ?", [rater]))

    def votes(self) -> list[Judgement]:
        """All votes, in the order of their coming."""
        asked = self.questions()
        with self._open() as db:
            rows = db.execute('SELECT question, rater, choice, "left", seconds, time FROM votes ORDER BY time, rowid')
            return [Judgement(asked[key], *values) for key, *values in rows]
