"""Tiny random causal language models with real tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

__all__ = ["LLM_FAMILIES", "tiny_language_model"]

WIDTH = 16
LAYERS = 2
_CORPUS = [
    "The voice trembles and climbs in pitch; she sounds frightened, with a trace of anger.",
    "He speaks slowly and quietly, in a low voice: sad, perhaps tired.",
    "You listen to speech and describe the emotion in the voice.",
]

_CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'] + '\n\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ first if loop.first }}{{ message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


@dataclass
class _Family:
    """What sets a family apart.

    Attributes:
        build: makes the model from its settings.
        tokens: special tokens by role.
        markup: special tokens without a role.
        chat_template: Jinja template, if the family has one.
        added: added tokens that are not special.
    """

    build: Callable[[dict[str, Any]], Any]
    tokens: dict[str, str]
    markup: list[str]
    chat_template: str | None
    added: list[str] = field(default_factory=list)


def tiny_language_model(family: str, folder: str | Path) -> Path:
    """Write a language model with random weights, and its tokenizer, into a folder.

    Width 16, two layers, byte-level BPE. The families differ as the public ones do: ``llama`` has no chat
    template and no padding token, ``qwen3`` a chat template with a system role, no start token and
    markup among its ordinary added tokens, ``gemma3`` folds the system text into the user's turn, ends turns
    with another token than texts, scales its token embeddings and alternates local and global attention.

    Args:
        family: one of `LLM_FAMILIES`.
        folder: made if need be; left alone where it already holds a model.

    Returns:
        The folder.

    Raises:
        ValueError: no such family.
    """
    if family not in _FAMILIES:
        raise ValueError(f"unknown language model family {family!r}; choose one of {', '.join(LLM_FAMILIES)}")
    folder = Path(folder)
    if not (folder / "model.safetensors").is_file():
        tokenizer = _tokenizer(_FAMILIES[family])
        settings = {
            "vocab_size": len(tokenizer),
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": WIDTH // 2,
            "max_position_embeddings": 4096,
            "initializer_range": 0.2,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = _FAMILIES[family].build(settings)
        if family == "gemma3":
            turn_end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
            model.generation_config.eos_token_id = [tokenizer.eos_token_id, turn_end]
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def _tokenizer(family: _Family) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [*dict.fromkeys(family.tokens.values()), *family.markup]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, additional_special_tokens=family.markup, **family.tokens)
    fast.add_tokens(family.added)
    fast.chat_template = family.chat_template
    return fast


def _llama(settings: dict[str, Any]) -> Any:
    return LlamaForCausalLM(LlamaConfig(**settings))


def _qwen3(settings: dict[str, Any]) -> Any:
    return Qwen3ForCausalLM(Qwen3Config(**settings))


def _gemma3(settings: dict[str, Any]) -> Any:
    layers = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(
        Gemma3TextConfig(**settings, query_pre_attn_scalar=WIDTH // 2, sliding_window=32, layer_types=layers)
    )


_FAMILIES = {
    "llama": _Family(_llama, {"bos_token": "<s>", "eos_token": "</s>"}, [], None),
    "qwen3": _Family(
        _qwen3,
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ["<|im_start|>"],
        _CHATML,
        ["<think>", "</think>", "<tool_call>", "</tool_call>"],
    ),
    "gemma3": _Family(
        _gemma3,
        {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"},
        ["<start_of_turn>", "<end_of_turn>"],
        _GEMMA,
    ),
}
LLM_FAMILIES = tuple(_FAMILIES)
