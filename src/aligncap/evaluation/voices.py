"""Measures the voice in the recordings that captions are about, and keeps what was measured in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.corpora.problems import shown
from aligncap.corpora.row import Row
from aligncap.errors import AudioError
from aligncap.evaluation.journal import Journal
from aligncap.evaluation.notes import Note
from aligncap.hashing import code_version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["POINTS", "Voices", "contour", "measure_voices", "row_samples"]

POINTS = 120
"""A contour is drawn with at most so many points."""

_KEY = "measured_by"
_THREADS = 2


@dataclass(frozen=True)
class Voices:
    """What was measured.

    Attributes:
        rows: the same rows, with the clue words that the manifest has, or else those that were measured.
        clues: row id → `aligncap.clues.clue_record`, of those that could be read.
        contours: row id → what `contour` gives, of the same; empty where it was not wanted.
        notes: the rows that could not.
    """

    rows: list[Row]
    clues: dict[str, dict[str, Any]]
    contours: dict[str, dict[str, Any]]
    notes: list[Note]


def measure_voices(
    rows: Sequence[Row], folder: Path, kept: Path, *, plots: bool = True, advance: Callable[[], None] = lambda: None
) -> Voices:
    """Measure each row's part of its recording, unless it was measured before.

    What was measured is kept row by row, so that an interrupted run goes on where it stopped. It is measured again
    where the recording or the code that measures has changed, and used as it is where the recording is gone.

    Args:
        rows: ids are unique.
        folder: of the manifest, to which audio paths are relative.
        kept: JSON Lines of what was measured before; made where there is none, and added to.
        plots: whether contours are wanted, which take as long again.
        advance: called after each row.

    Raises:
        AlignCapError: ``kept`` is another kind of file, or cannot be written.
    """
    measured: dict[str, Mapping[str, Any]] = {}
    notes = []
    journal = Journal(kept, ("id", "clues", "contour", _KEY), "measured voices")
    known = {record["id"]: record for record in journal.records}
    with journal, ThreadPoolExecutor(_THREADS, "aligncap-voices") as pool:
        try:
            for row, found in zip(
                rows, pool.map(lambda row: _measured(row, folder, known.get(row.id), plots), rows), strict=True
            ):
                if isinstance(found, AudioError):
                    notes.append(Note("not measured", shown(row.id), shown(found.reason)))
                else:
                    measured[row.id] = found
                    if found is not known.get(row.id):
                        journal.append(found)
                advance()
        finally:
            pool.shutdown(cancel_futures=True)
    clues = {name: dict(found["clues"]) for name, found in measured.items()}
    contours = {name: dict(found["contour"]) for name, found in measured.items() if found["contour"]}
    return Voices([_with_clues(row, clues.get(row.id)) for row in rows], clues, contours if plots else {}, notes)


def contour(samples: NDArray[np.float32], points: int = POINTS) -> dict[str, Any]:
    """Pitch and level over time, coarse enough to be drawn small.

    Args:
        samples: (T,) mono at 16 kHz, not empty.
        points: at most so many.

    Returns:
        ``seconds``; ``pitch``: Hz, the median of a point's voiced frames, None where there are none; ``level``: dB
        below the loudest frame, the loudest of a point. Points lie evenly from 0 to ``seconds``.
    """
    import numpy as np

    from aligncap.audio import RATE
    from aligncap.clues import contours

    found = contours(samples)
    parts = np.array_split(np.arange(len(found.level_db)), min(points, len(found.level_db)))
    voiced = [part[found.voiced[part]] for part in parts]
    return {
        "seconds": round(len(samples) / RATE, 2),
        "pitch": [round(float(np.median(found.f0_hz[part]))) if len(part) else None for part in voiced],
        "level": [round(float(found.level_db[part].max())) for part in parts],
    }


def row_samples(row: Row, folder: Path) -> NDArray[np.float32]:
    """The row's part of its recording, (T,) mono at 16 kHz.

    Raises:
        AudioError: it cannot be read, or nothing of it lies between start and end.
    """
    from aligncap.audio import RATE, read_audio
    from aligncap.corpora import audio_path
    from aligncap.errors import AudioEmptyError

    samples = read_audio(audio_path(row.audio, folder), name=row.audio).samples
    part = samples[round((row.start or 0.0) * RATE) : None if row.end is None else round(row.end * RATE)]
    if not len(part):
        raise AudioEmptyError(row.audio, "nothing of it lies between start and end")
    return part


def _measured(row: Row, folder: Path, before: Mapping[str, Any] | None, plots: bool) -> Mapping[str, Any] | AudioError:
    """The record of a row: the one that is kept, where it still holds, or a new one."""
    from aligncap.clues import DIMENSIONS, clue_record, clue_words, measure
    from aligncap.corpora import audio_path

    try:
        recording = hashlib.blake2b(audio_path(row.audio, folder).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        recording = ""
    key = {"recording": recording, "start": row.start, "end": row.end, _KEY: code_version("aligncap.clues")}
    if before is not None and not recording:
        return before
    if before is not None and (before["contour"] or not plots) and key.items() <= before.items():
        return before
    try:
        samples = row_samples(row, folder)
        clues = measure(samples)
        words = clue_words(clues, dimensions=DIMENSIONS)
        drawn = contour(samples) if plots else None
        return {"id": row.id, **key, "clues": clue_record(clues, words), "contour": drawn}
    except AudioError as error:
        return error


def _with_clues(row: Row, found: Mapping[str, Any] | None) -> Row:
    if found is None or "words" in row.clues:
        return row
    return replace(row, clues={**found, **row.clues})
