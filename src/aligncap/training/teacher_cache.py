"""The teacher's final hidden states on response tokens, kept on disk: one memory-mapped file and an index.

Entries are found by a hash of the prompt's and the response's tokens, so that an entry is never another prompt's.
The cache as a whole belongs to one teacher in one precision: any other is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from aligncap.errors import CheckpointError

__all__ = ["TeacherCache", "digests"]

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def digests(prompts: Mapping[str, Tensor]) -> list[str]:
    """Hash of the tokens of each prompt and response; padding does not matter."""
    rows = zip(prompts["input_ids"], prompts["attention_mask"], prompts["labels"], strict=True)
    out = []
    for ids, mask, labels in rows:
        kept = mask.bool()
        text = f"{ids[kept].tolist()} {int((labels != -100).sum())}"
        out.append(hashlib.sha256(text.encode()).hexdigest()[:32])
    return out


class TeacherCache:
    """Opens or begins a cache.

    Args:
        folder: of the cache; made if need be.
        teacher: hash of the teacher's weights.
        width: of its hidden states.
        dtype: ``float32`` or ``bfloat16``.

    Raises:
        CheckpointError: the folder holds another teacher's states, or in another precision, or is damaged.
    """

    def __init__(self, folder: Path, teacher: str, width: int, dtype: str) -> None:
        if dtype not in _TYPES:
            raise CheckpointError(f"teacher cache: unknown type {dtype!r}; choose one of {', '.join(_TYPES)}")
        self.folder = folder
        self.width = width
        self.dtype = _TYPES[dtype]
        self._numpy = np.dtype(np.float32 if dtype == "float32" else np.uint16)
        self._size = width * self._numpy.itemsize
        folder.mkdir(parents=True, exist_ok=True)
        key = {"teacher": teacher, "width": width, "dtype": dtype}
        path = folder / "key.json"
        if path.exists():
            self._check(json.loads(path.read_text()), key)
        else:
            path.write_text(json.dumps(key, indent=2) + "\n")
        self._index: dict[str, tuple[int, int, int]] = {}
        self.reload()

    def _check(self, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing:
            raise CheckpointError(
                f"{self.folder}: stale teacher cache (its {' and '.join(differing)} differ from this run's): delete "
                "the folder, or choose another output"
            )

    def reload(self) -> None:
        """Read the index again; entries that were not completely written are left out."""
        self._index.clear()
        states, index = self.folder / "states.bin", self.folder / "index.txt"
        end = states.stat().st_size if states.exists() else 0
        lines = index.read_text().split("\n")[:-1] if index.exists() else []  # what has no line end was cut off
        for line in lines:
            digest, *numbers = line.split()
            start, tokens, check = map(int, numbers)
            if (start + tokens) * self._size <= end:
                self._index[digest] = (start, tokens, check)
        values = end // self._numpy.itemsize
        self._states = np.memmap(states, self._numpy, "r", shape=(values,)) if values else np.zeros(0, self._numpy)

    def __contains__(self, digest: str) -> bool:
        return digest in self._index

    def __len__(self) -> int:
        return len(self._index)

    def states(self, prompts: Mapping[str, Tensor]) -> list[Tensor]:
        """Hidden states (tokens, width) of each prompt's response.

        Raises:
            CheckpointError: a prompt is not in the cache, or its entry is damaged.
        """
        out = []
        for digest in digests(prompts):
            if digest not in self._index:
                raise CheckpointError(f"{self.folder}: a prompt is not in the teacher cache; delete the folder")
            start, tokens, check = self._index[digest]
            values = np.array(self._states[start * self.width : (start + tokens) * self.width])
            if crc32(values.tobytes()) != check:
                raise CheckpointError(f"{self.folder}: damaged teacher cache; delete the folder")
            tensor = torch.from_numpy(values if self._numpy == np.float32 else values.view(np.int16))
            out.append(tensor.view(self.dtype).view(tokens, self.width))
        return out

    def fill(
        self,
        batches: Iterable[Mapping[str, Tensor]],
        compute: Callable[[dict[str, Tensor]], Tensor],
        advance: Callable[[int], None] = lambda count: None,
    ) -> int:
        """Add what is missing; what is written stays when this is interrupted.

        Args:
            batches: prompts with responses, padded.
            compute: such a batch → (response tokens, width).
            advance: told how many prompts are done.

        Returns:
            The number of entries added.
        """
        begun = len(self._index)
        states, index = self.folder / "states.bin", self.folder / "index.txt"
        with states.open("ab") as data, index.open("a") as names:
            data.truncate(data.tell() // self._size * self._size)  # a row or a line that was cut off
            names.truncate(index.read_bytes().rfind(b"\n") + 1)
            for batch in batches:
                found = digests(batch)
                rows = [i for i, d in enumerate(found) if d not in self._index and d not in found[:i]]
                if rows:
                    hidden = compute({name: value[rows] for name, value in batch.items()}).to(self.dtype).cpu()
                    lines = []
                    counts = (batch["labels"][rows] != -100).sum(1).tolist()
                    for row, part in zip(rows, hidden.split(counts), strict=True):
                        view = part.contiguous().view(torch.int16 if self._numpy == np.uint16 else torch.float32)
                        raw = view.numpy().tobytes()
                        start = data.tell() // self._size
                        data.write(raw)
                        self._index[found[row]] = (start, len(part), crc32(raw))
                        lines.append(f"{found[row]} {start} {len(part)} {crc32(raw)}\n")
                    data.flush()
                    os.fsync(data.fileno())
                    names.writelines(lines)
                    names.flush()
                advance(len(found))
        self.reload()
        return len(self._index) - begun
