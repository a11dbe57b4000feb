from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from aligncap.corpora import Row
from aligncap.errors import AlignCapError
from aligncap.evaluation import voices as module
from aligncap.evaluation.journal import Journal
from aligncap.evaluation.predictions import Prediction, System
from aligncap.evaluation.scores import evaluate
from aligncap.evaluation.voices import contour, measure_voices

RATE = 16_000


def voice(hz: float, seconds: float = 1.0, pause: bool = False) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6)) * 0.1
    if pause:
        tone[(time > 0.4) & (time < 0.6)] = 0.0
    return np.asarray(tone, np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "high.wav", voice(320), RATE)
    soundfile.write(tmp_path / "low.wav", voice(90), RATE)
    return tmp_path


ROWS = [Row("high", "high.wav", emotion="sad"), Row("low", "low.wav", emotion="sad")]


def test_claims_about_the_voice_are_judged_by_what_was_measured(folder: Path) -> None:
    said = System("s", {row.id: Prediction("They sound sad, in a high-pitched voice.") for row in ROWS})
    found = measure_voices(ROWS, folder, folder / "v.jsonl")
    data = evaluate(found.rows, [said], resamples=20)
    assert data["systems"][0]["voice_judged"] == 2
    types = {one["id"]: [f["type"] for f in one["systems"]["s"].get("findings", ())] for one in data["captions"]}
    assert types == {"high": [], "low": ["voice_opposite"]}
    assert evaluate(ROWS, [said], resamples=20)["systems"][0]["voice_judged"] == 0


def test_what_was_measured_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = folder / "v.jsonl"
    first = measure_voices(ROWS, folder, kept)
    before = kept.read_bytes()
    monkeypatch.setattr(module, "row_samples", lambda *_: pytest.fail("measured again"))
    assert measure_voices(ROWS, folder, kept).clues == first.clues
    (folder / "low.wav").unlink()  # what is gone stays as it was
    assert measure_voices(ROWS, folder, kept).contours == first.contours
    assert kept.read_bytes() == before


def test_another_recording_or_another_part_of_it_is_measured_again(folder: Path) -> None:
    kept = folder / "v.jsonl"
    measure_voices(ROWS, folder, kept)
    soundfile.write(folder / "low.wav", voice(320), RATE)
    part = Row("high", "high.wav", start=0.1, end=0.6)
    found = measure_voices([part, ROWS[1]], folder, kept)
    assert found.clues["low"]["f0_median_hz"] == pytest.approx(320, rel=0.02)
    assert found.contours["high"]["seconds"] == 0.5
    assert len(kept.read_text().splitlines()) == 4


def test_contours_are_measured_when_they_are_wanted(folder: Path) -> None:
    kept = folder / "v.jsonl"
    assert measure_voices(ROWS, folder, kept, plots=False).contours == {}
    assert set(measure_voices(ROWS, folder, kept).contours) == {"high", "low"}
    assert measure_voices(ROWS, folder, kept, plots=False).contours == {}


def test_clue_words_of_the_manifest_come_first(folder: Path) -> None:
    row = Row("high", "high.wav", clues={"words": ["pace:slow"]})
    found = measure_voices([row], folder, folder / "v.jsonl")
    assert found.rows == [row]
    assert "pitch:high" in found.clues["high"]["words"]


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    rows = [Row("gone", "gone.wav"), Row("late", "high.wav", start=5.0, end=6.0), *ROWS]
    seen: list[int] = []
    found = measure_voices(rows, folder, folder / "v.jsonl", advance=lambda: seen.append(1))
    assert [(note.id, note.kind) for note in found.notes] == [("gone", "not measured"), ("late", "not measured")]
    assert set(found.clues) == {"high", "low"}
    assert len(seen) == 4


def test_a_contour_is_coarse_and_shows_pitch_and_pauses() -> None:
    found = contour(voice(200, pause=True), points=20)
    assert found["seconds"] == 1.0
    assert (len(found["pitch"]), len(found["level"])) == (20, 20)
    assert found["pitch"][4] == pytest.approx(200, abs=3)
    assert found["pitch"][10] is None
    assert max(found["level"]) == 0
    assert found["level"][10] < -40
    assert len(contour(voice(200, 0.15))["pitch"]) == 15  # never more points than frames


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_journal_goes_on_after_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n{"id": 3, "te')
    journal = Journal(path, ("id",), "things")
    assert journal.records == [{"id": 1}, {"id": 2}]
    assert path.read_text().endswith('"te')  # reading changes nothing
    with journal:
        journal.append({"id": 4})
    assert records(path) == [{"id": 1}, {"id": 2}, {"id": 4}]


@pytest.mark.parametrize("content", ["not json at all", "[1]\n", '{"other": 1}\n', '{"id": 1}\nrubbish\n{"id": 2}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(content)
    with pytest.raises(AlignCapError, match="things"):
        Journal(path, ("id",), "things")
    assert path.read_text() == content
