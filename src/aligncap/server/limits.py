"""What a server accepts, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds that keep a server small, whatever is sent to it.

    Attributes:
        max_bytes: of a request's body, counted while it comes in.
        max_files: recordings in a request.
        max_seconds: of a request's recordings together, decoded.
        max_channels: of a recording.
        queue: requests that are uploading, waiting or being captioned.
        queue_seconds: of decoded recordings that are waiting or being captioned, in all.
        max_batch: stretches that are captioned together.
        max_wait: seconds that recordings wait for others to be captioned with, before each batch.
        timeout: seconds from a request's first byte to its answer.

    Raises:
        ValueError: a number is out of range.
    """

    max_bytes: int = 25 << 20
    max_files: int = 16
    max_seconds: float = 600.0
    max_channels: int = 16
    queue: int = 64
    queue_seconds: float = 3600.0
    max_batch: int = 16
    max_wait: float = 0.05
    timeout: float = 300.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0 and not (name == "max_wait" and value == 0):
                raise ValueError(f"{name} must be above 0, not {value}")
        if self.queue_seconds < self.max_seconds:
            raise ValueError(
                f"queue_seconds ({self.queue_seconds:g}) must be at least max_seconds ({self.max_seconds:g})"
            )
