"""Turns any recording into mono 16 kHz samples, or says in one line why it cannot.

All channels are mixed, and resampled block by block: read whole, memory holds little more than the result; as a
stream, a block.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

import numpy as np

from aligncap.audio.containers import Decoded, File, with_av, with_soundfile
from aligncap.audio.files import kind_of_suffix
from aligncap.audio.headers import DataChunk, data_chunk, ogg_tail
from aligncap.audio.mix import BLOCK, Audio, Mix, as_float, checked_rate
from aligncap.errors import (
    AudioEmptyError,
    AudioInvalidError,
    AudioLimitError,
    AudioNotFoundError,
    AudioTruncatedError,
    AudioUnreadableError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AudioSource", "AudioStream", "Tensor", "read_audio"]

_MAX_MISSING = 0.2  # seconds, and a tenth of the recording: encoders' padding stays below
_STREAM_RATE = 192_000  # bytes a second of 48 kHz 16-bit stereo: bounds what is read from a pipe
_STREAM_FLOOR = 64 << 20


@runtime_checkable
class Tensor(Protocol):
    """A torch tensor, without importing torch."""

    def detach(self) -> Any:
        """Return the tensor without its graph."""

    def cpu(self) -> Any:
        """Return the tensor in main memory."""


@runtime_checkable
class _Reader(Protocol):
    def read(self, size: int = -1, /) -> Any: ...


_Samples: TypeAlias = "NDArray[Any] | Tensor"
AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | _Samples | tuple[_Samples, float]"
"""What `read_audio` takes."""


def read_audio(
    source: AudioSource,
    *,
    rate: float | None = None,
    name: str | None = None,
    max_seconds: float = 3 * 3600,
    max_channels: int = 16,
) -> Audio:
    """Read a recording as mono 16 kHz float32, the mean of all its channels.

    Args:
        source: a path; the bytes of a file; a binary file object (read from its beginning, or from where it
            stands if it cannot seek; not closed); or samples: a NumPy array or torch tensor of shape (T,),
            (T, C) or (C, T), where the smaller side is taken as the channels, or a tuple `(samples, rate)`.
            Integers are divided by the full scale of their type; floats are expected in [-1, 1].
        rate: sampling rate in Hz, 1,000 to 768,000, of samples given without one. Files state their own.
        name: what to call the recording in messages and results; by default its path, or `<bytes>`, `<file>`,
            `<array>`.
        max_seconds: the longest recording accepted.
        max_channels: the most channels accepted.

    Raises:
        AudioNotFoundError: there is no such file.
        AudioUnreadableError: a directory, no permission, or not audio.
        AudioEmptyError: no samples.
        AudioTooShortError: shorter than 0.1 s.
        AudioSilentError: digital silence.
        AudioInvalidError: NaN or infinity, wrong shape or type, impossible or missing rate.
        AudioTruncatedError: clearly less audio than the header promises.
        AudioLimitError: more than `max_seconds` or `max_channels`.
    """
    stream = AudioStream(source, rate=rate, name=name, max_seconds=max_seconds, max_channels=max_channels)
    data = bytearray()  # grows in place; an array joined from blocks would need twice the memory
    for block in stream:
        data += block.tobytes()
    return Audio(np.frombuffer(data, np.float32), stream.name, stream.warnings)


class AudioStream:
    """A recording as blocks of mono 16 kHz float32, which memory need not hold all at once.

    The blocks, joined, are exactly the samples that `read_audio` returns. Iterating decodes from the beginning.

    Args:
        source: as for `read_audio`; from a path, however often.
        rate: as for `read_audio`.
        name: as for `read_audio`.
        max_seconds: the longest recording accepted.
        max_channels: the most channels accepted.

    Attributes:
        name: the recording's.
        warnings: what is odd about the recording; whole once all blocks were taken.
    """

    def __init__(
        self,
        source: AudioSource,
        *,
        rate: float | None = None,
        name: str | None = None,
        max_seconds: float = 3 * 3600,
        max_channels: int = 16,
    ) -> None:
        self.name = name or _name(source)
        self.warnings: tuple[str, ...] = ()
        self._source = source
        self._rate = rate
        self._limits = (max_seconds, max_channels)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Decode; see `read_audio` for what is raised, some of it only at the end."""
        mix = Mix(self.name, *self._limits)
        if isinstance(self._source, str | os.PathLike | bytes | bytearray | memoryview | _Reader):
            with _open(self._source, self.name) as stream:
                yield from _from_file(stream, mix)
        else:
            yield from _from_samples(self._source, self._rate, mix)
        self.warnings = mix.warnings


def _name(source: Any) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    if isinstance(source, _Reader):
        name = getattr(source, "name", None)  # pipes and sockets have numbers there
        return name if isinstance(name, str) and name else "<file>"
    return "<array>"


def _from_samples(source: Any, rate: Any, mix: Mix) -> Iterator[NDArray[np.float32]]:
    if isinstance(source, tuple):
        if len(source) != 2:
            raise AudioInvalidError(mix.name, f"a tuple must be (samples, rate), not {len(source)} items")
        source, own = source
        if rate is not None and rate != own:
            raise AudioInvalidError(mix.name, f"two different rates are given: {own} and {rate}")
        rate = own
    if isinstance(source, Tensor):
        tensor = source.detach().cpu()
        try:
            source = tensor.numpy()
        except TypeError:  # NumPy has no bfloat16
            source = tensor.float().numpy()
    if not isinstance(source, np.ndarray):
        kind = type(source).__name__
        raise AudioInvalidError(mix.name, f"{kind} is not a path, bytes, file, array or (samples, rate)")
    if rate is None:
        raise AudioInvalidError(mix.name, "samples need a sampling rate: pass rate=… or (samples, rate)")
    rate = checked_rate(rate, mix.name)
    if source.ndim not in (1, 2):
        raise AudioInvalidError(mix.name, f"shape {source.shape} is not (T,), (T, C) or (C, T)")
    if source.dtype.kind not in "fiu":
        raise AudioInvalidError(mix.name, f"samples of type {source.dtype} are neither floats nor integers")
    frames = source[:, None] if source.ndim == 1 else source
    if frames.size and frames.shape[0] < frames.shape[1]:
        frames = frames.T
    mix.announce(len(frames) / rate, frames.shape[1])
    for start in range(0, len(frames), BLOCK):
        yield from mix.add(as_float(frames[start : start + BLOCK]), rate)
    yield from mix.finish(())


def _open(source: Any, name: str) -> Any:
    """What is to be read, as a context; only what is opened here is closed."""
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        return nullcontext(source)
    try:
        return Path(source).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        hint = " (addresses are not fetched: download it first)" if "://" in os.fspath(source) else ""
        raise AudioNotFoundError(name, f"there is no such file{hint}") from None
    except (OSError, ValueError) as error:
        if os.path.isdir(source):  # noqa: PTH112 (never raises)
            raise AudioUnreadableError(name, "it is a directory, not a recording") from None
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AudioUnreadableError(name, f"it cannot be opened: {reason.lower()}") from None


def _from_file(stream: Any, mix: Mix) -> Iterator[NDArray[np.float32]]:
    if isinstance(stream, io.TextIOBase):
        raise AudioInvalidError(mix.name, "the file is open as text; open it as binary (mode 'rb')")
    try:
        file = File(stream if _seekable(stream) else _buffered(stream, mix))
    except (OSError, ValueError) as error:
        raise AudioUnreadableError(mix.name, f"it cannot be read: {error}") from None
    if not file.size:
        raise AudioEmptyError(mix.name, "the file is empty (0 bytes)")
    chunk = data_chunk(file, file.size)
    tail = ogg_tail(file, file.size)
    opened = with_soundfile(file, chunk, mix) or with_av(file, mix)
    if opened is not None:
        for block, rate in opened[1]:
            yield from mix.add(block, rate)
    if file.error is not None:
        raise AudioUnreadableError(mix.name, f"it cannot be read: {file.error}") from file.error
    if opened is None:
        raise AudioUnreadableError(mix.name, "no decoder here recognises it as audio")
    decoded = opened[0]
    warnings = [*decoded.warnings, *_check_complete(decoded, chunk, tail, mix)]
    announced = kind_of_suffix(mix.name)
    if announced not in (None, decoded.kind):
        suffix = Path(mix.name).suffix
        warnings.append(f"it is named {suffix}, but its content is {decoded.kind} and was read as that")
    yield from mix.finish(warnings)


def _seekable(stream: Any) -> bool:
    try:
        stream.seek(0)
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _buffered(stream: Any, mix: Mix) -> io.BytesIO:
    limit = max(mix.max_seconds * _STREAM_RATE, _STREAM_FLOOR)
    data = io.BytesIO()
    while block := stream.read(1 << 20):
        if not isinstance(block, bytes):
            raise AudioInvalidError(mix.name, "the file object does not return bytes; open it as binary")
        data.write(block)
        if data.tell() > limit:
            reason = f"the stream is longer than {limit / 2**20:.0f} MiB, the limit for {mix.max_seconds:g} s"
            raise AudioLimitError(mix.name, f"{reason} (raise max_seconds, or save it to a file first)")
    return data


def _check_complete(decoded: Decoded, chunk: DataChunk | None, tail: str | None, mix: Mix) -> Sequence[str]:
    """Compare what was decoded with what the file promised; return warnings about small losses."""
    promised = decoded.promised or mix.seconds + decoded.damaged
    if chunk is not None and chunk.declared is not None:
        if chunk.declared and not chunk.present:
            raise AudioUnreadableError(mix.name, "it is a header without audio")
        if chunk.present:
            promised = max(promised, mix.seconds * chunk.declared / chunk.present)
    if not mix.seconds and (promised or decoded.damaged):
        raise AudioUnreadableError(mix.name, "it has a header, but no audio in it can be decoded")
    if promised - mix.seconds > min(_MAX_MISSING, promised / 10):
        reason = f"only {mix.seconds:.2f} s of the {promised:.2f} s that it announces are there"
        raise AudioTruncatedError(mix.name, f"{reason}: it is cut off or damaged")
    if tail == "cut":
        raise AudioTruncatedError(mix.name, f"it ends inside a page after {mix.seconds:.2f} s: it is cut off")
    if decoded.damaged:
        return ["it is damaged or cut off: a fraction of a second could not be decoded"]
    if tail == "open":
        return ["it lacks an end-of-stream mark: it may be cut off"]
    return []
