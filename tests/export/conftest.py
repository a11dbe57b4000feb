from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from aligncap.captioner.exported.captioner import ExportedCaptioner
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.export import onnx_writer
from aligncap.export.hearing import export_hearing
from aligncap.export.onnx_writer import export_onnx
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.testing import tiny_model
from aligncap.testing.language_models import tiny_language_model

RATE = 16_000


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TorchCaptioner]:
    """``build(tied)``: a captioner by PyTorch, in float32, merged; its parts were moved, so that the speech counts."""

    @cache
    def build(tied: bool) -> TorchCaptioner:
        bases = tmp_path_factory.mktemp("bases")
        llm = tiny_language_model("llama", bases / "llama")
        wide = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 32}  # blocks of 32
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig.from_pretrained(llm, tie_word_embeddings=tied, **wide)).save_pretrained(llm)
        model, processor = tiny_model("whisper", "llama", bases, clues=["emotions", "voice"], answer_share=0.0)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.dim():
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            model.bridge.scale.fill_(1.0)
        model.eval().merge_adapters()
        return TorchCaptioner(model, processor, "tiny")

    return build


@pytest.fixture(scope="session", autouse=True)
def heard_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The graph of a model's hearing is made once, which takes seconds, and copied after that."""
    folder, known = tmp_path_factory.mktemp("hearing"), {}

    def export(model: AlignCapForConditionalGeneration, path: Path) -> None:
        if id(model) not in known:
            known[id(model)] = (folder / f"{len(known)}.onnx", model)
            export_hearing(*known[id(model)][::-1])
        shutil.copy(known[id(model)][0], path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_writer, "export_hearing", export)
        yield


@pytest.fixture(scope="session")
def plain(build: Callable[..., TorchCaptioner]) -> TorchCaptioner:
    return build(tied=True)


@pytest.fixture(scope="session")
def folder(plain: TorchCaptioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, exported in float32."""
    folder = tmp_path_factory.mktemp("exported") / "float32"
    export_onnx(plain, folder)
    return folder


@pytest.fixture(scope="session")
def exported(folder: Path) -> ExportedCaptioner:
    return ExportedCaptioner(folder, "tiny")


@pytest.fixture(scope="session")
def clip() -> Callable[[float, int], tuple[np.ndarray, int]]:
    """``clip(seconds, seed)``: a noisy tone with a wavering loudness."""

    def clip(seconds: float, seed: int = 0) -> tuple[np.ndarray, int]:
        random = np.random.default_rng(seed)
        time = np.arange(round(seconds * RATE)) / RATE
        tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
        return (0.05 * tone + 0.02 * random.standard_normal(len(time))).astype(np.float32), RATE

    return clip
