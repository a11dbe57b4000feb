"""What a stage trains, as modules whose forward pass gives sums of losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aligncap.model import AlignCapForConditionalGeneration
from aligncap.model.lora import TEACHER, has_adapter, using_adapter
from aligncap.model.responses import response_states
from aligncap.objectives import align_loss_from_hidden, set_cross_entropy
from aligncap.training.recipe import AlignStage

__all__ = ["Reader", "Student", "as_teacher", "teacher_states"]


@torch.no_grad()
def teacher_states(language_model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """The teacher's final hidden states on the response tokens of prompts of text.

    Args:
        language_model: with or without adapters; the teacher's own are used where there are any, else none.
        batch: ``input_ids``, ``attention_mask`` and ``labels``, (batch, tokens) each.

    Returns:
        (N, width) of the model's type, row by row.
    """
    with as_teacher(language_model):
        embedded = language_model.get_input_embeddings()(batch["input_ids"])
        return response_states(language_model, embedded, batch["attention_mask"], batch["labels"])[0]


@contextmanager
def as_teacher(language_model: Any) -> Iterator[None]:
    """In evaluation mode, so that its answers do not depend on dropout, and with the teacher's adapters."""
    training = language_model.training
    language_model.eval()
    try:
        with using_adapter(language_model, TEACHER if has_adapter(language_model, TEACHER) else None):
            yield
    finally:
        language_model.train(training)


class Reader(nn.Module):
    """A language model that learns to answer prompts of text: the teacher in its own training."""

    def __init__(self, language_model: Any) -> None:
        super().__init__()
        self.language_model = language_model

    def is_own(self, name: str) -> bool:
        """Whether a parameter of this name is the teacher's own."""
        return f".{TEACHER}." in name

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Sum of the negative log-likelihoods of the response tokens: ``ce``."""
        embedded = self.language_model.get_input_embeddings()(input_ids)
        hidden, targets = response_states(self.language_model, embedded, attention_mask, labels)
        head = self.language_model.get_output_embeddings().weight
        _, ce = align_loss_from_hidden(hidden, None, head, targets, lambda_kd=0.0)
        return {"ce": ce}


class Student(nn.Module):
    """The model that hears, and beside it the teacher where that one is live.

    Args:
        model: the student; its language model also holds the teacher's adapters where the teacher is live.
        stage: weights and kind of the losses.
        other_teacher: a live teacher that is another language model; frozen.
        teacher_head: (vocabulary, width) head of a teacher that is another model, live or cached.
    """

    teacher_head: Tensor | None

    def __init__(
        self,
        model: AlignCapForConditionalGeneration,
        stage: AlignStage,
        other_teacher: Any = None,
        teacher_head: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.stage = stage
        self.other_teacher = other_teacher
        self.register_buffer("teacher_head", teacher_head, persistent=False)
        self._own = {f"model.{name}" for name in model.own_state()}

    @property
    def language_model(self) -> Any:
        """The student's."""
        return self.model.language_model

    def is_own(self, name: str) -> bool:
        """Whether a tensor of this name is trained or estimated by us."""
        return name in self._own

    def forward(
        self,
        states: Tensor,
        states_mask: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        targets: Tensor,
        allowed: Tensor,
        teacher_hidden: Tensor | None = None,
        teacher_input_ids: Tensor | None = None,
        teacher_attention_mask: Tensor | None = None,
        teacher_labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Sums of the losses of a batch.

        Args:
            states: (batch, frames, taps, width) of the speech encoder.
            states_mask: (batch, frames) bool.
            input_ids: (batch, tokens) of the student's prompts and responses.
            attention_mask: (batch, tokens).
            labels: (batch, tokens), -100 outside the responses.
            targets: (batch, emotions) bool; see `set_cross_entropy`.
            allowed: (batch, emotions) bool.
            teacher_hidden: (response tokens, width) from the cache; or else, for a live teacher:
            teacher_input_ids: (batch, tokens') of the teacher's prompts and the same responses.
            teacher_attention_mask: (batch, tokens').
            teacher_labels: (batch, tokens').

        Returns:
            ``kd`` and ``ce`` over the response tokens, ``head`` over the clips.
        """
        stage, model = self.stage, self.model
        speech = model.hear_states(states, states_mask)
        embedded = model.embed(input_ids, speech)
        hidden, wanted = response_states(model.language_model, embedded, attention_mask, labels)
        if stage.lambda_kd and teacher_hidden is None:
            prompts = {
                "input_ids": teacher_input_ids,
                "attention_mask": teacher_attention_mask,
                "labels": teacher_labels,
            }
            teacher_hidden = teacher_states(self.other_teacher or model.language_model, prompts)  # type: ignore[arg-type]
        head: Tensor = self.language_model.get_output_embeddings().weight
        kd, ce = align_loss_from_hidden(
            hidden,
            teacher_hidden,
            head,
            wanted,
            lambda_kd=stage.lambda_kd,
            lambda_ce=stage.lambda_ce,
            divergence=stage.divergence,  # type: ignore[arg-type]
            beta=stage.beta,
            temperature=stage.temperature,
            teacher_temperature=stage.teacher_temperature,
            top_k=stage.top_k or None,
            teacher_head_weight=self.teacher_head,
        )
        return {"kd": kd, "ce": ce, "head": set_cross_entropy(speech.bridge_logits, targets, allowed).sum()}
