"""Emotional clues: measured from the samples, and put into words."""

from __future__ import annotations

from aligncap.clues.measure import Contours, MeasuredClues, contours, measure
from aligncap.clues.words import (
    BASIC_DIMENSIONS,
    DIMENSIONS,
    ClueWord,
    Population,
    SpeakerReference,
    clue_record,
    clue_words,
    said_with_number,
    speaker_reference,
)

__all__ = [
    "BASIC_DIMENSIONS",
    "DIMENSIONS",
    "ClueWord",
    "Contours",
    "MeasuredClues",
    "Population",
    "SpeakerReference",
    "clue_record",
    "clue_words",
    "contours",
    "measure",
    "said_with_number",
    "speaker_reference",
]
