"""A picture of how the emotions of a recording change: a row for each emotion, darker where it is more probable.

One scale from light to dark, and a mark where an emotion is the likeliest, so that nothing depends on telling colours
apart; the picture reads the same in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.captioner.formats.tiers import duration
from aligncap.captioner.results import Caption, Result
from aligncap.errors import AlignCapError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "check_available", "save_timeline"]

SUFFIXES = (".png", ".svg", ".pdf")

_SHADES = "Blues"  # one hue: only how dark it is counts
_MARK, _SILENCE = "#d55e00", "#8a8a8a"
_INCHES_A_MINUTE, _NARROWEST, _WIDEST = 2.0, 8.0, 24.0


def check_available() -> None:
    """Make sure that pictures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("drawing pictures", "plots") from error


def save_timeline(path: Path, results: Sequence[Result]) -> None:
    """Draw the emotion probabilities of one recording over time into a file.

    Stretches are drawn over all the time that they last; silence is hatched.

    Args:
        path: the file; its suffix tells the format (``.png``, ``.svg``, ``.pdf``).
        results: of one recording, with at least one caption.

    Raises:
        AlignCapError: there is no caption, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    check_available()
    captions = [item for item in results if isinstance(item, Caption)]
    if not captions:
        raise AlignCapError(f"{path}: there is no caption to draw")
    figure = _drawn(captions, duration(results))
    try:
        # without the date, the same results give the same bytes
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except (OSError, ValueError) as error:
        raise AlignCapError(f"{path}: it cannot be written: {error}") from error


def _drawn(captions: Sequence[Caption], end: float) -> Figure:
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    labels = _by_weight(captions)
    width = min(max(_NARROWEST, 2.5 + end / 60 * _INCHES_A_MINUTE), _WIDEST)
    figure: Figure = Figure(figsize=(width, 1.6 + 0.36 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shades = colormaps[_SHADES]
    axes.axhspan(-0.5, len(labels) - 0.5, facecolor="white", edgecolor=_SILENCE, hatch="////", linewidth=0)
    times = [(item.start, item.end - item.start) for item in captions]
    for row, label in enumerate(labels):
        colours = [shades(item.emotions.get(label, 0.0)) for item in captions]
        axes.broken_barh(times, (row - 0.5, 1), facecolors=colours, linewidth=0)
        marked = [item for item in captions if next(iter(item.emotions)) == label]
        axes.hlines([row] * len(marked), *_ends(marked), color=_MARK, linewidth=3)
    for row in range(1, len(labels)):
        axes.axhline(row - 0.5, color=_SILENCE, linewidth=0.5)
    axes.set(xlim=(0, end), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)), yticklabels=labels)
    axes.set_xlabel("time (min:s)" if end >= 60 else "time (s)")
    if end >= 60:
        axes.xaxis.set_major_formatter(lambda second, _: _clock(second))
        axes.xaxis.set_major_locator(_ticks(end))
    title = f"{_short(captions[0].audio)}: line = likeliest emotion, hatched = silence"
    axes.set_title(title, loc="left", fontsize="medium", parse_math=False)
    figure.colorbar(ScalarMappable(cmap=shades), ax=axes, label="probability", pad=0.01)
    return figure


def _ends(captions: Sequence[Caption]) -> tuple[list[float], list[float]]:
    return [item.start for item in captions], [item.end for item in captions]


def _ticks(end: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    steps = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return MultipleLocator(next((step for step in steps if end / step <= 15), 3600))


def _by_weight(captions: Sequence[Caption]) -> list[str]:
    """The labels, those first that were heard most."""
    total: dict[str, float] = {}
    for item in captions:
        for label, probability in item.emotions.items():
            total[label] = total.get(label, 0.0) + probability * (item.end - item.start)
    return sorted(total, key=lambda label: (-total[label], label))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"…{name[-59:]}"
