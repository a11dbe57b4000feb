"""Calibration: what a user's recordings have in common, microphone and room above all, is not emotion.

From some of the user's own recordings, without labels, the mean of the speech encoder's states is estimated; its
distance from the mean of the training recordings is then taken off every recording. Three things keep that from
doing harm, because recordings may also have an emotion in common:

* shrinkage: of n recordings n / (n + 10) of the distance is taken, and never more than 0.6 of it;
* a guard: the more the model hears one emotion in all of them, the less is taken, and nothing where that emotion
  has 0.55 of the probability or more;
* too few recordings, or one emotion only, are refused.

The constants were chosen by leaving one training corpus out (`benchmarks/calibration.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model.utterance import tap_means

if TYPE_CHECKING:
    from aligncap.model import AlignCapForConditionalGeneration

__all__ = ["MIN_RECORDINGS", "Calibration", "identity", "strength"]

MIN_RECORDINGS = 5
_HALF_TRUST = 10
_MOST = 0.6
_ONE_EMOTION, _MIXED = 0.55, 0.35
_LEAST = 0.1
_FORMAT = "aligncap-calibration-1"


def strength(recordings: int, largest_share: float) -> float:
    """How much of the distance is taken off: 0 to 0.6.

    Args:
        recordings: number n of recordings.
        largest_share: mean probability, 0 to 1, of the emotion that the model hears most in them.
    """
    guard = (_ONE_EMOTION - largest_share) / (_ONE_EMOTION - _MIXED)
    return min(_MOST, recordings / (recordings + _HALF_TRUST)) * min(max(guard, 0.0), 1.0)


def identity(model: AlignCapForConditionalGeneration) -> str:
    """Tells checkpoints apart: a calibration belongs to the states and statistics of one."""
    numbers = torch.cat([model.summary.mean.flatten(), model.summary.deviation.flatten(), model.emotion_head.bias])
    return hashlib.sha256(numbers.detach().float().cpu().numpy().tobytes()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is taken off a recording's states.

    Attributes:
        offset: (taps, width), float32, shrunk already.
        recordings: number of stretches that it was estimated from.
        strength: see `strength`.
        emotion: the emotion heard most in them.
        share: its mean probability.
        model: identity of the checkpoint.
    """

    offset: Tensor
    recordings: int
    strength: float
    emotion: str
    share: float
    model: str

    @classmethod
    def estimate(cls, model: AlignCapForConditionalGeneration, batches: Iterable[tuple[Tensor, Tensor]]) -> Calibration:
        """Estimate it from features of recordings (see `AlignCapForConditionalGeneration.hear`).

        Raises:
            AlignCapError: fewer than `MIN_RECORDINGS` recordings, or nearly all of one emotion.
        """
        listened = list(_listen(model, batches))
        count = sum(len(means) for means, _ in listened)
        if count < MIN_RECORDINGS:
            raise AlignCapError(
                f"{count} usable recordings are too few to calibrate on: give at least {MIN_RECORDINGS}, "
                "better 20, of different emotions"
            )
        means, shares = (torch.cat(part).mean(0) for part in zip(*listened, strict=True))
        share, place = float(shares.max()), int(shares.argmax())
        emotion, amount = str(model.config.emotions[place]), strength(count, share)
        if amount < _LEAST:
            raise AlignCapError(
                f"the {count} recordings sound mostly {emotion} ({share:.0%}): calibrating on one emotion would "
                "take that emotion away; give recordings of different emotions"
            )
        distance = (means - model.summary.mean).float().cpu()
        offset = amount * distance.view(len(model.config.taps), -1)
        return cls(offset, count, amount, emotion, share, identity(model))

    def save(self, path: Path) -> None:
        """Write it to a small file (safetensors).

        Raises:
            AlignCapError: the file cannot be written.
        """
        facts = {name: getattr(self, name) for name in ("recordings", "strength", "emotion", "share", "model")}
        aside = path.with_name(f"{path.name}.part")
        try:
            save_file({"offset": self.offset.contiguous()}, aside, {"format": _FORMAT, "facts": json.dumps(facts)})
            aside.replace(path)
        except Exception as error:
            raise AlignCapError(f"{path}: it cannot be written ({error})") from error

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            CheckpointError: there is no such file, or it is no calibration.
        """
        if not path.is_file():
            raise CheckpointError(f"{path}: there is no such calibration; make one with: aligncap calibrate")
        try:
            with safe_open(path, "pt") as file:
                metadata: dict[str, Any] = file.metadata() or {}
                offset = file.get_tensor("offset")
            facts = json.loads(metadata["facts"])
            assert metadata["format"] == _FORMAT
            assert bool(offset.isfinite().all())
            return cls(offset, **facts)
        except Exception as error:
            raise CheckpointError(f"{path}: it is damaged, or no calibration; make it again") from error

    def check(self, model: AlignCapForConditionalGeneration) -> None:
        """Refuse another checkpoint's calibration.

        Raises:
            CheckpointError: it was made with another checkpoint.
        """
        if self.model != identity(model):
            raise CheckpointError("the calibration was made with another checkpoint: make it again with this one")


@torch.inference_mode()
def _listen(
    model: AlignCapForConditionalGeneration, batches: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Tap means and emotion probabilities of each batch."""
    for features, lengths in batches:
        speech = model.speech_encoder(features.to(model.layer_weights.dtype), lengths)
        means = tap_means(speech.states, speech.mask)
        yield means, model.emotion_head(model.summary.normalise(means)).float().softmax(-1)
