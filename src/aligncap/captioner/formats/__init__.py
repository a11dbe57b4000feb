"""Captions as documents of other programs: subtitles, Praat, ELAN, Parquet.

The first three are of one recording, and made once all of it is captioned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from aligncap.captioner.formats.elan import elan
from aligncap.captioner.formats.praat import textgrid
from aligncap.captioner.formats.subtitles import srt, vtt
from aligncap.captioner.results import Result

__all__ = ["DOCUMENTS", "SUFFIX_OF", "Render"]

Render: TypeAlias = "Callable[[Sequence[Result]], str]"

DOCUMENTS: dict[str, Render] = {"srt": srt, "vtt": vtt, "textgrid": textgrid, "eaf": elan}
"""What writes the results of one recording as a document."""

SUFFIX_OF: dict[str, str] = {"srt": ".srt", "vtt": ".vtt", "textgrid": ".TextGrid", "eaf": ".eaf"}
"""How files of each kind are named."""
