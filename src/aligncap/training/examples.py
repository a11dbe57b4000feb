"""What a run learns from: example number i depends on the seed and on i alone.

The captions of a clip are finite in number (`CaptionRules.per_clip`), so that a teacher's hidden states on them can
be kept; everything else about an example (the clue prompt's hypotheses, the frames left out) is drawn afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from aligncap.captions import answer, clue_prompt, instructions_for
from aligncap.captions.parser import parse_clues
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION
from aligncap.training.data import Clip, TrainingSet, facts, main_label
from aligncap.training.recipe import CaptionRules

__all__ = ["Example", "Examples", "Lesson", "Windows", "has_captions", "trusted"]


@dataclass(frozen=True)
class Lesson:
    """One of the finitely many (instruction, caption) pairs of a clip.

    Attributes:
        instruction: what is asked.
        voice: measured clues in words that the prompt may tell and the caption may claim; empty for a prompt
            without clues.
        clued: whether the prompt carries a clue prompt.
        response: the caption.
        parsed: clues parsed from a caption that people wrote: for the teacher's side alone, as they tell the answer.
    """

    instruction: str
    voice: tuple[tuple[str, str], ...]
    clued: bool
    response: str
    parsed: str = ""


@dataclass(frozen=True)
class Example:
    """One prompt and the answer to learn.

    Attributes:
        number: of the example in the run.
        row: of the training set.
        pair: which of the row's lessons.
        lesson: instruction and caption.
        clues: the student's clue prompt, computed from speech alone.
        left_out: frames [start, end) of the clip that are not heard.
    """

    number: int
    row: int
    pair: int
    lesson: Lesson
    clues: str
    left_out: tuple[int, int]

    @property
    def size(self) -> float:
        """Rough length of its prompt in tokens, to put examples of like lengths together."""
        text = self.lesson.instruction + self.clues + self.lesson.response
        return len(text) / 4 - 0.4 * (self.left_out[1] - self.left_out[0])


def has_captions(clip: Clip, share: float, seed: int) -> bool:
    """Whether the clip is among the given share of clips; those of a smaller share are among those of a larger."""
    return crc32(f"{seed}/{clip.id}".encode()) < share * 2**32


class Examples:
    """The examples of a run.

    Args:
        data: captioned clips.
        rules: see `CaptionRules`.
        seed: of every random choice.
        hypotheses: (clips, emotions) out-of-fold logits of the emotion head; None where no student is trained.
        emotions: their labels.
        frame_dropout: greatest share of a clip's frames left out.
        order: seed of which examples come when, with which hypotheses and frames; None: ``seed``, which then is of
            the captions alone.
    """

    def __init__(
        self,
        data: TrainingSet,
        rules: CaptionRules,
        seed: int,
        hypotheses: Tensor | None = None,
        emotions: Sequence[str] = (),
        frame_dropout: float = 0.0,
        order: int | None = None,
    ) -> None:
        self.data = data
        self.rules = rules
        self.seed = seed
        self.order = seed if order is None else order
        self.hypotheses = hypotheses
        self.emotions = list(emotions)
        self.frame_dropout = frame_dropout
        shares = data.weights.double().numpy()
        self._cumulative = np.cumsum(shares / shares.sum())

    def lesson(self, row: int, index: int) -> Lesson:
        """Pair number ``index`` (below ``rules.per_clip``) of a row.

        The default instruction is answered by one of the row's own captions where the manifest has any; all else is
        written by the grammar. A row without a label learns its own captions only.
        """
        clip = self.data.clips[row]
        rng = np.random.default_rng((self.seed, crc32(clip.id.encode()), self.data.copies[row], index))
        draw, clued = rng.random(), bool(rng.random() < self.rules.clue_share)
        voice = tuple(self.data.voice[row]) if clued else ()
        known = facts(clip, voice)
        if draw < self.rules.default_share or not known.emotions:
            instruction = DEFAULT_INSTRUCTION
        elif draw < self.rules.default_share + self.rules.word_share:
            instruction = WORD_INSTRUCTION
        else:
            instruction = str(rng.choice(instructions_for(known)))
        if instruction == DEFAULT_INSTRUCTION and clip.row.captions:
            caption = " ".join(str(rng.choice(clip.row.captions)).split())
            return Lesson(instruction, voice, clued, caption, _parsed(caption))
        return Lesson(instruction, voice, clued, answer(known, instruction, rng))

    def __call__(self, number: int) -> Example:
        """Example ``number``: which clip, which pair, which hypotheses, which frames."""
        rng = np.random.default_rng((self.order, number))
        row = min(int(np.searchsorted(self._cumulative, rng.random(), side="right")), len(self.data) - 1)
        pair = int(rng.integers(self.rules.per_clip))
        lesson = self.lesson(row, pair)
        clues = self._clues(row, lesson, rng)
        return Example(number, row, pair, lesson, clues, _stretch(len(self.data.states[row]), self.frame_dropout, rng))

    def _clues(self, row: int, lesson: Lesson, rng: np.random.Generator) -> str:
        if not lesson.clued:
            return ""
        emotions: list[tuple[str, float]] = []
        if self.rules.hypotheses and self.hypotheses is not None:
            label, logits = main_label(self.data.clips[row]), self.hypotheses[row]
            if label in self.emotions:
                column = self.emotions.index(label)
                logits = trusted(logits, self.data.targets[row], column, self.rules.clue_trust, rng)
            emotions = list(zip(self.emotions, logits.softmax(-1).tolist(), strict=True))
        return clue_prompt(emotions, lesson.voice)


@cache
def _parsed(caption: str) -> str:
    """The clues of a caption as text: "Clues: weary, trails off."; empty where there are none."""
    told = dict.fromkeys(clue.text for clue in parse_clues(caption) if clue.kind != "modal" and not clue.negated)
    return f"Clues: {', '.join(told)}." if told else ""


def trusted(logits: Tensor, targets: Tensor, label: int, share: float, rng: np.random.Generator) -> Tensor:
    """Put a wrong hypothesis right in the given share of cases: label and wrong winner change places.

    Args:
        logits: (emotions,).
        targets: (emotions,) bool: what the clip's label may mean.
        label: index of the label.
        share: of the wrong hypotheses that are put right.
        rng: source of randomness.
    """
    best = int(logits.argmax())
    if bool(targets[best]) or rng.random() >= share:
        return logits
    swapped = logits.clone()
    swapped[label], swapped[best] = logits[best], logits[label]
    return swapped


def _stretch(length: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """A random stretch [start, end) of at most ``share`` of the frames; at least two frames stay outside it."""
    cut = int(rng.uniform(0, share) * length)
    if cut == 0 or length - cut < 2:
        return 0, 0
    start = int(rng.integers(0, length - cut + 1))
    return start, start + cut


class Windows(Dataset[Example]):
    """The examples of a run in order, step by step; within a step those of like lengths stand together.

    So a step's examples are the same however they are split over processes and accumulation steps.

    Args:
        draw: example number → example.
        steps: optimiser steps.
        batch_size: examples a step.
    """

    def __init__(self, draw: Callable[[int], Example], steps: int, batch_size: int) -> None:
        self._draw = draw
        self._steps = steps
        self._size = batch_size
        self._window: tuple[int, list[Example]] = (-1, [])

    def __len__(self) -> int:
        return self._steps * self._size

    def __getitem__(self, place: int) -> Example:
        step, offset = divmod(place, self._size)
        if self._window[0] != step:
            examples = [self._draw(step * self._size + number) for number in range(self._size)]
            self._window = (step, sorted(examples, key=lambda example: (example.size, example.number)))
        return self._window[1][offset]
