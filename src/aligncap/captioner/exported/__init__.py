"""Captions without PyTorch: runs what `aligncap export` wrote, by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligncap.captioner.exported.folder import Exported, is_exported
from aligncap.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from aligncap.captioner.exported.captioner import ExportedCaptioner

__all__ = ["Exported", "is_exported", "load_exported"]


def load_exported(folder: Path, name: str, **how: Any) -> ExportedCaptioner:
    """Load an exported model; see `ExportedCaptioner.load`.

    Raises:
        MissingExtraError: ONNX Runtime or the tokenizer is not installed.
    """
    try:
        from aligncap.captioner.exported.captioner import ExportedCaptioner
    except ModuleNotFoundError as error:
        if error.name in ("onnxruntime", "tokenizers"):
            raise MissingExtraError("running an exported model", "onnx") from error
        raise
    return ExportedCaptioner.load(folder, name, **how)
