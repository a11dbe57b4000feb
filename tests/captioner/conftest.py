from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.testing import tiny_model

RATE = 16_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def short_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models never end a caption by themselves: cut them off early, to save time."""
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 12)


@pytest.fixture(scope="session")
def clip() -> Callable[..., np.ndarray]:
    """``clip(seconds, seed)``: a noisy tone with a wavering loudness."""

    def clip(seconds: float, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        time = np.arange(round(seconds * RATE)) / RATE
        tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
        return (0.05 * tone + 0.02 * random.standard_normal(len(time))).astype(np.float32)

    return clip


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TorchCaptioner]:
    """``build(speech, llm)``: a captioner whose trainable parameters were moved, so that the speech counts."""
    bases = tmp_path_factory.mktemp("bases")

    def build(speech: str = "whisper", llm: str = "qwen3") -> TorchCaptioner:
        model, processor = tiny_model(speech, llm, bases)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.dim():
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            model.bridge.scale.fill_(1.0)
        return TorchCaptioner(model.eval(), processor, "tiny")

    return build


@pytest.fixture(scope="session")
def captioner(build: Callable[..., TorchCaptioner]) -> TorchCaptioner:
    return build()


@pytest.fixture(scope="session")
def check_record() -> Callable[[dict], None]:
    """Assert that a record is of the documented shape."""

    def check(record: dict) -> None:
        if "error" in record:
            assert list(record) == ["id", "audio", "error"]
            assert list(record["error"]) == ["type", "message"]
            texts = [record["id"], record["audio"], *record["error"].values()]
            assert all(isinstance(text, str) and text and "\n" not in text for text in texts)
            return
        required = ["id", "audio", "start", "end", "caption", "emotions", "clues", "model"]
        assert list(record)[: len(required)] == required
        assert set(record) - set(required) <= {
            "abstained",
            "alternatives",
            "calibrated",
            "claims",
            "doubts",
            "warnings",
        }
        for key in ("id", "audio", "caption", "clues", "model"):
            assert isinstance(record[key], str)
            assert "\n" not in record[key]
        assert record["id"].startswith(record["audio"])
        assert 0 <= record["start"] < record["end"]
        assert all(0 <= value <= 1 for value in record["emotions"].values())
        assert sum(record["emotions"].values()) == pytest.approx(1, abs=1e-3)
        assert list(record["emotions"].values()) == sorted(record["emotions"].values(), reverse=True)
        for key in {"alternatives", "warnings"} & set(record):
            assert record[key]
            assert all(isinstance(text, str) for text in record[key])

    return check
