"""Simple systems to compare with, trained on the same data: see docs/baselines.md.

They caption as `aligncap.captioner.Captioner` does (`stream`), so that `aligncap benchmark` runs them beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligncap.errors import MissingExtraError

if TYPE_CHECKING:
    from aligncap.baselines.baseline import Baseline, load_baseline

__all__ = ["Baseline", "load_baseline"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from aligncap.baselines import baseline
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("captioning", "torch") from error
    return getattr(baseline, name)
