"""What a recording's header promises, read before (and independently of) the decoders.

libsndfile clips a wrong data size to the file's length without a word: a cut-off file looks complete to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

__all__ = ["DataChunk", "Readable", "data_chunk", "has_mp3_length", "looks_like_mpeg", "ogg_tail"]

_UNKNOWN_FROM = 0x7FFF_F000  # what sox, arecord and ffmpeg write when they cannot know the length
_MAX_CHUNKS = 1000
_OGG_PAGE_MAX = 65_307


class Readable(Protocol):
    """The part of a binary file that is used here."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to `offset`."""


@dataclass(frozen=True)
class DataChunk:
    """The samples of an uncompressed container.

    Attributes:
        declared: bytes that the header promises; None where the writer could not know (a stream).
        present: bytes that are there.
    """

    declared: int | None
    present: int


@dataclass(frozen=True)
class _Layout:
    first: int  # offset of the first chunk
    header: struct.Struct  # (id, size)
    data: bytes  # id of the chunk of samples
    align: int = 2
    inclusive: bool = False  # the size counts the chunk's own header


_LAYOUTS = {
    b"RIFF": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"RF64": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"BW64": _Layout(12, struct.Struct("<4sI"), b"data"),
    b"RIFX": _Layout(12, struct.Struct(">4sI"), b"data"),
    b"FORM": _Layout(12, struct.Struct(">4sI"), b"SSND"),
    b"riff": _Layout(40, struct.Struct("<4s12xQ"), b"data", align=8, inclusive=True),
    b"caff": _Layout(8, struct.Struct(">4sQ"), b"data", align=1),
}


def data_chunk(file: Readable, size: int) -> DataChunk | None:
    """Find the samples of a WAV, RF64, W64, AIFF, CAF or AU file of `size` bytes.

    Returns:
        None for other formats, and where the header ends before the samples begin.
    """
    file.seek(0)
    head = file.read(40)
    magic = head[:4]
    if magic == b".snd" and len(head) >= 12:
        offset, declared = struct.unpack(">II", head[4:12])
        return _chunk(declared, size - offset, finished=True)
    layout = _LAYOUTS.get(magic)
    if layout is None:
        return None
    # A header whose outer size fits the file was completed by its writer: then a size of zero means zero.
    finished = magic == b"RIFF" and len(head) >= 8 and abs(_u32(head, 4) + 8 - size) <= 1
    offset, data64 = layout.first, None
    for _ in range(_MAX_CHUNKS):
        file.seek(offset)
        header = file.read(layout.header.size)
        if len(header) < layout.header.size:
            return None
        kind, length = layout.header.unpack(header)
        if layout.inclusive:
            length = max(length - layout.header.size, 0)
        body = offset + layout.header.size
        if kind == b"ds64" and len(sizes := file.read(16)) == 16:
            data64 = struct.unpack("<Q", sizes[8:])[0]
        if kind == layout.data:
            return _chunk(length if data64 is None else data64, size - body, finished=finished)
        offset = body + length
        offset += -offset % layout.align
    return None


def _chunk(declared: int, available: int, *, finished: bool) -> DataChunk:
    available = max(available, 0)
    streamed = declared > available and (_UNKNOWN_FROM <= declared < 2**32 or declared >= 2**63)
    if streamed or (declared == 0 and not finished):
        return DataChunk(None, available)
    return DataChunk(declared, min(declared, available))


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def looks_like_mpeg(head: bytes) -> bool:
    """Tell whether bytes begin like an MP3 or AAC stream: an ID3 tag, or a frame's synchronisation bits."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def has_mp3_length(file: Readable) -> bool:
    """Tell whether an MP3 file's first frame states its length; otherwise decoders guess it."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(64)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def ogg_tail(file: Readable, size: int) -> str | None:
    """Look at the last page of an Ogg file.

    Returns:
        `"cut"` where it is incomplete, `"open"` where it does not mark the end of the stream, None otherwise
        and for other formats.
    """
    file.seek(0)
    if file.read(4) != b"OggS":
        return None
    file.seek(max(size - 2 * _OGG_PAGE_MAX, 0))
    tail = file.read(2 * _OGG_PAGE_MAX)
    start = tail.rfind(b"OggS\x00")
    page = tail[start:]
    if start < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return "cut"
    if len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return "cut"
    return None if page[5] & 4 else "open"
