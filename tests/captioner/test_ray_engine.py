"""Captioning on a Ray cluster of two workers that are really killed. The model is a stand-in: no PyTorch.

What a worker is to do stands in the names of the recordings.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aligncap.audio import Segment
from aligncap.captioner.clips import Clip
from aligncap.captioner.collection import caption_cuts
from aligncap.captioner.ray_cluster import ClusterError, Workers, connected
from aligncap.captioner.ray_engine import RayEngine
from aligncap.captioner.results import Caption, Failure, Silence
from aligncap.errors import CheckpointError, MissingExtraError, PromptError

TWO = Workers(2, threads=1, device="cpu")
SECONDS = 10.0


def clips(*names: str) -> list[Clip]:
    segment = Segment(0.0, 0.1, np.zeros(1600, np.float32))
    return [Clip(name, name, segment, [], ()) for name in names]


def loader(problem: str = "") -> Callable[..., Any]:
    """Loads the stand-in. Made in a function, so that it is sent to the workers whole."""
    seconds, error = SECONDS, CheckpointError("it is damaged")

    def stream(clips, *, batch_size, prompt):
        for clip in clips:
            if "slow" in clip.audio:
                time.sleep(0.15)
            if "deadly" in clip.audio:
                os.kill(os.getpid(), signal.SIGKILL)
            if "refused" in clip.audio:
                raise PromptError("the prompt is too long")
            yield Caption(clip.id, clip.audio, 0.0, 0.1, f"{prompt} {batch_size}", {"calm": 1.0}, "", str(os.getpid()))

    def load(*, device, threads):
        assert (device, threads) == ("cpu", 1)
        if problem == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if problem == "fails":
            raise error
        return SimpleNamespace(max_seconds=seconds, stream=stream)

    return load


def ray_processes() -> list[str]:
    """Those that this process has started."""
    listed = subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return [name for name in listed.stdout.split() if name.startswith(("raylet", "gcs_server"))]


def both_work(engine: RayEngine) -> bool:
    """Whether there are two workers, once those that are being started had the time."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len({result.model for result in engine(clips("slow", "0", "slow", "0", "slow", "0"))}) == 2:
            return True
    return False


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Any]:
    """The module, with a cluster that is started once for all; when it is closed nothing is left of it."""
    on_termination = signal.getsignal(signal.SIGTERM)
    with connected(TWO) as (ray, workers):
        assert workers == Workers(2, 1, 0.0, None, "cpu")
        assert sorted(ray_processes()) == ["gcs_server", "raylet"]
        assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
        yield ray
    assert not ray.is_initialized()
    assert not ray_processes()
    assert signal.getsignal(signal.SIGTERM) == on_termination


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def engine(ray: Any, told: list[str]) -> Iterator[RayEngine]:
    with RayEngine(loader(), {"prompt": "Fine?"}, batch_size=2, workers=TWO, tell=told.append) as engine:
        assert engine.max_seconds == SECONDS
        yield engine
    assert ray.is_initialized(), "it was connected before, and must stay so"


def test_results_come_in_order_from_both_workers(engine: RayEngine) -> None:
    assert both_work(engine)
    names = ["slow 0", "slow 1", *map(str, range(2, 9))]  # all others are done before the first
    results = list(engine(clips(*names)))
    assert [result.id for result in results] == names
    assert [result.caption for result in results] == ["Fine? 2"] * 8 + ["Fine? 1"]
    assert len({result.model for result in results}) == 2


def test_no_stretches(engine: RayEngine) -> None:
    assert list(engine([])) == []


def test_silences_and_failures_keep_their_places(engine: RayEngine) -> None:
    bad, quiet = Failure("b", "b", "AudioEmptyError", "it is empty"), Silence("c#silence0", "c", 0.0, 1.0)
    cuts = [*clips("slow a"), bad, *clips("b", "c"), quiet, *clips("d", "e")]
    assert [result.id for result in caption_cuts(cuts, engine, 2)] == [cut.id for cut in cuts]


def test_little_is_taken_ahead(engine: RayEngine) -> None:
    """Three batches for each worker, and one that is being read."""
    taken = 0

    def counted() -> Iterator[Clip]:
        nonlocal taken
        for clip in clips(*(f"slow {place}" for place in range(40))):
            taken += 1
            yield clip

    for place, _ in enumerate(engine(counted())):
        assert taken <= place + 2 * (3 * 2 + 1)
    assert taken == 40


def test_a_worker_is_killed(engine: RayEngine, told: list[str]) -> None:
    told.clear()
    names = [f"slow {place}" for place in range(24)]
    results = []
    for result in engine(clips(*names)):
        if not results:
            os.kill(int(result.model), signal.SIGKILL)
        results.append(result)
    assert [result.id for result in results] == names
    assert all(isinstance(result, Caption) for result in results)
    assert told == ["a worker died: another one is started, and its batch is run again"]
    assert len({result.model for result in results}) >= 2


def test_a_batch_that_kills_every_worker_fails(engine: RayEngine, told: list[str]) -> None:
    told.clear()
    names = ["0", "1", "with it", "deadly", "4", "5"]
    results = list(engine(clips(*names)))
    assert [result.id for result in results] == names
    assert [result.id for result in results if isinstance(result, Failure)] == ["with it", "deadly"]
    assert isinstance(results[3], Failure)
    assert results[3].type == "WorkerDiedError"
    assert "each of the 3 workers died that captioned this" in results[3].message
    assert told[-1] == "3 workers died of one batch: its 2 stretches count as failed"
    assert [result.id for result in engine(clips("later"))] == ["later"]


def test_errors_of_the_captioner_are_raised_here(engine: RayEngine) -> None:
    with pytest.raises(PromptError, match="the prompt is too long"):
        list(engine(clips("0", "1", "refused", "3", "4", "5")))
    assert [result.id for result in engine(clips("later"))] == ["later"]
    assert both_work(engine)


def test_errors_of_the_source_are_raised_after_what_came_before(engine: RayEngine) -> None:
    def source() -> Iterator[Clip]:
        yield from clips("0", "1", "2")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(engine(source()))


def test_a_model_that_cannot_be_loaded() -> None:
    with (
        RayEngine(loader("fails"), {}, batch_size=2, workers=TWO) as engine,
        pytest.raises(CheckpointError, match="it is damaged"),
    ):
        _ = engine.max_seconds


def test_workers_that_die_while_they_load() -> None:
    with (
        RayEngine(loader("dies"), {}, batch_size=2, workers=TWO) as engine,
        pytest.raises(ClusterError, match="the workers die while they load the model: "),
    ):
        list(engine(clips("0")))


def test_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aligncap\[ray\]'"), connected(TWO):
        pass


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ConnectionError("Could not find any.\n  Start one"), "Could not find any. Start one"),
        (
            RuntimeError("Failed.\nTraceback …:\n  File …\nAuthenticationError: no token\n"),
            "AuthenticationError: no token",
        ),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch, ray: Any, raised: Exception, told: str) -> None:
    def init(**_: object) -> None:
        raise raised

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with (
        pytest.raises(ClusterError, match=f"^auto: no Ray cluster can be used there: {told}$"),
        connected(Workers(address="auto")),
    ):
        pass


def test_nothing_answers_at_the_address(monkeypatch: pytest.MonkeyPatch, ray: Any) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(ClusterError, match=f"^{address}: .*refused"), connected(Workers(address=address)):
            pass


@pytest.mark.parametrize(
    ("wanted", "cores", "gpus", "settled"),
    [
        (Workers(), [2], 0, Workers(1, 2, 0.0, None, "auto")),
        (Workers(), [16], 0, Workers(4, 4, 0.0, None, "auto")),
        (Workers(3), [2], 0, Workers(3, 1, 0.0, None, "auto")),
        (Workers(2, threads=8), [2], 0, Workers(2, 8, 0.0, None, "auto")),
        (Workers(), [16, 16], 8, Workers(8, 4, 1.0, None, "cuda")),
        (Workers(gpus=0.5), [16], 2, Workers(4, 4, 0.5, None, "cuda")),
        (Workers(device="cpu"), [16], 2, Workers(4, 4, 0.0, None, "cpu")),
        # 16 cores for 3 are 5 each, but of 8 and 8 only 4 each can be had
        (Workers(3), [8, 8], 0, Workers(3, 4, 0.0, None, "auto")),
    ],
)
def test_what_is_left_open_is_settled(wanted: Workers, cores: list[float], gpus: float, settled: Workers) -> None:
    assert wanted.settled(cores, gpus) == settled
