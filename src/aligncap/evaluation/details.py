"""Records of report data: what was scored, confusions, hallucinations, and every caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aligncap.corpora.row import Row
from aligncap.evaluation import emotion as emo
from aligncap.evaluation.emotion_scores import Emotions, Hallucinations
from aligncap.evaluation.estimates import Quantity
from aligncap.evaluation.notes import KINDS
from aligncap.evaluation.predictions import System

__all__ = ["Measured", "about", "breakdown", "caption_record", "confusions", "system_record"]


@dataclass(frozen=True)
class Measured:
    """One system and all that was measured of it."""

    system: System
    quantities: list[Quantity]
    emotions: Emotions
    invented: Hallucinations


def about(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What is scored, corpus by corpus."""
    found = []
    for corpus in sorted({row.corpus for row in rows}):
        members = [row for row in rows if row.corpus == corpus]
        found.append(
            {
                "corpus": corpus,
                "clips": len(members),
                "speakers": len({row.speaker for row in members if row.speaker}),
                "languages": sorted({row.language for row in members if row.language}),
                "splits": sorted({row.split for row in members if row.split}),
                "with_emotion": sum(bool(row.emotion) for row in members),
                "with_votes": sum(bool(row.votes) for row in members),
                "with_references": sum(bool(row.captions) for row in members),
            }
        )
    return found


def system_record(measured: Measured, rows: Sequence[Row]) -> dict[str, Any]:
    """How many rows a system was scored on, and all that is wrong with its predictions."""
    system = measured.system
    kinds = [note.kind for note in system.notes]
    return {
        "name": system.name,
        "lines": system.lines,
        "elsewhere": system.elsewhere,
        "rows": len(rows),
        "scored": len(system.predictions),
        "by_path": system.by_path,
        "voice_judged": len(measured.invented.grounded),
        "problems": {kind: kinds.count(kind) for kind in KINDS if kind in kinds},
        "notes": [vars(note) for note in system.notes],
    }


def confusions(rows: Sequence[Row], measured: Measured, labels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The confusion matrix of each corpus, by every method."""
    found = []
    for method, predicted in measured.emotions.predicted.items():
        for corpus, names in labels.items():
            members = [i for i in predicted if rows[i].corpus == corpus]
            if members:
                matrix = emo.classification([rows[i].emotion for i in members], [predicted[i] for i in members], names)
                found.append({"system": measured.system.name, "corpus": corpus, "method": method, **matrix})
    return found


def breakdown(rows: Sequence[Row], measured: Measured) -> list[dict[str, Any]]:
    """Captions with findings of each type, corpus by corpus."""
    found = []
    for corpus in sorted({row.corpus for row in rows}):
        members = [i for i in measured.invented.findings if rows[i].corpus == corpus]
        types: dict[tuple[str, str], int] = {}
        for index in members:
            for key in sorted({(finding.kind, finding.type) for finding in measured.invented.findings[index]}):
                types[key] = types.get(key, 0) + 1
        found += [
            {
                "system": measured.system.name,
                "corpus": corpus,
                "kind": kind,
                "type": name,
                "captions": count,
                "share": count / len(members),
            }
            for (kind, name), count in sorted(types.items())
        ]
    return found


def caption_record(index: int, row: Row, measured: Sequence[Measured]) -> dict[str, Any]:
    """A row, and what each system said of it."""
    point = emo.true_point(row.emotion, row.votes)
    record: dict[str, Any] = {
        "id": row.id,
        "audio": row.audio,
        "start": row.start,
        "end": row.end,
        "corpus": row.corpus,
        "language": row.language,
        "speaker": row.speaker,
        "emotion": row.emotion,
        "votes": dict(row.votes),
        "references": list(row.captions),
        "clues": [str(word) for word in words] if isinstance(words := row.clues.get("words"), list | tuple) else [],
        "point": None if point is None else [_short(value) for value in point],
        "systems": {one.system.name: _said(index, row, one) for one in measured if row.id in one.system.predictions},
    }
    return {name: value for name, value in record.items() if value not in ("", [], {}, None)}


def _said(index: int, row: Row, measured: Measured) -> dict[str, Any]:
    prediction = measured.system.predictions[row.id]
    reading = emo.read_caption(prediction.caption)
    scores = {}
    for quantity in measured.quantities:
        place = int(np.searchsorted(quantity.index, index))
        there = len(quantity.each) and place < len(quantity.index) and quantity.index[place] == index
        if there and not quantity.name.startswith(("uar.", "war.")):
            scores[quantity.name] = _short(float(quantity.each[place]))
    record: dict[str, Any] = {
        "caption": prediction.caption,
        "labels": {m: found[index] for m, found in measured.emotions.predicted.items() if index in found},
        "confidence": _short(measured.emotions.confidence[index]) if index in measured.emotions.confidence else None,
        "emotions": {label: _short(value) for label, value in prediction.emotions.items()},
        "point": [_short(reading.valence), _short(reading.arousal)],
        "scores": scores,
        "findings": [
            {"kind": one.kind, "type": one.type, "reason": one.reason, "text": one.text, "weight": one.weight}
            for one in measured.invented.findings.get(index, ())
        ],
    }
    return {name: value for name, value in record.items() if value not in ([], {}, None)}


def _short(value: float) -> float:
    return round(value, 4)
