"""Decodes files block by block, with libsndfile or FFmpeg (PyAV), whichever knows the content.

libsndfile comes first. MP3 goes straight to FFmpeg: where a file with a variable bit rate does not state its
length, libsndfile guesses it and stops there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import soundfile

from aligncap.audio.headers import DataChunk, has_mp3_length, looks_like_mpeg
from aligncap.audio.mix import BLOCK, Mix, as_float, checked_rate
from aligncap.errors import AudioUnreadableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Blocks", "Decoded", "File", "with_av", "with_soundfile"]

Blocks: TypeAlias = "Iterator[tuple[NDArray[np.float32], float]]"
"""(n, channels) samples, and their rate in Hz."""

# FFmpeg also plays lists (hls, concat, dash) that name other files and addresses; those must stay closed.
_AV_FORMATS = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpc,mpegts,ogg,tta,w64,wav,wv"
_AV_STATES_LENGTH = {"asf", "flac", "matroska", "mp4"}  # others: FFmpeg guesses it from the bit rate
_UNKNOWN_LOSS = 0.1  # seconds, for a damaged packet that does not state its length


@dataclass
class Decoded:
    """How decoding a file went.

    Attributes:
        kind: of container, in the words of `files`.
        promised: seconds that the header states; 0 where it does not.
        damaged: seconds that could not be decoded, as far as is known.
        warnings: what the user should know.
    """

    kind: str
    promised: float = 0.0
    damaged: float = 0.0
    warnings: tuple[str, ...] = ()


class File:
    """A binary file as the decoders see it: nameless, so that they judge by content, and quiet.

    Errors raised inside a C library's callback would be printed and lost; they are kept here instead.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: Exception | None = None
        self.size = stream.seek(0, os.SEEK_END) or stream.tell()
        stream.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end of the file or after an error."""
        try:
            data: bytes = self._stream.read(size)
            while 0 < len(data) < size and (more := self._stream.read(size - len(data))):
                data += more
        except Exception as error:
            self.error = error
            return b""
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes there were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move; a place before the beginning, which libsndfile tries in broken files, is ignored."""
        base = (0, self.tell(), self.size)[whence] if whence in (0, 1, 2) else 0
        if base + offset >= 0:
            self._stream.seek(base + offset)
        return self.tell()

    def tell(self) -> int:
        """Return the position."""
        return int(self._stream.tell())


def with_soundfile(file: File, chunk: DataChunk | None, mix: Mix) -> tuple[Decoded, Blocks] | None:
    """Open with libsndfile what `mix` accepts; None if that is not the decoder for this file.

    What is said of the decoding is whole once all blocks were taken.
    """
    file.seek(0)
    if looks_like_mpeg(file.read(4)):
        return None
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.SoundFileError:
        return None
    streamed = chunk is not None and chunk.declared is None and chunk.present > 0 and not sound.frames
    if streamed or sound.frames >= 2**62:  # FLAC and WAV from a pipe, whose end libsndfile does not find
        sound.close()
        return None
    kind = {"WAVEX": "wav", "RF64": "wav"}.get(sound.format, sound.format.lower())
    decoded = Decoded(kind, promised=sound.frames / checked_rate(sound.samplerate, mix.name))
    mix.announce(decoded.promised, sound.channels)
    return decoded, _soundfile_blocks(sound, decoded)


def _soundfile_blocks(sound: Any, decoded: Decoded) -> Blocks:
    with sound:
        try:
            while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
                yield block, sound.samplerate
        except soundfile.SoundFileError:
            decoded.damaged = BLOCK / sound.samplerate


def with_av(file: File, mix: Mix) -> tuple[Decoded, Blocks] | None:
    """Open with FFmpeg what `mix` accepts; None if it is nothing that FFmpeg knows."""
    import av

    stated_mp3 = has_mp3_length(file)
    file.seek(0)
    options = {"format_whitelist": _AV_FORMATS, "protocol_whitelist": ""}
    try:
        container = av.open(file, mode="r", options=options, metadata_errors="ignore")
    except av.error.FFmpegError:
        return None
    tracks = container.streams.audio
    if not tracks:
        raise AudioUnreadableError(mix.name, "it holds no audio track")
    track = tracks[0]
    if track.codec_context is None:
        raise AudioUnreadableError(mix.name, "its audio codec is not supported")
    kind = container.format.name.split(",")[0]
    decoded = Decoded({"mov": "mp4"}.get(kind, kind))
    if decoded.kind in _AV_STATES_LENGTH or (decoded.kind == "mp3" and stated_mp3):
        decoded.promised = _promised_by_av(container, track)
    if len(tracks) > 1:
        decoded.warnings = (f"it has {len(tracks)} audio tracks; only the first is read",)
    mix.announce(decoded.promised, track.codec_context.channels)
    return decoded, _av_blocks(container, track, decoded)


def _promised_by_av(container: Any, track: Any) -> float:
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    # Of a film, the container's length may be the picture's.
    if container.duration and len(container.streams.audio) == len(container.streams):
        return float(container.duration) / 1e6
    return 0.0


def _av_blocks(container: Any, track: Any, decoded: Decoded) -> Blocks:
    import av

    with container:
        packets = container.demux(track)
        while True:
            packet: Any = None
            try:
                if (packet := next(packets, None)) is None:
                    return
                frames = packet.decode()
            except EOFError:  # nothing was left in the decoder
                return
            except av.error.FFmpegError:
                frames = []
                length = packet.duration * packet.time_base if packet and packet.duration else _UNKNOWN_LOSS
                decoded.damaged += float(length)
            for frame in frames:
                samples = frame.to_ndarray()
                columns = samples.T if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels))
                yield as_float(columns), frame.sample_rate
