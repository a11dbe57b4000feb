"""Hard negatives: a good caption spoilt in one respect, which is known, so that the loss on each kind can be seen.

Words are exchanged for words of the same slot of ``captions/lexicon.yaml`` ("a trace of anger" for "a trace of fear"),
so that a spoilt caption reads as well as a good one, unless its form is what was spoilt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from aligncap.captions import INSTRUCTIONS, emotions_in, obeys
from aligncap.captions.claims import find_claims
from aligncap.captions.phrases import expand, load_data

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KINDS", "Good", "Negative", "hard_negatives"]

_EMOTION_SLOTS = ("feeling", "tone", "noun", "manner", "stirs", "as_if")
_GRADED = ("feeling", "tone", "noun", "manner")
_VOICE_SLOTS = ("attribute", "speaks_how", "has", "clause", "the", "literary", "clinical")
_LEAK_WORDS = 12
_TRIES = 6
_LAST_CLAUSE = re.compile(r"(?P<head>[^.;]+?)(?:(?:, and|;) (?P<last>[^.,;]+))?\.")


@dataclass(frozen=True)
class Good:
    """A good caption, and what there is to spoil it with.

    Attributes:
        caption: to be spoilt.
        instruction: that it answers.
        heard: labels of `EMOTIONS` that may be right: never swapped in.
        transcript: what is said in the clip; empty: nothing can leak.
        others: good answers to other instructions about the same clip.
    """

    caption: str
    instruction: str
    heard: tuple[str, ...] = ()
    transcript: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Negative:
    """A spoilt caption.

    Attributes:
        caption: the text.
        kind: of `KINDS`.
        reason: what was done, in words.
    """

    caption: str
    kind: str
    reason: str


def hard_negatives(good: Good, kinds: Sequence[str], rng: np.random.Generator) -> list[Negative]:
    """Spoil a caption in each of the ways asked for.

    Args:
        good: the caption.
        kinds: of `KINDS`.
        rng: the only source of chance.

    Returns:
        One for each kind that this caption can be spoilt in, in the order of ``kinds``; none equals the caption.

    Raises:
        ValueError: an unknown kind.
    """
    out = []
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of negative {kind!r}: choose among {', '.join(KINDS)}")
        spoilt = KINDS[kind](good, rng)
        if spoilt is not None and spoilt[0] != good.caption:
            out.append(Negative(spoilt[0], kind, spoilt[1]))
    return out


def _label_swapped(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """Another emotion in the place of every word for the main one."""
    named = emotions_in(good.caption)
    if not named:
        return None
    main = next(iter(named))
    others = [label for label in sorted(_lexicon("emotions")) if label != main and label not in good.heard]
    for label in rng.permutation(others)[:_TRIES].tolist():
        text = _exchange(good.caption, "emotions", rng, {main: label})
        found = emotions_in(text)
        if main not in found and label in found and _as_formed(text, good):
            return text, f"{main} became {label}"
    return None


def _clue_inverted(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """The opposite of one thing that is said of the voice."""
    said = [claim.target for claim in find_claims(good.caption) if claim.kind == "acoustic" and not claim.negated]
    targets = rng.permutation(sorted(set(said) & _opposites().keys())).tolist()
    for target in targets * _TRIES:
        opposite = _opposites()[target]
        text = _exchange(good.caption, "voice", rng, {target: opposite})
        now = {claim.target for claim in find_claims(text) if claim.kind == "acoustic" and not claim.negated}
        if opposite in now and target not in now and _as_formed(text, good):
            return text, f"{target} became {opposite}"
    return None


def _strength_exaggerated(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """The emotion stronger, or surer, than the good caption tells it."""
    table: Mapping[str, str] = _data()["exaggerations"]
    pattern = _pattern(table)
    if pattern.search(good.caption):
        text = _articles(pattern.sub(lambda found: _cased(table[found.group().lower()], found), good.caption))
        return text, "words of doubt or degree became strong ones"
    main = next(iter(emotions_in(good.caption)), None)
    if main is None or len(good.caption.split()) == 1:  # one word has no strength to speak of
        return None
    for _ in range(_TRIES):
        text = _exchange(good.caption, "emotions", rng, {main: main}, grade="strong", slots=_GRADED)
        if text != good.caption and main in emotions_in(text) and _as_formed(text, good):
            return text, f"{main} at its strongest"
    return None


def _emotion_repeated(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """The emotion told again, in the place of a last clause that is about the voice alone; else added at the end."""
    claims = find_claims(good.caption)
    told = [claim for claim in claims if claim.kind == "emotion"]
    if len(told) != 1 or told[0].negated or told[0].target not in _lexicon("emotions"):
        return None
    parts = _LAST_CLAUSE.fullmatch(good.caption)
    if parts is None:
        return None
    head, last = parts["head"], parts["last"]
    of_voice = any(claim.kind == "acoustic" and claim.start >= parts.start("last") for claim in claims)
    if last and (told[0].end > len(head) or not of_voice):
        return None
    templates: list[str] = _data()["repetitions"]
    words = _lexicon("emotions")[told[0].target]
    for _ in range(_TRIES):
        slots = {slot: _one(words[slot, "normal"], rng) for slot in ("tone", "feeling")}
        text = _articles(f"{head}, and {_one(templates, rng).format(**slots)}.")
        again = [claim.target for claim in find_claims(text) if claim.kind == "emotion"]
        if again == [told[0].target] * 2 and _as_formed(text, good):
            return text, f"{told[0].target} is told twice"
    return None


def _transcript_leaked(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """The words of the clip beside the caption."""
    words = good.transcript.split()[:_LEAK_WORDS]
    if len(words) < 2:
        return None
    quoted = " ".join(words).strip(" \"'.,;:!?")
    place = "before" if rng.random() < 0.5 else "after"
    templates = _data()["leaks"][place]
    lower = quoted[0].lower() + quoted[1:]
    leak = templates[int(rng.integers(len(templates)))].format(words=quoted, lower=lower)
    text = f"{leak} {good.caption}" if place == "before" else f"{good.caption} {leak}"
    return text, f"tells what is said: {quoted!r}"


def _instruction_ignored(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """A good answer to another instruction, of a form that this one does not allow; else no answer at all."""
    form = INSTRUCTIONS.get(good.instruction, "caption")
    unfit = [text for text in good.others if obeys(text, form)]
    if unfit:
        return unfit[int(rng.integers(len(unfit)))], f"an answer to another instruction than {good.instruction!r}"
    refusals = _data()["refusals"]
    return refusals[int(rng.integers(len(refusals)))], "no answer to the instruction"


def _form_broken(good: Good, rng: np.random.Generator) -> tuple[str, str] | None:
    """Cut off in the middle, going round in a loop, or with words out of order."""
    words = good.caption.rstrip(".").split()
    if len(words) < 5:
        return None
    match int(rng.integers(3)):
        case 0:
            kept = int(rng.integers(len(words) // 2, len(words) - 1))
            return " ".join(words[:kept]), "cut off"
        case 1:
            size = int(rng.integers(2, 5))
            start = int(rng.integers(0, len(words) - size + 1))
            loop = words[start : start + size]
            return " ".join([*words[: start + size], *(loop * 3), *words[start + size :]]) + ".", "goes round in a loop"
        case _:
            start = int(rng.integers(0, len(words) - 4))
            mixed = words[start : start + 5]
            mixed = mixed[1::2][::-1] + mixed[0::2]
            return " ".join([*words[:start], *mixed, *words[start + 5 :]]) + ".", "words out of order"


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _as_formed(text: str, good: Good) -> bool:
    """Whether a text has the form that was asked for, or the good caption has it no more than the text."""
    form = INSTRUCTIONS.get(good.instruction, "caption")
    return len(obeys(text, form)) <= len(obeys(good.caption, form))


KINDS: Mapping[str, Callable[[Good, Any], tuple[str, str] | None]] = MappingProxyType(
    {
        "label_swapped": _label_swapped,
        "clue_inverted": _clue_inverted,
        "strength_exaggerated": _strength_exaggerated,
        "emotion_repeated": _emotion_repeated,
        "transcript_leaked": _transcript_leaked,
        "instruction_ignored": _instruction_ignored,
        "form_broken": _form_broken,
    }
)
"""Kind of hard negative → what makes one: (caption, what was done), or None where this caption cannot be spoilt so."""


@cache
def _data() -> Any:
    return yaml.safe_load(resources.files(__package__).joinpath("negatives.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Place:
    """Where a phrase stands in the lexicon."""

    target: str
    slot: str
    grade: str


@cache
def _lexicon(part: str) -> dict[str, dict[tuple[str, str], list[str]]]:
    """Label, or "dimension:level" → (slot, grade) → phrases written out."""
    content = load_data("lexicon.yaml")[part]
    if part == "voice":
        content = {f"{dim}:{level}": slots for dim, levels in content.items() for level, slots in levels.items()}
    wanted = _VOICE_SLOTS if part == "voice" else _EMOTION_SLOTS
    out: dict[str, dict[tuple[str, str], list[str]]] = {}
    for target, slots in content.items():
        table = out[target] = {}
        for slot in wanted:
            forms = slots.get(slot, [])
            for grade, phrases in forms.items() if isinstance(forms, dict) else [("", forms)]:
                table[slot, grade] = [text for phrase in phrases for text in expand(phrase)]
        if part == "emotions":
            table["tone", "normal"].append(slots["word"])
            table["noun", "normal"].append(slots["name"])
    return out


@cache
def _places(part: str) -> dict[str, list[_Place]]:
    """Phrase → where it stands in the lexicon."""
    out: dict[str, list[_Place]] = {}
    for target, table in _lexicon(part).items():
        for (slot, grade), phrases in table.items():
            for phrase in phrases:
                out.setdefault(phrase, []).append(_Place(target, slot, grade))
    return out


@cache
def _compiled(part: str) -> re.Pattern[str]:
    return _pattern(_places(part))


@cache
def _opposites() -> dict[str, str]:
    """Level of the voice → the other one of its dimension, where there are two."""
    levels: dict[str, list[str]] = {}
    for target in _lexicon("voice"):
        levels.setdefault(target.partition(":")[0], []).append(target)
    pairs = [pair for pair in levels.values() if len(pair) == 2]
    return {one: other for pair in pairs for one, other in (pair, pair[::-1])}


def _exchange(
    text: str,
    part: str,
    rng: np.random.Generator,
    targets: Mapping[str, str],
    *,
    grade: str | None = None,
    slots: Sequence[str] = (),
) -> str:
    """Put phrases of other targets in the place of those of some, slot for slot.

    Args:
        text: a caption.
        part: of the lexicon.
        rng: chooses among phrases of a slot.
        targets: what is exchanged → for what.
        grade: of the new phrases; None: that of the old ones.
        slots: only these; empty: any.
    """

    def other(found: re.Match[str]) -> str:
        for place in _places(part)[found.group().lower()]:
            if place.target not in targets or (slots and place.slot not in slots):
                continue
            phrases = _lexicon(part)[targets[place.target]].get((place.slot, grade or place.grade), [])
            if phrases:
                return _cased(phrases[int(rng.integers(len(phrases)))], found)
        return found.group()

    return _articles(_compiled(part).sub(other, text))


def _pattern(phrases: Mapping[str, Any]) -> re.Pattern[str]:
    """Any of the phrases, the longest first, as whole words."""
    choices = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=lambda phrase: (-len(phrase), phrase)))
    return re.compile(rf"(?<![\w-])(?:{choices})(?![\w-])", re.IGNORECASE)


def _cased(phrase: str, found: re.Match[str]) -> str:
    """The phrase with a capital where what it stands for had one."""
    return phrase[0].upper() + phrase[1:] if found.group()[0].isupper() else phrase


def _articles(text: str) -> str:
    """ "a" or "an" before what now follows."""

    def article(found: re.Match[str]) -> str:
        wanted = "an" if found.group(2)[0].lower() in "aeiou" else "a"
        return (wanted.capitalize() if found.group(1)[0].isupper() else wanted) + " " + found.group(2)

    return re.sub(r"\b(an?) (\w+)", article, text, flags=re.IGNORECASE)
