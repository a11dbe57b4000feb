"""From examples to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aligncap.captions import clue_prompt
from aligncap.model import AlignCapProcessor
from aligncap.model.bridge import embedding_count
from aligncap.model.teacher_text import teacher_text
from aligncap.training.data import TrainingSet, pad_states
from aligncap.training.examples import Example
from aligncap.training.teacher_cache import TeacherCache

__all__ = ["StudentBatch", "TeacherPrompts"]


class TeacherPrompts:
    """Prompts of text: transcript, annotation and clues in the place where the student hears.

    Args:
        processor: with the teacher's tokenizer.
        data: the clips.
    """

    def __init__(self, processor: AlignCapProcessor, data: TrainingSet) -> None:
        self.processor = processor
        self.data = data

    def prompts(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """``input_ids``, ``attention_mask`` and ``labels`` of the examples."""
        texts = [
            teacher_text(
                self.data.clips[x.row].row,
                " ".join(text for text in (clue_prompt((), x.lesson.voice), x.lesson.parsed) if text),
            )
            for x in examples
        ]
        instructions = [item.lesson.instruction for item in examples]
        responses = [item.lesson.response for item in examples]
        return dict(self.processor.prompts([0] * len(texts), instructions, texts, responses))

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        """The same, with the ``ids`` of the clips and the ``numbers`` of the examples."""
        return {**self.prompts(examples), **_names(self.data, examples)}


class StudentBatch:
    """What the student hears and is asked, and what its teacher needs.

    Args:
        processor: the model's.
        data: the clips.
        teacher: the teacher's prompts; None for training without a teacher.
        cache: the teacher's hidden states; None for a live teacher.
    """

    def __init__(
        self,
        processor: AlignCapProcessor,
        data: TrainingSet,
        teacher: TeacherPrompts | None,
        cache: TeacherCache | None,
    ) -> None:
        self.processor = processor
        self.data = data
        self.teacher = teacher
        self.cache = cache

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        """Inputs of `Student.forward`, with the ``ids`` of the clips and the ``numbers`` of the examples."""
        rows = [item.row for item in examples]
        heard = []
        for item in examples:
            states, (start, end) = self.data.states[item.row], item.left_out
            heard.append(np.concatenate([states[:start], states[end:]]) if end else states)
        padded, mask = pad_states(heard)
        counts = [embedding_count(self.processor.config.bridge_config, len(states)) for states in heard]
        batch: dict[str, Any] = {
            "states": padded,
            "states_mask": mask,
            "targets": self.data.targets[rows],
            "allowed": self.data.allowed[rows],
            **self.processor.prompts(
                counts,
                [item.lesson.instruction for item in examples],
                [item.clues for item in examples],
                [item.lesson.response for item in examples],
            ),
            **_names(self.data, examples),
        }
        if self.teacher is None:
            return batch
        prompts = self.teacher.prompts(examples)
        if self.cache is None:
            batch.update({f"teacher_{name}": value for name, value in prompts.items()})
        else:
            batch["teacher_hidden"] = torch.cat(self.cache.states(prompts))
        return batch


def _names(data: TrainingSet, examples: Sequence[Example]) -> dict[str, Any]:
    return {"ids": [data.clips[item.row].id for item in examples], "numbers": [item.number for item in examples]}
