"""Reads who talks when from the files of other tools: RTTM, Praat TextGrid, SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aligncap.audio import Turn
from aligncap.errors import AlignCapError, MissingExtraError

__all__ = ["SUFFIXES", "TurnsError", "read_turns", "turns_of"]

SUFFIXES = (".rttm", ".textgrid", ".srt", ".vtt")


class TurnsError(AlignCapError):
    """A file of turns cannot be used."""

    exit_code = 2


def turns_of(path: Path, recordings: Sequence[str], tiers: Sequence[str] = ()) -> Callable[[str], Sequence[Turn]]:
    """Tells the turns of each recording.

    Args:
        path: a file; or a directory with one for each recording, of the same name but for the suffix. An RTTM file
            may hold the turns of several recordings, each under its name without folder and suffix.
        recordings: names of all recordings.
        tiers: of a TextGrid, those to be used, each a speaker's; none: its only one.

    Raises:
        TurnsError: there is no such file, it is damaged, or it cannot be told which recording it is of. From the
            function that is returned: there are no turns of that recording.
        MissingExtraError: packages that read the format are not installed.
    """
    if path.is_dir():
        return lambda recording: _of(_beside(path, recording), recording, tiers, alone=True)
    if path.suffix.lower() != ".rttm" and len(recordings) > 1:
        count = len(recordings)
        raise TurnsError(f"{path}: it is of one recording, and there are {count}: name a directory of such files")
    found = read_turns(path, tiers)
    return lambda recording: _choose(found, path, recording, alone=len(recordings) == 1)


def read_turns(path: Path, tiers: Sequence[str] = ()) -> dict[str | None, list[Turn]]:
    """Turns in a file, by the name of their recording; None where the format does not tell it.

    Raises:
        TurnsError: it cannot be read.
        MissingExtraError: packages that read the format are not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise TurnsError(f"{path}: its name must end in one of {', '.join(SUFFIXES)}")
    try:
        if suffix == ".rttm":
            return _rttm(path)
        return {None: _textgrid(path, tiers) if suffix == ".textgrid" else _subtitles(path)}
    except (TurnsError, MissingExtraError):
        raise
    except FileNotFoundError:
        raise TurnsError(f"{path}: there is no such file") from None
    except Exception as error:  # whatever the readers stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TurnsError(f"{path}: it cannot be read as {suffix[1:]}: {reason}") from error


def _of(path: Path, recording: str, tiers: Sequence[str], *, alone: bool) -> Sequence[Turn]:
    return _choose(read_turns(path, tiers), path, recording, alone=alone)


def _choose(found: dict[str | None, list[Turn]], path: Path, recording: str, *, alone: bool) -> Sequence[Turn]:
    own = found.get(None) or found.get(Path(recording).stem) or found.get(Path(recording).name)
    if not own and alone and len(found) == 1:
        own = next(iter(found.values()))
    if not own:
        raise TurnsError(f"there are no turns of {Path(recording).stem} in {path}")
    return own


def _beside(folder: Path, recording: str) -> Path:
    stem = Path(recording).stem
    for path in sorted(folder.iterdir()):
        if path.stem == stem and path.suffix.lower() in SUFFIXES:
            return path
    raise TurnsError(f"there is no file of turns called {stem} in {folder} ({', '.join(SUFFIXES)})")


def _turn(start: float, end: float, speaker: str | None, where: str) -> Turn:
    if not 0 <= start < end < float("inf"):
        raise TurnsError(f"{where}: a turn from {start:g} to {end:g} s cannot be")
    return Turn(start, end, speaker)


def _rttm(path: Path) -> dict[str | None, list[Turn]]:
    found: dict[str | None, list[Turn]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        where = f"{path}, line {number}"
        if len(fields) < 8:
            raise TurnsError(f"{where}: {len(fields)} fields instead of 10")
        try:
            start, seconds = float(fields[3]), float(fields[4])
        except ValueError:
            raise TurnsError(f"{where}: {fields[3]} and {fields[4]} are not both numbers") from None
        speaker = None if fields[7] == "<NA>" else fields[7]
        found.setdefault(fields[1], []).append(_turn(start, start + seconds, speaker, where))
    if not found:
        raise TurnsError(f"{path}: there is no line that begins with SPEAKER in it")
    return found


def _textgrid(path: Path, tiers: Sequence[str]) -> list[Turn]:
    try:
        from praatio import textgrid
        from praatio.data_classes.interval_tier import IntervalTier
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading a TextGrid", "annotations") from error
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, duplicateNamesMode="rename")
    intervals = {tier.name: tier for tier in grid.tiers if isinstance(tier, IntervalTier)}
    if missing := [name for name in tiers if name not in intervals]:
        raise TurnsError(f"{path}: there is no interval tier {missing[0]}; there are {', '.join(intervals) or 'none'}")
    if not tiers and len(intervals) != 1:
        names = ", ".join(intervals) or "none"
        raise TurnsError(f"{path}: say with --tier which of its interval tiers hold turns; there are: {names}")
    chosen = tiers or tuple(intervals)
    turns = [
        _turn(float(entry.start), float(entry.end), name if tiers else None, str(path))
        for name in chosen
        for entry in intervals[name].entries
        if entry.label.strip()
    ]
    if not turns:
        raise TurnsError(f"{path}: every interval of {', '.join(chosen)} is empty")
    return turns


def _subtitles(path: Path) -> list[Turn]:
    try:
        import webvtt
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading subtitles", "annotations") from error
    read = webvtt.from_srt if path.suffix.lower() == ".srt" else webvtt.read
    turns = []
    for cue in read(str(path)).captions:
        turns.append(_turn(_seconds(cue.start), _seconds(cue.end), cue.voice or None, f"{path}, {cue.start}"))
    if not turns:
        raise TurnsError(f"{path}: there are no subtitles in it")
    return turns


def _seconds(time: str) -> float:
    """Of ``01:02:03.456``; the reader's own property leaves the fraction out."""
    hours, minutes, seconds = time.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
