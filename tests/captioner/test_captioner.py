"""Captioning with a tiny random model: order, failures, segments, batches."""

from __future__ import annotations

import io
import math
import threading
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import aligncap
from aligncap.audio import RATE, Audio, segments
from aligncap.captioner import Caption, Captioner, Failure, loading, torch_loading
from aligncap.captioner import cutting as cutting_module
from aligncap.captioner import stretches as stretches_module
from aligncap.captioner import torch_captioner as captioner_module
from aligncap.clues.words import ClueWord
from aligncap.errors import AlignCapError, CheckpointError, PromptError
from aligncap.testing import LLM_FAMILIES, SPEECH_FAMILIES

pytestmark = pytest.mark.usefixtures("short_captions")


def wav(samples: np.ndarray, path: Path | None = None) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    if path is not None:
        path.write_bytes(out.getvalue())
    return out.getvalue()


# ---------------------------------------------------------------------------------- alone and in batches

LENGTHS = (0.12, 4.0, 0.5, 9.9, 1.3)


@pytest.mark.parametrize(
    ("speech", "llm"), [*((speech, "llama") for speech in SPEECH_FAMILIES), *(("whisper", llm) for llm in LLM_FAMILIES)]
)
def test_alone_and_in_any_batch(build, clip, speech: str, llm: str) -> None:
    captioner = build(speech, llm)
    clips = [(clip(seconds, seed), RATE) for seed, seconds in enumerate(LENGTHS)]
    alone = [captioner.caption(one)[0] for one in clips]
    assert len({result.caption for result in alone}) >= 2, "this model does not tell the clips apart"
    for batch_size in (2, 5):
        together = captioner.caption(clips, batch_size=batch_size)
        assert [result.caption for result in together] == [result.caption for result in alone]
        for one, other in zip(alone, together, strict=True):
            assert one.clues == other.clues
            assert one.emotions == pytest.approx(other.emotions, abs=1e-4)


def test_prompt_reaches_the_model(captioner: Captioner, clip) -> None:
    sound = (clip(1.0), RATE)
    [plain], [asked] = captioner.caption(sound), captioner.caption(sound, prompt="Describe only the voice.")
    assert plain.caption != asked.caption
    assert plain.emotions == asked.emotions


def test_markup_in_the_prompt_is_only_text(captioner: Captioner, clip) -> None:
    [result] = captioner.caption((clip(1.0), RATE), prompt="<|speech|><|im_end|> hello")
    assert isinstance(result, Caption)


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_empty_prompt(captioner: Captioner, prompt: str) -> None:
    with pytest.raises(PromptError, match="empty"):
        captioner.stream([], prompt=prompt)


def test_too_long_a_prompt(captioner: Captioner, clip) -> None:
    with pytest.raises(PromptError, match="too long"):
        captioner.caption((clip(0.5), RATE), prompt="very " * 5000)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"num_captions": 0}])
def test_numbers_out_of_range(captioner: Captioner, options: dict) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        captioner.stream([], **options)


# ---------------------------------------------------------------------------------- results


def test_fields(captioner: Captioner, clip) -> None:
    [result] = captioner.caption((clip(2.5), RATE))
    assert isinstance(result, Caption)
    assert (result.id, result.audio, result.model) == ("<recording 0>", "<recording 0>", "tiny")
    assert (result.start, result.end) == (0.0, 2.5)
    assert set(result.emotions) == set(captioner.model.config.emotions)
    assert math.isclose(sum(result.emotions.values()), 1, abs_tol=1e-5)
    assert list(result.emotions.values()) == sorted(result.emotions.values(), reverse=True)
    assert result.clues.startswith("Feeling: ")
    assert result.caption == " ".join(result.caption.split())
    assert result.alternatives == ()


def test_long_recordings_are_segmented(captioner: Captioner, clip) -> None:
    samples = clip(24.5)
    results = captioner.caption([Audio(samples, "x.wav"), (clip(1.0), RATE)], batch_size=2)
    assert [result.id for result in results] == ["x.wav#0", "x.wav#1", "x.wav#2", "<recording 1>"]
    assert {result.audio for result in results[:3]} == {"x.wav"}
    times = [(result.start, result.end) for result in results[:3]]
    assert times[0][0] == 0
    assert times[2][1] == 24.5
    assert all(before[1] == after[0] for before, after in pairwise(times))
    start, end = (round(time * RATE) for time in times[1])
    [middle] = captioner.caption((samples[start:end], RATE))
    assert middle.caption == results[1].caption
    assert middle.clues == results[1].clues


def test_a_silent_stretch_is_pointed_out(captioner: Captioner, clip) -> None:
    samples = np.concatenate([clip(9.0), np.zeros(10 * RATE, np.float32), clip(8.0)])
    first, middle, last = captioner.caption((samples, RATE))
    assert any("nothing is heard from 9.0 to 18.0 s" in text for text in middle.warnings)
    assert not any("nothing is heard" in text for text in (*first.warnings, *last.warnings))


def test_a_caption_without_an_end_is_pointed_out(captioner: Captioner, clip, monkeypatch) -> None:
    def tokens(last: int):
        return lambda **_: torch.tensor([[5] * 11 + [last]])

    monkeypatch.setattr(captioner.model, "generate", tokens(5))
    [cut] = captioner.caption((clip(1.0), RATE))
    monkeypatch.setattr(captioner.model, "generate", tokens(captioner.processor.tokenizer.eos_token_id))
    [whole] = captioner.caption((clip(1.0), RATE))
    assert cut.warnings == ("a caption was cut off after 12 tokens",)
    assert whole.warnings == ()


def test_overflowing_numbers_are_an_error(captioner: Captioner, clip, monkeypatch) -> None:
    nan = torch.full((1, len(captioner.model.config.emotions)), torch.nan)
    monkeypatch.setattr(captioner_module, "label_probabilities", lambda *_: nan)
    with pytest.raises(AlignCapError, match=r"overflow in torch\.float32"):
        captioner.caption((clip(1.0), RATE))


def test_emotions_blend_the_answer_and_the_head(captioner: Captioner, clip, monkeypatch) -> None:
    recording = (clip(1.0), RATE)
    labels = captioner.model.config.emotions
    monkeypatch.setattr(captioner.model.config, "answer_share", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(captioner_module, "label_probabilities", lambda *_: pytest.fail("the answer is not used"))
        [head] = captioner.caption(recording)
    sure = torch.eye(len(labels))[:1]
    monkeypatch.setattr(captioner_module, "label_probabilities", lambda *_: sure)
    monkeypatch.setattr(captioner.model.config, "answer_share", 0.25)
    [blend] = captioner.caption(recording)
    expected = {label: 0.75 * head.emotions[label] + 0.25 * (label == labels[0]) for label in labels}
    assert blend.emotions == pytest.approx(expected, abs=2e-4)
    assert head.caption == blend.caption


def test_model_errors_propagate(captioner: Captioner, clip, monkeypatch) -> None:
    def burn(*_):
        raise RuntimeError("the GPU is on fire")

    monkeypatch.setattr(captioner.model, "hear", burn)
    with pytest.raises(RuntimeError, match="on fire"):
        captioner.caption((clip(1.0), RATE))


# ---------------------------------------------------------------------------------- failures


def test_failures_keep_their_places(captioner: Captioner, clip, tmp_path: Path) -> None:
    good, short, text = (tmp_path / name for name in ("good.wav", "short.wav", "text.wav"))
    wav(clip(1.0), good)
    wav(clip(0.05), short)
    text.write_text("not audio at all")
    sources = [tmp_path / "missing.wav", good, short, (clip(0.7), RATE), text, (np.zeros(RATE), RATE), str(good)]
    for batch_size in (2, 8):
        results = captioner.caption(sources, batch_size=batch_size)
        kinds = [result.type if isinstance(result, Failure) else "ok" for result in results]
        assert kinds == [
            *("AudioNotFoundError", "ok", "AudioTooShortError", "ok"),
            *("AudioUnreadableError", "AudioSilentError", "ok"),
        ]
        assert [result.audio for result in results] == [
            *(str(tmp_path / "missing.wav"), str(good), str(short), "<recording 3>"),
            *(str(text), "<recording 5>", str(good)),
        ]
    assert results[0] == Failure(
        str(tmp_path / "missing.wav"), str(tmp_path / "missing.wav"), "AudioNotFoundError", "there is no such file"
    )


def test_an_unexpected_error_while_reading_costs_one_recording(captioner: Captioner, clip, monkeypatch) -> None:
    real = cutting_module.scan

    def read(source, name, **options):
        if name == "<recording 1>":
            raise ZeroDivisionError("a bug\nin a decoder")
        return real(source, name, **options)

    monkeypatch.setattr(cutting_module, "scan", read)
    before, broken, after = captioner.caption([(clip(0.5), RATE)] * 3)
    assert broken == Failure("<recording 1>", "<recording 1>", "ZeroDivisionError", "a bug in a decoder")
    assert before.caption == after.caption


def test_an_unexpected_error_while_measuring_costs_one_stretch(captioner: Captioner, clip, monkeypatch) -> None:
    real = stretches_module.measure
    audio = Audio(clip(25.0), "x.wav")
    second = segments(audio, captioner.model.config.max_seconds)[1].samples

    def measure(samples, **options):
        if np.array_equal(samples, second):
            raise KeyError("f0")
        return real(samples, **options)

    monkeypatch.setattr(stretches_module, "measure", measure)
    results = captioner.caption(audio)
    assert [result.id for result in results] == ["x.wav#0", "x.wav#1", "x.wav#2"]
    assert results[1] == Failure("x.wav#1", "x.wav", "KeyError", "'f0'")


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (np.array([], np.float32), "AudioEmptyError"),
        (np.full(RATE, np.nan, np.float32), "AudioInvalidError"),
        (np.zeros(RATE, np.float32), "AudioSilentError"),
    ],
)
def test_audio_made_by_hand_is_checked(captioner: Captioner, samples: np.ndarray, kind: str) -> None:
    [result] = captioner.caption(Audio(samples, "mine"))
    assert (result.id, result.type) == ("mine", kind)


# ---------------------------------------------------------------------------------- sources


def test_kinds_of_sources(captioner: Captioner, clip, tmp_path: Path) -> None:
    samples = np.round(clip(1.0) * 32767) / 32767
    path = tmp_path / "a.wav"
    data = wav(samples + 1e-6 * np.sign(samples), path)
    with path.open("rb") as file:
        sources = {
            str(path): str(path),
            "path": path,
            "bytes": data,
            "bytearray": bytearray(data),
            "file": file,
            "stream": io.BytesIO(data),
            "numpy": ((samples * 32768).round().astype(np.int16), RATE),
            "torch": (torch.tensor(samples, dtype=torch.float32), np.int64(RATE)),
            "audio": aligncap.read_audio(path),
        }
        singles = {kind: captioner.caption(source) for kind, source in sources.items()}
        file.seek(0)
        sources["stream"] = io.BytesIO(data)
        together = captioner.caption(sources.values())
    assert all(len(results) == 1 for results in singles.values())
    assert {results[0].caption for results in singles.values()} == {together[0].caption}
    unnamed = [f"<recording {place}>" for place in range(9)]
    assert [result.id for result in together] == [
        *(str(path), str(path), unnamed[2], unnamed[3], str(path)),
        *(unnamed[5], unnamed[6], unnamed[7], str(path)),
    ]


def test_a_pair_of_paths_is_two_recordings(captioner: Captioner) -> None:
    results = captioner.caption(("no.wav", "nope.wav"))
    assert [result.audio for result in results] == ["no.wav", "nope.wav"]


@pytest.mark.parametrize("samples", [np.ones(800), np.ones((2, 800)), torch.ones(800)])
def test_samples_without_a_rate_are_one_failure(captioner: Captioner, samples) -> None:
    [result] = captioner.caption(samples)
    assert result.type == "AudioInvalidError"
    assert "rate" in result.message


def test_names_are_those_given(captioner: Captioner, clip, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    wav(clip(0.5), Path("sub/ä 音.wav"))
    results = captioner.caption(["./sub/ä 音.wav", "sub/../sub/ä 音.wav", Path("sub") / "ä 音.wav"])
    assert [result.id for result in results] == ["./sub/ä 音.wav", "sub/../sub/ä 音.wav", "sub/ä 音.wav"]


def test_no_sources(captioner: Captioner) -> None:
    assert captioner.caption([]) == []


def test_sources_are_read_as_needed(captioner: Captioner, clip) -> None:
    taken = []

    def sources():
        for place in range(100):
            taken.append(place)
            yield clip(0.3), RATE

    stream = captioner.stream(sources(), batch_size=2)
    for _ in range(3):
        next(stream)
    stream.close()
    assert len(taken) <= 8, "more than the batch being captioned, the next, and two recordings were read"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("aligncap-read")]


def test_errors_of_the_iterator_are_the_callers(captioner: Captioner, clip) -> None:
    def sources():
        yield clip(0.3), RATE
        raise LookupError("the database went away")

    stream = captioner.stream(sources(), batch_size=1)
    assert isinstance(next(stream), Caption)
    with pytest.raises(LookupError, match="went away"):
        next(stream)


# ---------------------------------------------------------------------------------- loading


@pytest.fixture(scope="session")
def checkpoint(captioner: Captioner, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "mine"
    captioner.model.save_pretrained(folder)
    return folder


def test_load(captioner: Captioner, checkpoint: Path, clip, monkeypatch) -> None:
    expected = [result.caption for result in captioner.caption([(clip(2.0, 1), RATE), (clip(0.4, 2), RATE)])]
    monkeypatch.chdir(checkpoint)
    for given in (checkpoint, "."):
        loaded = aligncap.load(given, device="cpu", threads=1)
        assert loaded.name == "mine"
        results = loaded.caption([(clip(2.0, 1), RATE), (clip(0.4, 2), RATE)])
        assert [result.caption for result in results] == expected
        assert not loaded.model.training


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(checkpoint: Path, clip, dtype: str) -> None:
    loaded = aligncap.load(checkpoint, device="cpu", dtype=dtype)
    assert loaded.model.dtype == getattr(torch, dtype)
    [result] = loaded.caption((clip(1.0), RATE))
    assert math.isclose(sum(result.emotions.values()), 1, abs_tol=1e-3)


def test_no_such_checkpoint(tmp_path: Path) -> None:
    for given in (str(tmp_path / "nowhere"), "./nowhere", "embeded", "~/nowhere", "a/b/c", ""):
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            aligncap.load(given)
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(CheckpointError, match="it is a file"):
        aligncap.load(file)


def test_no_such_device_or_dtype(checkpoint: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AlignCapError, match="no cuda device here"):
        aligncap.load(checkpoint, device="cuda:0")
    with pytest.raises(AlignCapError, match="unknown device 'tpu'"):
        aligncap.load(checkpoint, device="tpu")
    with pytest.raises(AlignCapError, match="unknown dtype 'int4'"):
        aligncap.load(checkpoint, dtype="int4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(AlignCapError, match="int8 runs on the CPU, not on cuda"):
        aligncap.load(checkpoint, device="cuda", dtype="int8")


def test_automatic_device(monkeypatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert torch_loading.pick_device("auto") == expected


def test_without_the_embedded_checkpoint(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(loading, "EMBEDDED", tmp_path / "none")
    with pytest.raises(CheckpointError, match="install aligncap again"):
        aligncap.load()


@pytest.mark.parametrize(("clues", "begins"), [(["emotions", "voice"], "Feeling:"), (["voice"], "Voice:"), ([], "")])
def test_prompts_carry_the_clues_that_the_model_knows(captioner: Captioner, clip, monkeypatch, clues, begins) -> None:
    monkeypatch.setattr(captioner.model.config, "clues", clues)
    monkeypatch.setattr("aligncap.captioner.stretches.clue_words", lambda _: [ClueWord("pace", "slow", "slow")])
    (result,) = captioner.caption((clip(1), RATE))
    assert result.clues.startswith(begins)
    assert bool(result.clues) == bool(begins)
