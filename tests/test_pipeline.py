"""The ``transformers`` pipeline, on a tiny model with random weights."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

RATE = 16_000


def sound(seconds: float, seed: int) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (100 + 60 * seed) * time) * (1.2 + np.sin(2 * np.pi * (1 + seed) * time))
    return (0.05 * tone + 0.02 * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from aligncap.testing import tiny_model

    folder = tmp_path_factory.mktemp("pipeline")
    model, _ = tiny_model("whisper", "qwen3", folder / "bases")
    model.save_pretrained(folder / "mine")
    return folder / "mine"


@pytest.fixture(scope="module")
def describe(checkpoint: Path) -> Iterator[Any]:
    from transformers import pipeline

    import aligncap.pipeline

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 6)
        made = pipeline("speech-emotion-captioning", model=str(checkpoint), device="cpu")
        assert isinstance(made, aligncap.pipeline.SpeechEmotionCaptioningPipeline)
        yield made
    torch.set_num_threads(threads)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "one.wav", sound(0.6, 1), RATE, subtype="FLOAT")
    return tmp_path / "one.wav"


def test_what_it_says_is_what_the_captioner_says(describe: Any, checkpoint: Path, wav: Path) -> None:
    import aligncap

    [expected] = aligncap.load(checkpoint, device="cpu").caption(str(wav))
    assert isinstance(expected, aligncap.Caption)
    got = describe(str(wav))
    assert list(got) == ["caption", "emotions", "chunks"]
    assert got["caption"] == expected.caption
    assert got["emotions"] == pytest.approx(expected.emotions)
    record = expected.to_dict()
    times = (record.pop("start"), record.pop("end"))
    assert got["chunks"] == [{"timestamp": times, **{key: record[key] for key in record if key not in {"id", "audio"}}}]
    assert got["chunks"][0]["model"] == "mine"


def test_every_way_to_give_a_recording(describe: Any, wav: Path) -> None:
    """The same samples, however they come, give the same."""
    samples = sound(0.6, 1)
    file = io.BytesIO(wav.read_bytes())
    decoded = SimpleNamespace(data=torch.from_numpy(samples)[None], sample_rate=RATE)
    ways = [
        wav,
        wav.read_bytes(),
        file,
        samples,
        torch.from_numpy(samples),
        (samples, RATE),
        {"array": samples, "sampling_rate": RATE, "path": "x.wav"},
        {"raw": torch.from_numpy(samples), "sampling_rate": RATE},
        {"path": str(wav), "bytes": None},
        {"path": "elsewhere.wav", "bytes": wav.read_bytes()},
        SimpleNamespace(get_all_samples=lambda: decoded),
    ]
    expected = describe(str(wav))
    assert all(describe(way) == expected for way in ways if way is not file)
    together = describe(ways, batch_size=len(ways))
    assert [one["caption"] for one in together] == [expected["caption"]] * len(ways)
    assert all(one["emotions"] == pytest.approx(expected["emotions"], abs=1e-5) for one in together)


def test_the_rate_is_heeded_and_dicts_are_left_alone(describe: Any) -> None:
    given = {"array": np.repeat(sound(0.6, 1), 3), "sampling_rate": 3 * RATE}
    assert describe(given)["chunks"][0]["timestamp"] == (0.0, pytest.approx(0.6))
    assert list(given) == ["array", "sampling_rate"]


def test_long_recordings_come_in_chunks(describe: Any) -> None:
    long, short = describe([sound(23.0, 2), sound(0.6, 1)], batch_size=2)
    assert len(long["chunks"]) >= 3
    assert long["caption"] == " ".join(chunk["caption"] for chunk in long["chunks"])
    ends = [chunk["timestamp"] for chunk in long["chunks"]]
    assert all(start < end <= 23 for start, end in ends)
    label = next(iter(long["emotions"]))
    mean = sum(
        (end - start) * chunk["emotions"][label] for (start, end), chunk in zip(ends, long["chunks"], strict=True)
    )
    assert long["emotions"][label] == pytest.approx(mean / sum(end - start for start, end in ends), abs=1e-3)
    assert sum(long["emotions"].values()) == pytest.approx(1)
    assert list(long["emotions"].values()) == sorted(long["emotions"].values(), reverse=True)
    assert len(short["chunks"]) == 1


def test_bad_recordings(describe: Any, wav: Path) -> None:
    """Alone, one raises; among others, it keeps its place."""
    from aligncap import AudioError

    for bad, says in [
        ("gone.wav", "gone.wav: there is no such file"),
        ({"path": "a.wav"}, "a.wav: there is no such file"),
        ({"array": sound(1, 1)}, "a dict needs 'array' .* with 'sampling_rate', .* this one has 'array'"),
        ({}, "this one has nothing"),
        (None, "NoneType is not a path"),
    ]:
        with pytest.raises(AudioError, match=says):
            describe(bad)
    same = str(wav)
    got = describe([same, "gone.wav", same, {"bytes": b"no audio"}, {"array": [1]}], batch_size=3)
    assert [one["caption"] is None for one in got] == [False, True, False, True, True]
    assert got[1] == {
        "caption": None,
        "emotions": {},
        "chunks": [],
        "error": {"type": "AudioNotFoundError", "message": "there is no such file"},
    }
    assert got[4]["error"]["type"] == "AudioInvalidError"
    assert [len(one["chunks"]) for one in got] == [1, 0, 1, 0, 0]


def test_several_come_as_they_were_given(describe: Any, wav: Path) -> None:
    from datasets import Audio, Dataset
    from transformers.pipelines.pt_utils import KeyDataset

    rows = Dataset.from_dict({"audio": [str(wav), str(wav)]}).cast_column("audio", Audio(decode=False))
    caption = describe(str(wav))["caption"]
    assert describe([]) == []
    for several in (rows["audio"], KeyDataset(rows, "audio"), (row["audio"] for row in rows)):
        got = describe(several)
        assert not isinstance(got, list)
        assert [one["caption"] for one in got] == [caption, caption]


def test_reading_does_not_run_far_ahead(describe: Any) -> None:
    taken = 0

    def recordings() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield sound(0.3, 1)

    next(describe(recordings(), batch_size=2))
    assert taken <= 16


def test_options(describe: Any, checkpoint: Path, wav: Path) -> None:
    from transformers import pipeline

    from aligncap import PromptError

    assert len(describe(str(wav), num_captions=2)["chunks"][0]["alternatives"]) == 1
    assert "claims" not in describe(str(wav), verify=False)["chunks"][0]
    made = pipeline("speech-emotion-captioning", model=str(checkpoint), num_captions=3, batch_size=2, device="cpu")
    assert len(made(str(wav))["chunks"][0]["alternatives"]) == 2
    assert "alternatives" not in made(str(wav), num_captions=1)["chunks"][0]
    with pytest.raises(TypeError, match="unknown option 'top_k': choose of batch_size, num_captions, prompt"):
        describe(str(wav), top_k=3)
    with pytest.raises(PromptError):
        describe(str(wav), prompt=" ")
    with pytest.raises(ValueError, match="batch_size"):
        describe(str(wav), batch_size=0)


def test_the_embedded_checkpoint_is_the_default() -> None:
    from transformers.pipelines import PIPELINE_REGISTRY

    import aligncap.pipeline
    from aligncap.checkpoints import EMBEDDED

    _, task, _ = PIPELINE_REGISTRY.check_task(aligncap.pipeline.TASK)
    assert task["default"]["model"][0] == str(EMBEDDED)


def test_importing_aligncap_registers_nothing() -> None:
    script = "import aligncap, sys; sys.exit('transformers' in sys.modules or 'aligncap.pipeline' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
