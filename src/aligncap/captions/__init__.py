"""Captions: writing them from facts, and reading the emotions that a caption names."""

from aligncap.captions.emotions import EMOTIONS, emotions_in, main_emotion
from aligncap.captions.facts import VOICE_LEVELS, Facts, facts_of
from aligncap.captions.grammar import answer, clue_prompt, instructions_for, write_caption
from aligncap.captions.instructions import INSTRUCTIONS, obeys

__all__ = [
    "EMOTIONS",
    "INSTRUCTIONS",
    "VOICE_LEVELS",
    "Facts",
    "answer",
    "clue_prompt",
    "emotions_in",
    "facts_of",
    "instructions_for",
    "main_emotion",
    "obeys",
    "write_caption",
]
