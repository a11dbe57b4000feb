"""Miniatures of corpora in the layout in which they are distributed: names and tables, with made-up sound."""

from __future__ import annotations

import io
import wave
from functools import cache
from pathlib import Path

import numpy as np

from layouts.miniatures import MINIATURES, Miniature

__all__ = ["MINIATURES", "Miniature", "build", "no_data_chunk", "sound"]

RATE = 16_000


def sound(seconds: float = 0.3, seed: int = 0) -> bytes:
    """A WAV file of noise."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return data.getvalue()


def no_data_chunk() -> bytes:
    """A WAV file that ends where its samples should begin, like AESDD's s05_3.wav."""
    whole = sound()
    return whole[: whole.index(b"data")]


@cache
def film(suffix: str, seconds: float = 0.3) -> bytes:
    """A film's container with sound and no picture."""
    import av

    kind, codec = {".mp4": ("mp4", "aac"), ".avi": ("avi", "pcm_s16le"), ".mp3": ("mp3", "mp3")}[suffix]
    data = io.BytesIO()
    with av.open(data, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        samples = 0.1 * np.random.default_rng(1).standard_normal((1, round(seconds * RATE)))
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = RATE
        size = stream.codec_context.frame_size or 1024
        shape = stream.codec_context.format.name
        resampler = av.AudioResampler(format=shape, layout="mono", rate=RATE, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return data.getvalue()


def build(name: str, folder: Path) -> Path:
    """Write the miniature of a corpus into a folder, and return the folder."""
    miniature = MINIATURES[name]
    for number, place in enumerate(miniature.recordings):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = miniature.seconds
        path.write_bytes(sound(seconds, number) if path.suffix == ".wav" else film(path.suffix, seconds))
    for place, content in miniature.files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
