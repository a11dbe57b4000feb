"""Mixes and resamples blocks of sound to mono 16 kHz, and refuses what cannot be captioned."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from aligncap.errors import (
    AudioEmptyError,
    AudioInvalidError,
    AudioLimitError,
    AudioSilentError,
    AudioTooShortError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["BLOCK", "MIN_SECONDS", "RATE", "Audio", "Mix", "as_float", "checked_rate"]

RATE = 16_000
"""Sampling rate of everything that is read, in Hz."""

MIN_SECONDS = 0.1
"""Recordings shorter than this are refused."""

BLOCK = 1 << 13
"""Frames that are decoded at a time; where a file breaks off, up to as many are lost from the message."""

_MIN_RATE, _MAX_RATE = 1_000, 768_000
_SILENCE = 2e-5  # peak to peak, after mixing: constant offsets are silence too
_FULL_SCALE = 0.999
_MAX_FLOAT = 64.0  # beyond this, floats are integers that nobody scaled
_MAX_CLIPPED = 0.01  # share of samples


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording, ready for the model.

    Attributes:
        samples: (T,) float32, mono, 16 kHz, nominally in [-1, 1].
        source: its name, as the user knows it.
        warnings: what is odd about it without making it unusable, one line each.
    """

    samples: NDArray[np.float32]
    source: str
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE


class Mix:
    """Turns blocks of any rate and channel count into mono 16 kHz samples, within the limits.

    Attributes:
        seconds: taken so far.
        warnings: what is odd about the recording, whole once it is finished.
    """

    def __init__(self, name: str, max_seconds: float, max_channels: int) -> None:
        self.name = name
        self.max_seconds = max_seconds
        self.max_channels = max_channels
        self.seconds = 0.0
        self.warnings: tuple[str, ...] = ()
        self._rate = 0.0
        self._resampler: Any = None
        self._low, self._high = math.inf, -math.inf
        self._cancelled = False
        self._values = self._clipped = 0

    def announce(self, seconds: float, channels: int) -> None:
        """Check what a header promises, before anything is decoded."""
        if channels > self.max_channels:
            reason = f"it has {channels} channels; the limit is {self.max_channels} (raise max_channels)"
            raise AudioLimitError(self.name, reason)
        if seconds > self.max_seconds + 1e-6:
            length = f"{seconds:.0f} s long" if math.isfinite(seconds) else "too long"
            reason = f"it is {length}; the limit is {self.max_seconds:g} s (split it, or raise max_seconds)"
            raise AudioLimitError(self.name, reason)

    def add(self, block: NDArray[np.float32], rate: float) -> Iterator[NDArray[np.float32]]:
        """Take (n, channels) samples, and give what is ready of the result."""
        if not block.size:
            return
        if rate != self._rate:
            yield from self._flush()
            self._rate = checked_rate(rate, self.name)
            if rate != RATE:
                self._resampler = soxr.ResampleStream(float(rate), RATE, 1, dtype="float32", quality="HQ")
        at = self.seconds
        self.seconds += len(block) / rate
        if self.seconds > self.max_seconds + 1e-6:
            self.announce(math.inf, 0)
        self.announce(0, block.shape[1])
        self._inspect(block, at)
        mono = block.mean(axis=1, dtype=np.float32)
        low, high = float(mono.min()), float(mono.max())
        self._low, self._high = min(self._low, low), max(self._high, high)
        if high - low < _SILENCE:
            self._cancelled |= bool(np.ptp(block, axis=0).max() >= _SILENCE)
        yield mono if self._resampler is None else self._resampler.resample_chunk(mono)

    def _inspect(self, block: NDArray[np.float32], at: float) -> None:
        magnitude = np.abs(block)
        peak = float(magnitude.max())
        if not math.isfinite(peak):
            raise AudioInvalidError(self.name, f"NaN or infinite samples after {at:.1f} s")
        if peak > _MAX_FLOAT:
            reason = f"samples reach {peak:.0f}; floats must lie in [-1, 1] (divide them by their full scale)"
            raise AudioInvalidError(self.name, reason)
        self._values += block.size
        self._clipped += int(np.count_nonzero(magnitude >= _FULL_SCALE))

    def _flush(self) -> Iterator[NDArray[np.float32]]:
        if self._resampler is not None:
            yield self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        self._resampler = None

    def finish(self, warnings: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Give the rest of the result; then refuse the recording if it cannot be captioned."""
        yield from self._flush()
        if not self.seconds:
            raise AudioEmptyError(self.name, "there are no samples in it")
        if self.seconds < MIN_SECONDS - 1e-9:
            reason = f"it is {1000 * self.seconds:.3g} ms long; at least {MIN_SECONDS:g} s is needed"
            raise AudioTooShortError(self.name, reason)
        if self._high - self._low < _SILENCE:
            why = "its channels cancel each other out" if self._cancelled else "every sample is the same"
            raise AudioSilentError(self.name, f"it is silent ({why})")
        if self._clipped > _MAX_CLIPPED * self._values:
            share = self._clipped / self._values
            warnings = [*warnings, f"it is clipped: {share:.0%} of the samples are at full scale"]
        self.warnings = tuple(warnings)


def checked_rate(rate: Any, name: str) -> float:
    """Return a sampling rate in Hz as a float, if it is one that can be resampled."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
        raise AudioInvalidError(name, f"the sampling rate must be a number, not {rate!r}")
    hertz = float(rate)
    if not _MIN_RATE <= hertz <= _MAX_RATE:
        reason = f"a sampling rate of {hertz:g} Hz is outside {_MIN_RATE:,} to {_MAX_RATE:,} Hz"
        raise AudioInvalidError(name, reason)
    return hertz


def as_float(block: NDArray[Any]) -> NDArray[np.float32]:
    """Convert (n, C) samples of any numeric type to float32; integers are divided by their full scale."""
    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which is refused with its time
            return block.astype(np.float32)
    full_scale = 2.0 ** (8 * block.dtype.itemsize - 1)
    middle = full_scale if block.dtype.kind == "u" else 0.0
    return ((block.astype(np.float64) - middle) / full_scale).astype(np.float32)
