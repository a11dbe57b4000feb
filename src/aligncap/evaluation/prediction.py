"""One prediction, what a system says of a clip, from the record that it wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from aligncap.corpora.check import taxonomy_label
from aligncap.corpora.problems import shown
from aligncap.evaluation.notes import Note

__all__ = ["LONGEST", "Prediction", "Supported", "read_prediction"]

LONGEST = 10_000
"""Characters of a caption that are read; nobody describes a voice at greater length."""


@dataclass(frozen=True)
class Supported:
    """A claim of a caption, with the support that the system itself gives it.

    Attributes:
        text: the words that claim it.
        kind: ``emotion``, ``acoustic`` (of the voice) or ``other``.
        support: in [0, 1].
        denied: whether the caption denies it.
    """

    text: str
    kind: str
    support: float
    denied: bool = False


@dataclass(frozen=True)
class Prediction:
    """What a system says of one clip.

    Attributes:
        caption: as the system wrote it, at most `LONGEST` characters.
        emotions: label → probability; empty where the system gives none.
        label: the emotion that the system states beside its caption; empty where it states none.
        claims: what the caption claims, with its support, in the order of the text; None where the system tells none.
        abstained: whether the system says that the emotion is unclear.
    """

    caption: str
    emotions: Mapping[str, float] = field(default_factory=dict)
    label: str = ""
    claims: tuple[Supported, ...] | None = None
    abstained: bool = False


def read_prediction(key: str, values: Mapping[str, Any], notes: list[Note]) -> Prediction | None:
    """A prediction from its record.

    Args:
        key: what to call it in notes.
        values: of the record.
        notes: what is wrong is added to these.

    Returns:
        None where there is nothing to score.
    """
    caption = values.get("caption")
    if "error" in values and caption in (None, ""):
        error = values["error"]
        reason = error.get("message", "") if isinstance(error, Mapping) else error
        notes.append(Note("failed", key, f"{shown(str(reason))}; not scored"))
        return None
    if not isinstance(caption, str):
        notes.append(Note("not text", key, f"the caption is {_kind_of(values, 'caption')}; not scored"))
        return None
    if not _is_unicode(caption):
        notes.append(
            Note("encoding", key, "the caption is not valid Unicode; save as UTF-8 or name --encoding; not scored")
        )
        return None
    if not caption.strip():
        notes.append(Note("empty", key, "the caption is empty; scored as it is"))
    if len(caption) > LONGEST:
        notes.append(Note("overlong", key, f"{len(caption):,} characters; the first {LONGEST:,} are scored"))
        caption = caption[:LONGEST]
    emotions, wrong = _emotions(values.get("emotions"))
    if wrong:
        notes.append(Note("bad emotions", key, f"{wrong}; the caption alone is scored"))
    label = values.get("label")
    stated = _emotion(label) if isinstance(label, str) and _is_unicode(label) else ""
    claims, wrong = _claims(values.get("claims"))
    if wrong:
        notes.append(Note("bad claims", key, f"{wrong}; the caption alone is scored"))
    abstained = values.get("abstained") in (True, "True", "true", 1)
    return Prediction(caption, emotions, stated, () if claims is None and abstained else claims, abstained)


def _kind_of(values: Mapping[str, Any], column: str) -> str:
    if column not in values:
        return "not there"
    value = values[column]
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return f"not text but {shown(value)}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _emotion(word: str) -> str:
    """The label for a word, or the word itself where the taxonomy has none."""
    return taxonomy_label(word) or word.strip().lower()


def _decoded(value: Any) -> Any:
    """What a cell of CSV holds: JSON; None where it is empty.

    Raises:
        ValueError: it is no JSON.
    """
    if isinstance(value, str):
        return json.loads(value) if value.strip() else None
    return None if isinstance(value, float) and math.isnan(value) else value


def _claims(value: Any) -> tuple[tuple[Supported, ...] | None, str]:
    """Claims, None where there are none told; and what is wrong with them."""
    try:
        value = _decoded(value)
    except ValueError:
        return None, "claims are not a JSON list"
    if value is None:
        return None, ""
    if not isinstance(value, list):
        return None, f"claims are {shown(value)}, not a list"
    found = []
    for claim in value:
        text, support = (claim.get("text"), claim.get("support")) if isinstance(claim, Mapping) else (None, None)
        if not isinstance(text, str) or not _is_unicode(text):
            return None, f"{shown(claim)} is no claim with a text"
        if not _is_number(support) or not 0 <= support <= 1:
            return None, f"the support of {shown(text)} is {shown(support)}, not in [0, 1]"
        found.append(Supported(text, str(claim.get("kind", "")), float(support), claim.get("denied") is True))
    return tuple(found), ""


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _emotions(value: Any) -> tuple[dict[str, float], str]:
    """Probabilities that sum to 1, and what is wrong with them."""
    try:
        value = _decoded(value)
    except ValueError:
        return {}, "emotions are not a JSON object"
    if value is None or value == {}:
        return {}, ""
    if not isinstance(value, Mapping):
        return {}, f"emotions are {shown(value)}, not label: probability"
    total: dict[str, float] = {}
    for word, number in value.items():
        if not _is_number(number) or number < 0 or not _is_unicode(str(word)):
            return {}, f"the probability of {shown(word)} is {shown(number)}"
        label = _emotion(str(word))
        total[label] = total.get(label, 0.0) + float(number)
    whole = sum(total.values())
    if not 0 < whole < math.inf:
        return {}, "the probabilities sum to nothing"
    return {label: number / whole for label, number in total.items()}, ""
