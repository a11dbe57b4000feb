"""Emotional clues: measured from the samples, and put into words."""

from __future__ import annotations

from aligncap.clues.measure import MeasuredClues, measure
from aligncap.clues.words import ClueWord, clue_words

__all__ = ["ClueWord", "MeasuredClues", "clue_words", "measure"]
