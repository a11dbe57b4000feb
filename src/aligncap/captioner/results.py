"""What captioning returns, and how it is written as text, JSON Lines and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Caption", "Failure", "Format", "formatter"]

Format = Literal["text", "jsonl", "csv"]


@dataclass(frozen=True)
class Caption:
    """The description of one stretch of a recording.

    Attributes:
        id: the recording's name; with ``#0``, ``#1``, … appended where it was segmented.
        audio: the recording's name.
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording.
        caption: the description.
        emotions: label → probability, summing to 1, the most likely first. They are the model's own likelihoods
            of answering with that label.
        clues: the clue prompt that the model was given (all of it computed from the recording).
        alternatives: further captions of the same stretch, where several were asked for.
        model: name of the checkpoint.
        warnings: what to know about the recording.
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

    def to_dict(self) -> dict[str, Any]:
        """The JSON record; empty ``alternatives`` and ``warnings`` are left out."""
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
        if self.alternatives:
            record["alternatives"] = list(self.alternatives)
        if self.warnings:
            record["warnings"] = list(self.warnings)
        return record


@dataclass(frozen=True)
class Failure:
    """A recording that could not be captioned.

    Attributes:
        id: the recording's name.
        audio: the recording's name.
        type: class of the error, such as ``AudioTooShortError``.
        message: why, in one line.
    """

    id: str
    audio: str
    type: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON record."""
        return {"id": self.id, "audio": self.audio, "error": {"type": self.type, "message": self.message}}


class formatter:  # noqa: N801 (used like a function)
    """Turns results into lines of one format: ``header`` once, then a call per result.

    Args:
        kind: ``text`` (a line each: name, time, caption), ``jsonl`` or ``csv``.
    """

    _CSV = ("id", "audio", "start", "end", "caption", "emotion", "probability", "clues", "error")

    def __init__(self, kind: Format) -> None:
        self.kind = kind
        self.header = _csv_line(self._CSV) if kind == "csv" else ""

    def __call__(self, result: Caption | Failure) -> str:
        """One result as a line (with its line end)."""
        if self.kind == "jsonl":
            return json.dumps(result.to_dict(), ensure_ascii=False) + "\n"
        if isinstance(result, Failure):
            if self.kind == "csv":
                return _csv_line(
                    [result.id, result.audio, "", "", "", "", "", "", f"{result.type}: {result.message}"]
                )
            return ""  # errors go to standard error, for the eye
        label, probability = next(iter(result.emotions.items()), ("", 0.0))
        times = [f"{result.start:.3f}", f"{result.end:.3f}"]
        if self.kind == "csv":
            return _csv_line(
                [
                    result.id,
                    result.audio,
                    *times,
                    result.caption,
                    label,
                    f"{probability:.4f}",
                    result.clues,
                    "",
                ]
            )
        where = f" [{times[0][:-2]}–{times[1][:-2]} s]" if "#" in result.id else ""
        lines = [f"{result.audio}{where}: {result.caption}"]
        lines += [f"{' ' * 4}or: {text}" for text in result.alternatives]
        return "\n".join(lines) + "\n"


def _csv_line(values: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
