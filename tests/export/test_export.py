"""What was exported says what the checkpoint says, and nothing half-written is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import aligncap
from aligncap.captioner import Sampling
from aligncap.captioner.calibration import Calibration, identity
from aligncap.captioner.exported import is_exported
from aligncap.captioner.exported.captioner import ExportedCaptioner
from aligncap.captioner.exported.features import log_mel
from aligncap.captioner.exported.language_model import Row
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.errors import AlignCapError, CheckpointError, DeviceError, PromptError
from aligncap.export import onnx_writer
from aligncap.export.llama import BLOCK, quantised, restored
from aligncap.export.onnx_writer import export_onnx
from aligncap.testing import tiny_model

GREEDY = Sampling(temperature=0)


def same(one: Any, other: Any) -> None:
    assert one.emotions == pytest.approx(other.emotions, abs=1e-5)
    first, second = one.to_dict(), other.to_dict()
    for record in (first, second):
        record.pop("emotions")
        for claim in record.get("claims", ()):
            claim.pop("probability", None)
    assert first == second


@pytest.mark.parametrize(
    "options",
    [{}, {"sampling": GREEDY}, {"num_captions": 3}, {"sampling": Sampling(seed=5)}, {"verify": False}],
    ids=str,
)
def test_captions_are_those_of_the_checkpoint(plain, exported, clip, options) -> None:
    clips = [clip(seconds, seed) for seed, seconds in enumerate((0.15, 0.4, 1.3, 3.0, 9.9))]
    for one, other in zip(plain.caption(clips, **options), exported.caption(clips, **options), strict=True):
        same(one, other)


def test_emotions_are_heard_at_the_speeds_of_the_checkpoint(plain, exported, clip, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(plain.model.config, "speeds", [0.9, 1.1])
    export_onnx(plain, tmp_path / "speeds")
    with_speeds = ExportedCaptioner(tmp_path / "speeds", "tiny")
    clips = [clip(0.1, 1), clip(1.3, 2)]
    for one, other, once in zip(*(each.caption(clips) for each in (plain, with_speeds, exported)), strict=True):
        same(one, other)
        assert other.emotions != pytest.approx(once.emotions, abs=1e-3)


def test_exports_of_earlier_versions_hear_once(folder, clip, exported, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    settings = tmp_path / "old" / "aligncap-onnx.json"
    content = json.loads(settings.read_text())
    assert content.pop("speeds") == []
    settings.write_text(json.dumps(content))
    same(ExportedCaptioner(tmp_path / "old", "tiny").caption(clip(1))[0], exported.caption(clip(1))[0])


def test_other_prompts(plain, exported, clip) -> None:
    for prompt in ("Say it in <|im_end|> words.", "Warum so traurig? 你好 🙂", "x " * 300):
        same(plain.caption(clip(1, 1), prompt=prompt)[0], exported.caption(clip(1, 1), prompt=prompt)[0])
    with pytest.raises(PromptError, match="too long"):
        exported.caption(clip(1), prompt="word " * 9000)
    with pytest.raises(PromptError, match="empty"):
        exported.caption(clip(1), prompt=" ")


def test_a_caption_does_not_depend_on_what_was_captioned_before(folder, clip) -> None:
    clips = [clip(seconds, seed) for seed, seconds in enumerate((3.0, 0.4, 1.3))]
    fresh = [ExportedCaptioner(folder, "tiny").caption(each)[0].caption for each in clips]
    one = ExportedCaptioner(folder, "tiny")
    one.classify(clips[0], ["furious", "cosy"])
    one.caption(clips[0], prompt="x " * 300)
    assert [one.caption(each)[0].caption for each in reversed(clips)][::-1] == fresh
    assert [caption.caption for caption in one.caption(clips, batch_size=2)] == fresh


@pytest.mark.parametrize("labels", [["angry", "happy", "sad"], ["furious", "cosy", "bored to tears", "happy"]], ids=len)
def test_classification_is_that_of_the_checkpoint(plain, exported, clip, labels) -> None:
    clips = [clip(0.4, 1), clip(3, 2)]
    for one, other in zip(plain.classify(clips, labels), exported.classify(clips, labels), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_what_is_wrong_with_a_recording_is_told_as_ever(exported, clip, tmp_path: Path) -> None:
    silent = (np.zeros(16_000, np.float32), 16_000)
    fine, bad, none = exported.caption([clip(1), silent, str(tmp_path / "none.wav")])
    assert fine.caption
    assert bad.type == "AudioSilentError"
    assert none.type == "AudioNotFoundError"


def test_a_calibration_is_built_in(plain, clip, tmp_path: Path) -> None:
    taps = (len(plain.model.config.taps), plain.model.speech_encoder.width)
    offset = 0.5 * torch.randn(taps, generator=torch.Generator().manual_seed(2))
    calibration = Calibration(offset, 10, 0.5, "sad", 0.3, identity(plain.model))
    export_onnx(plain, tmp_path / "calibrated", calibration=calibration)
    exported = aligncap.load(tmp_path / "calibrated")
    before = plain.caption(clip(2, 1))[0]
    plain.calibration = calibration
    try:
        after = plain.caption(clip(2, 1))[0]
    finally:
        plain.calibration = None
    assert after.emotions != pytest.approx(before.emotions, abs=1e-3)
    (found,) = exported.caption(clip(2, 1))
    assert found.calibrated
    assert found.emotions == pytest.approx(after.emotions, abs=1e-5)
    with pytest.raises(AlignCapError, match="cannot be calibrated"):
        exported.calibrate([clip(1)])
    with pytest.raises(AlignCapError, match="cannot be calibrated"):
        exported.calibration = calibration
    foreign = Calibration(offset, 10, 0.5, "sad", 0.3, "another")
    with pytest.raises(CheckpointError, match="another checkpoint"):
        export_onnx(plain, tmp_path / "foreign", calibration=foreign)


def test_embeddings_that_are_not_the_heads(build, clip, tmp_path: Path) -> None:
    plain = build(tied=False)
    export_onnx(plain, tmp_path / "out")
    same(plain.caption(clip(2, 1))[0], ExportedCaptioner(tmp_path / "out", "tiny").caption(clip(2, 1))[0])


@pytest.mark.parametrize(("bits", "tied"), [(8, True), (4, True), (8, False)])
def test_weights_in_integers(build, clip, tmp_path: Path, bits: int, tied: bool) -> None:
    plain = build(tied=tied)
    export_onnx(plain, tmp_path / "small", bits=bits)
    small = aligncap.load(tmp_path / "small")
    assert small.number_format == f"int{bits}"
    (found,) = small.caption(clip(2, 1))
    assert found.caption
    assert found.emotions == pytest.approx(plain.caption(clip(2, 1))[0].emotions, abs=1e-5)
    table = plain.model.language_model.model.embed_tokens.weight.detach().numpy()
    tokens = [0, 5, 17]
    assert np.array_equal(small._language_model.embed(tokens), restored(*quantised(table, bits), bits)[tokens])
    with pytest.raises(AlignCapError, match=f"exported in int{bits}, not in float32"):
        aligncap.load(tmp_path / "small", dtype="float32")


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_are_as_near_as_they_can_be(bits: int) -> None:
    weight = np.random.default_rng(0).normal(size=(7, 3 * BLOCK)).astype(np.float32)
    weight[2] = 0
    whole, scale = quantised(weight, bits)
    assert whole.dtype == np.uint8
    assert whole.shape == (7, 3, BLOCK * bits // 8)
    error = np.abs(restored(whole, scale, bits) - weight).reshape(7, 3, BLOCK)
    assert (error <= scale[..., None] / 2 + 1e-6).all()


def test_scores_in_integers_are_near(plain, tmp_path: Path) -> None:
    """The graph multiplies by the weights that `restored` gives, up to the rounding of its inputs."""
    export_onnx(plain, tmp_path / "small", bits=8)
    language_model = aligncap.load(tmp_path / "small")._language_model
    tokens = list(range(5, 25))
    scores = Row(language_model).read(language_model.embed(tokens), 0, len(tokens))
    with torch.no_grad():
        expected = plain.model.language_model(torch.tensor([tokens])).logits[0].numpy()
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.99


def test_features_are_those_of_whisper(plain, clip) -> None:
    extractor = plain.processor.feature_extractor
    for seconds in (0.1, 0.77, 5.0):
        samples = clip(seconds, 1)[0]
        found = log_mel(samples, np.asarray(extractor.mel_filters), extractor.n_fft, extractor.hop_length)
        expected = extractor(samples, sampling_rate=16_000, padding="do_not_pad", truncation=False, return_tensors="np")
        np.testing.assert_allclose(found, expected["input_features"][0], atol=1e-4)


def test_neither_pytorch_nor_transformers_is_needed(exported, folder: Path, clip, tmp_path: Path) -> None:
    samples, rate = clip(1, 1)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    script = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'peft', 'accelerate', 'onnx', 'safetensors.torch'):\n"
        "    sys.modules[name] = None\n"
        "from aligncap.cli import main\n"
        "main()\n"
    )
    options = ["caption", str(tmp_path / "a.wav"), "--checkpoint", str(folder), "--format", "jsonl"]
    done = subprocess.run([sys.executable, "-c", script, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["caption"] == exported.caption((samples, rate))[0].caption


def test_what_cannot_be_exported(plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for speech, llm, reason in (("wavlm", "llama", "only Whisper"), ("whisper", "qwen3", "only language models")):
        model, processor = tiny_model(speech, llm, tmp_path / "bases")
        model.eval().merge_adapters()
        with pytest.raises(AlignCapError, match=reason):
            export_onnx(TorchCaptioner(model, processor, "tiny"), tmp_path / "out")
    monkeypatch.setattr(plain.model.config, "answer_share", 0.5)
    with pytest.raises(AlignCapError, match="partly the language model's"):
        export_onnx(plain, tmp_path / "out")
    monkeypatch.undo()
    (tmp_path / "there").mkdir()
    with pytest.raises(AlignCapError, match="exists already"):
        export_onnx(plain, tmp_path / "there")
    assert {path.name for path in tmp_path.iterdir()} == {"bases", "there"}


def test_nothing_half_written_is_left(plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(onnx_writer.onnx, "save_model", full)
    with pytest.raises(AlignCapError, match="no space left"):
        export_onnx(plain, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["hearing.onnx", "language_model.onnx", "language_model.onnx.data", "tokenizer.json", "arrays.npz"]
)
def test_damage_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        aligncap.load(copy)
    (copy / name).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        aligncap.load(copy)


def test_damaged_settings_are_told(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    settings = copy / "aligncap-onnx.json"
    whole = settings.read_text()
    for text in ("{", "[]", whole.replace('"emotions"', '"emotion"'), '{"format": 1}'):
        settings.write_text(text)
        with pytest.raises(CheckpointError, match="damaged"):
            aligncap.load(copy)
    settings.write_text(whole.replace('"format": 1', '"format": 99'))
    with pytest.raises(CheckpointError, match="another version"):
        aligncap.load(copy)


def test_it_runs_on_the_cpu(folder: Path) -> None:
    assert is_exported(folder)
    with pytest.raises(DeviceError, match="runs on the CPU, not on cuda"):
        aligncap.load(folder, device="cuda")
    assert aligncap.load(folder, device="cpu", dtype="float32", threads=1).name == "float32"
