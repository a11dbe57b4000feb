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
    from aligncap.captioner.calibration import Calibration
    from aligncap.captioner.captioner import Source
    from aligncap.captioner.collection import Engine
    from aligncap.captioner.cutting import Method, Segmentation
    from aligncap.captioner.ray_cluster import Workers

__all__ = ["Job", "Journal", "anywhere", "checkpoint_identity", "content_hash", "open_journal", "ray_workers"]


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
        load: loads the captioner, given ``device`` and ``threads``; picklable where Ray is used.
        device: on which it runs.
        threads: of the CPU.
        ray: the workers to use; None: all is done in this process.
        durations: of the recordings, learned on the way.
    """

    sources: Sequence[Source]
    asked: dict[str, Any]
    batch_size: int
    method: Method
    max_seconds: float | None
    turns: Callable[[str], Sequence[Turn]] | None
    calibration: str | None
    load: Callable[..., Captioner]
    device: str
    threads: int | None
    ray: Workers | None = None
    durations: Durations = field(default_factory=Durations)

    def results(self, before: Done, console: Console, stack: ExitStack) -> Iterator[Result]:
        """Caption what was not captioned before; the model is loaded if there is any such thing.

        Args:
            before: what an earlier run has done.
            console: says what takes a while.
            stack: closes what was opened for the work; leave it open until the results are there.

        Raises:
            typer.BadParameter: the model does not take stretches of that length.
        """
        named = zip(self.sources, names_of(self.sources), strict=True)
        # what was begun comes first: once records of others follow its own, nothing tells that more of it is to come
        begun_first = sorted(named, key=lambda pair: pair[1] != before.last)
        left = [source for source, name in begun_first if not before.has(name)]
        if all(isinstance(source, Failure) for source in left):
            return iter([source for source in left if isinstance(source, Failure)])
        from aligncap.captioner.collection import caption_cuts
        from aligncap.captioner.cutting import cut_recordings

        console.loading()
        segmentation, engine = self._here(console) if self.ray is None else self._on_ray(self.ray, console, stack)
        cuts = (item for item in cut_recordings(left, segmentation) if item.id not in before.ids)
        return caption_cuts(self.durations.watch(cuts), engine, self.batch_size)

    def _here(self, console: Console) -> tuple[Segmentation, Engine]:
        captioner = self.load(device=self.device, threads=self.threads)
        segmentation = self._segmentation(captioner.max_seconds)
        captioner.calibration = self._calibration(captioner, segmentation, console)
        return segmentation, partial(captioner.stream, batch_size=self.batch_size, **self.asked)

    def _on_ray(self, workers: Workers, console: Console, stack: ExitStack) -> tuple[Segmentation, Engine]:
        from aligncap.captioner.ray_engine import RayEngine

        calibration = None
        if self.calibration is not None:  # made here, once, for all workers
            captioner = self.load(device=self.device, threads=self.threads)
            segmentation = self._segmentation(captioner.max_seconds)
            calibration = self._calibration(captioner, segmentation, console)
            del captioner
        load = partial(_load_calibrated, self.load, calibration)
        engine = RayEngine(load, self.asked, batch_size=self.batch_size, workers=workers, tell=console.say)
        stack.enter_context(engine)
        return self._segmentation(engine.max_seconds), engine

    def _segmentation(self, longest: float) -> Segmentation:
        from aligncap.captioner.cutting import Segmentation

        if self.max_seconds is not None and self.max_seconds > longest:
            problem = f"{self.max_seconds:g} s is more than the model takes: {longest:g} s"
            raise typer.BadParameter(problem, param_hint="--max-stretch")
        return Segmentation(self.method, self.max_seconds or longest, self.turns)

    def _calibration(self, captioner: Captioner, segmentation: Segmentation, console: Console) -> Calibration | None:
        if self.calibration is None:
            return None
        from aligncap.captioner.calibration import Calibration
        from aligncap.captioner.clips import Clip
        from aligncap.captioner.cutting import cut_recordings

        if self.calibration != "self":
            return Calibration.load(Path(self.calibration))
        clips = (item for item in cut_recordings(self.sources, segmentation) if isinstance(item, Clip))
        found = captioner.calibrate(clips, batch_size=self.batch_size)
        console.say(describe(found))
        return found


def _load_calibrated(load: Callable[..., Captioner], calibration: Calibration | None, **how: Any) -> Captioner:
    """What a worker on Ray does first."""
    captioner = load(**how)
    if calibration is not None:
        captioner.calibration = calibration
    return captioner


def ray_workers(
    engine: str, number: int | None, gpus: float | None, address: str | None, device: str, threads: int | None
) -> Workers | None:
    """The workers that the options ask for; None where all is done in this process.

    Raises:
        typer.BadParameter: an option is for Ray, and that was not chosen.
    """
    from aligncap.captioner.ray_cluster import Workers

    if engine == "ray":
        return Workers(number, threads, gpus, address, device)
    for option, value in {"--workers": number, "--gpus-per-worker": gpus, "--ray-address": address}.items():
        if value is not None:
            raise typer.BadParameter("it is for Ray: add --engine ray", param_hint=option)
    return None


def anywhere(checkpoint: str) -> str:
    """The checkpoint as processes with other working directories find it."""
    folder = Path(checkpoint).expanduser()
    return str(folder.resolve()) if checkpoint != "embedded" and folder.is_dir() else checkpoint


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
