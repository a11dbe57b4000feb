"""The code of docs/python.md and of the notebook, run on a tiny model with random weights."""

from __future__ import annotations

import io
import json
import re
import wave
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def sound(seconds: float, seed: int) -> bytes:
    """A WAV file with a wavering tone, as loud as speech."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
    samples = 0.05 * tone + 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny checkpoint in the place of the embedded one."""
    from aligncap.testing import tiny_model

    model, _ = tiny_model("whisper", "qwen3", tmp_path / "bases")
    model.save_pretrained(tmp_path / "checkpoints" / "embedded")
    files = resources.files

    def found(package: str) -> Any:
        return tmp_path / "checkpoints" if package == "aligncap.checkpoints" else files(package)

    monkeypatch.setattr("importlib.resources.files", found)
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 6)
    return tmp_path / "checkpoints" / "embedded"


def test_the_page(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.wav").write_bytes(sound(1.0, 1))
    (tmp_path / "two.wav").write_bytes(sound(0.6, 2))
    (tmp_path / "long.wav").write_bytes(sound(12.0, 3))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 8
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block.replace("max_new_tokens=64", "max_new_tokens=6"), f"block {number}", "exec"), names)
    out = capsys.readouterr().out
    assert "two.wav 0.0 0.6 " in out
    assert sum(names["best"].probabilities.values()) == pytest.approx(1)
    assert len(names["result"].caption) > 0
    assert names["tokens"].shape[0] == 2
    assert names["probabilities"].shape == (2, len(names["config"].emotions))
    assert names["described"]["caption"] == names["chunk"]["caption"]  # of the pipeline's last recording
    assert names["captions"]["id"] == ["first", "second"]
    assert names["captions"].column_names == ["id", "start", "end", "caption", "emotion", "error"]
    assert names["captions"]["error"] == [None, None]
    bad = {"id": ["bad"], "audio": [{"bytes": b"no audio", "path": None}]}
    assert "audio" in names["describe"](bad)["error"][0]


def test_the_processor_of_the_auto_classes_is_the_models(checkpoint: Path) -> None:
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

    import aligncap.model

    processor = AutoProcessor.from_pretrained(str(checkpoint))
    model = AutoModelForSpeechSeq2Seq.from_pretrained(str(checkpoint))
    assert isinstance(processor, aligncap.model.AlignCapProcessor)
    assert isinstance(model, aligncap.model.AlignCapForConditionalGeneration)
    assert not model.training


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return list(notebook["cells"])


def test_the_notebook_is_stripped() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in cells()}) == len(cells())


def test_the_notebook_runs(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    examples = tmp_path / "examples"
    examples.mkdir()
    for path in sorted((ROOT / "examples").glob("*.flac"))[:2]:
        (examples / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(examples)
    names: dict[str, Any] = {}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    figures = plt.get_fignums()
    plt.close("all")
    assert len(figures) == 1
    assert len(names["results"]) == 2
    out = capsys.readouterr().out
    assert all(result.caption in out for result in names["results"])
