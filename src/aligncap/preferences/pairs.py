"""Pairs: a prompt about a clip, the caption that was chosen and the one that was rejected; files of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aligncap.errors import AlignCapError

__all__ = ["BadPair", "Pair", "read_pairs", "read_records", "write_pairs"]


class BadPair(AlignCapError):  # noqa: N818 (named for what it is about)
    """A record is no pair."""


@dataclass(frozen=True)
class Pair:
    """One preference.

    Attributes:
        id: of the clip, as its manifest has it.
        instruction: what was asked.
        clues: clue prompt that stood in the prompt; empty for none.
        chosen: the better caption.
        rejected: the worse one.
        margin: how much better, in (0, 1]: difference of the judges' scores, or of the shares of votes.
        judge: who found so: ``judges``, ``human`` or ``llm``.
        reason: why the rejected caption is the worse one, in words.
        kind: what is wrong with it: the type of its gravest fault, ``listeners`` (fewer would agree), or a kind of
            hard negative. The loss is logged by kind.
        corpus: of the clip.
        emotion: that most listeners hear in it.
        split: of the clip; never ``zero_shot``.

    Raises:
        BadPair: a text is empty, the captions are one and the same, the margin is no number in (0, 1], or the clip is
            for evaluation only.
    """

    id: str
    instruction: str
    clues: str
    chosen: str
    rejected: str
    margin: float
    judge: str
    reason: str
    kind: str
    corpus: str = ""
    emotion: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        for name in ("id", "instruction", "chosen", "rejected", "kind"):
            if not getattr(self, name).strip():
                raise BadPair(f"{name} is empty")
        if " ".join(self.chosen.split()) == " ".join(self.rejected.split()):
            raise BadPair("chosen and rejected are the same caption")
        if not (math.isfinite(self.margin) and 0 < self.margin <= 1):
            raise BadPair(f"margin is {self.margin}; it must be above 0 and at most 1")
        if self.split == "zero_shot":
            raise BadPair("the clip is of split zero_shot, which is for evaluation only")

    @property
    def longer(self) -> int:
        """Words that the chosen caption has more than the rejected one."""
        return len(self.chosen.split()) - len(self.rejected.split())

    @classmethod
    def of(cls, record: Any) -> Pair:
        """A pair from a record; unknown fields are ignored.

        Raises:
            BadPair: a field is missing, or of the wrong type, or see above.
        """
        if not isinstance(record, dict):
            raise BadPair("it is no JSON object")
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in record:
                if field.name in ("corpus", "emotion", "split"):
                    continue
                raise BadPair(f"{field.name} is missing")
            value = record[field.name]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fits, wanted = (number, "a number") if field.name == "margin" else (isinstance(value, str), "text")
            if not fits:
                raise BadPair(f"{field.name} is {value!r}: it must be {wanted}")
            values[field.name] = value
        return cls(**values)


def read_pairs(path: Path, on_problem: Callable[[str], None] | None = None) -> Iterator[Pair]:
    """Read pairs from JSON Lines, one at a time.

    Args:
        path: the file.
        on_problem: told of each record that is no pair, by file, line and clip, which is then left out; None: it is an
            error.

    Raises:
        AlignCapError: the file cannot be read; or, without ``on_problem``, a record is no pair.
    """
    for where, record in read_records(path, on_problem):
        try:
            yield Pair.of(record)
        except BadPair as error:
            name = record.get("id") if isinstance(record, dict) else None
            line = f"{where}: {error}" if not name else f"{where} ({name}): {error}"
            if on_problem is None:
                raise BadPair(line) from None
            on_problem(line)


def read_records(path: Path, on_problem: Callable[[str], None] | None = None) -> Iterator[tuple[str, Any]]:
    """Records of a JSON Lines file with the places where they stand; empty lines are passed over.

    Args:
        path: the file.
        on_problem: told of each line that is not JSON, which is then left out; None: it is an error.

    Raises:
        AlignCapError: the file cannot be read; or, without ``on_problem``, a line is not JSON.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                where = f"{path}:{number}"
                try:
                    yield where, json.loads(line)
                except ValueError:
                    if on_problem is None:
                        raise AlignCapError(f"{where}: it is not JSON") from None
                    on_problem(f"{where}: it is not JSON")
    except OSError as error:
        raise AlignCapError(f"{path}: cannot be read ({error.strerror or error})") from error


def write_pairs(pairs: Iterable[Pair], path: Path) -> int:
    """Write pairs as JSON Lines: aside, then renamed.

    Returns:
        How many there were.

    Raises:
        AlignCapError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    count = 0
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for pair in pairs:
                file.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")
                count += 1
        part.replace(path)
    except OSError as error:
        raise AlignCapError(f"{path}: it cannot be written ({error.strerror or error})") from error
    return count
