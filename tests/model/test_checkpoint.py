"""Checkpoints: round trips and everything that can be wrong with one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSpeechSeq2Seq, AutoProcessor

from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model import (
    AlignCapConfig,
    AlignCapForConditionalGeneration,
    AlignCapProcessor,
    BridgeConfig,
    LoraSettings,
)
from aligncap.model.base import fingerprint, load_language_model
from aligncap.testing import tiny_language_model, tiny_model

load = AlignCapForConditionalGeneration.from_pretrained


@pytest.fixture(scope="session")
def saved(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    model, _ = build()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint to be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "checkpoint"))


def edit_config(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(checkpoint: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(checkpoint)
    message = str(caught.value)
    assert checkpoint.name in message
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------------- round trips


def test_auto_classes_load_a_checkpoint(saved: Path, clip: Any) -> None:
    assert isinstance(AutoConfig.from_pretrained(saved), AlignCapConfig)
    processor = AutoProcessor.from_pretrained(saved)
    assert isinstance(processor, AlignCapProcessor)
    inputs = processor([clip(0.4)])
    expected = load(saved)(**inputs).logits
    for auto in (AutoModel, AutoModelForSpeechSeq2Seq):
        model = auto.from_pretrained(saved)
        assert isinstance(model, AlignCapForConditionalGeneration)
        assert torch.equal(model(**inputs).logits, expected)


def test_files_of_a_checkpoint(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
        "processor_config.json",
    }


def test_processor_alone_writes_what_it_reads(build: Any, clip: Any, tmp_path: Path) -> None:
    _, processor = build("hubert", "gemma3", system_prompt="Listen well.", level_dbfs=-30.0)
    processor.save_pretrained(tmp_path)
    again = AlignCapProcessor.from_pretrained(tmp_path)
    for key, value in processor([clip(0.4)], clues=["low"]).items():
        assert torch.equal(again([clip(0.4)], clues=["low"])[key], value), key


def test_habits_go_with_the_processor(build: Any, tmp_path: Path) -> None:
    _, processor = build("hubert", "gemma3")
    assert processor.phrases() is None
    processor.habits = ("The speaker sounds sad.", "Très gai.", "The speaker sounds sad.")
    processor.save_pretrained(tmp_path)
    again = AlignCapProcessor.from_pretrained(tmp_path)
    assert again.habits == processor.habits
    said = again.response_ids("The speaker sounds sad.")
    assert again.phrases().ahead(said[:1])[:2] == said[1:3]


def test_settings_survive(build: Any, tmp_path: Path) -> None:
    settings = {
        "taps": [2, 1],
        "frame_stride": 3,
        "emotions": ["sad", "glad"],
        "level_dbfs": -26.0,
        "max_seconds": 7.0,
        "system_prompt": "Listen.",
        "lora": LoraSettings(rank=3, targets=["q_proj"]).__dict__,
    }
    model, _ = build(bridge={"kind": "conv", "window": 6}, **settings)
    model.save_pretrained(tmp_path)
    config = AlignCapConfig.from_pretrained(tmp_path)
    assert {key: getattr(config, key) for key in settings} == settings
    assert config.bridge_config == BridgeConfig(**model.config.bridge)
    assert config.bridge_config.kind == "conv"
    assert config.lora_settings == LoraSettings(rank=3, targets=["q_proj"])
    assert (config.speech_config.model_type, config.text_config.model_type) == ("whisper", "qwen3")
    assert load(tmp_path).emotion_head.out_features == 2


def test_saved_again_is_the_same_file(saved: Path, tmp_path: Path) -> None:
    load(saved).save_pretrained(tmp_path)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes(), name


def test_half_precision_on_disk_and_in_memory(build: Any, clip: Any, tmp_path: Path) -> None:
    model, processor = build()
    model.save_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    inputs = processor([clip(0.4)])
    again = load(tmp_path)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits, rtol=0.2, atol=0.2)
    half = load(tmp_path, dtype="bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half.generate(**inputs, max_new_tokens=3).shape == (1, 3)


def test_a_merged_model_is_not_saved_as_if_it_were_whole(build: Any, tmp_path: Path) -> None:
    model, _ = build()
    model.merge_adapters()
    with pytest.raises(CheckpointError, match="merged"):
        model.save_pretrained(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


# ----------------------------------------------------------------------------------- what is wrong


def test_missing_weights_file(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert "model.safetensors" in refused(checkpoint)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_weights_file(checkpoint: Path, keep: int) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "damaged" in refused(checkpoint)


def test_garbage_for_weights_file(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"<html>404</html>" * 100)
    assert "damaged" in refused(checkpoint)


def test_weights_of_something_else(checkpoint: Path) -> None:
    save_file({"encoder.weight": torch.zeros(3)}, checkpoint / "model.safetensors")
    assert "does not fit" in refused(checkpoint)


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_a_tensor_is_wrong(checkpoint: Path, change: str) -> None:
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    if change == "missing":
        del tensors["bridge.scale"]
    elif change == "surplus":
        tensors["bridge.span"] = torch.zeros(1)
    else:
        tensors["layer_weights"] = torch.zeros(7)
    save_file(tensors, path)
    names = {"missing": "bridge.scale", "surplus": "bridge.span", "shape": "layer_weights"}
    assert names[change] in refused(checkpoint)


def test_configuration_of_another_shape(checkpoint: Path) -> None:
    edit_config(checkpoint, taps=[0, 1])
    assert "does not fit" in refused(checkpoint)


def test_no_such_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nothing-here")
    with pytest.raises(CheckpointError, match="nothing-here"):
        AlignCapProcessor.from_pretrained(tmp_path / "nothing-here")


def test_folder_without_configuration(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    assert "config.json" in refused(checkpoint)


def test_damaged_configuration(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(path.read_text()[:-20])
    assert "config.json" in refused(checkpoint)


def test_checkpoint_of_another_kind_of_model(bases: Path) -> None:
    folder = tiny_language_model("qwen3", bases / "qwen3")
    refused(folder)
    with pytest.raises(CheckpointError, match="not an AlignCap checkpoint"):
        AlignCapProcessor.from_pretrained(folder)


@pytest.mark.parametrize("part", ["speech_encoder", "language_model"])
def test_configuration_without_base_weights(checkpoint: Path, part: str) -> None:
    base = json.loads((checkpoint / "config.json").read_text())["base_weights"]
    edit_config(checkpoint, base_weights={key: value for key, value in base.items() if key != part})
    assert part in refused(checkpoint)


@pytest.mark.parametrize("part", ["speech_encoder", "language_model"])
def test_other_base_weights_than_trained_on(tmp_path: Path, part: str) -> None:
    model, _ = tiny_model("whisper", "qwen3", tmp_path)
    model.save_pretrained(tmp_path / "checkpoint")
    path = Path(model.config.base_weights[part]["name"]) / "model.safetensors"
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if "encoder.layers.1" in name or "lm_head" in name:
            tensors[name] = tensor + 0.1
    save_file(tensors, path, metadata={"format": "pt"})
    message = refused(tmp_path / "checkpoint")
    assert part.replace("_", " ") in message
    assert path.parent.name in message


def test_base_weights_that_are_gone(tmp_path: Path) -> None:
    model, _ = tiny_model("whisper", "qwen3", tmp_path / "base")
    model.save_pretrained(tmp_path / "checkpoint")
    shutil.rmtree(tmp_path / "base" / "qwen3")
    with pytest.raises(AlignCapError, match="qwen3"):
        load(tmp_path / "checkpoint")


def test_spoilt_checkpoint_leaves_no_model_behind(checkpoint: Path, build: Any) -> None:
    """`load_own` refuses before it changes anything."""
    model, _ = build()
    before = {name: tensor.clone() for name, tensor in model.own_state().items()}
    with pytest.raises(CheckpointError):
        model.load_own({name: tensor + 1 for name, tensor in list(before.items())[1:]})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.own_state().items())


# ------------------------------------------------------------------------------------- fingerprint


def test_fingerprint_sees_weights_and_not_precision(bases: Path) -> None:
    folder = str(tiny_language_model("qwen3", bases / "qwen3"))
    full = fingerprint(load_language_model(folder))
    assert len(full) == 32
    assert fingerprint(load_language_model(folder, torch.bfloat16)) == full
    other = load_language_model(folder)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight *= 1.1
    assert fingerprint(other) != full


def test_the_configuration_does_not_tell_where_base_weights_lay(saved: Path) -> None:
    content = json.loads((saved / "config.json").read_text())
    for part in ("speech_config", "text_config"):
        assert not content[part].get("_name_or_path")
