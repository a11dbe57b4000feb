"""Loading a captioner: which checkpoint, on which device, in which numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.captioner.exported import is_exported
from aligncap.checkpoints import EMBEDDED
from aligncap.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    from aligncap.captioner.captioner import Captioner

__all__ = ["load", "locate"]

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_EXTRA = {"accelerate", "peft", "tokenizers", "torch", "transformers"}


def load(
    checkpoint: str | os.PathLike[str] = "embedded",
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
) -> Captioner:
    """Load a captioner.

    Args:
        checkpoint: ``embedded`` (comes with the package), a folder, or a Hub name (``owner/name``). A folder that
            `aligncap export` wrote is run by ONNX Runtime, without PyTorch.
        device: ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: ``float32``, ``bfloat16``, ``float16``, ``int8`` (CPU: the language model in 8-bit integers, the rest in
            float32: faster; captions name the same emotions as in float32, at times in other words), or ``auto``
            (bfloat16 on CUDA, float32 on MPS; on the CPU int8 where it has integer dot products and the language
            model is of the Llama family, else float32).
        threads: CPU threads, for the whole process (default: as PyTorch chooses).

    Raises:
        AlignCapError: no such device or dtype, or packages are missing.
        CheckpointError: there is no such checkpoint, or it is damaged.
        WeightsError: the base weights cannot be had.
    """
    source, name = locate(checkpoint)
    if is_exported(source):
        from aligncap.captioner.exported import load_exported

        return load_exported(Path(source), name, device=device, dtype=dtype, threads=threads)
    try:
        from aligncap.captioner.torch_loading import load_checkpoint
    except ModuleNotFoundError as error:
        if error.name in _EXTRA:
            raise MissingExtraError("captioning", "torch") from error
        raise
    return load_checkpoint(source, name, device=device, dtype=dtype, threads=threads)


def locate(checkpoint: str | os.PathLike[str]) -> tuple[str, str]:
    """Where a checkpoint is, and what to call it."""
    given = os.fspath(checkpoint)
    if given == "embedded":
        if not EMBEDDED.is_dir():
            raise CheckpointError("embedded: this installation lacks the checkpoint; install aligncap again")
        return str(EMBEDDED), given
    path = Path(given).expanduser()
    if given and path.is_dir():
        return str(path), path.resolve().name
    if given and path.exists():
        raise CheckpointError(f"{given}: it is a file; a checkpoint is a folder with a config.json")
    if not _HUB_NAME.fullmatch(given):
        name = given or "an empty name"
        raise CheckpointError(f"{name}: there is no such checkpoint; give a folder or a Hub name (owner/name)")
    return given, given
