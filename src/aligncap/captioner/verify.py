"""Whether a caption says only what the model itself heard and what was measured in the recording."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

from aligncap.captioner.results import Support
from aligncap.captions import Facts
from aligncap.captions.check import check_caption, labels_of, unsupported
from aligncap.captions.claims import Claim, find_claims
from aligncap.captions.facts import SECOND_MIN
from aligncap.captions.instructions import INSTRUCTIONS, obeys
from aligncap.captions.writer import article, clue_words, same_root

__all__ = ["UNSURE", "abstention", "can_verify", "clumsy", "doubts", "supports", "without_doubts"]

UNSURE = 0.5
"""Below this probability of the likeliest emotion a strict captioner abstains: then it is likelier wrong than right."""

_AS_GOOD = 0.8  # of the highest probability: a caption may tell such an emotion as the main one
_FORMS = {"caption", "sentence", "two_sentences", "ten_words", "words", "list", "reason", "literary"}


def can_verify(prompt: str) -> bool:
    """Whether a prompt asks for emotion and voice in a known form: then it is known what its answer should hold."""
    return INSTRUCTIONS.get(prompt) in _FORMS


def doubts(
    caption: str, prompt: str, emotions: Mapping[str, float], voice: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    """What a caption says that nothing supports, or leaves out.

    It must name the likeliest emotion (or one whose probability comes within four fifths of it) as strongly as any
    other; name no emotion whose probability is below 0.1; say of the voice only what was measured; tell nothing that
    cannot be heard; and have the form that was asked for. A caption without doubts is not thereby true: the model's
    own probabilities may be wrong.

    Args:
        caption: that was written.
        prompt: for which `can_verify` holds.
        emotions: label → probability, as in `Caption.emotions`.
        voice: measured (dimension, level) pairs.

    Returns:
        A reason each; empty where there is none.
    """
    ranked = sorted(emotions.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [pair for pair in ranked if pair[1] >= SECOND_MIN] or ranked[:1]
    wrong_form = tuple(obeys(caption, INSTRUCTIONS[prompt]))
    found: list[tuple[str, ...]] = []
    for main in told:
        if main[1] >= _AS_GOOD * told[0][1]:
            facts = Facts((main, *(pair for pair in told if pair != main)), voice=tuple(voice))
            found.append((*wrong_form, *check_caption(caption, facts)))
    return min(found, key=len)


def clumsy(caption: str) -> tuple[str, ...]:
    """What is true, perhaps, and badly put: an emotion told twice in the same word ("in a happy tone and seems happy"),
    a side of the voice told twice ("fast and with a fast pace"), a wrong article.

    Args:
        caption: any English text.

    Returns:
        A reason each; empty where there is none.
    """
    found = [
        f"{first.text!r} and {second.text!r} say the same"
        for first, second in combinations(find_claims(caption), 2)
        if (first.kind, first.target) == (second.kind, second.target)
        and (first.kind == "acoustic" or (first.kind == "emotion" and same_root(first.text, second.text)))
    ]
    for used, word in re.findall(r"\b([Aa]n?) ([a-z]+)", caption):
        if used.lower() != article(word) and not word.startswith("h"):  # an hour, a house
            found.append(f"{used} {word}")
    return tuple(found)


def supports(caption: str, emotions: Mapping[str, float], voice: Sequence[tuple[str, str]]) -> tuple[Support, ...]:
    """Each claim of a caption with its support.

    Args:
        caption: any English text.
        emotions: label → probability: the support of an emotion that is claimed. One that is denied has the rest.
        voice: measured (dimension, level) pairs: what is claimed of the voice has the support 1 where it was measured,
            else 0. (Words that may mean an emotion or the voice have the better of the two.)

    Returns:
        In the order of the text. Claims about anything else (sex, age, places, causes …) have the support 0: nothing
        is known about these.
    """
    facts = Facts(voice=tuple(voice))
    return tuple(
        Support(claim.text, claim.kind, claim.target, claim.negated, round(_support(claim, emotions, facts), 4))
        for claim in find_claims(caption)
    )


def _support(claim: Claim, emotions: Mapping[str, float], facts: Facts) -> float:
    if claim.kind == "other":
        return 0.0
    heard = max((emotions.get(label, 0.0) for label in labels_of(claim)), default=0.0)
    heard = 1.0 - heard if claim.negated and claim.kind == "emotion" else heard
    measured = any(":" in target for target in (claim.target, *claim.also)) and not unsupported(claim, facts)
    return 1.0 if measured else heard


def without_doubts(
    caption: str, prompt: str, emotions: Mapping[str, float], voice: Sequence[tuple[str, str]]
) -> str | None:
    """The caption without its doubtful sentences; None where what is left is not an answer without doubts."""
    sentences = re.split(r"(?<=[.!?])\s+", caption)
    kept = [
        sentence
        for sentence in sentences
        if all(support.support >= SECOND_MIN for support in supports(sentence, emotions, voice))
    ]
    text = " ".join(kept)
    return text if kept and not doubts(text, prompt, emotions, voice) else None


def abstention(voice: Sequence[tuple[str, str]]) -> str:
    """What is said instead of a caption that nothing supports: what was measured. These are not the model's words."""
    words = ", ".join(clue_words(voice))
    return f"The emotion is unclear. Voice: {words}." if words else "The emotion is unclear."
