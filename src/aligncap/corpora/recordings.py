"""Reads the recordings of a manifest in threads, a little ahead of its rows."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aligncap.corpora.manifest import Parsed
from aligncap.corpora.paths import find_audio_path
from aligncap.corpora.problems import Fault, shown
from aligncap.errors import AudioError, AudioNotFoundError

__all__ = ["Heard", "hear", "with_recordings"]

_AHEAD = 16  # recordings read ahead, per thread
_RECENT = 256  # recordings remembered, for rows that share one


@dataclass(frozen=True)
class Heard:
    """What came of reading a recording.

    Attributes:
        path: as it is on disk, relative to the manifest or absolute.
        seconds: its length.
        samples: fingerprint of its samples (16 kHz, mono): the same for a copy in another lossless container.
        warnings: of the reader.
        fault: kind of problem and message, where it cannot be read; the rest is empty then.
    """

    path: str = ""
    seconds: float = 0.0
    samples: bytes = b""
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None


def hear(audio: str, folder: Path) -> Heard:
    """Read a recording to its end; `folder` is the manifest's."""
    from aligncap.audio import read_audio

    path = find_audio_path(audio, folder)
    full = os.path.join(folder, path or audio)  # noqa: PTH118 (keeps an address as it is)
    if path is not None and not os.path.isfile(full):  # noqa: PTH113 (never raises)
        return Heard(fault=Fault("unreadable audio", f"'{shown(audio)}' is not a file"))
    try:
        heard = read_audio(full, name=audio)
    except AudioNotFoundError as error:
        return Heard(fault=Fault("missing file", shown(str(error))))
    except (AudioError, OSError) as error:
        return Heard(fault=Fault("unreadable audio", shown(str(error))))
    samples = hashlib.blake2b(heard.samples.tobytes(), digest_size=16).digest()
    return Heard(path or audio, heard.duration, samples, heard.warnings)


def with_recordings(
    rows: Iterator[Parsed], folder: Path, audio: bool, threads: int | None
) -> Iterator[tuple[Parsed, Heard | None]]:
    """Rows with their recordings, which threads read ahead; a recording that many rows share is read once."""
    if not audio:
        for parsed in rows:
            yield parsed, None
        return
    threads = threads or min(os.cpu_count() or 1, 8)
    pool = ThreadPoolExecutor(threads)
    read = lru_cache(_RECENT)(lambda name: pool.submit(hear, name, folder))
    waiting: deque[tuple[Parsed, Future[Heard] | None]] = deque()
    try:
        for parsed in rows:
            waiting.append((parsed, read(parsed.row.audio) if parsed.row else None))
            if len(waiting) > _AHEAD * threads:
                first, future = waiting.popleft()
                yield first, future.result() if future else None
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result() if future else None
    finally:
        pool.shutdown(cancel_futures=True)
