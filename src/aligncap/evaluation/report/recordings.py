"""Recordings inside a report, as data URIs."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap.errors import AudioError

__all__ = ["embedded_audio"]

_PLAYED = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "audio/webm",
}
"""What browsers play as it is; anything else, and parts of recordings, becomes 16 kHz WAV."""


def embedded_audio(records: Sequence[Mapping[str, Any]], folder: Path, most_bytes: int) -> dict[str, str]:
    """Data URI by id of the clip.

    Args:
        records: of report data, in the order in which they are wanted: ``id``, ``audio``, ``start`` and ``end``.
        folder: that the paths are relative to.
        most_bytes: of audio in all; a recording that does not fit any more, or cannot be read, is left out.
    """
    found: dict[str, str] = {}
    left = most_bytes
    for record in records:
        clip = _clip(record, folder, left)
        if clip is not None:
            kind, data = clip
            found[record["id"]] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
            left -= len(data)
    return found


def _clip(record: Mapping[str, Any], folder: Path, most_bytes: int) -> tuple[str, bytes] | None:
    from aligncap.audio import RATE, read_audio
    from aligncap.corpora import audio_path

    if not record.get("audio") or not most_bytes:
        return None
    path = audio_path(record["audio"], folder)
    start, end = record.get("start"), record.get("end")
    kind = _PLAYED.get(path.suffix.lower())
    try:
        if kind and start is None and end is None:
            return (kind, path.read_bytes()) if path.stat().st_size <= most_bytes else None
        samples = read_audio(path).samples
    except (OSError, AudioError):
        return None
    part = samples[round((start or 0.0) * RATE) : None if end is None else round(end * RATE)]
    data = _wav(part, RATE)
    return ("audio/wav", data) if len(data) <= most_bytes else None


def _wav(samples: Any, rate: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()
