"""From waveforms to what the model hears in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncap.audio.speed import at_speed
from aligncap.model.modeling import AlignCapForConditionalGeneration, SpeechEmbeddings
from aligncap.model.processing import AlignCapProcessor

__all__ = ["hear"]


def hear(
    model: AlignCapForConditionalGeneration,
    processor: AlignCapProcessor,
    clips: Sequence[NDArray[np.float32]],
    offset: Tensor | None = None,
) -> SpeechEmbeddings:
    """Speech embeddings of clips, their emotions judged at every speed that the checkpoint names.

    Played a little slower or faster an utterance keeps its emotion and seems to come from another speaker. So the
    emotion logits are means over the recording and its copies at ``config.speeds`` (test-time augmentation); the
    embeddings are of the recording alone.

    Args:
        model: in evaluation mode, on its device.
        processor: the model's.
        clips: mono waveforms at 16 kHz, (T,) each.
        offset: see `AlignCapForConditionalGeneration.hear`.
    """
    batch = processor.features(clips).to(model.device)
    speech = model.hear(batch["features"], batch["feature_lengths"], offset)
    logits = [speech.emotion_logits]
    for speed in model.config.speeds:
        batch = processor.features([at_speed(clip, speed) for clip in clips]).to(model.device)
        logits.append(model.hear_emotions(batch["features"], batch["feature_lengths"], offset))
    return replace(speech, emotion_logits=torch.stack(logits).mean(0))
