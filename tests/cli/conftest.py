from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from recordings import sound
from transformers.utils import logging

from aligncap.testing import tiny_model


@dataclass(frozen=True)
class Done:
    """What came of a run of the command line."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    model, _ = tiny_model("whisper", "qwen3", folder.parent / "bases")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """``cli("caption", …, stdin=…)``: run the command line in this process, as ``aligncap`` does."""
    from aligncap.cli import main

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["aligncap", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(int(code or 0), *capsys.readouterr())

    # what the command sets before anything is imported, done and undone by hand
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.disable_progress_bar()
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 8)
    capsys.readouterr()
    yield run
    logging.enable_progress_bar()


@pytest.fixture
def caption(cli: Callable[..., Done], checkpoint: Path) -> Callable[..., Done]:
    """``caption(…)``: ``aligncap caption`` with the tiny checkpoint, on the CPU."""

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        fixed = ("--checkpoint", checkpoint, "--device", "cpu", "--threads", "1")
        return cli("caption", *arguments, *fixed, stdin=stdin)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with recordings in it."""
    monkeypatch.chdir(tmp_path)
    for name, data in {
        "one.wav": sound(1.0, 1),
        "two.wav": sound(0.4, 2),
        "long.wav": sound(12.0, 3),
        "short.wav": sound(0.05),
        "text.wav": b"not audio at all",
        "calls/b.wav": sound(0.5, 4),
        "calls/sub/ä 音.wav": sound(0.5, 5),
        "calls/notes.txt": b"not a recording",
        "none/notes.txt": b"not a recording",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path
