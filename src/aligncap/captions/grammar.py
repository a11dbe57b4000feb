"""Captions and clue prompts written from facts: labels, shares of raters, measured voice; nothing else.

Words are in ``lexicon.yaml``, sentence plans in ``plans.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from aligncap.captions.emotions import EMOTIONS, load_data
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "INSTRUCTIONS",
    "VOICE_LEVELS",
    "Facts",
    "answer",
    "clue_prompt",
    "instructions_for",
    "write_caption",
]

AnswerForm = Literal["caption", "sentence", "word", "words", "voice"]
_T = TypeVar("_T")

VOICE_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pace": ("fast", "slow"),
        "pauses": ("halting",),
        "pitch": ("high", "low"),
        "melody": ("lively", "flat"),
        "dynamics": ("even", "strong"),
    }
)
"""Dimension of the voice → its levels that are worth a word; in the order in which a caption names them."""

INSTRUCTIONS: Mapping[str, AnswerForm] = MappingProxyType(
    {
        "Describe the emotion in the voice.": "caption",
        "Describe how the speaker feels and sounds.": "caption",
        "Describe the speaker's emotion in one sentence.": "sentence",
        "What does the speaker feel? Answer with one word.": "word",
        "Name the emotion and what is striking in the voice, in a few words.": "words",
        "Describe only the voice.": "voice",
    }
)
"""Instruction → form of its answer: a caption; a caption of one sentence; one emotion word; words only
("Angry; fast, high-pitched."); a sentence about the voice without any emotion."""

WORDS_MIN, WORDS_MAX = 8, 25
SECOND_MIN, MIXTURE_MIN = 0.1, 0.3
CLEARLY_MIN, PERHAPS_MIN = 0.8, 0.25
_VOICE_FACTS = 2  # more of them in one sentence, and nobody would say it

_SLOT = re.compile(r"\{(?:(?P<prefix>a|they):)?(?P<slot>\w+)\}")
_EMOTION_SLOTS = ("feeling", "tone", "noun", "manner")
_VOICE_SLOTS = ("attribute", "speaks_how", "has", "clause")
_PEOPLE = {
    "female": ("she", "her", "the woman"),
    "male": ("he", "his", "the man"),
    None: ("the speaker", "the", "the speaker"),
}


@dataclass(frozen=True)
class Facts:
    """What is known about one recording, and all that its captions may say.

    Attributes:
        emotions: (label of `EMOTIONS`, share in [0, 1]), the main one first. The second one is told where its
            share is at least 0.1: as a trace, from 0.3 on as a mixture. Further ones are not told.
        intensity: of the main emotion; None where unknown (told like "normal").
        voice: measured (dimension, level) pairs of `VOICE_LEVELS`, at most one for each dimension.
        gender: of the speaker; None where unknown, which gives "the speaker" and "they".

    Raises:
        AlignCapError: an emotion, intensity, dimension, level or gender that is not one of these; a dimension
            with two levels.
    """

    emotions: tuple[tuple[str, float], ...] = ()
    intensity: Literal["mild", "normal", "strong"] | None = None
    voice: tuple[tuple[str, str], ...] = ()
    gender: Literal["female", "male"] | None = None

    def __post_init__(self) -> None:
        _check_emotions(self.emotions)
        _check_voice(self.voice)
        _check_one_of("intensity", self.intensity, ("mild", "normal", "strong", None))
        _check_one_of("gender", self.gender, ("female", "male", None))


def write_caption(facts: Facts, rng: np.random.Generator) -> str:
    """Write one caption: one or two sentences, 8 to 25 words.

    Args:
        facts: must name an emotion. Where they name the voice, so does the caption, in one or two respects.
        rng: the only source of variety: equal states give equal captions.

    Raises:
        AlignCapError: `facts` names no emotion.
    """
    return _caption(facts, rng, one_sentence=False)


def instructions_for(facts: Facts) -> tuple[str, ...]:
    """The `INSTRUCTIONS` that can be answered from these facts."""
    return tuple(text for text, form in INSTRUCTIONS.items() if _missing(facts, form) is None)


def answer(facts: Facts, instruction: str, rng: np.random.Generator) -> str:
    """Answer one of the `INSTRUCTIONS` in its form.

    Raises:
        AlignCapError: an instruction of another wording, or one that these facts cannot answer
            (see `instructions_for`).
    """
    form = INSTRUCTIONS.get(instruction)
    if form is None:
        raise AlignCapError(f"no answer is known for the instruction {instruction!r}: use one of INSTRUCTIONS")
    missing = _missing(facts, form)
    if missing:
        raise AlignCapError(f"{instruction!r} cannot be answered: the facts name no {missing}")
    match form:
        case "caption":
            return _caption(facts, rng, one_sentence=False)
        case "sentence":
            return _caption(facts, rng, one_sentence=True)
        case "word":
            return _word(facts.emotions[0][0])
        case "words":
            return _sentences(f"{_word(facts.emotions[0][0])}; {', '.join(_clue_words(facts.voice))}.")
        case "voice":
            plan = _pick(load_data("plans.yaml")["voice"], rng)
            return _Writer(facts, rng).write(plan["text"])


def clue_prompt(emotions: Sequence[tuple[str, float]], voice: Sequence[tuple[str, str]]) -> str:
    """Render clues as text: "Feeling: angry, perhaps disgusted. Voice: fast, high-pitched.".

    Args:
        emotions: (label, probability), in any order. The likeliest is named, as "clearly …" from 0.8 on; the
            next likeliest follows as "perhaps …" from 0.25 on. Probabilities of 0 or NaN count as absent.
        voice: measured (dimension, level) pairs of `VOICE_LEVELS`.

    Returns:
        One line. A part without emotions or without voice is left out; empty where there is nothing to say.

    Raises:
        AlignCapError: an unknown emotion, dimension or level.
    """
    _check_emotions(emotions)
    _check_voice(voice)
    ranked = sorted(((label, p) for label, p in emotions if p > 0.0), key=lambda pair: -pair[1])
    feelings = [f"clearly {_word(label)}" if p >= CLEARLY_MIN else _word(label) for label, p in ranked[:1]]
    feelings += [f"perhaps {_word(label)}" for label, p in ranked[1:2] if p >= PERHAPS_MIN]
    parts = [f"Feeling: {', '.join(feelings)}."] if feelings else []
    parts += [f"Voice: {', '.join(_clue_words(voice))}."] if voice else []
    return " ".join(parts)


def _caption(facts: Facts, rng: np.random.Generator, *, one_sentence: bool) -> str:
    if not facts.emotions:
        raise AlignCapError("a caption needs an emotion, and the facts name none")
    label = facts.emotions[0][0]
    plans = load_data("plans.yaml")["emotion_and_voice" if facts.voice else "emotion"]
    texts = [plan["text"] for plan in plans if label not in plan.get("not", ())]
    texts = [text for text in texts if not (one_sentence and ". " in text)]
    caption = ""
    for i in rng.permutation(len(texts)):
        writer = _Writer(facts, rng)
        if not writer.fits(texts[i]):
            continue
        caption = writer.write(texts[i])
        if WORDS_MIN <= len(caption.split()) <= WORDS_MAX:
            break
    return caption


class _Writer:
    """Fills the slots of one sentence plan; choices made for one slot hold for the others."""

    def __init__(self, facts: Facts, rng: np.random.Generator) -> None:
        self._facts = facts
        self._rng = rng
        self._used: list[str] = []
        she, her, woman = _PEOPLE[facts.gender]
        subject = _pick([she, woman, "the speaker"] if facts.gender else ["the speaker"], rng)
        voices = [f"{her} voice", f"{woman}'s voice"] if facts.gender else ["the voice"]
        self._pronoun = she if facts.gender else "they"
        # "the speaker speaks" sounds wrong
        stem = "talk" if subject == "the speaker" else _pick(["speak", "talk"], rng)
        self._people = {
            "subject": subject,
            "she": she,
            "voice": _pick(voices, rng),
            "her_voice": f"{her} voice",
            "speaks": f"{stem}s",
            "speaking": f"{stem}ing",
        }

    def fits(self, plan: str) -> bool:
        """Whether every slot about the voice can be filled."""
        return all(self._voice_facts(slot) for slot in _VOICE_SLOTS if f"{slot}}}" in plan)

    def write(self, plan: str) -> str:
        return _sentences(_SLOT.sub(self._fill, plan))

    def _fill(self, match: re.Match[str]) -> str:
        prefix, slot = match.group("prefix"), match.group("slot")
        if prefix == "they":
            return f"{self._pronoun} {slot}" if self._pronoun == "they" else f"{self._pronoun} {slot}s"
        value = self._value(slot)
        return f"{_article(value)} {value}" if prefix == "a" else value

    def _value(self, slot: str) -> str:
        if slot in self._people:
            return self._people[slot]
        if slot in _EMOTION_SLOTS:
            return self._main(slot)
        if slot in _VOICE_SLOTS:
            return self._voice(slot)
        return self._second(adjectives=slot == "also")

    def _main(self, slot: str) -> str:
        """A phrase for the main emotion, of another root than the phrases before it where there is one."""
        forms = _emotion(self._facts.emotions[0][0])[slot]
        phrases: list[str] = forms[self._facts.intensity or "normal"]
        fresh = [p for p in phrases if not any(_same_root(p, used) for used in self._used)]
        phrase = _pick(fresh or phrases, self._rng)
        self._used.append(phrase)
        return phrase

    def _second(self, *, adjectives: bool) -> str:
        if len(self._facts.emotions) < 2:
            return ""
        (main, _), (label, share) = self._facts.emotions[:2]
        if label == main or not share >= SECOND_MIN:
            return ""
        degree = "mixture" if share >= MIXTURE_MIN else "trace"
        special = {main: "beside_neutral", label: "nearly_neutral"}.get("neutral")
        tails = load_data("plans.yaml")["second"][special or degree]
        tail = _pick(tails["anywhere"] + (tails["after_adjective"] if adjectives else []), self._rng)
        return str(tail).format(name=_emotion(label)["name"], word=_word(label))

    def _voice_facts(self, slot: str) -> list[list[str]]:
        voice = load_data("lexicon.yaml")["voice"]
        order = list(VOICE_LEVELS)
        facts = sorted(self._facts.voice, key=lambda fact: order.index(fact[0]))
        return [voice[dimension][level][slot] for dimension, level in facts if voice[dimension][level][slot]]

    def _voice(self, slot: str) -> str:
        choices = self._voice_facts(slot)
        count = min(len(choices), _VOICE_FACTS)
        chosen = sorted(self._rng.choice(len(choices), size=count, replace=False))
        phrases = [_pick(choices[i], self._rng) for i in chosen]
        if slot == "attribute":
            return ", ".join(phrases)
        preposition = phrases[0].split()[0] + " "
        if slot == "speaks_how" and preposition in {"at ", "in ", "with "}:
            phrases[1:] = [phrase.removeprefix(preposition) for phrase in phrases[1:]]
        return " and ".join(phrases)


def _pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _emotion(label: str) -> dict[str, Any]:
    entry: dict[str, Any] = load_data("lexicon.yaml")["emotions"][label]
    return entry


def _word(label: str) -> str:
    return str(_emotion(label)["word"])


def _clue_words(voice: Sequence[tuple[str, str]]) -> list[str]:
    levels = load_data("lexicon.yaml")["voice"]
    return [str(levels[dimension][level]["clue"]) for dimension, level in voice]


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" and not phrase.startswith(("uni", "eu", "use")) else "a"


def _sentences(text: str) -> str:
    """Capitals at the head of each sentence."""
    return re.sub(r"(?:^|(?<=\. ))[a-z]", lambda match: match.group().upper(), text)


def _same_root(first: str, second: str) -> bool:
    """Whether two phrases share a word, or words as alike as "angry" and "anger"; short words excepted."""
    return any(_alike(a, b) for a in first.split() for b in second.split() if min(len(a), len(b)) >= 3)


def _alike(first: str, second: str) -> bool:
    length = min(5, max(3, min(len(first), len(second)) - 2))
    return first[:length] == second[:length]


def _missing(facts: Facts, form: AnswerForm) -> str | None:
    if form != "voice" and not facts.emotions:
        return "emotion"
    if form in {"voice", "words"} and not facts.voice:
        return "voice"
    return None


def _check_emotions(emotions: Sequence[tuple[str, float]]) -> None:
    for label, _ in emotions:
        _check_one_of("emotion", label, EMOTIONS)


def _check_voice(voice: Sequence[tuple[str, str]]) -> None:
    if len({dimension for dimension, _ in voice}) < len(voice):
        raise AlignCapError(f"two levels for one dimension of the voice in {list(voice)}: give one")
    for dimension, level in voice:
        _check_one_of("dimension of the voice", dimension, tuple(VOICE_LEVELS))
        _check_one_of(f"level of {dimension}", level, VOICE_LEVELS[dimension])


def _check_one_of(what: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        raise AlignCapError(f"unknown {what} {value!r}: use one of {', '.join(str(k) for k in known)}")
