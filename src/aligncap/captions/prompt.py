"""The text side of a prompt, whatever model it is for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from aligncap.captions.grammar import clue_prompt
from aligncap.errors import PromptError

__all__ = ["DEFAULT_INSTRUCTION", "WORD_INSTRUCTION", "neutralise", "speech_clues", "user_turn"]

DEFAULT_INSTRUCTION = "Describe the emotion in the voice."
WORD_INSTRUCTION = "What does the speaker feel? Answer with one word."


def speech_clues(config: Any, probabilities: Sequence[float], voice: Sequence[tuple[str, str]]) -> str:
    """The clue prompt of one recording, as the model knows it from its training; empty where it knows none.

    Args:
        config: the model's: its ``emotions`` and ``clues``.
        probabilities: of the emotion head, in the order of ``config.emotions``.
        voice: measured (dimension, level) pairs.
    """
    emotions = list(zip(config.emotions, probabilities, strict=True))
    return clue_prompt(emotions if "emotions" in config.clues else (), voice if "voice" in config.clues else ())


def neutralise(text: str, markup: Collection[str]) -> str:
    """Make text harmless inside a prompt: no part of it can become chat markup or a speech placeholder.

    Every occurrence of markup gets a space after its first character, until none is left.

    Args:
        text: untrusted.
        markup: tokens that mean something; those of white space alone are harmless and stay.
    """
    # stripped: a token that began with white space would be found again, however much were put into it
    stripped = {token.strip() for token in markup} - {""}
    while found := [token for token in stripped if token in text]:
        for token in found:
            text = text.replace(token, f"{token[0]} {token[1:]}" if len(token) > 1 else " ")
    return text


def user_turn(speech: str, instruction: str, clues: str, markup: Collection[str]) -> str:
    """What the user says to the model: placeholders of the speech, clue prompt, instruction; a line each.

    Args:
        speech: placeholders.
        instruction: what to do; untrusted.
        clues: clue prompt; untrusted.
        markup: see `neutralise`.

    Raises:
        PromptError: the instruction is empty.
    """
    if not instruction.strip():
        raise PromptError("the prompt is empty: say what to describe, or leave it out to use the default")
    lines = [speech, neutralise(clues, markup), neutralise(instruction, markup)]
    return "\n".join(line for line in lines if line)
