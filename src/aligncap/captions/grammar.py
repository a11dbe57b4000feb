"""Captions, answers and clue prompts written from facts: labels, shares of raters, measured voice; nothing else.

Words are in ``lexicon.yaml``, sentence plans in ``plans.yaml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aligncap.captions.facts import Facts, check_emotions, check_voice
from aligncap.captions.instructions import INSTRUCTIONS, AnswerForm
from aligncap.captions.phrases import load_data
from aligncap.captions.writer import Writer, as_sentences, clue_words, pick, repeats, same_root, word_of
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["WORDS_MAX", "WORDS_MIN", "Style", "answer", "clue_prompt", "instructions_for", "write_caption"]

Style: TypeAlias = Literal["plain", "literary", "clinical"]

WORDS_MIN, WORDS_MAX = 8, 30
CLEARLY_MIN, PERHAPS_MIN = 0.8, 0.25
_DRAFTS = 400


def write_caption(
    facts: Facts, rng: np.random.Generator, *, style: Style = "plain", sentences: Literal[1, 2] | None = None
) -> str:
    """Write one caption of 8 to 30 words.

    Args:
        facts: must name an emotion. Where they name the voice, so does the caption, in one or two respects.
        rng: the only source of variety: equal states give equal captions.
        style: plain words, as in a novel, or as in a clinical note.
        sentences: one or two; None leaves it to chance.

    Raises:
        AlignCapError: `facts` names no emotion.
    """
    if not facts.emotions:
        raise AlignCapError("a caption needs an emotion, and the facts name none")
    drafts = (_draft(facts, rng, style, sentences or (1 + int(rng.integers(2)))) for _ in range(_DRAFTS))
    return _first_good(drafts, WORDS_MIN, WORDS_MAX)


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
            return write_caption(facts, rng)
        case "sentence":
            return write_caption(facts, rng, sentences=1)
        case "two_sentences":
            return write_caption(facts, rng, sentences=2)
        case "literary" | "clinical":
            return write_caption(facts, rng, style=form)
        case "emotion":
            return write_caption(replace(facts, voice=()), rng)
        case "word":
            return word_of(facts.emotions[0][0])
        case "words":
            return as_sentences(f"{word_of(facts.emotions[0][0])}; {', '.join(clue_words(facts.voice))}.")
        case "list":
            return _list(facts, rng)
        case "five_words":
            return _first_good(_short(facts, rng, "five"), 5, 5)
        case "ten_words":
            return _first_good(_short(facts, rng, "ten"), 4, 10)
        case "reason" | "voice":
            return _first_good(_short(facts, rng, form), 3, WORDS_MAX)


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
    check_emotions(emotions)
    check_voice(voice)
    ranked = sorted(((label, p) for label, p in emotions if p > 0.0), key=lambda pair: -pair[1])
    feelings = [f"clearly {word_of(label)}" if p >= CLEARLY_MIN else word_of(label) for label, p in ranked[:1]]
    feelings += [f"perhaps {word_of(label)}" for label, p in ranked[1:2] if p >= PERHAPS_MIN]
    parts = [f"Feeling: {', '.join(feelings)}."] if feelings else []
    parts += [f"Voice: {', '.join(clue_words(voice))}."] if voice else []
    return " ".join(parts)


def _draft(facts: Facts, rng: np.random.Generator, style: Style, sentences: int) -> str | None:
    """One try at a caption; None where its plans do not fit the facts."""
    kinds = ["both" if facts.voice else "emotion"]
    if sentences == 2:
        voice_later = facts.voice and rng.random() < 0.6
        kinds = ["emotion", "more_voice"] if voice_later else [*kinds, "more_emotion"]
    writer = Writer(facts, rng)
    parts = [writer.sentence(pick(_plans(kind, style), rng), doubt=i == 0) for i, kind in enumerate(kinds)]
    return None if None in parts else as_sentences(". ".join(str(part) for part in parts) + ".")


def _short(facts: Facts, rng: np.random.Generator, kind: str) -> Iterator[str | None]:
    """Tries at one sentence of a kind of plan."""
    for _ in range(_DRAFTS):
        known = replace(facts, emotions=facts.emotions[:1]) if kind in {"five", "ten"} else facts
        drawn = pick(["both", "emotion"], rng) if kind == "ten" else kind
        part = Writer(known, rng).sentence(pick(_plans(drawn, "plain"), rng), doubt=kind not in {"voice", "five"})
        yield part and as_sentences(f"{part}.")


def _first_good(drafts: Iterator[str | None], least: int, most: int) -> str:
    """The first draft of the right length in which no word comes twice; else the one of the nearest length."""
    nearest, distance = "", 10**6
    for draft in drafts:
        if not draft:
            continue
        words = len(draft.split())
        away = max(least - words, words - most, 0) * 100 + repeats(draft)
        if away == 0:
            return draft
        if away < distance:
            nearest, distance = draft, away
    return nearest


def _list(facts: Facts, rng: np.random.Generator) -> str:
    """Up to three words for the emotion, those for a second one, and those for the voice."""
    writer = Writer(facts, rng)
    words: list[str] = []
    for phrase in [word_of(facts.emotions[0][0])] + [writer.phrase("feeling", facts.emotions[0][0]) for _ in range(20)]:
        if len(words) < 3 and " " not in phrase and not any(same_root(phrase, word) for word in words):
            words.append(phrase)
    if facts.second:
        words.append(f"perhaps {word_of(facts.second[0])}")
    words = words + clue_words(facts.voice)
    if len(words) < 2:
        words.append(writer.phrase("noun", facts.emotions[0][0]))
    return as_sentences(", ".join(words))


@cache
def _plans(kind: str, style: Style) -> list[dict[str, Any]]:
    """The plans of a kind in a style; where there are none, the plain ones."""
    plans = [plan if isinstance(plan, dict) else {"text": plan} for plan in load_data("plans.yaml")[kind]]
    styled = [plan for plan in plans if plan.get("style", "plain") == style]
    return styled or [plan for plan in plans if "style" not in plan]


def _missing(facts: Facts, form: AnswerForm) -> str | None:
    if form != "voice" and not facts.emotions:
        return "emotion"
    if form in {"voice", "words"} and not facts.voice:
        return "voice"
    if form == "reason":
        signs = load_data("lexicon.yaml")["emotions"][facts.emotions[0][0]]["signs"]
        return None if any(":".join(fact) in signs for fact in facts.voice) else "voice that fits the emotion"
    return None
