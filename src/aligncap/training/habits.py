"""What a trained model is likely to write, kept with its checkpoint so that decoding can guess ahead."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.model.processing import HABITS_FILE
from aligncap.preferences.pairs import read_pairs
from aligncap.training.data import TrainingSet
from aligncap.training.examples import Examples
from aligncap.training.recipe import CaptionRules

__all__ = ["chosen_captions", "learnt_captions", "write_habits"]

_MOST = 300


def write_habits(checkpoint: Path, captions: Iterable[str]) -> None:
    """Write at most 300 captions, a line each, as `AlignCapProcessor` reads them.

    The model's own captions serve best: who wants the last tenth of the speed captions 300 recordings and writes what
    came out into the same file.
    """
    lines = [" ".join(caption.split()) + "\n" for caption in islice(captions, _MOST)]
    (checkpoint / HABITS_FILE).write_text("".join(lines), encoding="utf-8")


def learnt_captions(data: TrainingSet, rules: CaptionRules, seed: int) -> Iterable[str]:
    """Answers to the default instruction, of clips in random order."""
    examples = Examples(data, rules, seed)
    for row in np.random.default_rng(seed).permutation(len(data)):
        for index in range(rules.per_clip):
            lesson = examples.lesson(int(row), index)
            if lesson.instruction == DEFAULT_INSTRUCTION:
                yield lesson.response
                break


def chosen_captions(pairs: Path) -> Iterable[str]:
    """The preferred answers to the default instruction, each once."""
    known = read_pairs(pairs, on_problem=lambda line: None)  # what is wrong with the file was told before training
    return dict.fromkeys(pair.chosen for pair in known if pair.instruction == DEFAULT_INSTRUCTION)
