"""Reads recordings: any container, rate and channel count to mono 16 kHz float32, in segments with times."""

from __future__ import annotations

from aligncap.audio.decode import AudioSource, read_audio
from aligncap.audio.files import AUDIO_SUFFIXES, find_audio
from aligncap.audio.mix import RATE, Audio
from aligncap.audio.segment import Segment, segments

__all__ = [
    "AUDIO_SUFFIXES",
    "RATE",
    "Audio",
    "AudioSource",
    "Segment",
    "find_audio",
    "read_audio",
    "segments",
]
