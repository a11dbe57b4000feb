"""The card of a checkpoint, from its files and from what it was trained on."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from aligncap.cards.counts import Counts, hub_languages, hub_licence
from aligncap.cards.dataset import labels_table, sources
from aligncap.cards.markdown import cell, front_matter, table
from aligncap.errors import CheckpointError, WeightsError

__all__ = ["Checkpoint", "model_card", "read_checkpoint"]

_OURS = "aligncap:"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_PARTS = ("speech_encoder", "language_model")


@dataclass(frozen=True)
class Checkpoint:
    """What the files of a checkpoint tell.

    Attributes:
        config: the content of ``config.json``.
        parameters: how many numbers the checkpoint holds (those of the base weights are not among them).
        size: bytes of the weights' file.
        sha256: of the weights' file, in hex.
    """

    config: Mapping[str, Any]
    parameters: int
    size: int
    sha256: str


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's configuration and the header of its weights; PyTorch is not needed.

    Args:
        folder: with ``config.json`` and ``model.safetensors``.

    Raises:
        CheckpointError: a file is missing or damaged, or it is another kind of model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        data = (folder / "model.safetensors").read_bytes()
    except OSError as error:
        name = Path(error.filename or folder).name
        raise CheckpointError(
            f"{folder}: it is no checkpoint: {name}: {(error.strerror or str(error)).lower()}"
        ) from None
    except ValueError:
        raise CheckpointError(f"{folder}: its config.json is damaged") from None
    if not isinstance(config, dict) or config.get("model_type") != "aligncap":
        raise CheckpointError(f"{folder}: it is a checkpoint of another kind of model")
    if not all(isinstance(config.get(name) or {}, dict) for name in ("base_weights", "bridge", "lora")):
        raise CheckpointError(f"{folder}: its config.json is damaged")
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        parameters = sum(_product(shape) for shape in shapes)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{folder}: its model.safetensors is damaged") from None
    return Checkpoint(config, parameters, len(data), hashlib.sha256(data).hexdigest())


def model_card(
    checkpoint: Checkpoint, title: str, *, counts: Counts | None = None, scores: str = "", licence: str = ""
) -> str:
    """Write a model card: front matter of the Hub, parts, training data, scores, use, limits.

    Args:
        checkpoint: what its files tell.
        title: the model's name.
        counts: of the rows that it was trained on.
        scores: tables of an evaluation, as Markdown below a heading of the second level.
        licence: of the weights, where their owner says so; default: what the training data's licences say.
    """
    licences = [licence] if licence else list(counts.total.licences) if counts else []
    fields = {
        **hub_licence(licences),
        "language": hub_languages(counts.total.languages) if counts else [],
        "pipeline_tag": "audio-text-to-text",
        "tags": ["speech emotion captioning", "speech emotion recognition", "aligncap"],
        "base_model": [name for part in _PARTS if (name := _hub_name(checkpoint, part))],
    }
    template = (resources.files(__package__) / "model.md").read_text(encoding="utf-8")
    return front_matter(fields) + Template(template).substitute(
        title=cell(title),
        emotions=", ".join(map(cell, checkpoint.config.get("emotions", []))) or "(not told)",
        seconds=f"{float(checkpoint.config.get('max_seconds', 10.0)):g}",
        parts=_parts(checkpoint),
        data=_data(counts),
        scores=scores.strip() or "*Not given: `aligncap evaluate … --json scores.json`, then `--scores scores.json`.*",
        licence=_licence(licence, counts),
    )


def _parts(checkpoint: Checkpoint) -> str:
    config = checkpoint.config
    bridge, lora = config.get("bridge") or {}, config.get("lora")
    adapters = f"LoRA of rank {lora.get('rank', '?')}" if lora else "no adapters"
    if lora and lora.get("targets"):
        adapters += f" on {', '.join(map(cell, lora['targets']))}"
    rows = [
        ("speech encoder", f"{_base(checkpoint, 'speech_encoder')}, frozen; layers {config.get('taps')}"),
        ("bridge", f"{cell(bridge.get('kind', '?'))}, width {bridge.get('width', '?')}"),
        ("language model", f"{_base(checkpoint, 'language_model')}, {adapters}"),
        ("in the file", f"{checkpoint.parameters:,} parameters, {checkpoint.size / 1e6:.1f} MB"),
        ("`model.safetensors`", f"sha256 `{checkpoint.sha256}`"),
    ]
    return table(("part", ""), rows)


def _base(checkpoint: Checkpoint, part: str) -> str:
    name = _base_name(checkpoint, part)
    if name.startswith(_OURS):
        return _catalogued(name) or cell(name)
    return cell(name) if _HUB_NAME.fullmatch(name) else "a model from a local folder"


def _base_name(checkpoint: Checkpoint, part: str) -> str:
    return str((checkpoint.config.get("base_weights") or {}).get(part, {}).get("name", ""))


def _catalogued(name: str) -> str:
    from aligncap.weights.catalog import load_catalog

    try:
        entry = load_catalog()[name.removeprefix(_OURS)]
    except WeightsError:
        return ""
    return f"{cell(entry.description)} ({cell(entry.licence)}, <{entry.homepage}>)"


def _hub_name(checkpoint: Checkpoint, part: str) -> str:
    from aligncap.weights.catalog import load_catalog

    name = _base_name(checkpoint, part)
    if name.startswith(_OURS):
        entry = load_catalog().entries.get(name.removeprefix(_OURS))
        return entry.hub.repo if entry is not None and entry.hub is not None else ""
    return name if _HUB_NAME.fullmatch(name) else ""


def _data(counts: Counts | None) -> str:
    if counts is None:
        return "*Not told: `aligncap card model … --manifest MANIFEST --split train` counts it.*"
    total = counts.total
    hours = f", {total.seconds / 3600:.1f} hours" if total.timed == total.rows else ""
    return (
        f"{total.rows:,} clips of {len(total.speakers):,} speakers{hours}.\n\n{labels_table(counts)}\n{sources(counts)}"
    )


def _licence(licence: str, counts: Counts | None) -> str:
    if licence:
        return f"The weights: {cell(licence)}."
    known = sorted(name for name in (counts.total.licences if counts else ()) if name)
    if not known:
        return "*Not told: what is allowed follows from the licences of the training data.*"
    return (
        f"The weights were trained on data under {', '.join(map(cell, known))}: where these forbid commercial use, or "
        "ask for attribution or the same licence, that holds for the weights too."
    )


def _product(shape: list[int]) -> int:
    found = 1
    for size in shape:
        found *= size
    return found
