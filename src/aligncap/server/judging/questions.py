"""What listeners are asked: a clip, two captions of it, in an order of each listener's own."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from aligncap.captions.instructions import INSTRUCTIONS
from aligncap.corpora.row import Row

__all__ = ["Question", "order", "questions", "swapped", "with_checks"]

_DEFAULT = next(iter(INSTRUCTIONS))
_MIN_WORDS = 4  # of a caption that is scrambled


@dataclass(frozen=True)
class Question:
    """Two captions of a clip.

    Attributes:
        id: of the clip, as the manifest or the captions have it.
        instruction: that both captions answer.
        a: a caption.
        b: another one; of the two, `a` comes first in the alphabet.
        audio: path of the recording.
        start: seconds; None: its beginning.
        end: seconds; None: its end.
        check: ``a`` or ``b`` where this is an attention check and that is the right answer; else empty.
    """

    id: str
    instruction: str
    a: str
    b: str
    audio: str
    start: float | None = None
    end: float | None = None
    check: str = ""

    @property
    def key(self) -> str:
        """The same for the same question, and telling nothing about it."""
        return _digest(self.id, self.instruction, self.a, self.b, self.check)


def questions(
    records: Iterable[tuple[str, Any]],
    rows: Iterable[Row],
    folder: Path,
    on_problem: Callable[[str], None],
    *,
    per_clip: int = 1,
    seed: int = 0,
) -> list[Question]:
    """Make questions of pairs or captions.

    Args:
        records: place and JSON object each: of pairs (``chosen``, ``rejected``), of votes or questions (``a``, ``b``),
            of candidates (``captions``: those of one instruction are compared), or of `aligncap caption` (``caption``
            and ``alternatives``; those of the same id are compared).
        rows: of the manifest: they say where the recordings are. A record's id is a row's, or its audio's path.
        folder: the manifest's, to which paths are relative.
        on_problem: told of each record of which no question can be made.
        per_clip: questions made of the captions of one clip and instruction, drawn at random. Pairs are taken as they
            are.
        seed: of the draws.

    Returns:
        Each question once.
    """
    known: dict[str, Row] = {}
    for row in rows:
        known.setdefault(row.audio, row)
        known[row.id] = row
    found: dict[str, Question] = {}
    sets: dict[tuple[str, str], tuple[Question, dict[str, None]]] = {}
    for where, record in records:
        if isinstance(record, dict) and "candidates" in record:  # the settings of a file of candidates
            continue
        clip = _clip(record, known, folder)
        if isinstance(clip, str):
            on_problem(f"{where}: {clip}")
            continue
        pair = _pair(record)
        if pair:
            question = replace(clip, a=min(pair), b=max(pair))
            found.setdefault(question.key, question)
            continue
        for instruction, caption in _captions(record):
            about = replace(clip, instruction=instruction)
            sets.setdefault((clip.id, instruction), (about, {}))[1][caption] = None
    for (name, _), (about, captions) in sets.items():
        two = list(combinations(sorted(captions), 2))
        if not two:
            on_problem(f"{name}: there is only one caption: nothing to compare")
        for a, b in random.Random(_digest(str(seed), name)).sample(two, min(per_clip, len(two))):
            question = replace(about, a=a, b=b)
            found.setdefault(question.key, question)
    return list(found.values())


def _clip(record: Any, known: Mapping[str, Row], folder: Path) -> Question | str:
    """A question without captions, or why there is none."""
    if not isinstance(record, dict):
        return "it is no JSON object"
    if record.get("error"):
        return "that clip has an error and no captions"
    name, audio = record.get("id"), record.get("audio")
    row = known.get(name) if isinstance(name, str) else None
    start, end = (row.start, row.end) if row else (None, None)
    if row is None and isinstance(audio, str):
        row = known.get(audio)
        start, end = record.get("start"), record.get("end")
    if row is None or not isinstance(name, str):
        return f"the manifest has no clip {name!r}"
    if not (_pair(record) or list(_captions(record))):
        return "it has no captions: chosen and rejected, a and b, captions, or caption"
    pair = _pair(record)
    if pair and pair[0].split() == pair[1].split():
        return "both captions are the same"
    instruction = record.get("instruction")
    path = str((folder / row.audio).absolute())
    return Question(name, instruction if isinstance(instruction, str) else _DEFAULT, "", "", path, start, end)


def _pair(record: Mapping[str, Any]) -> tuple[str, str] | None:
    for names in (("chosen", "rejected"), ("a", "b")):
        first, second = (record.get(name) for name in names)
        if isinstance(first, str) and isinstance(second, str) and first.strip() and second.strip():
            return first, second
    return None


def _captions(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Instruction and caption."""
    for item in record.get("captions") or ():
        if isinstance(item, dict) and isinstance(item.get("caption"), str) and item["caption"].strip():
            yield item.get("instruction") or _DEFAULT, item["caption"]
    for text in (record.get("caption"), *(record.get("alternatives") or ())):
        if isinstance(text, str) and text.strip():
            yield record.get("instruction") or _DEFAULT, text


def with_checks(asked: Sequence[Question], share: float, seed: int = 0) -> list[Question]:
    """Add attention checks: a caption beside its own words in disorder. Who reads both knows which one is better.

    Args:
        asked: questions.
        share: checks for each question, 0 to 1; at least one check where it is not 0.
        seed: of the draws.
    """
    fit = [question for question in asked if len(question.a.split()) >= _MIN_WORDS]
    wanted = min(len(fit), max(1, round(share * len(asked)))) if share else 0
    drawn = random.Random(seed).sample(fit, wanted)
    return [*asked, *(_check(question, seed) for question in drawn)]


def _check(question: Question, seed: int) -> Question:
    right = question.a
    words = right.rstrip(".").lower().split()
    draws = random.Random(_digest(str(seed), question.key))
    mixed = list(words)
    while mixed == words and len(set(words)) > 1:
        draws.shuffle(mixed)
    wrong = " ".join(mixed).capitalize() + "."
    a, b = sorted((right, wrong))
    return replace(question, a=a, b=b, check="a" if a == right else "b")


def order(keys: Iterable[str], rater: str, seed: int) -> list[str]:
    """The order in which a listener is asked: random, another for each listener, the same when coming back."""
    return sorted(keys, key=lambda key: _digest(str(seed), rater, key))


def swapped(key: str, rater: str, seed: int) -> bool:
    """Whether `b` stands on the left: random, for each question and listener."""
    return int(_digest("side", str(seed), rater, key), 16) % 2 == 1


def _digest(*parts: str) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
