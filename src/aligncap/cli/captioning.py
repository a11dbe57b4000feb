"""The work of ``aligncap caption``: what is done, with what options, and after what was done before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from aligncap.captioner.journal import Done, begin, read_done, run_file
from aligncap.captioner.results import Failure, Result
from aligncap.checkpoints import EMBEDDED
from aligncap.cli.output import Console
from aligncap.cli.recordings import check_recordings_output, describe, names_of
from aligncap.cli.sinks import DOCUMENT_FORMATS
from aligncap.cli.tally import Durations
from aligncap.errors import AlignCapError
from aligncap.hashing import file_sha256, text_hash

if TYPE_CHECKING:
    from aligncap.audio import Turn
    from aligncap.captioner import Captioner
    from aligncap.captioner.captioner import Source
    from aligncap.captioner.cutting import Method, Segmentation

__all__ = ["Job", "Journal", "checkpoint_identity", "content_hash", "open_journal"]


@dataclass(frozen=True)
class Journal:
    """A file of results that can be gone on with.

    Attributes:
        path: the file.
        options: with which it is made.
        before: what an earlier run has written.
    """

    path: Path
    options: dict[str, Any]
    before: Done

    def begin(self) -> None:
        """Make room for a new file."""
        begin(self.path, self.options)


def open_journal(
    output: Path | None,
    form: str,
    overwrite: bool,
    sources: Sequence[Source],
    options: Callable[[], dict[str, Any]],
    stack: ExitStack,
) -> Journal | None:
    """Check where results go; if an earlier run was cut short there, read what it has done.

    Args:
        output: where results go.
        form: the format.
        overwrite: whether what is there may be replaced.
        sources: the recordings.
        options: on which the results depend.
        stack: keeps other runs from the file for as long as it is open.

    Returns:
        None where the results cannot be gone on with: only JSON Lines in a file can.

    Raises:
        typer.BadParameter: results cannot go there.
    """
    if output is None or (output.is_dir() and form in DOCUMENT_FORMATS):
        return None
    check_recordings_output(output, True, sources)
    if form != "jsonl" or (output.exists() and not output.is_file()):
        check_recordings_output(output, overwrite, sources)
        return None
    stack.enter_context(_locked(output))
    begun = output.is_file() and run_file(output).is_file() and not overwrite
    if not begun:
        check_recordings_output(output, overwrite, sources)
    made_with = options()
    try:
        return Journal(output, made_with, read_done(output, made_with) if begun else Done())
    except AlignCapError as error:
        raise typer.BadParameter(str(error), param_hint="--output") from None


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(output.with_name(f"{output.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise typer.BadParameter(f"{output}: another run is writing it now", param_hint="--output") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


@dataclass
class Job:
    """What is to be captioned, and how.

    Attributes:
        sources: the recordings.
        asked: options of `Captioner.stream`.
        batch_size: stretches run together.
        method: how recordings are divided.
        max_seconds: of the longest stretch; None: as much as the model takes.
        turns: of each recording, where the user gave them.
        calibration: a file, ``self``, or None.
        load: loads the captioner.
        durations: of the recordings, learned on the way.
    """

    sources: Sequence[Source]
    asked: dict[str, Any]
    batch_size: int
    method: Method
    max_seconds: float | None
    turns: Callable[[str], Sequence[Turn]] | None
    calibration: str | None
    load: Callable[[], Captioner]
    durations: Durations = field(default_factory=Durations)

    def results(self, before: Done, console: Console) -> Iterator[Result]:
        """Caption what was not captioned before; the model is loaded if there is any such thing.

        Raises:
            typer.BadParameter: the model does not take stretches of that length.
        """
        named = zip(self.sources, names_of(self.sources), strict=True)
        left = [source for source, name in named if not before.has(name)]
        if all(isinstance(source, Failure) for source in left):
            return iter([source for source in left if isinstance(source, Failure)])
        from aligncap.captioner.collection import caption_cuts
        from aligncap.captioner.cutting import Segmentation, cut_recordings

        console.loading()
        captioner = self.load()
        longest = captioner.model.config.max_seconds
        if self.max_seconds is not None and self.max_seconds > longest:
            problem = f"{self.max_seconds:g} s is more than the model takes: {longest:g} s"
            raise typer.BadParameter(problem, param_hint="--max-stretch")
        segmentation = Segmentation(self.method, self.max_seconds or longest, self.turns)
        if self.calibration is not None:
            self._calibrate(captioner, self.calibration, segmentation, console)
        cuts = (item for item in cut_recordings(left, segmentation) if item.id not in before.ids)
        engine = partial(captioner.stream, batch_size=self.batch_size, **self.asked)
        return caption_cuts(self.durations.watch(cuts), engine, self.batch_size)

    def _calibrate(self, captioner: Captioner, calibration: str, segmentation: Segmentation, console: Console) -> None:
        from aligncap.captioner.calibration import Calibration
        from aligncap.captioner.clips import Clip
        from aligncap.captioner.cutting import cut_recordings

        if calibration != "self":
            captioner.calibration = Calibration.load(Path(calibration))
            return
        clips = (item for item in cut_recordings(self.sources, segmentation) if isinstance(item, Clip))
        captioner.calibration = captioner.calibrate(clips, batch_size=self.batch_size)
        console.say(describe(captioner.calibration))


def checkpoint_identity(checkpoint: str) -> str:
    """Tells checkpoints apart: by what is in their files; those of the Hub, by their names."""
    folder = EMBEDDED if checkpoint == "embedded" else Path(checkpoint).expanduser()
    return f"{checkpoint} {content_hash(folder)}" if folder.is_dir() else checkpoint


def content_hash(path: Path) -> str:
    """Of a file, or of the files in a directory and their names; empty where there is nothing."""
    if not path.exists():
        return ""
    if not path.is_dir():
        return file_sha256(path)[:16]
    files = sorted(item for item in path.iterdir() if item.is_file())
    return text_hash(f"{file.name!a} {file_sha256(file)}" for file in files)
