"""Loading a captioner that runs by PyTorch."""

from __future__ import annotations

import contextlib
import ctypes

import torch

from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.errors import AlignCapError, DeviceError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor

__all__ = ["load_checkpoint", "pick_device"]

_DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")


def load_checkpoint(
    source: str, name: str, *, device: str = "auto", dtype: str = "auto", threads: int | None = None
) -> TorchCaptioner:
    """Load a captioner that runs by PyTorch; see `aligncap.load`.

    Args:
        source: a folder or a Hub name.
        name: written into the results.
        device: see there, as for the rest.
        dtype: likewise.
        threads: likewise.
    """
    device = pick_device(device)
    if dtype not in _DTYPES:
        raise AlignCapError(f"unknown dtype {dtype!r}: choose one of {', '.join(_DTYPES)}")
    int8 = None if (dtype, device) == ("auto", "cpu") else dtype == "int8"  # None: where it pays
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    if dtype == "int8" and device != "cpu":
        raise DeviceError(f"int8 runs on the CPU, not on {device}: choose device cpu, or another dtype")
    if threads is not None:
        torch.set_num_threads(threads)
    processor = AlignCapProcessor.from_pretrained(source)
    model = AlignCapForConditionalGeneration.from_pretrained(
        source, dtype="float32" if dtype == "int8" else dtype, device_map=device, config=processor.config
    )
    model.merge_adapters(int8=int8)
    _return_freed_memory()
    return TorchCaptioner(model, processor, name)


def pick_device(device: str) -> str:
    """Resolve ``auto`` and check the rest.

    Raises:
        DeviceError: no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = device.split(":", maxsplit=1)[0]
    if kind not in there:
        raise DeviceError(f"unknown device {device!r}: choose auto, cpu, cuda or mps")
    if not there[kind]:
        raise DeviceError(f"there is no {kind} device here: choose auto or cpu")
    return device


def _return_freed_memory() -> None:
    """Give the system what loading took and freed: glibc would keep some 300 MB of it for later."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
