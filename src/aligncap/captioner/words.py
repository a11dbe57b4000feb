"""How well words fit a voice, by the language model: classification by any words, known to the taxonomy or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aligncap.captioner.captioner import PRIOR, TEMPLATES
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.model.likelihood import log_likelihoods

if TYPE_CHECKING:
    from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor, SpeechEmbeddings
    from aligncap.model.prefix import Prefix

__all__ = ["Words"]


class Words:
    """Scores words after every one of the `TEMPLATES`, less the `PRIOR`.

    Args:
        model: in evaluation mode.
        processor: the model's.
        words: to score.
    """

    def __init__(
        self, model: AlignCapForConditionalGeneration, processor: AlignCapProcessor, words: Sequence[str]
    ) -> None:
        self._model = model
        self._stems = [torch.tensor(_tokens(processor, stem), device=model.device) for stem in TEMPLATES]
        self._answers = [_tokens(processor, f" {word}") for word in words]
        self._without_speech = self._scores(processor.prompts([0], DEFAULT_INSTRUCTION).to(model.device), None, None)

    def probabilities(self, prompts: Any, speech: SpeechEmbeddings, prefix: Prefix) -> Tensor:
        """Softmax over the scores of the words, (clips, words).

        Args:
            prompts: a batch of prompts that ask for a caption.
            speech: speech embeddings of the clips.
            prefix: state after a beginning of these prompts.
        """
        return (self._scores(prompts, speech, prefix) - PRIOR * self._without_speech).softmax(-1)

    def _scores(self, prompts: Any, speech: SpeechEmbeddings | None, prefix: Prefix | None) -> Tensor:
        """Mean log-likelihood of each word over the templates."""
        continued = [_continued(prompts, stem) for stem in self._stems]
        scores = [log_likelihoods(self._model, inputs, speech, self._answers, prefix) for inputs in continued]
        return torch.stack(scores).mean(0)


def _tokens(processor: AlignCapProcessor, text: str) -> list[int]:
    """Of a part of a response: without its end."""
    return processor.response_ids(text)[:-1]


def _continued(prompts: Any, stem: Tensor) -> dict[str, Tensor]:
    """Prompts with the beginning of a response behind them."""
    ids, mask = prompts["input_ids"], prompts["attention_mask"]
    stems = stem.expand(len(ids), -1)
    return {"input_ids": torch.cat([ids, stems], 1), "attention_mask": torch.cat([mask, torch.ones_like(stems)], 1)}
