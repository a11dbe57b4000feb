"""Captions: writing them from facts, and reading the emotions that a caption names."""

from aligncap.captions.emotions import EMOTIONS, emotions_in, main_emotion
from aligncap.captions.grammar import (
    INSTRUCTIONS,
    VOICE_LEVELS,
    Facts,
    answer,
    clue_prompt,
    instructions_for,
    write_caption,
)

__all__ = [
    "EMOTIONS",
    "INSTRUCTIONS",
    "VOICE_LEVELS",
    "Facts",
    "answer",
    "clue_prompt",
    "emotions_in",
    "instructions_for",
    "main_emotion",
    "write_caption",
]
