"""Log-probabilities of captions under the reference, computed once: the reference never changes while it is one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from aligncap.errors import CheckpointError
from aligncap.training.progress import is_main_process

__all__ = ["cached_log_probs"]

_FILE = "reference.safetensors"
_NAME = "log_probs"


def cached_log_probs(
    folder: Path, key: Mapping[str, str], compute: Callable[[], Tensor], others: Sequence[Path] = ()
) -> Tensor:
    """The cached log-probabilities, or new ones, which are then kept; the main process makes them for all.

    Args:
        folder: where they are kept.
        key: what they depend on: name → hash.
        compute: makes them.
        others: folders of other runs, whose cache is read where it fits.

    Raises:
        CheckpointError: the folder has those of another model or of other pairs, or they are damaged.
    """
    path = folder / _FILE
    usable = [other / _FILE for other in others if (other / _FILE).exists() and _key_of(other / _FILE) == dict(key)]
    while not (is_main_process() or usable or path.exists()):
        time.sleep(0.5)
    if path.exists():
        differing = [name for name in key if _key_of(path).get(name) != key[name]]
        if differing:
            raise CheckpointError(
                f"{path}: stale log-probabilities of the reference ({' and '.join(differing)} differ from this run's): "
                "delete the file, or choose another output"
            )
        return load_file(path)[_NAME]
    if usable:
        return load_file(usable[0])[_NAME]
    values = compute()
    part = path.with_name(f"{_FILE}.part")
    save_file({_NAME: values.contiguous()}, part, metadata={"key": json.dumps(dict(key))})
    part.replace(path)
    return values


def _key_of(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads((file.metadata() or {}).get("key", "{}")))
    except Exception as error:  # the library has no common class of its own
        raise CheckpointError(f"{path}: damaged ({error}); delete the file") from error
