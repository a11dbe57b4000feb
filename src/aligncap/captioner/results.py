"""What captioning and classifying return, and how it is written as text, JSON Lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aligncap.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Caption",
    "Classification",
    "Failure",
    "Format",
    "Formatter",
    "Result",
    "Silence",
    "Support",
    "csv_line",
    "json_line",
    "printable",
]

Format = Literal["text", "jsonl", "csv"]


@dataclass(frozen=True)
class Support:
    """One claim of a caption, and what supports it.

    Attributes:
        text: the words that claim it.
        kind: ``emotion``, ``acoustic`` (of the voice) or ``other``.
        target: the emotion's label, "dimension:level" of the voice, or what else is claimed.
        denied: whether the text denies it.
        support: in [0, 1]: of an emotion, its probability; of the voice, 1 where it was measured, else 0.
    """

    text: str
    kind: str
    target: str
    denied: bool
    support: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON record; a false ``denied`` is left out."""
        record = {"text": self.text, "kind": self.kind, "target": self.target, "support": self.support}
        return {**record, "denied": True} if self.denied else record


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
        claims: what the caption claims, with its support; empty where it was not verified.
        abstained: whether the emotion was too unsure to be told (strict captioning only).
        speaker: who talks, where the user gave turns that say so.
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
    claims: tuple[Support, ...] = ()
    abstained: bool = False
    speaker: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON record: nothing false (``abstained``, ``calibrated``), nothing empty."""
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
        if self.claims:
            record["claims"] = [claim.to_dict() for claim in self.claims]
        if self.abstained:
            record["abstained"] = True
        if self.doubts:
            record["doubts"] = list(self.doubts)
        if self.speaker is not None:
            record["speaker"] = self.speaker
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


@dataclass(frozen=True)
class Silence:
    """A part of a recording in which nobody talks, and which is therefore not described.

    Attributes:
        id: the recording's name with ``#silence0``, ``#silence1``, … appended.
        audio: the recording's name.
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording.
    """

    id: str
    audio: str
    start: float
    end: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON record."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {"id": self.id, "audio": self.audio, **times, "silence": True}


Result: TypeAlias = "Caption | Failure | Silence"
"""What becomes of a part of a recording that is captioned."""


class Formatter:
    """Writes results as lines of one format: ``header`` once, then a call for each result.

    Args:
        kind: ``text`` (name, time where the recording was segmented, caption or labels; failures give no line, as
            they are for standard error, and neither does silence), ``jsonl`` or ``csv``.
        labels: those of classifications, in the order of their columns; None: the results are captions.
        speakers: whether captions have a column for the speaker.
    """

    _CAPTION = ("caption", "alternatives", "emotion", "probability", "clues")

    def __init__(self, kind: Format, labels: Sequence[str] | None = None, *, speakers: bool = False) -> None:
        self.kind = kind
        own = self._CAPTION if labels is None else ("label", *(_probability_column(label) for label in labels))
        who = ("speaker",) if speakers else ()
        self._columns = ("id", "audio", "start", "end", *who, *own, "model", "warnings", "error")
        self.header = csv_line(self._columns) if kind == "csv" else ""

    def __call__(self, result: Caption | Classification | Failure | Silence) -> str:
        """One result as lines (with their line ends); several only as text, where there are alternatives."""
        if self.kind == "jsonl":
            return json_line(result.to_dict())
        if self.kind == "csv":
            fields = _failure_fields(result) if isinstance(result, Failure) else _fields(result)
            return csv_line([fields.get(name, "") for name in self._columns])
        return "" if isinstance(result, Failure | Silence) else _text_lines(result)


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


def _fields(result: Caption | Classification | Silence) -> dict[str, str]:
    common = {
        "id": result.id,
        "audio": result.audio,
        "start": f"{result.start:.3f}",
        "end": f"{result.end:.3f}",
    }
    if isinstance(result, Silence):
        return common
    common |= {"model": result.model, "warnings": " | ".join(result.warnings)}
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
        "speaker": result.speaker or "",
    }


def _probability_column(label: str) -> str:
    return f"p({label})"


def _text_lines(result: Caption | Classification) -> str:
    segmented = result.id != result.audio
    where = f" [{result.start:.1f}–{result.end:.1f} s]" if segmented else ""  # noqa: RUF001 (a range)
    if isinstance(result, Caption) and result.speaker is not None:
        where += f" {result.speaker}"
    if isinstance(result, Classification):
        lines = [", ".join(f"{label} {value:.0%}" for label, value in result.probabilities.items())]
    else:
        lines = [result.caption, *(f"    or: {text}" for text in result.alternatives)]
    lines[0] = f"{result.audio}{where}: {lines[0]}"
    return "\n".join(map(printable, lines)) + "\n"


def printable(line: str) -> str:
    """Keep control characters, which a file's name may hold, from the terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cc" else char for char in line)
