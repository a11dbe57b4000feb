"""One picture of a stage's losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

__all__ = ["plot_losses"]

_NAMES = {
    "loss": "total",
    "kd": "divergence from the teacher",
    "ce": "cross-entropy",
    "head": "emotion head",
    "contrastive": "contrast",
}


def plot_losses(log: Sequence[Mapping[str, float]], path: Path, title: str) -> bool:
    """Draw each loss over the steps, as it is and smoothed.

    Args:
        log: points with ``step`` and losses by name.
        path: PNG to write.
        title: of the picture.

    Returns:
        False where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = np.array([point["step"] for point in log], float)
    for index, (name, label) in enumerate(_NAMES.items()):
        values = np.array([point.get(name, np.nan) for point in log], float)
        if not np.isfinite(values).any() or not np.nan_to_num(values).any():
            continue
        axes.plot(steps, values, color=f"C{index}", alpha=0.3, linewidth=0.8)
        axes.plot(steps, _smooth(values), color=f"C{index}", label=label)
    axes.set(title=title, xlabel="step", ylabel="loss (nats)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return True


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over the last tenth of the points that there were, at most."""
    window = max(len(values) // 10, 1)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    counts = np.minimum(np.arange(1, len(values) + 1), window)
    ends = np.arange(1, len(values) + 1)
    return np.asarray((sums[ends] - sums[ends - counts]) / counts)
