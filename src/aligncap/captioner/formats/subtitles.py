"""Subtitles: SubRip (.srt) and WebVTT (.vtt), a cue for each caption."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from aligncap.captioner.results import Caption, Result

__all__ = ["srt", "vtt"]

_WIDTH = 60  # characters of a line


def srt(results: Sequence[Result]) -> str:
    """The captions of one recording as SubRip."""
    cues = []
    for number, caption in enumerate(_captions(results), 1):
        who = f"{caption.speaker}: " if caption.speaker else ""
        text = _lines(who + caption.caption).replace("-->", "→")
        cues.append(f"{number}\n{_time(caption.start, ',')} --> {_time(caption.end, ',')}\n{text}\n")
    return "\n".join(cues)


def vtt(results: Sequence[Result]) -> str:
    """The captions of one recording as WebVTT."""
    cues = ["WEBVTT\n"]
    for caption in _captions(results):
        text = _escaped(_lines(caption.caption))
        voice = f"<v {_escaped(caption.speaker)}>" if caption.speaker else ""
        cues.append(f"{_time(caption.start, '.')} --> {_time(caption.end, '.')}\n{voice}{text}\n")
    return "\n".join(cues)


def _captions(results: Sequence[Result]) -> list[Caption]:
    return sorted((item for item in results if isinstance(item, Caption)), key=lambda item: (item.start, item.end))


def _lines(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH)) or "…"  # an empty line would end the cue


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
