"""Which emotions a text names, and how strongly: its emotion claims, summed up by label."""

from __future__ import annotations

from aligncap.captions.claims import find_claims
from aligncap.captions.phrases import load_data
from aligncap.captions.taxonomy import EMOTIONS

__all__ = ["EMOTIONS", "emotions_in", "load_data", "main_emotion"]


def emotions_in(text: str) -> dict[str, float]:
    """The emotions that a text names.

    A word counts 1, or less when a hedge governs it: 0.7 after words of degree ("slightly"), 0.6 of what is likely
    ("probably"), 0.5 as part of a mixture ("mixed with", "more sad than angry"), 0.4 after words of doubt or trace
    ("perhaps", "a hint of").
    Words that a negation governs ("not angry", "no trace of fear or sadness", "calm rather than sad") do not
    count, nor do feelings that count as none of the labels (pride, sarcasm; see `find_claims` for these). An
    emotion named several times has the strength of its strongest mention.

    Args:
        text: a caption, or any English text.

    Returns:
        Label of `EMOTIONS` → strength in (0, 1], in the order of the strongest mentions; empty where none is
        named.
    """
    found: dict[str, float] = {}
    for claim in find_claims(text):
        counts = claim.kind == "emotion" and not claim.negated and claim.target in EMOTIONS
        if counts and claim.strength > found.get(claim.target, 0.0):
            found.pop(claim.target, None)
            found[claim.target] = claim.strength
    return found


def main_emotion(text: str) -> str | None:
    """The emotion that a text names most strongly (of equals, the first), or None where it names none."""
    found = emotions_in(text)
    return max(found, key=found.__getitem__) if found else None
