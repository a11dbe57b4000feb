"""A picture of a recording's clues: waveform, pitch and level, with each clue word where it can be seen."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.frames import HOP_S, Floats
from aligncap.clues.measure import Contours, MeasuredClues, contours
from aligncap.clues.rhythm import find_nuclei
from aligncap.clues.words import ClueWord, said_with_number
from aligncap.errors import AlignCapError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_available", "save_picture"]

_COLUMNS = 2000  # of the waveform's outline
_WAVE, _PITCH, _LEVEL, _NOTE = "#7f8c8d", "#1f77b4", "#2ca02c", "#c0392b"
_PANELS = {
    **dict.fromkeys(("pitch", "melody", "contour"), "pitch"),
    **dict.fromkeys(("pace", "pauses", "dynamics"), "level"),
    **dict.fromkeys(("effort", "quality", "loudness"), "wave"),
}


def check_available() -> None:
    """Make sure that pictures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise MissingExtraError("drawing pictures", "plots") from error


def save_picture(
    path: str | os.PathLike[str],
    samples: NDArray[np.float32],
    clues: MeasuredClues,
    words: Sequence[ClueWord],
    *,
    rate: int = 16000,
    start: float = 0.0,
    title: str = "",
) -> None:
    """Draw a recording's waveform, pitch and level, the clue words beside what they were judged by, into a file.

    Args:
        path: the file; its suffix tells the format (``.png``, ``.svg``, ``.pdf``).
        samples: (T,) samples, the same that were measured.
        clues: what `measure` returned for them.
        words: what `clue_words` returned for the clues.
        rate: samples a second.
        start: time of the first sample on the axis, in seconds.
        title: heading, such as the recording's name.

    Raises:
        MissingExtraError: matplotlib is not installed.
        AlignCapError: the file cannot be written.
    """
    check_available()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(10, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    wave, pitch, level = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.6, 1.3))
    figure.suptitle(_plain(title), fontsize=11)
    found = contours(samples, rate)
    time = start + np.arange(len(found.f0_hz)) * HOP_S
    _draw_wave(wave, samples, rate, start)
    _draw_pitch(pitch, time, found, clues, words)
    _draw_level(level, time, found)
    for axes, panel in ((wave, "wave"), (pitch, "pitch"), (level, "level")):
        notes = [said_with_number(word, clues) for word in words if _PANELS[word.dimension] == panel]
        _note(axes, ", ".join(notes))
    wave.set_xlim(start, start + len(samples) / rate)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font does not have
            figure.savefig(path, dpi=110)
    except OSError as error:
        raise AlignCapError(f"{os.fspath(path)}: it cannot be written: {error.strerror or error}") from error


def _draw_wave(axes: Axes, samples: NDArray[np.float32], rate: int, start: float) -> None:
    edges = np.linspace(0, len(samples), min(_COLUMNS, len(samples)) + 1).astype(int)[:-1]
    time = start + edges / rate
    axes.fill_between(time, np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges), color=_WAVE, lw=0)
    axes.set_ylabel("sample")


def _draw_pitch(axes: Axes, time: Floats, found: Contours, clues: MeasuredClues, words: Sequence[ClueWord]) -> None:
    axes.set(ylabel="pitch (Hz)", yscale="log")
    f0 = np.where(found.voiced, found.f0_hz, np.nan)
    if np.isnan(clues.f0_median_hz):
        axes.set(ylim=(60, 650))
        axes.text(0.5, 0.5, "no voice found", transform=axes.transAxes, ha="center", color=_NOTE)
    else:
        axes.plot(time, f0, ".", color=_PITCH, markersize=3)
        axes.axhline(clues.f0_median_hz, color=_PITCH, lw=0.8, ls="--")
        low, high = np.nanpercentile(f0, [10, 90])
        axes.axhspan(low, high, color=_PITCH, alpha=0.12, lw=0)
        axes.set(ylim=(np.nanmin(f0) / 1.25, np.nanmax(f0) * 1.45))
        if any(word.dimension == "contour" for word in words):
            middle = np.median(time[found.voiced])
            axes.plot(
                time,
                clues.f0_median_hz * 2 ** (clues.f0_slope_semitones_per_s * (time - middle) / 12),
                color=_NOTE,
                lw=1,
            )
    ticks = [hz for hz in (75, 100, 150, 200, 300, 400, 600) if axes.get_ylim()[0] <= hz <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [str(hz) for hz in ticks])
    axes.set_yticks([], minor=True)


def _draw_level(axes: Axes, time: Floats, found: Contours) -> None:
    axes.plot(time, found.level_db, color=_LEVEL, lw=1)
    axes.set(ylabel="level (dB)", xlabel="time (s)", ylim=(-60, 18))
    if found.voiced.any():
        nuclei = find_nuclei(found.level_db, found.voiced)
        axes.plot(time[nuclei], found.level_db[nuclei] + 2, "v", color=_LEVEL, markersize=5)
        for value in np.percentile(found.level_db[found.voiced], [50, 95]):
            axes.axhline(value, color=_LEVEL, lw=0.8, ls="--")
    style: dict[str, Any] = {"ha": "center", "color": _NOTE, "fontsize": 8, "backgroundcolor": "#ffffffaa"}
    for (_, stop), (start, _) in pairwise(found.runs):
        axes.axvspan(time[stop], time[start], color=_NOTE, alpha=0.15, lw=0)
        axes.text((time[stop] + time[start]) / 2, -56, "pause", **style)


def _note(axes: Axes, text: str) -> None:
    box: dict[str, Any] = {"boxstyle": "round", "facecolor": "white", "edgecolor": _NOTE, "alpha": 0.85}
    if text:
        axes.text(0.995, 0.95, text, transform=axes.transAxes, ha="right", va="top", color=_NOTE, fontsize=9, bbox=box)


def _plain(title: str) -> str:
    """Dollar signs begin formulas in matplotlib, and control characters have no picture."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in title).replace("$", r"\$")
