"""The text side of a prompt: instruction, clue prompt and speech placeholders in the chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aligncap.captions import clue_prompt
from aligncap.errors import PromptError
from aligncap.model.configuration import SPEECH_TOKEN, AlignCapConfig

__all__ = ["DEFAULT_INSTRUCTION", "WORD_INSTRUCTION", "neutralise", "render_prompt", "speech_clues"]

DEFAULT_INSTRUCTION = "Describe the emotion in the voice."
WORD_INSTRUCTION = "What does the speaker feel? Answer with one word."


def speech_clues(config: AlignCapConfig, probabilities: Sequence[float], voice: Sequence[tuple[str, str]]) -> str:
    """The clue prompt of one recording, as the model knows it from its training; empty where it knows none.

    Args:
        config: the model's.
        probabilities: of the emotion head, in the order of ``config.emotions``.
        voice: measured (dimension, level) pairs.
    """
    emotions = list(zip(config.emotions, probabilities, strict=True))
    return clue_prompt(emotions if "emotions" in config.clues else (), voice if "voice" in config.clues else ())


def neutralise(text: str, tokenizer: Any) -> str:
    """Make text harmless inside a prompt: no part of it can become chat markup or a speech placeholder.

    Every occurrence of a token that was added to the tokenizer's vocabulary, special (chat markup, the speech
    placeholder, …) or not (Qwen's ``<think>`` and ``<tool_call>``), gets a space after its first character,
    until none is left. Added tokens of white space alone are harmless and stay.
    """
    added = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens, SPEECH_TOKEN}
    # stripped: a token that began with white space would be found again, however much were put into it
    markup = {token.strip() for token in added} - {""}
    while found := [token for token in markup if token in text]:
        for token in found:
            text = text.replace(token, f"{token[0]} {token[1:]}" if len(token) > 1 else " ")
    return text


def render_prompt(
    tokenizer: Any, speech_embeddings: int, instruction: str, clues: str = "", system_prompt: str = ""
) -> str:
    """Lay out one prompt, ready to be tokenized without adding special tokens.

    Args:
        tokenizer: the language model's tokenizer.
        speech_embeddings: number of speech embeddings K; exactly K placeholders are written (0: text only).
        instruction: what to do; untrusted.
        clues: clue prompt; untrusted.
        system_prompt: text of the system turn.

    Raises:
        PromptError: the instruction is empty.
    """
    if not instruction.strip():
        raise PromptError("the prompt is empty: say what to describe, or leave it out to use the default")
    lines = [
        SPEECH_TOKEN * speech_embeddings,
        neutralise(clues, tokenizer),
        neutralise(instruction, tokenizer),
    ]
    user = "\n".join(line for line in lines if line)
    if tokenizer.chat_template is None:
        return f"{system_prompt}\n{user}\n" if system_prompt else f"{user}\n"
    messages = [{"role": "user", "content": user}]
    if system_prompt:
        messages.insert(0, {"role": "system", "content": system_prompt})
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
