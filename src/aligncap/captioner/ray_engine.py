"""Captioning in several processes, on one machine or many: workers on a Ray cluster, each with a model of its own.

Batches go to whichever worker is free, and results come back in order. A worker that dies (killed, out of memory, its
machine gone) is replaced by a new one, and its batch is run again by the next that is free.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aligncap.captioner.clips import Clip
from aligncap.captioner.ray_cluster import ClusterError, Workers, connected, reason
from aligncap.captioner.results import Caption, Failure
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.captioner.captioner import Captioner

__all__ = ["RayEngine", "WorkerDiedError"]

_LOG = logging.getLogger(__name__)
_TRIES = 3  # of a batch, and of loading before any worker has loaded
_HELD = 3  # batches for each worker: that which it works on, and others that are ready, or done before their turn
_PATIENCE = 60.0  # seconds without any worker before that is told
_DEADLY = (
    f"each of the {_TRIES} workers died that captioned this or what was in a batch with it, out of memory perhaps: try "
    "a smaller batch size"
)


class WorkerDiedError(AlignCapError):
    """Every worker died that was given a batch."""


@dataclass(eq=False)
class _Batch:
    clips: list[Clip]
    deaths: int = 0
    results: list[Caption | Failure] | None = None


class _Worker:
    """A captioner in a process of its own."""

    def __init__(self, load: Callable[..., Captioner], options: Mapping[str, Any]) -> None:
        self._load = load
        self._options = options

    def load(self, device: str, threads: int) -> float:
        """Load the model; tell how many seconds it takes."""
        self._captioner = self._load(device=device, threads=threads)
        return self._captioner.max_seconds

    def caption(self, clips: list[Clip]) -> list[Caption | Failure]:
        return list(self._captioner.stream(clips, batch_size=len(clips), **self._options))


class RayEngine:
    """An `Engine` (see `aligncap.captioner.collection`) that captions on a Ray cluster; use it in a ``with`` block.

    The captions are those of `Captioner.stream` with the same options and batch size, on the same kind of device with
    as many threads. The stretches come from this process, which so has to read the recordings; no more than three
    batches for each worker are held in memory.

    Args:
        load: makes a worker's captioner; it is called there with ``device`` and ``threads``, and must be picklable.
        options: of `Captioner.stream`, without ``batch_size``.
        batch_size: stretches that are run together.
        workers: how many, with what, and where.
        tell: is given a line where a worker died, or none can be had.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: there is no cluster at the address, or workers die while they load.
        AlignCapError: whatever ``load`` and `Captioner.stream` raise.
    """

    def __init__(
        self,
        load: Callable[..., Captioner],
        options: Mapping[str, Any],
        *,
        batch_size: int,
        workers: Workers,
        tell: Callable[[str], None] = _LOG.warning,
    ) -> None:
        self.workers = workers
        self._load = load
        self._options = options
        self._batch_size = batch_size
        self._tell = tell
        self._ray: Any = None
        self._actor: Any = None
        self._open = ExitStack()
        self._running: dict[Future[Any], tuple[Any, _Batch | None]] = {}  # no batch: it loads
        self._idle: deque[Any] = deque()
        self._waiting: deque[_Batch] = deque()
        self._failed_starts = 0
        self._max_seconds: float | None = None

    def __enter__(self) -> RayEngine:
        with ExitStack() as opened:
            self._ray, self.workers = opened.enter_context(connected(self.workers))
            self._actor = self._ray.remote(_Worker)
            opened.callback(self._stop)
            for _ in range(self.workers.number or 1):
                self._start()
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def max_seconds(self) -> float:
        """Of the longest stretch that the model takes; waits for the first worker to have loaded it."""
        told = False
        while self._max_seconds is None:
            done, _ = wait(self._running, None if told else _PATIENCE, FIRST_COMPLETED)
            self._settle(done)
            if not done and not told:
                told = True
                self._tell(
                    f"still waiting for a worker: each needs {self._needs()} free on the cluster, and loads the model"
                )
        return self._max_seconds

    def __call__(self, clips: Iterable[Clip]) -> Iterator[Caption | Failure]:
        """Caption stretches: a result for each, in their order."""
        coming = iter(clips)
        order: deque[_Batch] = deque()
        self._waiting.clear()  # of a call that was broken off
        with ThreadPoolExecutor(1, "aligncap-batches") as reader:

            def read() -> list[Clip]:
                return list(islice(coming, self._batch_size))

            reading: Future[list[Clip]] | None = reader.submit(read)
            while reading or order:
                full = len(order) >= _HELD * (self.workers.number or 1)
                done, _ = wait([*self._running, *([reading] if reading and not full else [])], None, FIRST_COMPLETED)
                if reading in done:
                    done.discard(reading)
                    taken, reading = reading.result(), None
                    if taken:
                        order.append(_Batch(taken))
                        self._waiting.append(order[-1])
                        reading = reader.submit(read)
                self._settle(done)
                while self._idle and self._waiting:
                    self._give(self._idle.popleft(), self._waiting.popleft())
                while order and order[0].results is not None:
                    yield from order.popleft().results or ()

    def _needs(self) -> str:
        return f"{self.workers.threads} CPU" + (f" and {self.workers.gpus:g} GPU" if self.workers.gpus else "")

    def _start(self) -> None:
        # on a cluster that was started for this, threads are shared out already
        cpus = self.workers.threads if self.workers.address else 0
        worker = self._actor.options(num_cpus=cpus, num_gpus=self.workers.gpus).remote(self._load, self._options)
        loading = worker.load.remote(self.workers.device, self.workers.threads)
        self._running[loading.future()] = (worker, None)

    def _give(self, worker: Any, batch: _Batch) -> None:
        self._running[worker.caption.remote(batch.clips).future()] = (worker, batch)

    def _settle(self, done: Iterable[Future[Any]]) -> None:
        """Take in what the workers have done, or that they died."""
        for future in done:
            worker, batch = self._running.pop(future)
            try:
                result = future.result()
            except self._ray.exceptions.RayTaskError as error:
                if batch is not None:
                    self._idle.append(worker)
                raise error.cause or error from error  # the captioner's own, as if it had run here
            except self._ray.exceptions.RayError as error:
                _LOG.debug("a worker was lost", exc_info=error)
                self._ray.kill(worker)  # where only its answer was lost
                self._lost(batch, error)
                continue
            self._idle.append(worker)
            if batch is None:
                self._max_seconds, self._failed_starts = result, 0
            else:
                batch.results = result

    def _lost(self, batch: _Batch | None, error: Exception) -> None:
        """Start another worker, and run the batch again, unless that was tried often enough."""
        if batch is None:
            self._failed_starts += 1
            if self._failed_starts >= _TRIES:  # do with those that there are
                if not self._running and not self._idle:
                    raise ClusterError(f"the workers die while they load the model: {reason(error)}") from error
                return
        else:
            batch.deaths += 1
            if batch.deaths < _TRIES:
                self._tell("a worker died: another one is started, and its batch is run again")
                self._waiting.appendleft(batch)
            else:
                self._tell(f"{_TRIES} workers died of one batch: its {len(batch.clips)} stretches count as failed")
                batch.results = [Failure.of(WorkerDiedError(_DEADLY), clip.audio, clip.id) for clip in batch.clips]
        self._start()

    def _stop(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._running.values())]:
            self._ray.kill(worker)
        self._idle.clear()
        self._running.clear()
        self._waiting.clear()
