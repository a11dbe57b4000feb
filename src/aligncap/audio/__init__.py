"""Reads recordings: any container, rate and channel count to mono 16 kHz float32, in segments with times."""

from __future__ import annotations

from aligncap.audio.decode import AudioSource, AudioStream, read_audio
from aligncap.audio.files import AUDIO_SUFFIXES, find_audio
from aligncap.audio.mix import MIN_SECONDS, RATE, Audio
from aligncap.audio.scan import Scan, cut, scan
from aligncap.audio.segment import Segment, longest_window, segments
from aligncap.audio.spans import Span, Turn, fixed_spans, speech_spans, turn_spans

__all__ = [
    "AUDIO_SUFFIXES",
    "MIN_SECONDS",
    "RATE",
    "Audio",
    "AudioSource",
    "AudioStream",
    "Scan",
    "Segment",
    "Span",
    "Turn",
    "cut",
    "find_audio",
    "fixed_spans",
    "longest_window",
    "read_audio",
    "scan",
    "segments",
    "speech_spans",
    "turn_spans",
]
