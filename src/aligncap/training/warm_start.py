"""The bridge's warm start: utterance summary, linear emotion head, then the bridge with a head of its own.

Trained from cold on captions, the language model learns to write fluently and to ignore the speech. So the parts
in front of it first learn what emotion the clips carry, by their labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap.errors import AlignCapError
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.model.configuration import EMOTIONS
from aligncap.model.utterance import UtteranceSummary, tap_means
from aligncap.objectives import set_cross_entropy
from aligncap.training.data import TrainingSet, pad_states
from aligncap.training.progress import progress_bar
from aligncap.training.recipe import WarmStartStage

__all__ = [
    "TrainingSet",
    "fit_emotion_head",
    "fit_linear_head",
    "out_of_fold",
    "pad_states",
    "prior_shift",
    "summaries",
    "warm_start",
]


def summaries(states: Sequence[NDArray[np.float16]]) -> Tensor:
    """Tap means of each clip: (N, taps * width)."""
    return torch.cat([tap_means(*pad_states([item])) for item in states])


def fit_linear_head(
    x: Tensor, targets: Tensor, allowed: Tensor, weights: Tensor, penalty: float, unrestricted: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Multinomial regression with set-valued labels and an L2 penalty, by L-BFGS.

    Args:
        x: (N, size) summaries.
        targets: (N, classes) bool.
        allowed: (N, classes) bool.
        weights: (N,).
        penalty: factor of the squared norm of the weights.
        unrestricted: share of the loss that is taken over all classes rather than over ``allowed``. Without any,
            nothing says how likely a class is that a corpus lacks, and one that few corpora label is heard
            everywhere.

    Returns:
        weight (classes, size) and bias (classes,).
    """
    weight = torch.zeros(targets.shape[1], x.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    everything = torch.ones_like(allowed)
    solver = torch.optim.LBFGS([weight, bias], max_iter=80, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        logits = x @ weight.T + bias
        losses = set_cross_entropy(logits, targets, allowed)
        if unrestricted:
            losses = (1 - unrestricted) * losses + unrestricted * set_cross_entropy(logits, targets, everything)
        loss = (losses * weights).sum() / weights.sum() + penalty * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach(), bias.detach()


def prior_shift(logits: Tensor, weights: Tensor, prior: Tensor, rounds: int = 200) -> Tensor:
    """What to add to each class's logit so that its mean probability is the prior's (Saerens et al. 2002, reversed).

    Args:
        logits: (N, classes).
        weights: (N,).
        prior: (classes,) of any sum; a class of prior 0 is left as it is.

    Returns:
        (classes,)
    """
    wanted = prior / prior.sum()
    shift = torch.zeros_like(wanted)
    for _ in range(rounds):
        mean = ((logits + shift).softmax(-1) * weights[:, None]).sum(0) / weights.sum()
        step = 0.5 * (wanted.clamp(min=1e-6) / mean.clamp(min=1e-6)).log()
        shift = shift + torch.where(prior > 0, step, torch.zeros_like(step))
    return shift


def fit_emotion_head(x: Tensor, data: TrainingSet, stage: WarmStartStage) -> tuple[Tensor, Tensor]:
    """The linear emotion head: corpora count equally, and biases are drawn towards a prior over emotions.

    What a corpus's label set and size say about how frequent an emotion is does not hold elsewhere; leaving a
    corpus out shows that both help (`benchmarks/leave_one_corpus_out.py`).

    Args:
        x: (N, size) summaries of ``data``.
        data: N clips.
        stage: see `WarmStartStage`.

    Returns:
        weight (emotions, size) and bias (emotions,).
    """
    sizes = Counter(clip.corpus for clip in data.clips)
    weights = data.weights * torch.tensor([sizes[clip.corpus] ** -0.5 for clip in data.clips])
    known = ~data.targets.all(1)  # of the others neither a label nor a caption names an emotion
    if not bool(known.any()):
        raise AlignCapError("no clip has a label or a caption that names an emotion: the emotion head needs some")
    x, targets, weights = x[known], data.targets[known], weights[known]
    weight, bias = fit_linear_head(x, targets, data.allowed[known], weights, stage.penalty, stage.unrestricted)
    prior = torch.tensor([stage.prior.get(emotion, 1.0) for emotion in EMOTIONS]) * targets.any(0)
    if stage.prior_strength:
        bias = bias + stage.prior_strength * prior_shift(x @ weight.T + bias, weights, prior)
    return weight, bias


def out_of_fold(x: Tensor, data: TrainingSet, stage: WarmStartStage, seed: int) -> Tensor:
    """Emotion logits (N, classes) of each clip from a head that was fitted on other speakers.

    These are the hypotheses that clue prompts carry in training: as often wrong as they will be on new speakers.

    Args:
        x: (copies * N, size) summaries of ``data``, then of its copies at other speeds.
        data: N clips.
        stage: see `WarmStartStage`.
        seed: of the folds.
    """
    copies = len(x) // len(data)
    speakers = sorted({(clip.corpus, clip.speaker) for clip in data.clips})
    order = np.random.default_rng(seed).permutation(len(speakers))
    fold_of = {speakers[index]: place % stage.folds for place, index in enumerate(order)}
    fold = np.array([fold_of[clip.corpus, clip.speaker] for clip in data.clips])
    logits = torch.zeros(data.targets.shape)
    for held_out in range(stage.folds):
        rest, held = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        known = np.concatenate([rest + copy * len(data) for copy in range(copies)])
        weight, bias = fit_emotion_head(x[known], data.select(rest.tolist() * copies), stage)
        logits[held] = x[held] @ weight.T + bias
    return logits


def fit_summary(
    model: AlignCapForConditionalGeneration, data: TrainingSet, stage: WarmStartStage, copies: Sequence[Tensor] = ()
) -> Tensor:
    """Estimate the summary's statistics and fit the linear emotion head, in place.

    Args:
        model: whose summary and emotion head are fitted.
        data: N clips.
        stage: see `WarmStartStage`.
        copies: tap means of the clips at each of ``stage.speeds``, (N, taps * width). Each copy counts as another
            speaker's, so that the directions in which speed moves a summary are damped like those in which speakers
            differ.

    Returns:
        ((1 + copies) * N, taps * width) summaries, of the recordings first.
    """
    means = torch.cat([summaries(data.states), *copies])
    speakers = [f"{clip.corpus}/{clip.speaker}" for clip in data.clips]
    at_speeds = [f"{speaker}@{speed}" for speed in stage.speeds[: len(copies)] for speaker in speakers]
    summary: UtteranceSummary = model.summary
    summary.fit(means, speakers + at_speeds, stage.nuisance_strength)
    x = summary.normalise(means)
    weight, bias = fit_emotion_head(x, data.select(list(range(len(data))) * (1 + len(copies))), stage)
    with torch.no_grad():
        model.emotion_head.weight.copy_(weight)
        model.emotion_head.bias.copy_(bias)
    return x


def warm_start(
    model: AlignCapForConditionalGeneration, data: TrainingSet, stage: WarmStartStage, seed: int
) -> list[float]:
    """Train layer mix, bridge and the bridge's head, in place.

    Returns:
        The mean loss of each epoch.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    parameters = [model.layer_weights, *model.bridge.parameters(), *model.bridge_head.parameters()]
    steps = stage.epochs * (len(data) // stage.batch_size)
    optimizer = torch.optim.AdamW(parameters, stage.learning_rate, weight_decay=stage.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, stage.learning_rate, total_steps=max(steps, 1))
    model.bridge.train()
    epochs = []
    with progress_bar() as bar:
        task = bar.add_task("warm start of the bridge", total=steps)
        for _ in range(stage.epochs):
            order = rng.permutation(len(data))
            total = 0.0
            for at in range(0, len(order) - stage.batch_size + 1, stage.batch_size):
                rows = order[at : at + stage.batch_size]
                states, mask = pad_states([drop_frames(data.states[r], stage.frame_dropout, rng) for r in rows])
                logits = model.hear_states(states, mask).bridge_logits
                losses = set_cross_entropy(logits, data.targets[rows], data.allowed[rows])
                loss = (losses * data.weights[rows]).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
                bar.advance(task)
            epochs.append(total / max(len(order) // stage.batch_size, 1))
            bar.console.print(f"warm start: epoch {len(epochs)}, loss {epochs[-1]:.3f}", highlight=False)
    model.bridge.eval()
    return epochs


def drop_frames(states: NDArray[np.float16], share: float, rng: np.random.Generator) -> NDArray[np.float16]:
    """Leave out a random stretch of at most ``share`` of a clip's frames."""
    length = len(states)
    cut = int(rng.uniform(0, share) * length)
    if cut == 0 or length - cut < 2:
        return states
    start = int(rng.integers(0, length - cut + 1))
    return np.concatenate([states[:start], states[start + cut :]])
