"""What captioning returns, and how it is written as text, JSON Lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aligncap.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Caption", "Failure", "Format", "Formatter", "csv_line", "json_line", "printable"]

Format = Literal["text", "jsonl", "csv"]


@dataclass(frozen=True)
class Caption:
    """The description of one stretch of a recording.

    Attributes:
        id: the recording's name; with ``#0``, ``#1``, … appended where it was segmented.
        audio: the recording's name: the path as it was given.
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording.
        caption: the description, in one line.
        emotions: label → probability, summing to 1, the most likely first. They are the mean of
            the language model's likelihood of answering with the label and of the emotion head's probability.
        clues: the clue prompt that the model was given (all of it computed from the recording).
        model: name of the checkpoint.
        alternatives: further captions of the same stretch, where several were asked for.
        warnings: what to know about the recording or its caption, one line each.
        calibrated: whether the model was calibrated on recordings of the user's.
    """

    id: str
    audio: str
    start: float
    end: float
    caption: str
    emotions: dict[str, float]
    clues: str
    model: str
    alternatives: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    calibrated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON record; ``calibrated`` where false, empty ``alternatives`` and ``warnings`` are left out."""
        record: dict[str, Any] = {
            "id": self.id,
            "audio": self.audio,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "caption": self.caption,
            "emotions": {label: round(value, 4) for label, value in self.emotions.items()},
            "clues": self.clues,
            "model": self.model,
        }
        if self.calibrated:
            record["calibrated"] = True
        if self.alternatives:
            record["alternatives"] = list(self.alternatives)
        if self.warnings:
            record["warnings"] = list(self.warnings)
        return record


@dataclass(frozen=True)
class Failure:
    """A recording that could not be captioned.

    Attributes:
        id: the recording's name (of one stretch where only that failed).
        audio: the recording's name.
        type: class of the error, such as ``AudioTooShortError``.
        message: why, in one line.
    """

    id: str
    audio: str
    type: str
    message: str

    @classmethod
    def of(cls, error: Exception, audio: str, clip_id: str | None = None) -> Failure:
        """The record of an error met with a recording."""
        reason = error.reason if isinstance(error, AudioError) else str(error)
        return cls(clip_id or audio, audio, type(error).__name__, " ".join(reason.split()) or "no reason given")

    def to_dict(self) -> dict[str, Any]:
        """The JSON record."""
        return {"id": self.id, "audio": self.audio, "error": {"type": self.type, "message": self.message}}


class Formatter:
    """Writes results as lines of one format: ``header`` once, then a call for each result.

    Args:
        kind: ``text`` (name, time where the recording was segmented, caption; failures give no line, as they
            are for standard error), ``jsonl`` or ``csv``.
    """

    _CSV = (
        *("id", "audio", "start", "end", "caption", "alternatives", "emotion", "probability", "clues"),
        *("model", "warnings", "error"),
    )

    def __init__(self, kind: Format) -> None:
        self.kind = kind
        self.header = csv_line(self._CSV) if kind == "csv" else ""

    def __call__(self, result: Caption | Failure) -> str:
        """One result as lines (with their line ends); several only as text, where there are alternatives."""
        if self.kind == "jsonl":
            return json_line(result.to_dict())
        if self.kind == "csv":
            fields = _failure_fields(result) if isinstance(result, Failure) else _caption_fields(result)
            return csv_line([fields.get(name, "") for name in self._CSV])
        return "" if isinstance(result, Failure) else _text_lines(result)


def json_line(record: dict[str, Any]) -> str:
    """A record as a line of JSON."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a file name that is not valid UTF-8; escaped, Python reads it back unchanged
        line = json.dumps(record, allow_nan=False)
    return line + "\n"


def csv_line(values: Sequence[str]) -> str:
    """Values as a line of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _failure_fields(failure: Failure) -> dict[str, str]:
    return {"id": failure.id, "audio": failure.audio, "error": f"{failure.type}: {failure.message}"}


def _caption_fields(caption: Caption) -> dict[str, str]:
    label, probability = next(iter(caption.emotions.items()))
    return {
        "id": caption.id,
        "audio": caption.audio,
        "start": f"{caption.start:.3f}",
        "end": f"{caption.end:.3f}",
        "caption": caption.caption,
        "alternatives": " | ".join(caption.alternatives),
        "emotion": label,
        "probability": f"{probability:.4f}",
        "clues": caption.clues,
        "model": caption.model,
        "warnings": " | ".join(caption.warnings),
    }


def _text_lines(caption: Caption) -> str:
    segmented = caption.id != caption.audio
    where = f" [{caption.start:.1f}–{caption.end:.1f} s]" if segmented else ""  # noqa: RUF001 (a range)
    lines = [f"{caption.audio}{where}: {caption.caption}"]
    lines += [f"    or: {text}" for text in caption.alternatives]
    return "\n".join(map(printable, lines)) + "\n"


def printable(line: str) -> str:
    """Keep control characters, which a file's name may hold, from the terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cc" else char for char in line)
