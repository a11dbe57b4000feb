"""Reading what can be read: containers, rates, channels, sample types, sources."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.audio import RATE, Audio, read_audio


def sine(rate: float, seconds: float = 1.0, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    phase = 2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate
    return np.asarray(level * np.sin(phase), np.float32)


def encode(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples, rate, format=kind, subtype=subtype)
    return data.getvalue()


def encode_av(channels: np.ndarray, rate: int, kind: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """Encode (C, T) float32 with FFmpeg."""
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    data = io.BytesIO()
    with av.open(data, "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        stream.bit_rate = 128_000
        context = stream.codec_context
        context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=context.format, layout=layout, rate=rate, frame_size=context.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return data.getvalue()


def peak_hertz(audio: Audio) -> float:
    window = audio.samples * np.hanning(len(audio.samples))
    spectrum = np.abs(np.fft.rfft(window, 8 * len(window)))
    return float(np.argmax(spectrum)) * RATE / (8 * len(window))


def level_of(audio: Audio, hertz: float) -> float:
    """Amplitude of a sine in the middle of a recording."""
    middle = audio.samples[2000:-2000]
    phase = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / RATE)
    return float(2 * np.abs(np.mean(middle * phase)))


# --------------------------------------------------------------------------------- containers


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_wav_of_any_rate_and_type(rate: int, subtype: str) -> None:
    audio = read_audio(encode(sine(rate, 0.5), rate, "WAV", subtype))
    assert audio.samples.dtype == np.float32
    assert audio.samples.ndim == 1
    assert abs(len(audio.samples) - 0.5 * RATE) <= 1
    assert audio.duration == len(audio.samples) / RATE
    tolerance = 0.01 if subtype == "PCM_U8" else 1e-3
    expected = sine(RATE, audio.duration)
    np.testing.assert_allclose(audio.samples[500:-500], expected[500:-500], atol=tolerance)
    assert audio.warnings == ()


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("WAV", "ULAW"),
    ],
)
def test_containers_of_libsndfile(kind: str, subtype: str) -> None:
    stereo = np.stack([sine(48_000, 2), sine(48_000, 2, hertz=1000)], axis=1)
    audio = read_audio(encode(stereo, 48_000, kind, subtype))
    assert abs(len(audio.samples) - 2 * RATE) <= 2
    assert level_of(audio, 440) == pytest.approx(0.15, abs=0.01)
    assert level_of(audio, 1000) == pytest.approx(0.15, abs=0.01)
    assert audio.warnings == ()


@pytest.mark.parametrize(
    ("kind", "codec", "options", "less", "more"),
    [
        ("ipod", "aac", {}, 0.0, 0.05),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}, 0.0, 0.05),
        ("webm", "libopus", {}, 0.0, 0.0),
        ("matroska", "pcm_s16le", {}, 0.0, 0.0),
        ("adts", "aac", {}, 0.0, 0.05),
        ("mp3", "libmp3lame", {}, 0.0, 0.0),
        ("wav", "adpcm_ms", {}, 0.0, 0.05),
        ("asf", "wmav2", {}, 0.05, 0.2),
    ],
)
def test_containers_of_ffmpeg(kind: str, codec: str, options: dict[str, str], less: float, more: float) -> None:
    rate = 48_000
    data = encode_av(np.stack([sine(rate, 2), sine(rate, 2, hertz=1000)]), rate, kind, codec, options)
    audio = read_audio(data)
    assert 2 - less - 2 / RATE <= audio.duration <= 2 + more + 2 / RATE
    # The two channels hold different tones: in a mix of all channels both have half their level.
    assert level_of(audio, 440) == pytest.approx(0.15, abs=0.02)
    assert level_of(audio, 1000) == pytest.approx(0.15, abs=0.02)
    assert audio.warnings == ()


def test_variable_bit_rate_mp3_without_length_is_read_to_its_end() -> None:
    rate = 44_100
    noise = np.random.default_rng(0).standard_normal(rate * 6).astype(np.float32) * 0.2
    noise[: 3 * rate] = sine(rate, 3)  # cheap at first, so that the first bit rate misleads about the length
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    data = file.getvalue()
    second_frame = data.index(data[:2], data.index(b"Xing"))
    audio = read_audio(data[second_frame:])
    assert audio.duration == pytest.approx(6, abs=0.1)
    assert np.std(audio.samples[-RATE:]) > 0.05


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_is_read_to_the_end(size: int) -> None:
    data = bytearray(encode(sine(RATE, 1.5), RATE))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", size)
    audio = read_audio(bytes(data))
    assert len(audio.samples) == 1.5 * RATE
    assert audio.warnings == ()


def test_flac_from_a_pipe_is_read_to_the_end() -> None:
    data = bytearray(encode(sine(RATE, 3.3), RATE, "FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # the number of samples in STREAMINFO: unknown
    assert len(read_audio(bytes(data)).samples) == round(3.3 * RATE)


def test_only_the_first_of_several_tracks_is_read_and_said_so() -> None:
    data = io.BytesIO()
    with av.open(data, "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for stream, hertz in zip(streams, (440, 1000), strict=True):
            pcm = (sine(RATE, hertz=hertz) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    audio = read_audio(data.getvalue())
    assert level_of(audio, 440) == pytest.approx(0.3, abs=0.01)
    assert level_of(audio, 1000) < 0.01
    assert audio.warnings == ("it has 2 audio tracks; only the first is read",)


# --------------------------------------------------------------------------------- mixing and resampling


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 16])
def test_every_channel_counts(channels: int) -> None:
    tones = 200.0 + 150.0 * np.arange(channels)
    block = np.stack([sine(RATE, 1, hertz) for hertz in tones], axis=1)
    for source in (encode(block, RATE, "WAV", "FLOAT"), (block, RATE), (block.T, RATE)):
        audio = read_audio(source)
        assert len(audio.samples) == RATE
        np.testing.assert_allclose(audio.samples, block.mean(axis=1), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.one_of(st.integers(1_000, 768_000), st.floats(1_000, 768_000)),
    seconds=st.floats(0.3, 0.6),
    hertz=st.floats(100, 350),
)
def test_resampling_keeps_frequency_level_and_duration(rate: float, seconds: float, hertz: float) -> None:
    samples = sine(rate, seconds, hertz)
    audio = read_audio((samples, rate))
    assert abs(len(audio.samples) - len(samples) * RATE / rate) <= 1
    expected = sine(RATE, audio.duration, hertz)
    np.testing.assert_allclose(audio.samples[1600:-1600], expected[1600:-1600], atol=2e-3)
    assert peak_hertz(audio) == pytest.approx(hertz, abs=3)


def test_resampling_in_blocks_leaves_no_seams() -> None:
    audio = read_audio((sine(44_100, 5), 44_100))  # several blocks
    np.testing.assert_allclose(audio.samples[200:-200], sine(RATE, 5)[200:-200], atol=1e-4)


def test_tones_above_the_new_nyquist_frequency_are_removed() -> None:
    audio = read_audio((sine(48_000, hertz=440) + sine(48_000, hertz=11_000), 48_000))
    assert level_of(audio, 440) == pytest.approx(0.3, abs=1e-3)
    assert level_of(audio, 5_000) < 1e-3  # where 11 kHz would be folded to


# --------------------------------------------------------------------------------- arrays and tensors


def test_integers_and_floats_of_one_recording_are_equal() -> None:
    integers = np.round(sine(RATE) * 32768).astype(np.int16)
    reference = integers.astype(np.float32) / 32768
    for samples in (
        integers,
        reference,
        reference.astype(np.float64),
        integers.astype(np.int32) << 16,
        integers.astype(np.int64) << 48,
        (integers.astype(np.int32) + 32768).astype(np.uint16),
        integers.astype(">i2"),
        torch.from_numpy(integers),
        torch.from_numpy(reference).requires_grad_(),
    ):
        np.testing.assert_array_equal(read_audio(samples, rate=RATE).samples, reference)
    np.testing.assert_array_equal(read_audio(encode(integers, RATE, "WAV", "PCM_16")).samples, reference)
    eight_bits = read_audio(((reference * 128 + 128).astype(np.uint8), RATE)).samples
    np.testing.assert_allclose(eight_bits, reference, atol=1 / 128)
    bfloat16 = read_audio((torch.from_numpy(reference).bfloat16(), RATE)).samples
    np.testing.assert_allclose(bfloat16, reference, atol=2e-3)


def test_array_and_file_of_one_recording_are_equal() -> None:
    stereo = np.stack([sine(44_100), sine(44_100, hertz=700)], axis=1)
    from_file = read_audio(encode(stereo, 44_100, "WAV", "FLOAT"))
    np.testing.assert_array_equal(read_audio(stereo, rate=44_100).samples, from_file.samples)
    np.testing.assert_array_equal(read_audio(torch.from_numpy(stereo.T), rate=44_100).samples, from_file.samples)


def test_input_array_is_neither_changed_nor_shared() -> None:
    samples = sine(RATE)
    before = samples.copy()
    audio = read_audio((samples, RATE))
    audio.samples[:] = 0
    np.testing.assert_array_equal(samples, before)


# --------------------------------------------------------------------------------- sources and names


def test_path_bytes_and_file_object_give_the_same(tmp_path: Path) -> None:
    data = encode(sine(22_050), 22_050, "FLAC")
    path = tmp_path / "Grüße — 你好 😀.flac"
    path.write_bytes(data)
    reference = read_audio(path)
    assert reference.source == str(path)
    with path.open("rb") as file:
        file.seek(100)
        sources: list[Any] = [str(path), data, bytearray(data), io.BytesIO(data), file]
        read = [read_audio(source) for source in sources]
        assert not file.closed
    for audio in read:
        np.testing.assert_array_equal(audio.samples, reference.samples)
    assert [audio.source for audio in read] == [str(path), "<bytes>", "<bytes>", "<file>", str(path)]
    assert read_audio(data, name="take 7").source == "take 7"
    assert read_audio((sine(RATE), RATE)).source == "<array>"


@pytest.mark.parametrize("kind", ["WAV", "OGG", "MP3"])
def test_pipe_without_seek(kind: str) -> None:
    data = encode(sine(RATE, 2), RATE, kind)
    receiver, sender = os.pipe()

    def send() -> None:
        with os.fdopen(sender, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(receiver, "rb") as pipe:
        audio = read_audio(pipe)
    thread.join()
    np.testing.assert_array_equal(audio.samples, read_audio(data).samples)
    assert audio.source == "<file>"


@pytest.mark.parametrize("name", ["speech.mp3", "speech.m4a", "speech.OPUS", "speech.raw", "speech", "speech.wav"])
def test_content_decides_not_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(sine(RATE), RATE))
    audio = read_audio(path)
    assert len(audio.samples) == RATE
    wrong = name not in ("speech.raw", "speech", "speech.wav")
    suffix = name.removeprefix("speech")
    expected = f"it is named {suffix}, but its content is wav and was read as that"
    assert audio.warnings == ((expected,) if wrong else ())


def test_m4a_named_wav_is_read() -> None:
    audio = read_audio(encode_av(sine(48_000)[None], 48_000, "ipod", "aac"), name="a.wav")
    assert audio.warnings == ("it is named .wav, but its content is mp4 and was read as that",)


def test_clipping_is_reported() -> None:
    loud = np.clip(sine(RATE, level=1.5), -1, 1)
    assert "clipped" in read_audio((loud, RATE)).warnings[0]
    assert "clipped" in read_audio(encode(loud, RATE, "WAV", "PCM_16")).warnings[0]
    assert read_audio((sine(RATE, level=0.99), RATE)).warnings == ()


def test_reading_is_quiet_and_does_not_import_torch(tmp_path: Path) -> None:
    good = encode(sine(RATE, 2) + 0.05 * np.random.default_rng(0).standard_normal(2 * RATE), RATE, "MP3")
    (tmp_path / "good.mp3").write_bytes(good)
    (tmp_path / "cut.mp3").write_bytes(good[: len(good) // 2])
    (tmp_path / "cut.webm").write_bytes(encode_av(sine(48_000, 2)[None], 48_000, "webm", "libopus")[:-3000])
    (tmp_path / "cut.wav").write_bytes(encode(sine(RATE), RATE)[:50])
    (tmp_path / "text.wav").write_text("not audio\n" * 99)
    code = """
import pathlib, sys
from aligncap.audio import find_audio, read_audio
from aligncap.errors import AudioError
for path in find_audio(sys.argv[1]):
    try:
        read_audio(path)
    except AudioError:
        pass
print("torch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
    assert run.stderr == ""
