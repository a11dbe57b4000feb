"""Loading a captioner: which checkpoint, on which device, in which numbers."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from pathlib import Path

import torch

from aligncap.captioner.captioner import Captioner
from aligncap.checkpoints import EMBEDDED
from aligncap.errors import AlignCapError, CheckpointError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor

__all__ = ["load", "pick_device"]

_DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def load(
    checkpoint: str | os.PathLike[str] = "embedded",
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
) -> Captioner:
    """Load a captioner.

    Args:
        checkpoint: ``embedded`` (comes with the package), a folder, or a Hub name (``owner/name``).
        device: ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: ``float32``, ``bfloat16``, ``float16``, ``int8`` (CPU: the language model in 8-bit integers, the rest in
            float32: faster; captions name the same emotions as in float32, at times in other words), or ``auto``
            (bfloat16 on CUDA, float32 on MPS; on the CPU int8 where it has integer dot products and the language
            model is of the Llama family, else float32).
        threads: CPU threads, for the whole process (default: as PyTorch chooses).

    Raises:
        AlignCapError: no such device or dtype.
        CheckpointError: there is no such checkpoint, or it is damaged.
        WeightsError: the base weights cannot be had.
    """
    device = pick_device(device)
    if dtype not in _DTYPES:
        raise AlignCapError(f"unknown dtype {dtype!r}: choose one of {', '.join(_DTYPES)}")
    int8 = dtype == "int8" or (None if dtype == "auto" and device == "cpu" else False)
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    if dtype == "int8" and device != "cpu":
        raise AlignCapError(f"int8 runs on the CPU, not on {device}: choose device cpu, or another dtype")
    if threads is not None:
        torch.set_num_threads(threads)
    source, name = _locate(checkpoint)
    processor = AlignCapProcessor.from_pretrained(source)
    model = AlignCapForConditionalGeneration.from_pretrained(
        source, dtype="float32" if dtype == "int8" else dtype, device_map=device, config=processor.config
    )
    model.merge_adapters(int8=int8)
    _return_freed_memory()
    return Captioner(model, processor, name)


def pick_device(device: str) -> str:
    """Resolve ``auto`` and check the rest.

    Raises:
        AlignCapError: no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = device.split(":", maxsplit=1)[0]
    if kind not in there:
        raise AlignCapError(f"unknown device {device!r}: choose auto, cpu, cuda or mps")
    if not there[kind]:
        raise AlignCapError(f"there is no {kind} device here: choose auto or cpu")
    return device


def _locate(checkpoint: str | os.PathLike[str]) -> tuple[str, str]:
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


def _return_freed_memory() -> None:
    """Give the system what loading took and freed: glibc would keep some 300 MB of it for later."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
