"""Rows from a dataset of the `datasets` library: of the Hub, on disk, or in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from aligncap.corpora.fields import parse_record, spelled
from aligncap.corpora.manifest import renamed
from aligncap.corpora.problems import ManifestError, Problem, shown
from aligncap.corpora.row import Row
from aligncap.errors import MissingExtraError

__all__ = ["from_dataset"]

_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"FORM": ".aiff"}


def from_dataset(
    source: Any,
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    config: str | None = None,
    columns: Mapping[str, str] | None = None,
    on_problem: Callable[[Problem], None] | None = None,
) -> Iterator[Row]:
    """Read the rows of a dataset, one at a time.

    Class labels become their names. Recordings inside the dataset are written, as the bytes that they are, to
    ``audio/`` in `folder`; those that are files stay where they are.

    Args:
        source: a `datasets.Dataset`, `IterableDataset`, or dictionary of them (whose keys are the splits); a folder
            that `save_to_disk` made; or a name for `datasets.load_dataset`.
        folder: of the manifest to be.
        split: the one to read; by default all.
        config: of a dataset that has several, where `source` is a name.
        columns: column of the schema → the dataset's name for it. By default audio is the first audio column.
        on_problem: called with all that is wrong; rows that cannot be used are then left out.

    Yields:
        rows whose audio paths are relative to `folder` where the file is inside it, else absolute.

    Raises:
        ManifestError: the dataset cannot be loaded, has no recordings; without `on_problem`, a row cannot be used.
        MissingExtraError: `datasets` is not installed.
    """
    number = 0
    for name, dataset in _splits(source, split, config):
        names = _columns(dataset, columns or {})
        labels = _label_names(dataset)
        for index, example in enumerate(_undecoded(dataset)):
            number += 1
            values = {key: labels[key](value) if key in labels else value for key, value in example.items()}
            values = dict(renamed(values, names))
            own = _own_name(values.get("audio"))
            values.setdefault("id", "_".join(filter(None, (f"{name}/" * bool(name) + f"{index:06d}", own))))
            if name:
                values.setdefault("split", spelled("split", name))
            values["audio"] = _stored(values.get("audio"), Path(folder), f"{name or 'all'}-{index:06d}", own)
            row, faults = parse_record(values)
            for fault in faults:
                problem = Problem.of(fault, number, None, values["id"])
                if on_problem is not None:
                    on_problem(problem)
                elif problem.remedy == "left out":
                    raise ManifestError(f"the dataset: {problem}")
            if row is not None:
                yield row


def _splits(source: Any, split: str | None, config: str | None) -> list[tuple[str, Any]]:
    """Datasets with the names of their splits."""
    loaded = _load(source, split, config) if isinstance(source, str | os.PathLike) else source
    if isinstance(loaded, Mapping):
        if split is not None and split not in loaded:
            raise ManifestError(f"the dataset has no split {split!r}; it has {', '.join(map(str, loaded))}")
        return [(str(name), part) for name, part in loaded.items() if split in (None, name)]
    own = str(loaded.split) if getattr(loaded, "split", None) else ""
    return [(split or own, loaded)]


def _load(source: str | os.PathLike[str], split: str | None, config: str | None) -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading a dataset", "data") from error

    path = Path(source)
    try:
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            return datasets.load_from_disk(str(source))
        return datasets.load_dataset(str(source), config, split=split)
    except Exception as error:  # whatever a dataset's files, the Hub or the network come up with
        raise ManifestError(f"{source}: the dataset cannot be loaded: {shown(str(error))}") from error


def _columns(dataset: Any, columns: Mapping[str, str]) -> dict[str, str]:
    features = dataset.features or {}
    missing = sorted(theirs for theirs in columns.values() if features and theirs not in features)
    if missing:
        raise ManifestError(f"the dataset has no column {missing[0]!r}; it has {', '.join(features)}")
    names = dict(columns)
    if "audio" not in names and "audio" not in features:
        audio = [name for name, feature in features.items() if type(feature).__name__ == "Audio"]
        if features and not audio:
            have = ", ".join(features)
            raise ManifestError(f"the dataset has no audio column; name it: --column audio=NAME; it has {have}")
        names |= {"audio": audio[0]} if audio else {}
    return names


def _label_names(dataset: Any) -> dict[str, Callable[[Any], Any]]:
    """Column of numbered classes → number to name; -1 is what is not known."""

    def namer(feature: Any) -> Callable[[Any], Any]:
        return lambda value: (
            feature.names[value] if isinstance(value, int) and 0 <= value < len(feature.names) else None
        )

    features = (dataset.features or {}).items()
    return {name: namer(feature) for name, feature in features if type(feature).__name__ == "ClassLabel"}


def _undecoded(dataset: Any) -> Any:
    """The dataset with recordings as the bytes or files that they are."""
    for name, feature in (dataset.features or {}).items():
        if type(feature).__name__ == "Audio":
            import datasets

            dataset = dataset.cast_column(name, datasets.Audio(decode=False))
    return dataset


def _own_name(audio: Any) -> str:
    path = audio.get("path") if isinstance(audio, Mapping) else audio
    return PurePath(path).stem if isinstance(path, str) else ""


def _stored(audio: Any, folder: Path, name: str, own: str) -> Any:
    """The path of a recording, which is written to the folder where it is not a file yet."""
    path, data = (audio.get("path"), audio.get("bytes")) if isinstance(audio, Mapping) else (audio, None)
    if isinstance(path, str) and Path(path).is_file():
        full = Path(path).absolute()
        return (
            full.relative_to(folder.absolute()).as_posix()
            if full.is_relative_to(folder.absolute())
            else full.as_posix()
        )
    if not isinstance(data, bytes):
        return path
    suffix = PurePath(path).suffix if isinstance(path, str) else ""
    target = folder / "audio" / f"{name}{suffix or _MAGIC.get(data[:4], '.mp3')}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise ManifestError(f"{target}: it cannot be written: {error.strerror or error}") from error
    return target.relative_to(folder).as_posix()
