"""``--engine ray`` through the command line, with a cluster of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Done


def test_a_run_is_gone_on_with_on_ray(
    cli: Callable[..., Done], folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the local engine began, two workers end: the file is as if it had done all, byte for byte."""
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 64)  # as in the workers
    fixed = ["--checkpoint", str(checkpoint), "--device", "cpu", "--threads", "1", "--batch-size", "2"]
    assert cli("caption", ".", "-o", "whole.jsonl", *fixed).code == 1
    lines = Path("whole.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) > 7
    Path("out.jsonl").write_text(lines[0] + lines[1][:40])  # torn
    Path("out.jsonl.run.json").write_bytes(Path("whole.jsonl.run.json").read_bytes())
    command = [sys.executable, "-m", "aligncap", "caption", ".", "-o", "out.jsonl", *fixed]
    command += ["--engine", "ray", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "1 were done before" in done.stderr.splitlines()[-1]
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_options_of_ray_alone(cli: Callable[..., Done], folder: Path) -> None:
    for option, value in {"--workers": 2, "--gpus-per-worker": 0.5, "--ray-address": "auto"}.items():
        done = cli("caption", "one.wav", option, value)
        assert (done.code, done.out) == (2, "")
        assert "it is for Ray: add --engine ray" in done.err
        assert option in done.err
