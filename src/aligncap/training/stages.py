"""Which settings a stage depends on, and where its results are: a folder of the run, or of the run it is based on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligncap.errors import AlignCapError
from aligncap.training.progress import is_main_process
from aligncap.training.recipe import Recipe

__all__ = ["STAGES", "claim", "finished", "head_key", "key_hash", "prefer_key", "stage_key"]

STAGES = ("warm_start", "teacher", "align", "head", "prefer")
_LAST = ("align", "head", "prefer")  # never taken from another run
_KEY = "key.json"
_OTHERWISE = ("prefer.pairs", "prefer.checkpoint", "prefer.rounds", "prefer.round_")  # their content is
# how a stage is run, not what comes of it
_FREE = ("micro_batch", "save_every", "keep", "log_every", "report_to", "gradient_checkpointing", "cache", "eval_clips")


def stage_key(recipe: Recipe, stage: str, split: str) -> dict[str, Any]:
    """All that the result of a stage depends on, flat: dotted setting → value.

    Args:
        recipe: see `Recipe`.
        stage: one of `STAGES`.
        split: rows of the manifest that are trained on.
    """
    whole = dataclasses.asdict(recipe)
    common = ("seed", "augmented_copies", "corpora")
    parts: dict[str, tuple[str, ...]] = {
        "warm_start": (*common, "model", "warm_start"),
        "teacher": (*common, "captions", "teacher"),
        "align": (*common, "model", "warm_start", "captions", "align"),
        "head": (*common, "model", "warm_start"),  # see head_key
        "prefer": ("seed", "prefer"),  # see prefer_key
    }
    content = {name: whole[name] for name in parts[stage]}
    if stage == "teacher":
        model = whole["model"]
        content["model"] = {name: model[name] for name in ("language_model", "system_prompt")}
        for name in ("clue_trust", "hypotheses"):
            content["captions"].pop(name)
    if stage == "align" and recipe.align.lambda_kd:
        content["teacher"] = whole["teacher"]
    for name in ("teacher", "align", "prefer"):
        for free in _FREE:
            content.get(name, {}).pop(free, None)
    for name in ("model", "warm_start"):
        if not content.get(name, {}).get("speeds", True):
            del content[name]["speeds"]  # as in runs that were begun before there was this setting
    if stage == "align" and not recipe.align.seed:
        del content["align"]["seed"]  # likewise
    if stage == "align" and recipe.align.clips == 1:
        del content["align"]["clips"]  # likewise
    if stage == "align" and recipe.align.teacher_temperature == 1:
        del content["align"]["teacher_temperature"]  # likewise
    if stage == "align" and recipe.align.lambda_contrastive:
        content["align"]["micro_batch"] = recipe.align.micro_batch  # its pairs are those of a micro-batch
    elif stage == "align":  # likewise
        del content["align"]["lambda_contrastive"], content["align"]["contrastive_temperature"]
    content["split"] = split
    content["manifest_sha256"] = hashlib.sha256(Path(recipe.manifest).read_bytes()).hexdigest()
    return _flat(content)


def head_key(recipe: Recipe, split: str, checkpoint: Path) -> dict[str, Any]:
    """`stage_key` of the stage that refits the emotion head, with the content of the checkpoint."""
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    return stage_key(recipe, "head", split) | {"checkpoint_sha256": digest}


def prefer_key(recipe: Recipe, split: str, checkpoint: Path) -> dict[str, Any]:
    """`stage_key` of the stage that prefers, with the content of its pairs and of the checkpoint it begins with."""
    key = {k: v for k, v in stage_key(recipe, "prefer", split).items() if not k.startswith(_OTHERWISE)}
    for name, path in (("pairs", Path(recipe.prefer.pairs)), ("checkpoint", checkpoint / "model.safetensors")):
        if not path.is_file():
            raise AlignCapError(f"no {name} at {str(path)!r}: give prefer.{name}=…")
        key[f"{name}_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return key


def key_hash(key: Mapping[str, Any]) -> str:
    """Short hash of a stage's key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def finished(recipe: Recipe, stage: str, key: Mapping[str, Any], results: tuple[str, ...]) -> Path | None:
    """The folder of a stage that needs not be run again: of this run, or (but for `_LAST`) of the one it is based on.

    Args:
        recipe: see `Recipe`.
        stage: one of `STAGES`.
        key: what the folder's key must be.
        results: files that a finished stage has.
    """
    for run in (recipe.output, recipe.base if stage not in _LAST else ""):
        folder = Path(run) / stage
        if run and _read(folder) == key and all((folder / name).is_file() for name in results):
            return folder
    return None


def claim(folder: Path, key: Mapping[str, Any]) -> None:
    """Write the key into a stage's folder, or refuse a folder that was begun with other settings.

    Raises:
        AlignCapError: it was; the settings are named.
    """
    if not is_main_process():
        return
    found = _read(folder)
    if found is not None and found != key:
        names = [name for name in sorted({*found, *key}) if found.get(name) != key.get(name)]
        changes = ", ".join(f"{name} {found.get(name)!r} → {key.get(name)!r}" for name in names[:3])
        raise AlignCapError(
            f"{folder} was begun with other settings ({changes}{', …' if len(names) > 3 else ''}): choose another "
            f"output=FOLDER (with base={folder.parent} its other stages are used), or delete it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{_KEY}.part"
    part.write_text(json.dumps(key, indent=2, sort_keys=True) + "\n")
    part.replace(folder / _KEY)


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / _KEY).read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            out.update(_flat(value, f"{prefix}{name}."))
        else:
            out[f"{prefix}{name}"] = value
    return out
