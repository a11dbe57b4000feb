from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligncap.audio import read_audio
from aligncap.audio.speed import at_speed
from aligncap.corpora import Row
from aligncap.testing import tiny_speech_encoder
from aligncap.training import features
from aligncap.training.data import Clip
from aligncap.training.features import Features, extract
from aligncap.training.recipe import ModelRecipe


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    rng = np.random.default_rng(0)
    out = []
    for index in range(4):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=6000 + 1000 * index), 16000)
        out.append(Clip(Row(f"c{index}", path.name), path))
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRecipe:
    folder = tmp_path_factory.mktemp("encoder")
    return ModelRecipe(str(tiny_speech_encoder("whisper", folder)), taps=[1, 2], frame_stride=2)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the clips whose shard is computed, in order."""
    ids: list[str] = []
    original = features._extract_shard

    def extract_shard(job: tuple[ModelRecipe, features._Shard]) -> None:
        ids.extend(clip.id for clip in job[1].clips)
        original(job)

    monkeypatch.setattr(features, "_extract_shard", extract_shard)
    monkeypatch.setattr(features, "_SHARD", 2)
    return ids


def run(clips: list[Clip], model: ModelRecipe, folder: Path, **options: object) -> Features:
    return extract(clips, model, folder, workers=0, **options)  # type: ignore[arg-type]


def test_features_are_computed_once_and_memory_mapped(
    clips: list[Clip], model: ModelRecipe, tmp_path: Path, made: list[str]
) -> None:
    first = run(clips, model, tmp_path / "cache")
    assert made == ["c0", "c1", "c2", "c3"]
    again = run(clips, model, tmp_path / "cache")
    assert made == ["c0", "c1", "c2", "c3"]
    for ours, theirs in zip(first.states, again.states, strict=True):
        assert ours is not None
        assert isinstance(theirs.base, np.memmap)  # type: ignore[union-attr]
        np.testing.assert_array_equal(ours, theirs)
    assert [len(state) for state in first.states] == sorted(len(state) for state in first.states)  # type: ignore[arg-type]
    elsewhere = run(clips, model, tmp_path / "other", base=tmp_path / "cache")
    assert len(made) == 4
    assert elsewhere.voice == first.voice


def test_a_changed_recording_is_heard_again_and_the_others_are_not(
    clips: list[Clip], model: ModelRecipe, tmp_path: Path, made: list[str]
) -> None:
    before = run(clips, model, tmp_path / "cache")
    soundfile.write(clips[3].audio, 0.1 * np.random.default_rng(9).normal(size=9000), 16000)
    after = run(clips, model, tmp_path / "cache")
    assert made[4:] == ["c2", "c3"]
    np.testing.assert_array_equal(before.states[2], after.states[2])
    assert before.states[3].shape != after.states[3].shape or (before.states[3] != after.states[3]).any()  # type: ignore[union-attr]


@pytest.mark.parametrize("change", [{"taps": [0, 1]}, {"frame_stride": 3}])
def test_other_settings_are_other_features(
    clips: list[Clip], model: ModelRecipe, tmp_path: Path, made: list[str], change: dict[str, object]
) -> None:
    run(clips, model, tmp_path / "cache")
    run(clips, replace(model, **change), tmp_path / "cache")  # type: ignore[arg-type]
    assert len(made) == 8


def test_other_clue_code_measures_again_and_hears_nothing_again(
    clips: list[Clip], model: ModelRecipe, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(clips, model, tmp_path / "cache")
    monkeypatch.setattr(features, "code_version", lambda _: "other")
    monkeypatch.setattr(features, "_Encoder", lambda model: pytest.fail("the encoder is not needed"))
    run(clips, model, tmp_path / "cache")
    assert len(made) == 8


def test_augmented_copies_differ_and_are_reproducible(clips: list[Clip], model: ModelRecipe, tmp_path: Path) -> None:
    plain = run(clips, model, tmp_path / "cache")
    one, other = (run(clips, model, tmp_path / "cache", augmented=True, seed=seed) for seed in (1, 2))
    again = run(clips, model, tmp_path / "again", augmented=True, seed=1)
    assert len({np.asarray(f.states[0], np.float32).tobytes() for f in (plain, one, other)}) == 3
    np.testing.assert_array_equal(one.states[0], again.states[0])


def test_at_another_speed_the_mean_is_kept_and_nothing_measured(
    clips: list[Clip], model: ModelRecipe, tmp_path: Path, made: list[str]
) -> None:
    plain = run(clips, model, tmp_path / "cache")
    slow, again = (run(clips, model, tmp_path / "cache", speed=0.8) for _ in range(2))
    assert len(made) == 8  # the second time nothing was heard again
    assert slow.voice == [[]] * 4
    encode = features._Encoder(model)
    for clip, own, state, same in zip(clips, plain.states, slow.states, again.states, strict=True):
        expected = encode(at_speed(read_audio(clip.audio).samples, 0.8)).astype(np.float32).mean(0, keepdims=True)
        np.testing.assert_allclose(np.asarray(state, np.float32), expected, rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(state, same)
        assert np.abs(expected - np.asarray(own, np.float32).mean(0)).max() > 0.01


def test_bad_recordings_are_named_and_stretches_are_cut(clips: list[Clip], model: ModelRecipe, tmp_path: Path) -> None:
    clips[0].audio.write_bytes(b"no audio")
    clips[1].audio.unlink()
    clips[2] = Clip(replace(clips[2].row, start=0.1, end=0.12), clips[2].audio)
    whole = clips[3]
    clips[3] = Clip(replace(whole.row, start=0.1, end=0.3), whole.audio)
    found = run(clips, model, tmp_path / "cache")
    assert list(found.failures) == ["c0", "c1", "c2"]
    assert found.states[:3] == [None] * 3
    assert "between start and end" in found.failures["c2"]
    assert len(found.states[3]) < len(run([whole], model, tmp_path / "cache").states[0])  # type: ignore[arg-type]
