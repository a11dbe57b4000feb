"""``aligncap calibrate``, and ``aligncap caption --calibration``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recordings import sound

from aligncap.testing import tiny_model


@pytest.fixture(scope="session")
def mild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that hears no emotion very clearly."""
    folder = tmp_path_factory.mktemp("mild") / "tiny"
    model, _ = tiny_model("whisper", "qwen3", folder.parent / "bases")
    with torch.no_grad():
        model.emotion_head.weight.mul_(0.02)
        model.emotion_head.bias.zero_()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def run(cli: Callable[..., Any], mild: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    Path("studio").mkdir()
    for seed in range(6):
        Path(f"studio/{seed}.wav").write_bytes(sound(0.5, seed))
    Path("studio/broken.wav").write_bytes(b"not audio")

    def run(*arguments: object) -> Any:
        return cli(*arguments, "--checkpoint", mild, "--device", "cpu", "--threads", "1")

    return run


def test_calibrates_and_captions(run: Callable[..., Any]) -> None:
    done = run("calibrate", "studio", "-o", "my.calib")
    assert done.code == 0
    assert "calibrated on 6 stretches" in done.err
    assert "my.calib" in done.err
    for calibration in ("my.calib", "self"):
        captioned = run("caption", "studio", "-f", "jsonl", "--calibration", calibration)
        records: list[dict[str, Any]] = [json.loads(line) for line in captioned.lines]
        assert len(records) == 7
        assert all(record["calibrated"] for record in records if "error" not in record)
        assert ("calibrated on 6 stretches" in captioned.err) == (calibration == "self")


def test_refusals(run: Callable[..., Any]) -> None:
    few = run("calibrate", "studio/0.wav", "none.wav", "-o", "few.calib")
    assert few.code == 1
    assert "at least 5" in few.err
    assert "none.wav" in few.err
    assert not Path("few.calib").exists()
    Path("there.calib").write_bytes(b"mine")
    assert run("calibrate", "studio", "-o", "there.calib").code == 2
    assert run("calibrate", "studio", "-o", "none/x.calib").code == 2
    assert Path("there.calib").read_bytes() == b"mine"
    assert run("calibrate", "studio", "-o", "there.calib", "--overwrite").code == 0
    assert run("caption", "studio", "--calibration", "missing.calib").code == 3
    Path("there.calib").write_bytes(b"mine")
    broken = run("caption", "studio", "--calibration", "there.calib")
    assert broken.code == 3
    assert "damaged" in broken.err
    assert "Traceback" not in broken.err
