"""Training of the encoder-decoder baseline, on the captions that a recipe's student learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncap.baselines.encoder_decoder import EncoderDecoder, Shape
from aligncap.baselines.mel import BANDS, MelFile
from aligncap.baselines.vocabulary import Vocabulary
from aligncap.training.data import TrainingSet
from aligncap.training.examples import Example, Examples, Windows
from aligncap.training.networks import Reader
from aligncap.training.progress import progress_bar, say
from aligncap.training.recipe import Recipe
from aligncap.training.run import Run
from aligncap.training.stage import run_stage
from aligncap.training.stages import claim, key_hash, stage_key

__all__ = ["Batch", "train_encoder_decoder"]

_MOST_BANDS, _MOST_TIME = 12, 0.2  # left out of a clip at random (SpecAugment, Park et al. 2019)


def train_encoder_decoder(
    recipe: Recipe, folder: Path, shape: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Train from scratch, going on from the last checkpoint.

    The recipe's ``align`` says how long, in which batches and at which rate; its weights of losses play no part.

    Args:
        recipe: see `Recipe`.
        folder: of the baseline.
        shape: fields of `Shape` that differ from its defaults.

    Returns:
        What a baseline's folder tells of it, and its weights.

    Raises:
        Stopped: SIGINT or SIGTERM came; a checkpoint was saved.
    """
    run = Run(recipe)
    data = run.data("train").select(run.captioned("train"))
    rules = replace(recipe.captions, default_share=1.0, word_share=0.0, clue_share=1.0)
    examples = Examples(data, rules, recipe.seed)
    captions = (examples.lesson(row, pair).response for row in range(len(data)) for pair in range(rules.per_clip))
    vocabulary = Vocabulary.of(captions)
    training = folder / "training"
    key = {**stage_key(recipe, "align", "train"), "baseline": 1, **(shape or {})}
    claim(training, key)
    with progress_bar() as bar:
        task = bar.add_task("log-mel frames", total=len(data))
        root = Path(recipe.manifest).absolute().parent
        frames = MelFile(data.clips, root, training / "frames.npy", lambda: bar.advance(task))
    torch.manual_seed(recipe.seed)
    wanted = Shape(len(vocabulary), **(shape or {}))
    network = EncoderDecoder(wanted)
    say(f"encoder-decoder: {sum(p.numel() for p in network.parameters()):,} parameters, {len(vocabulary)} words")
    stage = recipe.align
    windows = Windows(examples, stage.steps, stage.batch_size)
    run_stage(
        "encoder-decoder",
        cast("Reader", network),  # a module whose forward pass gives sums of losses, as it is
        stage,
        training,
        windows,
        Batch(data, frames, vocabulary),
        {"ce": 1.0},
        {},
        key_hash(key),
        recipe.seed,
    )
    settings = {"shape": wanted.to_dict(), "vocabulary": list(vocabulary.words)}
    trained = {"clips": len(data), "steps": stage.steps, "batch_size": stage.batch_size}
    about = {"emotions": [], "base_weights": {}, "settings": settings, "trained": trained}
    return about, {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}


class Batch:
    """From examples to tensors.

    Args:
        data: the clips.
        frames: of their recordings.
        vocabulary: of the captions.
    """

    def __init__(self, data: TrainingSet, frames: MelFile, vocabulary: Vocabulary) -> None:
        self._data = data
        self._frames = frames
        self._vocabulary = vocabulary

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Inputs of `EncoderDecoder.forward`, with the ``ids`` of the clips and the ``numbers`` of the examples."""
        heard = [_with_holes(self._frames[one.row], one.number) for one in examples]
        words = [torch.tensor(self._vocabulary.ids(one.lesson.response)) for one in examples]
        return {
            "frames": torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one) for one in heard], batch_first=True),
            "lengths": torch.tensor([len(one) for one in heard]),
            "labels": torch.nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=-100),
            "ids": [self._data.clips[one.row].id for one in examples],
            "numbers": [one.number for one in examples],
        }


def _with_holes(frames: NDArray[np.float16], seed: int) -> NDArray[np.float32]:
    """A copy with some bands and a stretch of time at their means; the same for the same example."""
    rng = np.random.default_rng(seed)
    found = frames.astype(np.float32)
    bands, first = int(rng.integers(_MOST_BANDS + 1)), int(rng.integers(BANDS - _MOST_BANDS))
    found[:, first : first + bands] = 0.0
    length = int(rng.uniform(0, _MOST_TIME) * len(found))
    start = int(rng.integers(len(found) - length + 1))
    found[start : start + length] = 0.0
    return found
