from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aligncap.testing import tiny_model

RATE = 16_000


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny base weights; written once."""
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="session")
def build(bases: Path) -> Callable[..., Any]:
    """``build(speech, llm, **settings)``: a new model in evaluation mode, and its processor.

    Every trainable parameter was moved at random, so that adapters (which begin as the identity) count, and
    the summary was fitted to random clips of five speakers.
    """

    def build(speech: str = "whisper", llm: str = "qwen3", **settings: Any) -> Any:
        model, processor = tiny_model(speech, llm, bases, **settings)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.dim():
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            model.bridge.scale.fill_(1.0)
            size = len(model.summary.mean)
            voices = torch.randn(5, size, generator=generator).repeat_interleave(8, 0)
            clips = voices + torch.randn(40, size, generator=generator)
            model.summary.fit(clips, [f"speaker {row // 8}" for row in range(40)], strength=4.0)
        return model.eval(), processor

    return build


@pytest.fixture(scope="session")
def clip() -> Callable[..., np.ndarray]:
    """``clip(seconds, seed)``: a noisy tone with a wavering loudness."""

    def clip(seconds: float, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        time = np.arange(round(seconds * RATE)) / RATE
        tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
        return (0.05 * tone + 0.02 * random.standard_normal(len(time))).astype(np.float32)

    return clip
