"""A whole run on tiny random base weights and synthetic recordings: it is the engine that is tested, not quality."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from aligncap.errors import AlignCapError
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.testing import tiny_language_model, tiny_speech_encoder
from aligncap.training import captioning
from aligncap.training.recipe import Recipe, load_recipe
from aligncap.training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = ["id,audio,corpus,speaker,gender,emotion,intensity,split"]
    for corpus, labels in (("acted", ["angry", "sad"]), ("arousal", ["low", "high"])):
        for speaker in range(4):
            for take in range(4):
                name = f"{corpus}{speaker}{take}"
                tone = np.sin(2 * np.pi * (120 + 90 * (take % 2)) * np.arange(8000) / 16000)
                soundfile.write(folder / f"{name}.wav", 0.1 * tone + 0.01 * rng.normal(size=8000), 16000)
                split = "dev" if speaker == 3 else "train"
                rows.append(f"{name},{name}.wav,{corpus},{corpus}{speaker},,{labels[take % 2]},,{split}")
    (folder / "silent.wav").write_bytes(b"")
    rows.append("bad,silent.wav,acted,acted0,,sad,,train")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    tiny_speech_encoder("whisper", folder / "encoder")
    tiny_language_model("llama", folder / "llm")
    recipe = {
        "manifest": str(folder / "manifest.csv"),
        "workers": 1,
        "corpora": {"arousal": {"labels": {"low": ["sad"], "high": ["angry"]}, "captions": False}},
        "model": {
            "speech_encoder": str(folder / "encoder"),
            "language_model": str(folder / "llm"),
            "taps": [1, 2],
            "bridge": {"width": 16, "layers": 1, "heads": 2, "nuisance_rank": 3},
            "lora": {"rank": 2, "targets": ["q_proj", "v_proj"]},
        },
        "warm_start": {"epochs": 1, "batch_size": 8, "folds": 2},
        "captions": {"steps": 6, "batch_size": 4, "save_every": 2, "bf16": False},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return folder


def recipe_for(data: Path, output: Path, *overrides: str) -> Recipe:
    return load_recipe(data / "recipe.yaml", [f"output={output}", *overrides])


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe_for(data, tmp_path_factory.mktemp("run")))


def test_the_checkpoint_loads_and_holds_our_tensors_alone(uninterrupted: Path) -> None:
    model = AlignCapForConditionalGeneration.from_pretrained(uninterrupted)
    assert set(load_file(uninterrupted / "model.safetensors")) == set(model.own_state())
    assert not any(name.startswith("speech_encoder") for name in model.own_state())


def test_a_run_that_was_interrupted_ends_the_same(
    data: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    make_example = captioning.make_example

    def stop_in_the_fourth_step(*args: object, **kwargs: object) -> captioning.Example:
        nonlocal steps
        steps += 1
        if steps == 14:
            raise KeyboardInterrupt
        return make_example(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(captioning, "make_example", stop_in_the_fourth_step)
    with pytest.raises(KeyboardInterrupt):
        train(recipe_for(data, tmp_path / "run"))
    monkeypatch.setattr(captioning, "make_example", make_example)
    resumed = train(recipe_for(data, tmp_path / "run"))
    ours, theirs = load_file(resumed / "model.safetensors"), load_file(uninterrupted / "model.safetensors")
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-4)
    losses = [
        json.loads((folder.parent / "captions" / "losses.json").read_text()) for folder in (resumed, uninterrupted)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_another_recipe_is_refused_in_the_same_folder(data: Path, uninterrupted: Path) -> None:
    with pytest.raises(AlignCapError, match="another recipe"):
        train(recipe_for(data, uninterrupted.parent, "seed=9"))


def test_zero_shot_rows_cannot_be_trained_on(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AlignCapError, match="evaluation only"):
        train(recipe_for(data, tmp_path), split="zero_shot")


def test_no_manifest_says_what_to_do(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AlignCapError, match="manifest=PATH"):
        train(recipe_for(data, tmp_path, "manifest=''"))


def test_damaged_state_is_named(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    train(recipe_for(data, output))
    (output / "captions" / "state.pt").write_bytes(b"torn")
    with pytest.raises(AlignCapError, match=r"state\.pt.*delete it"):
        train(recipe_for(data, output))
