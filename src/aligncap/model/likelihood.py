"""Likelihood of given answers under the model: zero-shot classification through the language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from aligncap.model.modeling import AlignCapForConditionalGeneration, SpeechEmbeddings
    from aligncap.model.prefix import Prefix

__all__ = ["distinguishing", "label_probabilities", "log_likelihoods"]


def label_probabilities(
    model: AlignCapForConditionalGeneration,
    inputs: Any,
    speech: SpeechEmbeddings | None,
    answers: Sequence[Sequence[int]],
    prefix: Prefix | None = None,
) -> Tensor:
    """Probability of each answer among those given: softmax over their total `log_likelihoods`.

    Args:
        model: see there, as for all arguments.

    Returns:
        (batch, answers), rows summing to 1; float32.
    """
    return log_likelihoods(model, inputs, speech, answers, prefix).softmax(-1)


@torch.no_grad()
def log_likelihoods(
    model: AlignCapForConditionalGeneration,
    inputs: Any,
    speech: SpeechEmbeddings | None,
    answers: Sequence[Sequence[int]],
    prefix: Prefix | None = None,
) -> Tensor:
    """Log-likelihood of each answer after each prompt.

    The prompt is run once; its cache is then shared by all the answers.

    Args:
        model: in evaluation mode.
        inputs: ``input_ids`` and ``attention_mask`` of a batch of prompts (padded on the left).
        speech: speech embeddings of the batch; None for text alone.
        answers: token ids of each answer, with the end-of-turn token, so that no answer is favoured for being
            the beginning of another; or cut short by `distinguishing`.
        prefix: state after a beginning of these prompts that was run before (it is not used up).

    Returns:
        (batch, answers), float32.
    """
    mask: Tensor = inputs["attention_mask"]
    batch, count, longest = len(mask), len(answers), max(map(len, answers))
    if prefix is None:
        hidden, state = model.read(model.embed(inputs["input_ids"], speech), mask)
    else:
        hidden, state = model.read(model.embed(inputs["input_ids"][:, prefix.length :], None), mask, prefix.copy())
    head = model.get_output_embeddings()
    first = head(hidden[:, -1]).float().log_softmax(-1)
    padded = torch.zeros(count, longest, dtype=torch.long, device=mask.device)
    given = torch.zeros(count, longest, dtype=torch.bool, device=mask.device)
    for row, answer in enumerate(answers):
        padded[row, : len(answer)] = torch.tensor(list(answer), device=mask.device)
        given[row, : len(answer)] = True
    scores = first[:, padded[:, 0]]
    if longest > 1:
        state.batch_repeat_interleave(count)
        fed = padded[:, :-1].repeat(batch, 1)
        full_mask = torch.cat([mask.repeat_interleave(count, 0), given[:, :-1].repeat(batch, 1).to(mask.dtype)], 1)
        hidden, _ = model.read(model.embed(fed, None), full_mask, state)
        later = head(hidden).float().log_softmax(-1)
        later = later.gather(-1, padded[:, 1:].repeat(batch, 1).unsqueeze(-1)).squeeze(-1)
        later = (later * given[:, 1:].repeat(batch, 1)).sum(-1)
        scores = scores + later.view(batch, count)
    return scores


def distinguishing(answers: Sequence[Sequence[int]]) -> list[list[int]]:
    """Each answer's shortest beginning with which no other answer begins.

    Its likelihood is that of all answers that begin so. Where every first token is different, as it is for most
    emotion words, one token is enough to tell the answers apart, and no further pass is needed.

    Raises:
        ValueError: an answer is the beginning of another, or stands there twice.
    """
    out = []
    for index, answer in enumerate(answers):
        others = [other for place, other in enumerate(answers) if place != index]
        for size in range(1, len(answer) + 1):
            if all(list(other[:size]) != list(answer[:size]) for other in others):
                out.append(list(answer[:size]))
                break
        else:
            raise ValueError(f"answer {index} is the beginning of another, or the same")
    return out
