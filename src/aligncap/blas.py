"""NumPy's own threads, kept out of the way of the model's.

OpenBLAS, which NumPy's wheels bring, multiplies matrices on all cores, and its threads go on spinning for a while
after. The model's threads then wait for a core: on two cores, measuring a voice made the speech encoder that runs next
take twice as long (docs/performance.md). NumPy's matrices are small here, and one thread is enough.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["single_threaded"]

_lock = threading.RLock()  # OpenBLAS has one number of threads for the whole process


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let NumPy multiply on one thread, and on as many as before afterwards; for one at a time."""
    with _lock, _of_numpy().limit(limits=1):
        yield


@cache
def _of_numpy() -> ThreadpoolController:
    """The library that NumPy's wheels bring; no other's threads are touched, PyTorch's least of all."""
    import numpy  # noqa: F401  (it has to be loaded to be found)

    return ThreadpoolController().select(prefix="libscipy_openblas")
