from __future__ import annotations

from typing import Any

import pytest
import torch

from aligncap.audio.speed import at_speed
from aligncap.model.configuration import AlignCapConfig
from aligncap.model.hearing import hear

SPEEDS = [0.9, 1.1]


def alone(model: Any, processor: Any, clips: list[Any]) -> Any:
    batch = processor.features(clips)
    return model.hear(batch["features"], batch["feature_lengths"])


@torch.inference_mode()
@pytest.mark.parametrize("speech", ["whisper", "hubert"])
def test_emotions_are_means_over_speeds_and_the_rest_is_of_the_recording(build: Any, clip: Any, speech: str) -> None:
    model, processor = build(speech)
    clips = [clip(1.0, 0), clip(0.6, 1)]
    model.config.speeds = SPEEDS
    heard, own = hear(model, processor, clips), alone(model, processor, clips)
    copies = [alone(model, processor, [at_speed(one, speed) for one in clips]) for speed in SPEEDS]
    expected = (own.emotion_logits + sum(copy.emotion_logits for copy in copies)) / 3
    torch.testing.assert_close(heard.emotion_logits, expected)
    assert (heard.emotion_logits - own.emotion_logits).abs().max() > 1e-3
    torch.testing.assert_close(heard.embeddings, own.embeddings)
    torch.testing.assert_close(heard.bridge_logits, own.bridge_logits)


@torch.inference_mode()
def test_without_speeds_it_is_the_model_that_hears(build: Any, clip: Any) -> None:
    model, processor = build()
    heard, own = hear(model, processor, [clip(0.5)]), alone(model, processor, [clip(0.5)])
    assert torch.equal(heard.emotion_logits, own.emotion_logits)


@torch.inference_mode()
def test_a_clip_is_heard_the_same_alone_and_in_a_batch(build: Any, clip: Any) -> None:
    model, processor = build()
    model.config.speeds = SPEEDS
    clips = [clip(0.1, 2), clip(1.3, 3), clip(0.7, 4)]
    together = hear(model, processor, clips).emotion_logits
    for row, one in enumerate(clips):
        torch.testing.assert_close(together[row : row + 1], hear(model, processor, [one]).emotion_logits)


@torch.inference_mode()
def test_a_calibration_counts_at_every_speed(build: Any, clip: Any) -> None:
    model, processor = build()
    offset = torch.randn(len(model.config.taps), model.speech_encoder.width)
    moved, plain = hear(model, processor, [clip(1)], offset), hear(model, processor, [clip(1)])
    change = moved.emotion_logits - plain.emotion_logits
    model.config.speeds = SPEEDS  # the head is linear: the offset moves the logits of every copy by the same
    moved, plain = hear(model, processor, [clip(1)], offset), hear(model, processor, [clip(1)])
    torch.testing.assert_close(moved.emotion_logits - plain.emotion_logits, change, rtol=1e-3, atol=1e-4)


def test_speeds_are_kept_in_the_configuration(tmp_path: Any) -> None:
    AlignCapConfig(speeds=SPEEDS).save_pretrained(tmp_path)
    assert AlignCapConfig.from_pretrained(tmp_path).speeds == SPEEDS
    assert AlignCapConfig().speeds == []
