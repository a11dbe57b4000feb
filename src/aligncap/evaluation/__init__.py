"""Evaluation of captions: against references, emotion labels and votes, and what they make up.

`aligncap evaluate` is built of these; in Python::

    rows, _ = read_rows(Path("manifest.csv"))
    systems = [read_system(Path("captions.jsonl"), rows)]
    data = evaluate(rows, systems)  # a plain dict: scores, intervals, comparisons, every caption
    Path("report.html").write_text(render(data), encoding="utf-8")

Nothing here needs PyTorch but `aligncap.evaluation.sentence_encoder`. The names below are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligncap.evaluation.labels import NO_LABEL, best_label, caption_label, to_label_set

if TYPE_CHECKING:
    from aligncap.evaluation.predictions import Prediction, System, read_system
    from aligncap.evaluation.references import read_references, read_rows
    from aligncap.evaluation.report import render
    from aligncap.evaluation.scores import evaluate

__all__ = [
    "NO_LABEL",
    "Prediction",
    "System",
    "best_label",
    "caption_label",
    "evaluate",
    "read_references",
    "read_rows",
    "read_system",
    "render",
    "to_label_set",
]

_FROM = {
    **dict.fromkeys(("Prediction", "System", "read_system"), "predictions"),
    **dict.fromkeys(("read_references", "read_rows"), "references"),
    "evaluate": "scores",
    "render": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
