"""What captioning and classifying return, and how it is written as text, JSON Lines and CSV."""

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

__all__ = ["Caption", "Classification", "Failure", "Format", "Formatter", "csv_line", "json_line", "printable"]

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
        doubts: what the caption says that nothing supports, a reason each (see `aligncap.captioner.verify`).
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
    doubts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON record: no false ``calibrated``, no empty ``alternatives``, ``doubts``, ``warnings``."""
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
        if self.doubts:
            record["doubts"] = list(self.doubts)
        if self.warnings:
            record["warnings"] = list(self.warnings)
        return record


@dataclass(frozen=True)
class Classification:
    """Which of a user's labels fits one stretch of a recording.

    Attributes:
        id: as a `Caption`'s.
        audio: the recording's name.
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording.
        probabilities: label → probability, summing to 1, the most likely first.
        model: name of the checkpoint.
        warnings: what to know about the recording, one line each.
        calibrated: whether the model was calibrated on recordings of the user's.
    """

    id: str
    audio: str
    start: float
    end: float
    probabilities: dict[str, float]
    model: str
    warnings: tuple[str, ...] = ()
    calibrated: bool = False

    @property
    def label(self) -> str:
        """The most likely label."""
        return next(iter(self.probabilities))

    def to_dict(self) -> dict[str, Any]:
        """The JSON record; ``calibrated`` where false and empty ``warnings`` are left out."""
        record: dict[str, Any] = {
            "id": self.id,
            "audio": self.audio,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "probabilities": {label: round(value, 4) for label, value in self.probabilities.items()},
            "model": self.model,
        }
        if self.calibrated:
            record["calibrated"] = True
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
        kind: ``text`` (name, time where the recording was segmented, caption or labels; failures give no line, as
            they are for standard error), ``jsonl`` or ``csv``.
        labels: those of classifications, in the order of their columns; None: the results are captions.
    """

    _CAPTION = ("caption", "alternatives", "emotion", "probability", "clues")

    def __init__(self, kind: Format, labels: Sequence[str] | None = None) -> None:
        self.kind = kind
        own = self._CAPTION if labels is None else ("label", *(_probability_column(label) for label in labels))
        self._columns = ("id", "audio", "start", "end", *own, "model", "warnings", "error")
        self.header = csv_line(self._columns) if kind == "csv" else ""

    def __call__(self, result: Caption | Classification | Failure) -> str:
        """One result as lines (with their line ends); several only as text, where there are alternatives."""
        if self.kind == "jsonl":
            return json_line(result.to_dict())
        if self.kind == "csv":
            fields = _failure_fields(result) if isinstance(result, Failure) else _fields(result)
            return csv_line([fields.get(name, "") for name in self._columns])
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


def _fields(result: Caption | Classification) -> dict[str, str]:
    common = {
        "id": result.id,
        "audio": result.audio,
        "start": f"{result.start:.3f}",
        "end": f"{result.end:.3f}",
        "model": result.model,
        "warnings": " | ".join(result.warnings),
    }
    if isinstance(result, Classification):
        columns = {_probability_column(label): f"{value:.4f}" for label, value in result.probabilities.items()}
        return {**common, "label": result.label, **columns}
    label, probability = next(iter(result.emotions.items()))
    return {
        **common,
        "caption": result.caption,
        "alternatives": " | ".join(result.alternatives),
        "emotion": label,
        "probability": f"{probability:.4f}",
        "clues": result.clues,
    }


def _probability_column(label: str) -> str:
    return f"p({label})"


def _text_lines(result: Caption | Classification) -> str:
    segmented = result.id != result.audio
    where = f" [{result.start:.1f}–{result.end:.1f} s]" if segmented else ""  # noqa: RUF001 (a range)
    if isinstance(result, Classification):
        lines = [", ".join(f"{label} {value:.0%}" for label, value in result.probabilities.items())]
    else:
        lines = [result.caption, *(f"    or: {text}" for text in result.alternatives)]
    lines[0] = f"{result.audio}{where}: {lines[0]}"
    return "\n".join(map(printable, lines)) + "\n"


def printable(line: str) -> str:
    """Keep control characters, which a file's name may hold, from the terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cc" else char for char in line)
