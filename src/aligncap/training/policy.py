"""The policy: the model that hears, as preference optimisation trains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aligncap.errors import RecipeError
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.model.responses import response_states
from aligncap.objectives import chosen_nll, dpo, hinge, ipo, kto, per_response, simpo, token_log_probs
from aligncap.training.recipe import PreferStage

__all__ = ["Policy", "pair_losses", "response_log_probs"]

_FIGURES = (
    "accuracy",
    "reward_margin",
    "chosen_log_prob",
    "rejected_log_prob",
    "chosen_change",
    "rejected_change",
    "kl",
)


def response_log_probs(model: AlignCapForConditionalGeneration, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of responses.

    Args:
        model: the model.
        batch: ``states`` and ``states_mask`` of C clips, and ``input_ids``, ``attention_mask`` and ``labels`` of R = 2C
            prompts with responses: those of all clips once, and once more.

    Returns:
        (R,) sums over each response's tokens, its end among them, in nats; (R,) numbers of these tokens.
    """
    speech = model.hear_states(batch["states"], batch["states_mask"])
    speech = speech.select([*range(len(batch["states"]))] * 2)
    embedded = model.embed(batch["input_ids"], speech)
    hidden, targets = response_states(model.language_model, embedded, batch["attention_mask"], batch["labels"])
    head = model.language_model.get_output_embeddings().weight
    return per_response(token_log_probs(hidden, head, targets), batch["labels"])


def pair_losses(
    stage: PreferStage, policy: Tensor, reference: Tensor, counts: Tensor, margins: Tensor
) -> tuple[Tensor, Tensor]:
    """The losses of pairs.

    Args:
        stage: names the loss and its settings.
        policy: (2, pairs) log-probabilities of the chosen and the rejected captions, summed over tokens.
        reference: (2, pairs) likewise.
        counts: (2, pairs) tokens.
        margins: (pairs,) of the pairs, in (0, 1].

    Returns:
        (pairs,) preference losses, and (pairs,) negative log-likelihoods of the chosen captions, per token.

    Raises:
        RecipeError: an unknown loss.
    """
    good, bad = policy - reference
    asked = {"beta": stage.beta, "margin": stage.margin_scale * margins, "reduction": "none"}
    smoothed = {**asked, "label_smoothing": stage.label_smoothing}
    losses: Tensor
    if stage.loss == "dpo":
        losses = dpo(good, bad, **smoothed)  # type: ignore[arg-type]
    elif stage.loss == "ipo":
        losses = ipo(good, bad, **asked)  # type: ignore[arg-type]
    elif stage.loss == "hinge":
        losses = hinge(good, bad, **asked)  # type: ignore[arg-type]
    elif stage.loss == "simpo":
        smoothed["gamma"] = smoothed.pop("margin")
        losses = simpo(*policy, *counts, **smoothed)  # type: ignore[arg-type]
    elif stage.loss == "kto":
        judged = torch.tensor([True, False], device=good.device)[:, None].expand(2, len(good))
        losses = kto(policy - reference, judged, 0.0, beta=stage.beta, reduction="none").mean(0)
    else:
        raise RecipeError(f"recipe: prefer.loss is {stage.loss!r}; choose one of dpo, ipo, hinge, simpo, kto")
    return losses, chosen_nll(policy[0], counts[0], reduction="none")


_TIE = 1e-3  # nats: a lead that rounding may make counts half


class Policy(nn.Module):
    """The model that is trained on pairs, with what it was before as its reference.

    Args:
        model: the policy; begins as the reference.
        stage: see `PreferStage`.
        kinds: of all pairs of the run, of which the loss is told one by one.
    """

    def __init__(self, model: AlignCapForConditionalGeneration, stage: PreferStage, kinds: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.stage = stage
        self.kinds = tuple(kinds)
        self._own = {f"model.{name}" for name in model.own_state()}
        self._reference: dict[str, Tensor] = {}

    @property
    def figure_names(self) -> list[str]:
        """Names of what `forward` gives."""
        by_kind = [f"{what}/{kind}" for kind in self.kinds for what in ("sum", "pairs")]
        return ["preference", "nll", *_FIGURES, *by_kind]

    @property
    def language_model(self) -> Any:
        """The policy's."""
        return self.model.language_model

    def is_own(self, name: str) -> bool:
        """Whether a tensor of this name is trained or estimated by us."""
        return name in self._own

    def train(self, mode: bool = True) -> Policy:
        """As of any module; but a bridge that is not trained has no dropout either."""
        super().train(mode)
        if not self.stage.train_bridge:
            self.model.eval()
            self.model.language_model.train(mode)
        return self

    def remember(self) -> None:
        """Keep what trains as it is now, as a live reference."""
        trained = self.model.named_parameters()
        self._reference = {name: p.detach().clone() for name, p in trained if p.requires_grad}

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """Within the block the model is what it was when `remember` was called."""
        training, now = self.training, {}
        parameters = dict(self.model.named_parameters())
        self.eval()
        for name, tensor in self._reference.items():
            now[name], parameters[name].data = parameters[name].data, tensor.to(parameters[name].device)
        try:
            yield
        finally:
            for name, tensor in now.items():
                parameters[name].data = tensor
            self.train(training)

    def forward(
        self,
        margins: Tensor,
        kinds: Tensor,
        reference: Tensor | None = None,
        **batch: Tensor,
    ) -> dict[str, Tensor]:
        """Sums over a batch of pairs, by name.

        Args:
            margins: (pairs,).
            kinds: (pairs,) numbers of their kinds.
            reference: (2, pairs) log-probabilities under the reference; None: it is asked now.
            batch: see `response_log_probs`; the chosen captions first.

        Returns:
            ``preference`` and ``nll``, which are optimised; and without gradient what `PreferStage` lists.
        """
        if reference is None:
            with torch.no_grad(), self.as_reference():
                reference = response_log_probs(self.model, batch)[0].view(2, -1)
        sums, counts = response_log_probs(self.model, batch)
        policy, counts = sums.view(2, -1), counts.view(2, -1)
        losses, nll = pair_losses(self.stage, policy, reference.to(policy), counts, margins.to(policy))
        out = {"preference": losses.sum(), "nll": nll.sum()}
        with torch.no_grad():
            out.update(self._figures(losses, policy, reference.to(policy), counts, kinds))
        return out

    def _figures(
        self, losses: Tensor, policy: Tensor, reference: Tensor, counts: Tensor, kinds: Tensor
    ) -> dict[str, Tensor]:
        change = policy - reference
        good, bad = policy / counts if self.stage.loss == "simpo" else change
        lead = good - bad
        figures = (
            ((lead > _TIE).float() + (lead >= -_TIE).float()).sum() / 2,
            self.stage.beta * lead.sum(),
            *(policy / counts).sum(1),
            *(change / counts).sum(1),
            -(change / counts).mean(0).sum(),
        )
        out = dict(zip(_FIGURES, figures, strict=True))
        for number, kind in enumerate(self.kinds):
            of_kind = kinds == number
            out[f"sum/{kind}"] = losses[of_kind].sum()
            out[f"pairs/{kind}"] = of_kind.to(losses.dtype).sum()
        return out
