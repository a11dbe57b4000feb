"""The systems of a benchmark: checkpoints, baselines, and files of predictions that others made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aligncap.checkpoints import EMBEDDED
from aligncap.errors import AlignCapError
from aligncap.hashing import file_sha256

if TYPE_CHECKING:
    from aligncap.captioner.results import Caption, Classification, Failure

__all__ = ["BASELINE", "Loading", "Runner", "SystemSpec", "load_runner", "parse_systems"]

BASELINE = "baseline.json"
"""A folder that holds this file is a baseline's."""

_NAME = re.compile(r"[^\W_][\w .+@-]{0,79}")
_PREDICTIONS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class SystemSpec:
    """A system as the user names it.

    Attributes:
        name: in tables, and of its folder.
        source: ``embedded``, a folder, a Hub name, or a file of predictions.
        kind: what the source is.
    """

    name: str
    source: str
    kind: Literal["checkpoint", "baseline", "predictions"]

    def hashes(self) -> dict[str, str]:
        """File → SHA-256, of all that decides what the system says; none of a Hub name, which is there once loaded."""
        if self.kind == "predictions":
            return {"predictions": _sha256(Path(self.source))}
        names = ("config.json" if self.kind == "checkpoint" else BASELINE, "model.safetensors")
        folder = self.folder()
        if folder is None:
            from huggingface_hub import try_to_load_from_cache

            found = {name: try_to_load_from_cache(self.source, name) for name in names}
            return {name: _sha256(Path(path)) for name, path in found.items() if isinstance(path, str)}
        return {name: _sha256(folder / name) for name in names if (folder / name).is_file()}

    def folder(self) -> Path | None:
        """Where its files are; None of a Hub name."""
        if self.source == "embedded":
            return EMBEDDED
        path = Path(self.source).expanduser()
        return path if path.is_dir() else None

    def base_weights(self) -> dict[str, Any]:
        """What it is built on, as its configuration names it, with the SHA-256 that our catalogue has."""
        folder = self.folder()
        file = None if folder is None else folder / ("config.json" if self.kind == "checkpoint" else BASELINE)
        if file is None or not file.is_file():
            return {}
        from aligncap.weights.catalog import load_catalog

        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")).get("base_weights") or {}
        catalog = load_catalog().entries
        for part in found.values():
            entry = catalog.get(part["name"].removeprefix("aligncap:"))
            if entry is not None and part["name"].startswith("aligncap:"):
                part["sha256"] = entry.sha256
        return found


def parse_systems(arguments: Sequence[str]) -> list[SystemSpec]:
    """``[NAME=]SOURCE`` each.

    Raises:
        AlignCapError: a name that is empty, cannot be a folder's, or is there twice.
    """
    found = []
    for argument in arguments:
        name, equals, source = argument.partition("=")
        if not equals or Path(argument).exists():
            name, source = "", argument
        kind = _kind(source)
        called = name.strip() or (Path(source).stem if kind == "predictions" else Path(source).name)
        if not _NAME.fullmatch(called) or called != called.strip():
            raise AlignCapError(f"{argument!r}: call it NAME=…, of letters, digits, blanks and . + - _ @")
        found.append(SystemSpec(called, source, kind))
    names = [spec.name.casefold() for spec in found]
    for spec in found:
        if names.count(spec.name.casefold()) > 1:
            raise AlignCapError(f"two systems are called {spec.name!r}: write NAME=…")
    return found


def _kind(source: str) -> Literal["checkpoint", "baseline", "predictions"]:
    path = Path(source).expanduser()
    if path.suffix.lower() in _PREDICTIONS and not path.is_dir():
        if not path.is_file():
            raise AlignCapError(f"{source}: there is no such file of predictions")
        return "predictions"
    return "baseline" if (path / BASELINE).is_file() else "checkpoint"


@dataclass(frozen=True)
class Loading:
    """How systems are run.

    Attributes:
        prompt: the instruction; baselines know only the default one.
        device: as `aligncap.load` takes it.
        dtype: as `aligncap.load` takes it.
        threads: of the CPU; None: as PyTorch chooses.
        batch_size: stretches run together.
        verify: ``off``, ``on`` or ``strict``, as `aligncap caption` takes it; baselines need none.
    """

    prompt: str
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    batch_size: int = 8
    verify: str = "on"


class Classify(Protocol):
    """Which label fits each recording, in order."""

    def __call__(self, sources: Iterable[Any], *, labels: Sequence[str]) -> Iterator[Classification | Failure]:
        """Classify recordings as they come."""


@dataclass(frozen=True)
class Runner:
    """A system that is loaded.

    Attributes:
        caption: recordings → results, in order.
        classify: recordings and labels → results; None where it cannot classify by other words than its emotions.
        emotions: the labels that its captions carry probabilities of; empty: none.
        numbers: device and type of numbers that it computes in.
    """

    caption: Callable[[Iterable[Any]], Iterator[Caption | Failure]]
    classify: Classify | None
    emotions: tuple[str, ...]
    numbers: Mapping[str, str] = field(default_factory=dict)


def load_runner(spec: SystemSpec, loading: Loading) -> Runner:
    """Load a checkpoint or a baseline.

    Raises:
        AlignCapError: as `aligncap.load`.
    """
    if spec.kind == "baseline":
        from aligncap.baselines import load_baseline

        baseline = load_baseline(Path(spec.source).expanduser(), threads=loading.threads)
        return Runner(lambda sources: baseline.stream(sources, loading.batch_size), None, baseline.emotions)
    from aligncap.captioner import load
    from aligncap.captioner.sampling import VERIFY

    captioner = load(spec.source, device=loading.device, dtype=loading.dtype, threads=loading.threads)
    return Runner(
        partial(captioner.stream, prompt=loading.prompt, batch_size=loading.batch_size, verify=VERIFY[loading.verify]),
        partial(captioner.classify_stream, batch_size=loading.batch_size),
        captioner.emotions,
        {"device": captioner.device, "dtype": captioner.number_format},
    )


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise AlignCapError(f"{path}: it cannot be read: {error.strerror or error}") from error
