"""One thread owns the model; recordings that come together are captioned together."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.sampling import Sampling
from aligncap.errors import PromptError

if TYPE_CHECKING:
    from aligncap.audio import Audio
    from aligncap.server.metrics import Metrics

__all__ = ["Asked", "Batcher", "Closed", "Full", "Job", "Streams"]

_LOG = logging.getLogger(__name__)
_STRETCH = 10.0  # seconds; about what the captioner runs as one


class Full(Exception):  # noqa: N818 (named for what it is about)
    """So much is waiting that nothing more is taken on."""


class Closed(Exception):  # noqa: N818
    """The server is shutting down."""


@dataclass(frozen=True)
class Asked:
    """What is asked of recordings; those of which the same is asked can be captioned together."""

    prompt: str
    num_captions: int = 1
    sampling: Sampling | None = None
    verify: bool = True


class Streams(Protocol):
    """What is needed of a captioner: `aligncap.captioner.Captioner` has it."""

    name: str

    def stream(
        self,
        sources: Iterable[Any],
        *,
        prompt: str,
        batch_size: int,
        num_captions: int,
        sampling: Sampling | None,
        verify: bool,
    ) -> Iterator[Caption | Failure]:
        """Results in the order of the sources."""


@dataclass(eq=False)
class Job:
    """A recording to be captioned.

    Attributes:
        audio: its samples.
        asked: what is asked of it.
        done: its results; cancel it where nobody waits for them any more.
    """

    audio: Audio
    asked: Asked
    done: Future[list[Caption | Failure]] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)

    @property
    def stretches(self) -> int:
        """About how many it will be cut into."""
        return max(1, round(self.audio.duration / _STRETCH + 0.5))


class Batcher:
    """Captions recordings in one thread, in the order of their coming.

    A batch is the oldest recording and those after it of which the same is asked, up to ``max_batch`` stretches. For
    more of them it waits ``max_wait`` seconds, from its coming or from the end of the batch before: those who were
    answered just then may come again. What is cancelled is left out, and a batch stops where all of it is cancelled.
    Where a batch fails as a whole, its recordings are tried one by one, so that none fails for another's sake.

    Args:
        captioner: used by this thread alone.
        max_batch: stretches captioned together.
        max_wait: seconds.
        max_seconds: of recordings taken on and not done.
        metrics: told of every batch.
    """

    def __init__(
        self, captioner: Streams, *, max_batch: int, max_wait: float, max_seconds: float, metrics: Metrics
    ) -> None:
        self._captioner = captioner
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._max_seconds = max_seconds
        self._metrics = metrics
        self._waiting: deque[Job] = deque()
        self._seconds = 0.0
        self._closed = False
        self._free_since = 0.0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="aligncap-model", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether recordings are taken on."""
        return self._thread.is_alive() and not self._closed

    def submit(self, recordings: Sequence[Audio], asked: Asked) -> list[Job]:
        """Take on recordings, all or none.

        Raises:
            Full: too many seconds are waiting already.
            Closed: the server is shutting down.
        """
        jobs = [Job(audio, asked) for audio in recordings]
        with self._changed:
            if not self.ready:
                raise Closed
            seconds = sum(job.audio.duration for job in jobs)
            if self._seconds and self._seconds + seconds > self._max_seconds:
                raise Full
            self._seconds += seconds
            self._waiting.extend(jobs)
            self._metrics.queued.set(len(self._waiting))
            self._changed.notify()
        return jobs

    def close(self) -> None:
        """Take nothing more on, and return when all that was taken on is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            started = time.monotonic()
            self._caption(batch)
            self._metrics.batch_recordings.observe(len(batch))
            self._metrics.batch_seconds.observe(time.monotonic() - started)
            with self._changed:
                self._free_since = time.monotonic()
                self._seconds -= sum(job.audio.duration for job in batch)

    def _next(self) -> list[Job]:
        """The next batch; empty at the end."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                    continue
                batch = self._batch()
                left = max(self._waiting[0].since, self._free_since) + self._max_wait - time.monotonic()
                if self._closed or left <= 0 or sum(job.stretches for job in batch) >= self._max_batch:
                    break
                self._changed.wait(left)
            for job in batch:
                self._waiting.remove(job)
            self._metrics.queued.set(len(self._waiting))
            return batch

    def _drop_cancelled(self) -> None:
        kept: deque[Job] = deque()
        for job in self._waiting:
            if job.done.cancelled():
                self._seconds -= job.audio.duration
            else:
                kept.append(job)
        self._waiting = kept

    def _batch(self) -> list[Job]:
        first, *others = self._waiting
        batch, room = [first], self._max_batch - first.stretches
        for job in others:
            if job.asked == first.asked and job.stretches <= room:
                batch.append(job)
                room -= job.stretches
        return batch

    def _caption(self, batch: list[Job]) -> None:
        try:
            found = self._results(batch)
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._caption([job])
                return
            if not isinstance(error, PromptError):
                _LOG.exception("captioning failed")
            with suppress(InvalidStateError):
                batch[0].done.set_exception(error)
            return
        for job, results in zip(batch, found, strict=True):
            with suppress(InvalidStateError):  # cancelled
                job.done.set_result(results)

    def _results(self, batch: list[Job]) -> list[list[Caption | Failure]]:
        names = {str(place): job.audio.source for place, job in enumerate(batch)}
        sources = [replace(job.audio, source=str(place)) for place, job in enumerate(batch)]
        found: dict[str, list[Caption | Failure]] = {key: [] for key in names}
        asked = batch[0].asked
        stream = self._captioner.stream(
            sources,
            prompt=asked.prompt,
            batch_size=self._max_batch,
            num_captions=asked.num_captions,
            sampling=asked.sampling,
            verify=asked.verify,
        )
        with closing(stream) as results:  # type: ignore[type-var]
            for result in results:
                if all(job.done.cancelled() for job in batch):
                    break
                key, name = result.audio, names[result.audio]
                found[key].append(replace(result, id=name + result.id[len(key) :], audio=name))
        return list(found.values())
