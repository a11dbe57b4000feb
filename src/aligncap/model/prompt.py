"""Prompts in a language model's chat template."""

from __future__ import annotations

from typing import Any

from aligncap.captions.prompt import user_turn
from aligncap.model.configuration import SPEECH_TOKEN

__all__ = ["markup_of", "render_prompt"]


def markup_of(tokenizer: Any) -> set[str]:
    """Tokens that text must not become: those added to a tokenizer's vocabulary.

    Special (chat markup, the speech placeholder, …) or not (Qwen's ``<think>`` and ``<tool_call>``).
    """
    return {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens, SPEECH_TOKEN}


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
    user = user_turn(SPEECH_TOKEN * speech_embeddings, instruction, clues, markup_of(tokenizer))
    if tokenizer.chat_template is None:
        return f"{system_prompt}\n{user}\n" if system_prompt else f"{user}\n"
    messages = [{"role": "user", "content": user}]
    if system_prompt:
        messages.insert(0, {"role": "system", "content": system_prompt})
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
