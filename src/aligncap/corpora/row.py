"""One clip of a corpus and everything known about it: a row of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """One clip. What is not known is an empty string, an empty mapping, or None.

    Attributes:
        id: unique in a manifest; by convention ``corpus/name``.
        audio: path of the recording, relative to the manifest, with forward slashes; or absolute.
        start: seconds from the beginning of the recording; None is its beginning.
        end: seconds from the beginning of the recording; None is its end.
        corpus: short name, such as ``ravdess``.
        language: BCP 47 tag, such as ``en`` or ``en-IN``.
        speaker: unique within the corpus.
        gender: ``female``, ``male`` or empty.
        emotion: a label of the emotion taxonomy, or empty where the corpus's own label has no place in it.
        label: the corpus's own label, as it writes it.
        intensity: ``mild``, ``normal``, ``strong`` or empty.
        votes: emotion → share of the listeners who chose it, in [0, 1]; shares sum to at most 1.
        transcript: what is said.
        captions: descriptions of the emotion.
        clues: measured clues, named with their unit (``f0_median_hz``), and clue words under ``words``.
        split: ``train``, ``dev``, ``test``, ``zero_shot`` or empty.
        licence: SPDX identifier, or the name by which the corpus calls it.
        extra: columns that are not of this schema, kept as they were found; JSON values.
    """

    id: str
    audio: str
    start: float | None = None
    end: float | None = None
    corpus: str = ""
    language: str = ""
    speaker: str = ""
    gender: str = ""
    emotion: str = ""
    label: str = ""
    intensity: str = ""
    votes: Mapping[str, float] = field(default_factory=dict)
    transcript: str = ""
    captions: tuple[str, ...] = ()
    clues: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    licence: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
