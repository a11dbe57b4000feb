"""Whether a caption says only what the model itself heard and what was measured in the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aligncap.captions import Facts
from aligncap.captions.check import check_caption
from aligncap.captions.facts import SECOND_MIN
from aligncap.captions.instructions import INSTRUCTIONS, obeys

__all__ = ["can_verify", "doubts"]

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
