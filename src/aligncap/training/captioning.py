"""Training on captions: the bridge and the adapters learn to say what the clips' facts allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap.captions import INSTRUCTIONS, answer, clue_prompt, instructions_for
from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION
from aligncap.objectives import set_cross_entropy
from aligncap.training.data import facts
from aligncap.training.features import progress_bar
from aligncap.training.recipe import CaptionStage
from aligncap.training.warm_start import TrainingSet, drop_frames, pad_states

__all__ = ["Example", "make_example", "train_captions"]

_STATE = "state.pt"
# Share of the default instruction and of the one-word answer (on which label likelihoods rest) in training.
_DEFAULT_SHARE, _WORD_SHARE = 0.5, 0.25


@dataclass(frozen=True)
class Example:
    """One prompt and the answer to learn."""

    row: int
    instruction: str
    clues: str
    response: str


def make_example(
    row: int,
    data: TrainingSet,
    logits: Tensor,
    emotions: Sequence[str],
    stage: CaptionStage,
    rng: np.random.Generator,
) -> Example:
    """Draw instruction, clue prompt and answer for one clip.

    Args:
        row: which clip of ``data``.
        data: the training clips.
        logits: (clips, emotions) out-of-fold emotion hypotheses.
        emotions: the model's labels.
        stage: shares of the clue prompt and of hypotheses put right.
        rng: source of all randomness.
    """
    clip, voice = data.clips[row], data.voice[row]
    known = facts(clip, voice)
    draw = rng.random()
    if draw < _DEFAULT_SHARE:
        instruction = DEFAULT_INSTRUCTION
    elif draw < _DEFAULT_SHARE + _WORD_SHARE:
        instruction = WORD_INSTRUCTION
    else:
        instruction = str(rng.choice(instructions_for(known)))
    clues = ""
    if rng.random() < stage.clue_share:
        hypotheses = trusted(logits[row], data.targets[row], emotions.index(clip.emotion), stage.clue_trust, rng)
        clues = clue_prompt(list(zip(emotions, hypotheses.softmax(-1).tolist(), strict=True)), voice)
    elif INSTRUCTIONS[instruction] != "word":
        # nothing measured is at hand: claims about the voice would have no ground
        known = facts(clip, ())
        if instruction not in instructions_for(known):
            instruction = DEFAULT_INSTRUCTION
    return Example(row, instruction, clues, answer(known, instruction, rng))


def trusted(logits: Tensor, targets: Tensor, label: int, share: float, rng: np.random.Generator) -> Tensor:
    """Put a wrong hypothesis right in the given share of cases: label and wrong winner change places."""
    best = int(logits.argmax())
    if bool(targets[best]) or rng.random() >= share:
        return logits
    swapped = logits.clone()
    swapped[label], swapped[best] = logits[best], logits[label]
    return swapped


def train_captions(
    model: AlignCapForConditionalGeneration,
    processor: AlignCapProcessor,
    data: TrainingSet,
    logits: Tensor,
    stage: CaptionStage,
    folder: Path,
    seed: int,
) -> list[float]:
    """Train bridge and adapters, in place; goes on from the last saved state in ``folder``.

    Every step draws its clips and answers from a generator seeded by (seed, step), so that an interrupted run
    sees the same data as one that was not.

    Args:
        model: warm-started.
        processor: the model's.
        data: training clips whose labels are emotions.
        logits: (clips, emotions) out-of-fold emotion hypotheses.
        stage: see `CaptionStage`.
        folder: of the run's state.
        seed: of every random choice.

    Returns:
        The loss of every step.

    Raises:
        AlignCapError: the loss is not finite; the clips of that step are named.
    """
    emotions = list(model.config.emotions)
    model.train_parts()
    model.emotion_head.requires_grad_(False)
    if stage.bf16:
        model.language_model.to(torch.bfloat16)
    adapters = [p for name, p in model.named_parameters() if "lora_" in name]
    for parameter in adapters:
        parameter.data = parameter.data.float()
    rest = [p for name, p in model.named_parameters() if p.requires_grad and "lora_" not in name]
    optimizer = torch.optim.AdamW(
        [
            {"params": adapters, "lr": stage.learning_rate, "weight_decay": 0.0},
            {"params": rest, "lr": stage.bridge_learning_rate, "weight_decay": 0.05},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, stage))
    losses = _resume(model, optimizer, schedule, folder / _STATE)
    chances = data.weights.double().numpy()
    chances = chances / chances.sum()
    model.train()
    with progress_bar() as bar:
        task = bar.add_task("captions", total=stage.steps, completed=len(losses))
        for step in range(len(losses), stage.steps):
            rng = np.random.default_rng((seed, step))
            torch.manual_seed(seed * 1_000_003 + step)
            rows = draw_batch(data, chances, stage.batch_size, rng)
            examples = [make_example(int(row), data, logits, emotions, stage, rng) for row in rows]
            states, mask = pad_states([drop_frames(data.states[row], 0.2, rng) for row in rows])
            speech = model.hear_states(states, mask)
            batch = processor.prompts(
                speech.mask.sum(1).tolist(),
                [example.instruction for example in examples],
                [example.clues for example in examples],
                [example.response for example in examples],
            )
            loss = model(**batch, speech=speech).loss
            heads = set_cross_entropy(speech.bridge_logits, data.targets[rows], data.allowed[rows]).mean()
            total = loss + stage.head_weight * heads
            if not bool(torch.isfinite(total)):
                raise AlignCapError(f"loss {float(total)} at step {step}; clips: {[data.clips[r].id for r in rows]}")
            optimizer.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_([*adapters, *rest], 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            recent = sum(losses[-50:]) / len(losses[-50:])
            bar.update(task, advance=1, description=f"captions (loss {recent:.3f})")
            if (step + 1) % 50 == 0:
                bar.console.print(f"captions: step {step + 1} of {stage.steps}, loss {recent:.3f}", highlight=False)
            if (step + 1) % stage.save_every == 0 or step + 1 == stage.steps:
                _save(model, optimizer, schedule, losses, folder / _STATE)
    model.eval()
    return losses


def draw_batch(
    data: TrainingSet, chances: NDArray[np.float64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw clips of like lengths, each with its chance: four batches are drawn and sorted, one of them is taken."""
    drawn = rng.choice(len(data), 4 * size, p=chances)
    by_length = drawn[np.argsort([len(data.states[row]) for row in drawn], kind="stable")]
    start = int(rng.integers(4)) * size
    return by_length[start : start + size]


def learning_rate(step: int, stage: CaptionStage) -> float:
    """Factor of the peak rate: linear rise, then a cosine to zero."""
    warmup = max(int(stage.warmup * stage.steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(stage.steps - warmup, 1)))


def _save(
    model: AlignCapForConditionalGeneration,
    optimizer: object,
    schedule: object,
    losses: list[float],
    path: Path,
) -> None:
    state = {
        "model": model.own_state(),
        "optimizer": optimizer.state_dict(),  # type: ignore[attr-defined]
        "schedule": schedule.state_dict(),  # type: ignore[attr-defined]
        "losses": losses,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _resume(model: AlignCapForConditionalGeneration, optimizer: object, schedule: object, path: Path) -> list[float]:
    if not path.exists():
        return []
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path}: damaged state of a run ({error}); delete it to begin again") from error
    model.load_own(state["model"])
    optimizer.load_state_dict(state["optimizer"])  # type: ignore[attr-defined]
    schedule.load_state_dict(state["schedule"])  # type: ignore[attr-defined]
    return list(state["losses"])
