"""Pairs as training data: which clips they are about, in which order they come, and as tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from aligncap.model import AlignCapProcessor
from aligncap.model.bridge import embedding_count
from aligncap.preferences.pairs import Pair
from aligncap.training.data import TrainingSet, pad_states

__all__ = ["PairBatch", "PairExample", "PairOrder", "PairSet"]


@dataclass(frozen=True)
class PairExample:
    """One pair in its turn.

    Attributes:
        number: of the example in the run.
        pair: its place in the `PairSet`.
    """

    number: int
    pair: int


class PairSet:
    """Pairs whose clips are at hand.

    Args:
        pairs: in the order of their file.
        data: the clips.

    Attributes:
        pairs: those about clips of ``data``.
        rows: the row of ``data`` of each of them.
        missing: ids of clips that are not there (another split, another manifest, an unusable recording), each once,
            with the number of their pairs.
        kinds: of the pairs, sorted.
    """

    def __init__(self, pairs: Sequence[Pair], data: TrainingSet) -> None:
        row_of = {clip.id: row for row, clip in enumerate(data.clips) if data.copies[row] == 0}
        self.data = data
        self.pairs = [pair for pair in pairs if pair.id in row_of]
        self.rows = [row_of[pair.id] for pair in self.pairs]
        self.missing: dict[str, int] = {}
        for pair in pairs:
            if pair.id not in row_of:
                self.missing[pair.id] = self.missing.get(pair.id, 0) + 1
        self.kinds = sorted({pair.kind for pair in self.pairs})

    def __len__(self) -> int:
        return len(self.pairs)

    def parted(self, share: float, seed: int) -> tuple[list[int], list[int]]:
        """Places of the pairs to train on, and of those held out; all pairs of a clip lie on one side.

        The choice has nothing to do with that of the clips to sample from, under the same seed too.
        """
        out: tuple[list[int], list[int]] = ([], [])
        for place, row in enumerate(self.rows):
            digest = hashlib.sha256(f"held out/{seed}/{self.data.clips[row].id}".encode()).digest()
            out[int.from_bytes(digest[:8], "big") < share * 2**64].append(place)
        return out

    def digest(self) -> str:
        """Hash of all that the log-probabilities of the captions depend on besides the model."""
        digest = hashlib.sha256()
        heard: set[int] = set()
        for pair, row in zip(self.pairs, self.rows, strict=True):
            texts = (pair.id, pair.instruction, pair.clues, pair.chosen, pair.rejected)
            digest.update(json.dumps(texts).encode())
            if row not in heard:
                heard.add(row)
                digest.update(np.ascontiguousarray(self.data.states[row]).tobytes())
        return digest.hexdigest()[:32]


class PairOrder(Dataset[PairExample]):
    """The pairs of a run in order: each once, shuffled, then each once more, and so on.

    Args:
        places: of the pairs.
        length: examples of the run.
        seed: of the shuffling.
    """

    def __init__(self, places: Sequence[int], length: int, seed: int) -> None:
        self._places = np.array(places, int)
        self._length = length
        self._seed = seed
        self._epoch: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> PairExample:
        epoch, place = divmod(number, len(self._places))
        if self._epoch[0] != epoch:
            rng = np.random.default_rng((self._seed, epoch))
            self._epoch = (epoch, rng.permutation(self._places))
        return PairExample(number, int(self._epoch[1][place]))


class PairBatch:
    """Pairs to the inputs of `Policy.forward`.

    Args:
        processor: the model's.
        pairs: all of the run.
        reference: (2, pairs) log-probabilities under the reference; None: it is live.
    """

    def __init__(self, processor: AlignCapProcessor, pairs: PairSet, reference: Tensor | None = None) -> None:
        self.processor = processor
        self.pairs = pairs
        self.reference = reference

    def inputs(self, places: Sequence[int]) -> dict[str, Tensor]:
        """What the model hears and is asked: see `response_log_probs`; the chosen captions first."""
        pairs = [self.pairs.pairs[place] for place in places]
        heard = [self.pairs.data.states[self.pairs.rows[place]] for place in places]
        states, mask = pad_states(heard)
        counts = [embedding_count(self.processor.config.bridge_config, len(item)) for item in heard]
        prompts = self.processor.prompts(
            counts * 2,
            [pair.instruction for pair in pairs] * 2,
            [pair.clues for pair in pairs] * 2,
            [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs],
        )
        return {"states": states, "states_mask": mask, **prompts}

    def __call__(self, examples: list[PairExample]) -> dict[str, Any]:
        """The same with margins, kinds and the reference, the ``ids`` of the clips and ``numbers`` of the examples."""
        places = [example.pair for example in examples]
        pairs = [self.pairs.pairs[place] for place in places]
        batch: dict[str, Any] = {
            **self.inputs(places),
            "margins": torch.tensor([pair.margin for pair in pairs]),
            "kinds": torch.tensor([self.pairs.kinds.index(pair.kind) for pair in pairs]),
            "ids": [pair.id for pair in pairs],
            "numbers": [example.number for example in examples],
        }
        if self.reference is not None:
            batch["reference"] = self.reference[:, places]
        return batch
