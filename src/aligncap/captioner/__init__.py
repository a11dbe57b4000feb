"""Captioning of recordings with a trained model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aligncap.captioner.results import Caption, Classification, Failure
from aligncap.captioner.sampling import Sampling

if TYPE_CHECKING:
    from aligncap.captioner.captioner import Captioner
    from aligncap.captioner.loading import load

__all__ = ["Caption", "Captioner", "Classification", "Failure", "Sampling", "load"]

_LAZY = {
    "Captioner": "aligncap.captioner.captioner",
    "load": "aligncap.captioner.loading",
}


def __getattr__(name: str) -> Any:
    """Results are light; what captions is imported when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
