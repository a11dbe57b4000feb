"""NumPy's threads are limited while it matters, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from aligncap.blas import single_threaded
from aligncap.clues import frames, measure


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["prefix"] == "libscipy_openblas"}


USUAL = threads()
pytestmark = pytest.mark.skipif(USUAL in (set(), {1}), reason=f"NumPy {np.__version__} has no threads of OpenBLAS here")


def test_one_thread_inside_and_as_before_after() -> None:
    def fail() -> None:
        with single_threaded(), single_threaded():
            assert threads() == {1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert threads() == USUAL


def test_many_at_once() -> None:
    def look(_: int) -> set[int]:
        with single_threaded():
            return threads()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, range(200))) == [{1}] * 200
    assert threads() == USUAL


def test_voices_are_measured_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @contextmanager
    def watched() -> Iterator[None]:
        with single_threaded():
            seen.append(threads())
            yield

    monkeypatch.setattr(frames, "single_threaded", watched)
    measure(np.sin(np.arange(16_000) / 16_000 * 2 * np.pi * 150).astype(np.float32))
    assert set(map(tuple, seen)) == {(1,)}
    assert threads() == USUAL


def test_other_libraries_are_left_alone() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    with single_threaded():
        assert torch.get_num_threads() == 2
