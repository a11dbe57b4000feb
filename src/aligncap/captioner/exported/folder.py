"""What lies in the folder of an exported model."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aligncap.errors import CheckpointError

__all__ = [
    "ARRAYS_FILE",
    "HABITS_FILE",
    "HEARING_FILE",
    "LANGUAGE_MODEL_FILE",
    "SETTINGS_FILE",
    "TOKENIZER_FILE",
    "Exported",
    "Prompt",
    "Table",
    "is_exported",
]

SETTINGS_FILE = "aligncap-onnx.json"
HEARING_FILE = "hearing.onnx"
LANGUAGE_MODEL_FILE = "language_model.onnx"
TOKENIZER_FILE = "tokenizer.json"
ARRAYS_FILE = "arrays.npz"
HABITS_FILE = "habits.txt"

_FORMAT = 1


@dataclass(frozen=True)
class Prompt:
    """How a prompt is laid out.

    Attributes:
        before: text before what the user says.
        after: text after it.
        speech: the placeholder of a speech embedding.
        markup: tokens that text must not become.
    """

    before: str
    after: str
    speech: str
    markup: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Where the token embeddings lie: in the file of the language model's head, where that has the same weights.

    Attributes:
        file: in the folder.
        weights: offset of (vocabulary, width) float32 or of integers as `MatMulNBits` takes them, in bytes.
        scales: offset of the integers' scales, (vocabulary, blocks) float32; None for float32.
        bits: of a weight.
        block: weights that share a scale.
    """

    file: str
    weights: int
    scales: int | None
    bits: int
    block: int


@dataclass(frozen=True)
class Exported:
    """Settings of an exported model.

    Attributes:
        emotions: that it tells apart.
        clues: kinds of clue prompts that it knows.
        max_seconds: the longest stretch that it hears at once.
        level_dbfs: to which speech is brought.
        window: samples of a spectrum.
        hop: samples from one spectrum to the next.
        prompt: see `Prompt`.
        ends: tokens that end a response.
        table: see `Table`.
        layers: of the language model.
        groups: of keys and values.
        head_width: of a key.
        width: of an embedding.
        vocabulary: tokens of the language model.
        positions: the most tokens of prompt and response together.
        number_format: ``float32``, ``int8`` or ``int4``.
        calibrated: whether a calibration was exported with it.
        speeds: further speeds at which emotions are heard.
        format: of this file.
    """

    emotions: tuple[str, ...]
    clues: tuple[str, ...]
    max_seconds: float
    level_dbfs: float
    window: int
    hop: int
    prompt: Prompt
    ends: tuple[int, ...]
    table: Table
    layers: int
    groups: int
    head_width: int
    width: int
    vocabulary: int
    positions: int
    number_format: str
    calibrated: bool
    speeds: tuple[float, ...] = ()
    format: int = _FORMAT

    def save(self, folder: Path) -> None:
        """Write them."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / SETTINGS_FILE).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Exported:
        """Read what `save` wrote.

        Raises:
            CheckpointError: a file is missing or damaged, or of another version.
        """
        try:
            read: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            found = read.get("format")
            if found == _FORMAT:
                prompt, table = read.pop("prompt"), Table(**read.pop("table"))
                read |= {name: tuple(read[name]) for name in ("emotions", "clues", "ends", "speeds") if name in read}
                prompt["markup"] = tuple(prompt["markup"])
                settings = cls(**read, prompt=Prompt(**prompt), table=table)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(
                f"{folder / SETTINGS_FILE}: it is damaged ({error}); export the model again"
            ) from error
        if found != _FORMAT:
            raise CheckpointError(f"{folder}: exported by another version of AlignCap; export the model again")
        for name in (HEARING_FILE, LANGUAGE_MODEL_FILE, TOKENIZER_FILE, ARRAYS_FILE, table.file):
            if not (folder / name).is_file():
                raise CheckpointError(f"{folder}: {name} is missing; export the model again")
        return settings


def is_exported(checkpoint: str | os.PathLike[str]) -> bool:
    """Whether a folder holds what `aligncap export` wrote."""
    return (Path(checkpoint) / SETTINGS_FILE).is_file()
