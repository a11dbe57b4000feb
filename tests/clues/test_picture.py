"""Pictures hold the contours and the words, whatever is drawn and however it is called."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from aligncap.clues import DIMENSIONS, clue_words, measure
from aligncap.clues.picture import save_picture
from aligncap.errors import AlignCapError, MissingExtraError

RATE = 16000


def voice(seconds: float, hz: float = 330.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum(np.cos(2 * np.pi * hz * k * time) / k for k in range(1, 12)), dtype=np.float32) / 4


def drawn(path: Path, samples: np.ndarray, title: str = "") -> str:
    clues = measure(samples)
    save_picture(path, samples, clues, clue_words(clues, dimensions=DIMENSIONS), title=title)
    return path.read_text(encoding="utf-8") if path.suffix == ".svg" else ""


def test_the_words_are_in_the_picture(tmp_path: Path) -> None:
    silence = np.zeros(RATE // 2, np.float32)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        text = drawn(tmp_path / "x.svg", np.concatenate([voice(1.0), silence, voice(1.0)]), "mine $1 & $2")
    for piece in ("high-pitched (330 Hz)", "halting (", "pause", "pitch (Hz)", "level (dB)", "mine $1 &amp; $2"):
        assert piece in text


@pytest.mark.parametrize("kind", ["noise", "short", "one sample", "silence"])
def test_what_has_no_voice_is_drawn_too(tmp_path: Path, kind: str) -> None:
    samples = {
        "noise": np.random.default_rng(0).standard_normal(RATE).astype(np.float32),
        "short": voice(0.1),
        "one sample": voice(1.0)[:1],
        "silence": np.zeros(RATE, np.float32),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(tmp_path / "x.png", samples, "odd \n 音 name")
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlignCapError, match=r"gone/x\.png: it cannot be written"):
        drawn(tmp_path / "gone" / "x.png", voice(0.5))


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"aligncap\[plots\]"):
        drawn(tmp_path / "x.png", voice(0.5))
