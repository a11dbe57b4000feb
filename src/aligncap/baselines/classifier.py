"""A linear classifier of emotions on vectors of numbers, with what it takes to standardise them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aligncap.metrics import macro_recall
from aligncap.training.warm_start import fit_linear_head

__all__ = ["Labelled", "LinearClassifier", "fit", "recalls"]

PENALTIES = (0.001, 0.005, 0.02, 0.1)
"""Of which the one that is best on dev speakers is taken."""


@dataclass(frozen=True)
class Labelled:
    """Clips as vectors, and what their labels may mean.

    Attributes:
        x: (N, size); NaN where a number is not known.
        targets: (N, emotions) bool; see `aligncap.training.data.label_sets`.
        allowed: (N, emotions) bool.
        weights: (N,).
        corpora: of each clip.
    """

    x: Tensor
    targets: Tensor
    allowed: Tensor
    weights: Tensor
    corpora: Sequence[str]


@dataclass(frozen=True)
class LinearClassifier:
    """Softmax regression on standardised numbers and, where it was fitted so, their squares and products.

    Attributes:
        tensors: ``mean``, ``deviation`` (size,), ``weight`` (emotions, terms), ``bias`` (emotions,).
        quadratic: whether squares and products are among the terms.
    """

    tensors: dict[str, Tensor]
    quadratic: bool

    def logits(self, x: Tensor) -> Tensor:
        """(N, size) → (N, emotions); NaN counts as the mean of the training clips."""
        terms = _terms(_standard(x, self.tensors["mean"], self.tensors["deviation"]), self.quadratic)
        return terms @ self.tensors["weight"].T + self.tensors["bias"]

    def probabilities(self, x: Tensor) -> Tensor:
        """(N, size) → (N, emotions), rows summing to 1."""
        return self.logits(x).softmax(-1)


def fit(train: Labelled, dev: Labelled, *, quadratic: bool, unrestricted: float) -> tuple[LinearClassifier, float]:
    """Fit on training clips, with the penalty of `PENALTIES` that has the best mean recall on dev speakers.

    Each corpus's softmax is restricted to its own labels (see `fit_linear_head`).

    Returns:
        The classifier and the penalty.
    """
    x = train.x.double()
    known = torch.isfinite(x)
    counts = known.sum(0).clamp(min=1)
    mean = torch.where(known, x, 0.0).sum(0) / counts
    squares = torch.where(known, (x - mean) ** 2, 0.0).sum(0) / counts
    mean, deviation = mean.float(), squares.sqrt().float() + 1e-4
    terms = _terms(_standard(train.x, mean, deviation), quadratic)
    best: tuple[float, float, LinearClassifier] | None = None
    for penalty in PENALTIES:
        weight, bias = fit_linear_head(
            terms, train.targets, train.allowed, train.weights, penalty, unrestricted=unrestricted
        )
        model = LinearClassifier({"mean": mean, "deviation": deviation, "weight": weight, "bias": bias}, quadratic)
        found = recalls(model, dev)
        score = sum(found.values()) / len(found) if found else 0.0
        if best is None or score > best[0]:
            best = (score, penalty, model)
    assert best is not None
    return best[2], best[1]


def recalls(model: LinearClassifier, clips: Labelled) -> dict[str, float]:
    """Macro recall of each corpus whose labels mean one emotion each, among its own labels."""
    found = {}
    logits = model.logits(clips.x).masked_fill(~clips.allowed, float("-inf"))
    single = clips.targets.sum(1) == 1
    for corpus in sorted(set(clips.corpora)):
        rows = [i for i, name in enumerate(clips.corpora) if name == corpus and single[i]]
        truth = clips.targets[rows].int().argmax(1).tolist()
        if len(set(truth)) > 1:
            found[corpus] = macro_recall(truth, logits[rows].argmax(1).tolist())[0]
    return found


def _standard(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return torch.nan_to_num((x - mean) / deviation, nan=0.0).clamp(-5, 5)


def _terms(x: Tensor, quadratic: bool) -> Tensor:
    if not quadratic:
        return x
    first, second = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat([x, x[:, first] * x[:, second]], 1)
