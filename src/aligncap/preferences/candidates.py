"""Candidates: several captions of a clip, sampled from a model, with their log-probabilities; and files of them.

A file is JSON Lines: the settings in the first line, then a line for each clip. It is written clip by clip, and a run
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aligncap.errors import AlignCapError
from aligncap.preferences.pairs import read_records

__all__ = ["Candidate", "CandidateFile", "Candidates", "read_candidates"]

_HEADER = "candidates"


@dataclass(frozen=True)
class Candidate:
    """One caption.

    Attributes:
        instruction: that it answers.
        caption: the text.
        log_prob: natural logarithm of its probability under the model at temperature 1, summed over its tokens, the end
            among them.
        tokens: how many these are.
        temperature: at which it was drawn; 0: greedily.
        ended: False where it was cut off at the greatest length.
    """

    instruction: str
    caption: str
    log_prob: float
    tokens: int
    temperature: float
    ended: bool


@dataclass(frozen=True)
class Candidates:
    """The captions of a clip.

    Attributes:
        id: of the clip.
        clues: the clue prompt that the model read.
        voice: what was measured in the voice, in every dimension: (dimension, level).
        captions: sampled.
        error: why there are none; empty where there are.
    """

    id: str
    clues: str = ""
    voice: tuple[tuple[str, str], ...] = ()
    captions: tuple[Candidate, ...] = ()
    error: str = ""

    @classmethod
    def of(cls, record: Any) -> Candidates:
        """From a record.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls(
                id=str(record["id"]),
                clues=str(record.get("clues", "")),
                voice=tuple((str(dimension), str(level)) for dimension, level in record.get("voice", ())),
                captions=tuple(Candidate(**item) for item in record.get("captions", ())),
                error=str(record.get("error", "")),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError("it holds no candidates of a clip") from error


def read_candidates(path: Path, on_problem: Callable[[str], None]) -> Iterator[Candidates]:
    """Read candidates, clip by clip; those of clips that could not be captioned are told as problems.

    Args:
        path: the file.
        on_problem: told of each line that is no clip with candidates, which is left out.

    Raises:
        AlignCapError: the file cannot be read.
    """
    for where, record in read_records(path, on_problem):
        if isinstance(record, dict) and _HEADER in record:
            continue
        try:
            clip = Candidates.of(record)
        except ValueError as error:
            on_problem(f"{where}: {error}")
            continue
        if clip.error:
            on_problem(f"{clip.id}: {clip.error}")
        else:
            yield clip


class CandidateFile:
    """A file of candidates that is being written.

    Args:
        path: the file. One that is there is gone on with; its last line may be broken off.
        settings: all that the candidates depend on.
        overwrite: whether a file of other settings is replaced; else it is refused.

    Attributes:
        done: ids of the clips that it has.
        failed: ids of those of them that could not be captioned.

    Raises:
        AlignCapError: it cannot be read or written, is no file of candidates, or has those of other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        self.path = path
        self.done: set[str] = set()
        self.failed: set[str] = set()
        header = json.dumps({_HEADER: dict(settings)}, ensure_ascii=False)
        try:
            if path.exists():
                self._go_on(header, overwrite)
            if not path.exists():
                path.write_text(header + "\n", encoding="utf-8")
            self._file = path.open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            raise AlignCapError(f"{path}: it cannot be written ({error.strerror or error})") from error

    def _go_on(self, header: str, overwrite: bool) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            del lines[-1]
        if not lines or lines[0].decode("utf-8", "replace").strip() != header:
            if not (overwrite or not lines):
                raise AlignCapError(
                    f"{self.path}: it holds something else, or candidates of another model or other options: choose "
                    "another name, or add --overwrite"
                )
            self.path.unlink()
            return
        self.path.write_bytes(b"".join(lines))
        for clip in map(Candidates.of, map(json.loads, lines[1:])):
            self._count(clip)

    def _count(self, clip: Candidates) -> None:
        self.done.add(clip.id)
        if clip.error:
            self.failed.add(clip.id)

    def write(self, clip: Candidates) -> None:
        """Add a clip."""
        self._file.write(json.dumps(asdict(clip), ensure_ascii=False) + "\n")
        self._file.flush()
        self._count(clip)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> CandidateFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
