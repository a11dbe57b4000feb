"""Calibration takes off what recordings have in common, and refuses what would do harm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aligncap.captioner import Captioner
from aligncap.captioner.calibration import MIN_RECORDINGS, Calibration, strength
from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model.utterance import tap_means

RATE = 16_000


@pytest.fixture
def ready(build: Callable[..., Captioner], clip: Any, short_captions: None) -> Captioner:
    """A captioner whose summary knows clips of another kind, and which hears different emotions."""
    captioner = build()
    means = raw_means(captioner, [clip(0.5, seed) for seed in range(10, 14)])
    captioner.model.summary.fit(means, ["one"] * len(means), strength=0.0)
    with torch.no_grad():
        captioner.model.emotion_head.weight.mul_(0.02)
        captioner.model.emotion_head.bias.zero_()
    return captioner


def raw_means(captioner: Captioner, clips: list[np.ndarray]) -> torch.Tensor:
    batch = captioner.processor.features(clips)
    with torch.inference_mode():
        speech = captioner.model.speech_encoder(batch["features"], batch["feature_lengths"])
        return tap_means(speech.states, speech.mask).clone()


def test_strength_grows_with_recordings_and_falls_where_one_emotion_prevails() -> None:
    assert [strength(n, 0.2) for n in (10, 20, 1000)] == [0.5, 0.6, 0.6]
    assert strength(5, 0.3) == pytest.approx(1 / 3)
    shares = [strength(20, share) for share in (0.35, 0.4, 0.5, 0.55, 0.9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 0.6
    assert shares[-2:] == [0, 0]


def test_the_mean_of_the_recordings_moves_towards_that_of_training(ready: Captioner, clip: Any) -> None:
    clips = [clip(0.5 + 0.1 * seed, seed) for seed in range(8)]
    calibration = ready.calibrate([(samples, RATE) for samples in clips], batch_size=3)
    trained, own = ready.model.summary.mean, raw_means(ready, clips).mean(0)
    assert calibration.recordings == 8
    assert 0.1 <= calibration.strength <= 8 / 18
    moved = own - calibration.offset.flatten()
    torch.testing.assert_close(moved - trained, (1 - calibration.strength) * (own - trained), rtol=1e-3, atol=1e-5)


def test_captions_change_only_while_it_is_set(ready: Captioner, clip: Any) -> None:
    sources = [(clip(0.6, seed), RATE) for seed in range(6)]
    plain = ready.caption(sources[0])[0]
    assert "calibrated" not in plain.to_dict()
    ready.calibration = ready.calibrate(sources)
    calibrated = ready.caption(sources[0])[0]
    assert calibrated.to_dict()["calibrated"] is True
    assert calibrated.emotions != plain.emotions
    together = ready.caption(sources, batch_size=4)[0]
    assert together.caption == calibrated.caption
    ready.calibration = None
    assert ready.caption(sources[0])[0] == plain


def test_too_few_recordings_are_refused(ready: Captioner, clip: Any) -> None:
    sources: list[Any] = [(clip(0.5, seed), RATE) for seed in range(MIN_RECORDINGS - 1)]
    with pytest.raises(AlignCapError, match=r"4 usable recordings are too few .* at least 5"):
        ready.calibrate([*sources, b"not audio"])
    with pytest.raises(AlignCapError, match="0 usable"):
        ready.calibrate([])


def test_one_emotion_only_is_refused(ready: Captioner, clip: Any) -> None:
    with torch.no_grad():
        ready.model.emotion_head.bias[2] = 9.0
    emotion = ready.model.config.emotions[2]
    with pytest.raises(AlignCapError, match=rf"sound mostly {emotion} .*different emotions"):
        ready.calibrate([(clip(0.5, seed), RATE) for seed in range(8)])


def test_saved_and_loaded(ready: Captioner, clip: Any, tmp_path: Path) -> None:
    calibration = ready.calibrate([(clip(0.5, seed), RATE) for seed in range(6)])
    path = tmp_path / "ä.calib"
    calibration.save(path)
    again = Calibration.load(path)
    assert torch.equal(again.offset, calibration.offset)
    assert {**vars(again), "offset": 0} == {**vars(calibration), "offset": 0}
    assert [file.name for file in tmp_path.iterdir()] == ["ä.calib"]
    with pytest.raises(AlignCapError, match="cannot be written"):
        calibration.save(tmp_path / "none" / "x.calib")


def test_damaged_files_and_other_checkpoints_are_refused(ready: Captioner, clip: Any, tmp_path: Path) -> None:
    calibration = ready.calibrate([(clip(0.5, seed), RATE) for seed in range(6)])
    calibration.save(tmp_path / "good.calib")
    whole = (tmp_path / "good.calib").read_bytes()
    for name, data in (("torn", whole[:-9]), ("text", b"hello"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged, or no calibration"):
            Calibration.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="no such calibration"):
        Calibration.load(tmp_path / "none")
    with torch.no_grad():
        ready.model.summary.mean += 1
    with pytest.raises(CheckpointError, match="another checkpoint"):
        ready.calibration = Calibration.load(tmp_path / "good.calib")
