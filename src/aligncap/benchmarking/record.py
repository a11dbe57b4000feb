"""What a benchmark writes down so that it can be made again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from aligncap.benchmarking.systems import Loading, Runner, SystemSpec
from aligncap.errors import AlignCapError

__all__ = ["SystemRecord", "machine", "now", "versions", "write_json"]

_REST = ("base_weights", "emotions", "numbers", "sessions")
_PACKAGES = ("aligncap", "numpy", "peft", "safetensors", "soundfile", "soxr", "tokenizers", "torch", "transformers")


@dataclass
class SystemRecord:
    """What is known of a system's captions: which system made them, and when.

    Attributes:
        path: ``system.json`` in the system's folder.
        key: all that decides what the system says.
        base_weights: part → name and hashes.
        emotions: labels that its captions carry probabilities of.
        numbers: device and type of numbers that they were computed in.
        sessions: of captioning: date, machine, versions, rows, seconds.
    """

    path: Path
    key: dict[str, Any]
    base_weights: dict[str, Any] = field(default_factory=dict)
    emotions: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, spec: SystemSpec, loading: Loading, folder: Path) -> SystemRecord:
        """The record of a system in its folder, made where there is none.

        Raises:
            AlignCapError: the folder holds the captions of another system.
        """
        path = folder / "system.json"
        key: dict[str, Any] = {"kind": spec.kind, "sha256": spec.hashes(), "prompt": loading.prompt}
        if spec.kind == "checkpoint":
            key |= {"source": Path(spec.source).name if spec.folder() else spec.source, "verify": loading.verify}
        if not path.is_file():
            return cls(path, key, spec.base_weights())
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            before, rest = found["key"], {name: found[name] for name in _REST}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AlignCapError(f"{path}: damaged; delete its folder to caption again") from error
        changed = [name for name in sorted({*before, *key}) if not _same(before.get(name), key.get(name))]
        if changed:
            raise AlignCapError(
                f"{folder} holds the captions of another system (its {', '.join(changed)} differ): "
                "call this one otherwise (--system NAME=…), or delete that folder"
            )
        return cls(path, before, **rest)

    def save(self) -> None:
        """Write it."""
        write_json(self.path, {"key": self.key, **{name: getattr(self, name) for name in _REST}})

    def loaded(self, spec: SystemSpec, runner: Runner) -> None:
        """Take note of what is known once the system is loaded.

        Raises:
            AlignCapError: earlier captions were computed in other numbers.
        """
        numbers = dict(runner.numbers)
        if self.sessions and self.numbers != numbers:
            before, after = (", ".join(found.values()) or "others" for found in (self.numbers, numbers))
            raise AlignCapError(
                f"{spec.name}: its captions so far were computed in {before}, not {after}: give the same --device and "
                "--dtype, or call it otherwise (--system NAME=…)"
            )
        self.numbers, self.emotions = numbers, list(runner.emotions)
        self.key["sha256"] = spec.hashes()  # of a Hub name they are known now
        self.save()


def _same(before: Any, now_: Any) -> bool:
    """Whether a setting is the same; of hashes those that are known both times (a Hub's come with the download)."""
    if isinstance(before, Mapping) and isinstance(now_, Mapping) and not (before and now_):
        return True
    return bool(before == now_)


def machine() -> dict[str, Any]:
    """Processor, cores and system, in words."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor, "cores": cores, "system": f"{platform.system()} {platform.machine()}"}


def versions() -> dict[str, str]:
    """Of Python and of the packages that are there."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    import aligncap

    return found | {"aligncap": aligncap.__version__}


def now() -> str:
    """Date and time, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON whole or not at all.

    Raises:
        AlignCapError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise AlignCapError(f"{path}: it cannot be written: {error.strerror or error}") from error
