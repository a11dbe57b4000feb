"""``aligncap export``, and captions from what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint; widths that can be exported in float32 alone."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from aligncap.testing import tiny_model
    from aligncap.testing.language_models import tiny_language_model

    folder = tmp_path_factory.mktemp("exportable")
    llm = tiny_language_model("llama", folder / "llama")
    wide = {"hidden_size": 64, "intermediate_size": 80, "head_dim": 32}
    LlamaForCausalLM(LlamaConfig.from_pretrained(llm, **wide)).save_pretrained(llm)
    model, _ = tiny_model("whisper", "llama", folder, answer_share=0.0)
    model.save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


@pytest.mark.usefixtures("folder")
def test_exports_and_captions(cli: Callable[..., Any], exportable: Path) -> None:
    done = cli("export", "-o", "out", "--checkpoint", exportable)
    assert done.code == 0, done.err
    assert "wrote out" in done.err
    assert not done.out
    options = ("--format", "jsonl", "--dtype", "float32", "--max-stretch", "4")
    plain = cli("caption", "long.wav", *options, "--checkpoint", exportable, "--device", "cpu")
    exported = cli("caption", "long.wav", *options, "--checkpoint", "out")
    for one, other in zip(plain.lines, exported.lines, strict=True):
        assert json.loads(other)["emotions"] == pytest.approx(json.loads(one)["emotions"], abs=1e-4)
        assert (json.loads(one)["model"], json.loads(other)["model"]) == ("checkpoint", "out")
    again = cli("export", "-o", "out", "--checkpoint", exportable)
    assert again.code == 2
    assert "it exists" in again.err
    device = cli("caption", "one.wav", "--checkpoint", "out", "--device", "mps")
    assert device.code == 2
    assert "runs on the CPU" in device.err
    dtype = cli("caption", "one.wav", "--checkpoint", "out", "--dtype", "int8")
    assert dtype.code == 1
    assert "exported in float32, not in int8" in dtype.err


@pytest.mark.usefixtures("folder")
def test_wrong_usage(cli: Callable[..., Any], exportable: Path) -> None:
    def export(*options: object) -> Any:
        return cli("export", "--checkpoint", exportable, *options)

    assert export().code == 2
    assert "choose one of" in export("-o", "out", "--int8", "--int4").err
    assert "parent folder" in export("-o", "nowhere/out").err
    odd = export("-o", "out", "--int8")
    assert odd.code == 1
    assert "no multiples of 32" in odd.err
    assert not Path("out").exists()
    assert "no such checkpoint" in cli("export", "-o", "out", "--checkpoint", "nowhere-at-all").err
