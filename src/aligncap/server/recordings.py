"""Uploads to samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import BinaryIO

from aligncap.audio import Audio, read_audio
from aligncap.captioner.results import Failure, printable
from aligncap.errors import AlignCapError
from aligncap.server.limits import Limits
from aligncap.server.problems import Problem

__all__ = ["Upload", "read_uploads", "shown_name"]

_MAX_NAME = 200


@dataclass(frozen=True, eq=False)
class Upload:
    """A file that was sent.

    Attributes:
        stream: its content, in memory or in a temporary file without a name.
        name: to call it by.
    """

    stream: BinaryIO
    name: str


def shown_name(given: str | None, place: int) -> str:
    """What to call an upload: the last part of the name it came with, or its place. It is only ever shown."""
    name = PurePosixPath(PureWindowsPath(given or "").name).name
    name = printable(name).encode("utf-8", "replace").decode()[:_MAX_NAME].strip()
    return name or f"recording {place}"


def read_uploads(uploads: Sequence[Upload], limits: Limits) -> list[Audio | Failure]:
    """Decode what was sent.

    Returns:
        In the order of the uploads, their samples or why there are none.

    Raises:
        Problem: together they are longer than is accepted.
    """
    found: list[Audio | Failure] = []
    seconds = 0.0
    for upload in uploads:
        try:
            audio = read_audio(
                upload.stream, name=upload.name, max_seconds=limits.max_seconds, max_channels=limits.max_channels
            )
        except AlignCapError as error:
            found.append(Failure.of(error, upload.name))
            continue
        found.append(audio)
        seconds += audio.duration
        if seconds > limits.max_seconds:
            raise Problem(
                413,
                "RecordingsTooLong",
                f"the recordings of this request are longer than {limits.max_seconds:g} s together: send fewer at once",
            )
    return found
