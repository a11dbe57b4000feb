"""Every way in which a recording can be refused, really caused."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aligncap.audio import RATE, read_audio
from aligncap.errors import (
    AudioEmptyError,
    AudioError,
    AudioInvalidError,
    AudioLimitError,
    AudioNotFoundError,
    AudioSilentError,
    AudioTooShortError,
    AudioTruncatedError,
    AudioUnreadableError,
)

NOISE = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)


def encode(samples: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples, rate, format=kind, subtype=subtype)
    return data.getvalue()


def refused(error: type[AudioError], source: object, words: str, **options: object) -> str:
    """Check that a source is refused with its name and a reason that holds `words`; return the message."""
    name = options.setdefault("name", "clip 7")
    with pytest.raises(AudioError) as caught:
        read_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert type(caught.value) is error, message
    assert message.startswith(f"{name}: ")
    assert words in message
    assert "\n" not in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message
    return message


# --------------------------------------------------------------------------------- missing and unreadable


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "ohne Ton 🎙.wav"
    refused(AudioNotFoundError, path, "no such file", name=str(path))
    refused(AudioNotFoundError, str(path), "no such file")
    path.touch()
    refused(AudioNotFoundError, path / "below a file.wav", "no such file")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone")
    refused(AudioNotFoundError, tmp_path / "dangling.wav", "no such file")


def test_addresses_are_not_fetched() -> None:
    refused(AudioNotFoundError, "https://example.org/a.wav", "not fetched")


def test_directory(tmp_path: Path) -> None:
    refused(AudioUnreadableError, tmp_path, "is a directory", name=str(tmp_path))


def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(encode(NOISE))
    path.chmod(0)
    privileged = os.geteuid() == 0  # root may read anything: become someone else for a moment
    if privileged:
        os.seteuid(65534)
    try:
        refused(AudioUnreadableError, path, "permission denied")
    finally:
        if privileged:
            os.seteuid(0)


@pytest.mark.parametrize("path", ["a\0b.wav", "x" * 5000 + ".wav"])
def test_impossible_paths(path: str) -> None:
    refused(AudioUnreadableError, path, "cannot be opened")


RANDOM = np.random.default_rng(1).bytes(200_000)


@pytest.mark.parametrize(
    "data",
    [
        b"this is text, whatever its name\n" * 200,
        b"x",
        bytes(100_000),
        RANDOM,
        b"\xff\xfb\x90\x00" + RANDOM,
        b"\xff\xf1\x50\x80" + RANDOM,
        b"ID3\x03\x00\x00\x00\x00\x00\x10" + RANDOM,
        b"OggS\x00" + RANDOM,
        b"RIFF" + RANDOM,
        b"RIFF\x24\x00\x00\x00WAVE" + RANDOM,
        b"fLaC" + RANDOM,
        b"\x00\x00\x00\x20ftypM4A " + RANDOM,
        b"\x1aE\xdf\xa3" + RANDOM,
        b"\x89PNG\r\n\x1a\n" + RANDOM,
        b"<html><body>404 Not Found</body></html>",
    ],
    ids=lambda data: repr(data[:12]),
)
@pytest.mark.parametrize("name", ["speech.wav", "speech.raw", "speech.mp3"])
def test_not_audio(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    refused(AudioUnreadableError, path, "", name=str(path))


def test_random_bytes_are_never_audio() -> None:
    random = np.random.default_rng(7)
    for size in random.integers(1, 50_000, 60):
        refused(AudioUnreadableError, random.bytes(int(size)), "recognises")


def test_playlists_open_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target.wav"
    target.write_bytes(encode(NOISE))
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{target}'\n",
    ):
        path = tmp_path / "list.m4a"
        path.write_text(text)
        refused(AudioUnreadableError, path, "recognises")


def test_picture_without_sound() -> None:
    import av

    data = io.BytesIO()
    with av.open(data, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    refused(AudioUnreadableError, data.getvalue(), "no audio track")


@pytest.mark.parametrize(("kind", "size"), [("WAV", 12), ("WAV", 30), ("WAV", 44), ("FLAC", 60), ("OGG", 40)])
def test_header_only(kind: str, size: int) -> None:
    refused(AudioUnreadableError, encode(NOISE, kind)[:size], "")


class Failing(io.BytesIO):
    """A file on a disk that fails after 20,000 bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 20_000:
            raise OSError(5, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("kind", ["WAV", "OGG", "MP3"])
def test_failing_disk_is_not_taken_for_the_end(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(np.tile(NOISE, 5), kind)
    assert len(data) > 40_000
    refused(AudioUnreadableError, Failing(data), "Input/output error")
    assert capfd.readouterr().err == ""


# --------------------------------------------------------------------------------- too little


def test_no_bytes_and_no_samples(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    refused(AudioEmptyError, tmp_path / "zero.wav", "0 bytes")
    refused(AudioEmptyError, b"", "0 bytes")
    refused(AudioEmptyError, encode(NOISE[:0]), "no samples")
    refused(AudioEmptyError, encode(NOISE[:0], "AIFF"), "no samples")
    refused(AudioEmptyError, (np.zeros(0, np.float32), RATE), "no samples")
    refused(AudioEmptyError, (np.zeros((0, 2)), RATE), "no samples")


def test_empty_wav_with_other_chunks_is_empty() -> None:
    empty = encode(NOISE[:0])
    note = b"LIST" + struct.pack("<I", 4000) + b"INFO" + bytes(3996)
    data = empty[:4] + struct.pack("<I", len(empty) + len(note) - 8) + empty[8:] + note
    refused(AudioEmptyError, data, "no samples")


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_too_short(rate: int) -> None:
    enough = rate // 10
    samples = np.resize(NOISE, enough)
    refused(AudioTooShortError, encode(samples[:-1], rate=rate), "at least 0.1 s")
    refused(AudioTooShortError, (samples[:-1], rate), "ms long")
    assert read_audio((samples, rate)).duration == pytest.approx(0.1)
    assert read_audio(encode(samples, rate=rate)).duration == pytest.approx(0.1)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_silence(rate: int) -> None:
    silence = np.zeros(rate, np.float32)
    refused(AudioSilentError, encode(silence, rate=rate), "silent")
    refused(AudioSilentError, (silence + 0.25, rate), "silent")
    refused(AudioSilentError, (silence + 4e-6, rate), "silent")
    refused(AudioSilentError, (np.full((rate, 2), [0.5, -0.25]), rate), "every sample is the same")
    noise = np.resize(NOISE, rate)
    refused(AudioSilentError, (np.stack([noise, -noise]), rate), "cancel each other out")
    quiet = silence.copy()
    quiet[100] = 1 / 32768
    assert read_audio((quiet, rate)).duration == 1


# --------------------------------------------------------------------------------- nonsense


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_not_finite(value: float) -> None:
    samples = NOISE.astype(np.float64)
    samples[40_000] = value
    refused(AudioInvalidError, (samples, RATE), "NaN or infinite")
    with np.errstate(over="ignore"):
        refused(AudioInvalidError, encode(samples.astype(np.float32), "WAV", "FLOAT"), "NaN or infinite")


def test_unscaled_floats() -> None:
    refused(AudioInvalidError, (NOISE * 32768, RATE), "[-1, 1]")
    refused(AudioInvalidError, encode(NOISE * 32768, "WAV", "FLOAT"), "[-1, 1]")


@pytest.mark.parametrize("shape", [(), (2, 2, 8_000), (1, 1, 1, 8_000)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    refused(AudioInvalidError, (np.ones(shape), RATE), "shape")


@pytest.mark.parametrize("dtype", [bool, complex, object, "U1"])
def test_wrong_type_of_samples(dtype: type | str) -> None:
    refused(AudioInvalidError, (np.ones(RATE).astype(dtype), RATE), "neither floats nor integers")


@pytest.mark.parametrize("rate", [0, -16_000, 999, 768_001, np.nan, np.inf, "16000", True, 1j])
def test_impossible_rate(rate: object) -> None:
    refused(AudioInvalidError, (NOISE, rate), "sampling rate")


@pytest.mark.parametrize("rate", [1, 100, 2_000_000])
def test_impossible_rate_in_a_header(rate: int) -> None:
    data = bytearray(encode(NOISE))
    data[24:28] = struct.pack("<I", rate)
    refused(AudioInvalidError, bytes(data), f"{rate:g} Hz")


def test_samples_need_a_rate() -> None:
    refused(AudioInvalidError, NOISE, "need a sampling rate")
    refused(AudioInvalidError, torch.from_numpy(NOISE), "need a sampling rate")
    refused(AudioInvalidError, (NOISE, RATE), "two different rates", rate=8_000)


@pytest.mark.parametrize("source", [None, 7, [0.1, 0.2], {"a": 1}, (NOISE, RATE, 1)])
def test_not_a_source(source: object) -> None:
    refused(AudioInvalidError, source, "samples, rate")


def test_samples_and_rate_in_the_wrong_order() -> None:
    refused(AudioInvalidError, (RATE, NOISE), "(samples, rate)")


def test_text_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode(NOISE))
    with path.open(encoding="latin-1") as file:
        refused(AudioInvalidError, file, "binary")


# --------------------------------------------------------------------------------- truncated


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_truncated(kind: str, subtype: str, share: float) -> None:
    data = encode(NOISE, kind, subtype)
    assert read_audio(data).duration == pytest.approx(3, abs=0.1)
    refused(AudioTruncatedError, data[: int(len(data) * share)], "cut off")


@pytest.mark.parametrize(("kind", "codec"), [("webm", "libopus"), ("matroska", "pcm_s16le"), ("flac", "flac")])
def test_truncated_containers_of_ffmpeg(kind: str, codec: str) -> None:
    import av

    data = io.BytesIO()
    with av.open(data, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        pcm = (np.resize(NOISE, 3 * 48_000) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = 48_000
        size = stream.codec_context.frame_size or 960
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    whole = data.getvalue()
    assert read_audio(whole).duration == pytest.approx(3, abs=0.05)
    refused(AudioTruncatedError, whole[: len(whole) // 2], "cut off")


def test_truncated_m4a_with_index_first(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.m4a"
    with av.open(path, "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        for start in range(0, len(NOISE), 1024):
            frame = av.AudioFrame.from_ndarray(NOISE[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate = RATE
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert read_audio(path).duration == pytest.approx(3, abs=0.1)
    data = path.read_bytes()
    refused(AudioTruncatedError, data[: len(data) * 2 // 3], "cut off")


def test_truncation_is_seen_behind_chunks_of_odd_length() -> None:
    wav = encode(NOISE)
    note = b"note" + struct.pack("<I", 5) + b"hello\0"
    wav = wav[:12] + note + wav[12:]
    w64 = encode(NOISE, "W64")
    tail_of_id = w64[44:56]  # of "fmt "; every chunk's id ends alike
    w64 = w64[:40] + b"note" + tail_of_id + struct.pack("<Q", 29) + b"hello\0\0\0" + w64[40:]
    for data in (wav, w64):
        assert read_audio(data).duration == 3
        refused(AudioTruncatedError, data[: len(data) // 2], "cut off")


def test_lying_header() -> None:
    data = bytearray(encode(NOISE))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 10 * 3600 * RATE * 2)  # ten hours promised, three seconds there
    refused(AudioTruncatedError, bytes(data), "only 3.00 s of the 36000.00 s")


def test_a_few_missing_bytes_are_no_reason_to_refuse() -> None:
    audio = read_audio(encode(NOISE)[:-7])
    assert len(audio.samples) == 3 * RATE - 4


def test_damage_in_the_middle_is_not_passed_over() -> None:
    data = bytearray(encode(NOISE, "FLAC"))
    data[len(data) // 2 : len(data) // 2 + 2000] = RANDOM[:2000]
    refused(AudioTruncatedError, bytes(data), "damaged")


def test_ogg_without_end_mark_is_read_with_a_warning() -> None:
    data = encode(NOISE, "OGG", "OPUS")
    last_page = data.rindex(b"OggS")
    audio = read_audio(data[:last_page])
    assert 1 < audio.duration < 3
    assert audio.warnings == ("it lacks an end-of-stream mark: it may be cut off",)


# --------------------------------------------------------------------------------- limits


def hours_of_silence(path: Path, hours: int) -> Path:
    """Write a WAV file that is really that long, as a hole in the file system."""
    size = hours * 3600 * RATE * 2
    header = (
        b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    )
    with path.open("wb") as file:
        file.write(header + b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    return path


def test_ten_hours_are_refused_at_once(tmp_path: Path) -> None:
    path = hours_of_silence(tmp_path / "long.wav", 10)
    flac = bytearray(encode(NOISE, "FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = struct.pack(">I", 10 * 3600 * RATE)
    began = time.monotonic()
    message = refused(AudioLimitError, path, "36000 s long; the limit is 10800 s")
    assert "max_seconds" in message
    refused(AudioLimitError, bytes(flac), "36000 s long")
    assert time.monotonic() - began < 2


def test_limit_holds_while_decoding_where_the_header_says_nothing() -> None:
    flac = bytearray(encode(np.tile(NOISE, 4), "FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    wav = bytearray(encode(np.tile(NOISE, 4)))
    at = wav.index(b"data") + 4
    wav[4:8] = wav[at : at + 4] = bytes(4)
    for data in (bytes(flac), bytes(wav)):
        refused(AudioLimitError, data, "too long; the limit is 5 s", max_seconds=5)
        assert read_audio(data, max_seconds=12).duration == 12


def test_limit_of_samples() -> None:
    refused(AudioLimitError, (NOISE, RATE), "3 s long; the limit is 2.5 s", max_seconds=2.5)
    assert read_audio((NOISE, RATE), max_seconds=3).duration == 3
    assert read_audio(encode(NOISE), max_seconds=np.inf).duration == 3


@pytest.mark.parametrize("channels", [17, 32])
def test_too_many_channels(channels: int) -> None:
    block = np.tile(NOISE[:8_000, None], channels)
    message = refused(AudioLimitError, encode(block), f"{channels} channels; the limit is 16")
    assert "max_channels" in message
    refused(AudioLimitError, (block, RATE), "channels")
    refused(AudioLimitError, (block.T, RATE), "channels")
    assert read_audio(encode(block), max_channels=32).duration == 0.5


class Endless(io.RawIOBase):
    """A pipe that never ends."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return bytes(size)


def test_endless_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aligncap.audio.decode._STREAM_FLOOR", 4 << 20)
    refused(AudioLimitError, Endless(), "longer than 4 MiB", max_seconds=10)
