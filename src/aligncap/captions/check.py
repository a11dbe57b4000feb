"""Whether a caption says only what is known: its claims against the facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aligncap.captions.claims import Claim, find_claims
from aligncap.captions.facts import MIXTURE_MIN, SECOND_MIN, Facts
from aligncap.captions.taxonomy import EMOTIONS

__all__ = ["Unsupported", "check_caption", "labels_of", "unsupported"]

_CERTAIN = 0.9
_ORDINARY = "middle"


@dataclass(frozen=True)
class Unsupported:
    """A claim that the facts do not support.

    Attributes:
        claim: it.
        how: emotion: it is not among the emotions known; denied: it is, and the text denies it; overstated: it is a
            trace and told as certain; opposite: the voice was measured to be the contrary; ordinary: there is nothing
            remarkable about this side of the voice (or there is, and the text says there is not); gender: the
            speaker's sex is not known to be that; other: nothing is known about such things.
        reason: in words, quoting the claim.
        share: of the listeners who hear the emotion, in [0, 1]; 0 for claims about anything else.
    """

    claim: Claim
    how: Literal["emotion", "denied", "overstated", "opposite", "ordinary", "gender", "other"]
    reason: str
    share: float = 0.0


def check_caption(text: str, facts: Facts, *, needs_emotion: bool = True) -> list[str]:
    """Find what a caption says that the facts do not support.

    Emotions must be among those of the facts with a share of at least 0.1; the main one must be named, as strongly as
    any other; a trace of an emotion (a share below 0.3) may not be told as a certainty; an emotion of the facts may
    not be denied. What is said of the voice must have been measured. The speaker's sex must be known; of age,
    persons, places, events, sounds and causes nothing is known.

    Args:
        text: a caption or another answer.
        facts: all that is known.
        needs_emotion: whether the text has to name the main emotion; False for one about the voice alone.

    Returns:
        One reason for each unsupported claim, quoting it; empty where there is none.
    """
    claims = find_claims(text)
    found = [wrong.reason for claim in claims if (wrong := unsupported(claim, facts))]
    if needs_emotion:
        found += _main_missing(claims, facts)
    else:
        found += [
            f"{claim.text!r} names an emotion" for claim in claims if claim.kind == "emotion" and not claim.negated
        ]
    return found


def unsupported(claim: Claim, facts: Facts) -> Unsupported | None:
    """Why the facts do not support a claim, if they do not.

    Of several things that the claim's words may mean, one that the facts support is enough.
    """
    if claim.kind == "other":
        return _of_others(claim, facts)
    first = None
    for found in _readings(claim, facts):
        if found is None:
            return None
        first = first or found
    return first


def labels_of(claim: Claim) -> set[str]:
    """The labels of `EMOTIONS` that a claim may mean ("a tense voice" is an acoustic claim that may also mean fear)."""
    return {target for target in (claim.target, *claim.also) if target in EMOTIONS}


def _readings(claim: Claim, facts: Facts) -> Iterator[Unsupported | None]:
    for target in (claim.target, *claim.also):
        yield _of_voice(claim, target, facts) if ":" in target else _of_emotion(claim, target, facts)


def _of_others(claim: Claim, facts: Facts) -> Unsupported | None:
    if claim.category != "gender":
        return Unsupported(claim, "other", f"{claim.text!r}: nothing is known about that ({claim.category})")
    if claim.target == facts.gender:
        return None
    return Unsupported(claim, "gender", f"{claim.text!r}: the speaker's sex is not known to be that")


def _of_emotion(claim: Claim, label: str, facts: Facts) -> Unsupported | None:
    share = dict(reversed(facts.emotions)).get(label, 0.0)
    if claim.negated:
        if share < SECOND_MIN:
            return None
        return Unsupported(claim, "denied", f"{claim.text!r} denies {label}, which has a share of {share:.2f}", share)
    if share < SECOND_MIN:
        return Unsupported(claim, "emotion", f"{claim.text!r}: nothing is known of {label}", share)
    if share < MIXTURE_MIN and claim.strength >= _CERTAIN and label != facts.emotions[0][0]:
        return Unsupported(claim, "overstated", f"{claim.text!r}: told as certain, its share being {share:.2f}", share)
    return None


def _of_voice(claim: Claim, target: str, facts: Facts) -> Unsupported | None:
    dimension, _, level = target.partition(":")
    measured = dict(facts.voice).get(dimension, _ORDINARY)
    if (measured != level) if claim.negated else (measured == level):  # "not fast" fits slow, and what is neither
        return None
    claimed = f"not {target}" if claim.negated else target
    is_ordinary = measured == _ORDINARY
    return Unsupported(
        claim,
        "ordinary" if not claim.negated and _ORDINARY in {measured, level} else "opposite",
        f"{claim.text!r} claims {claimed}; {dimension} is {'not out of the ordinary' if is_ordinary else measured}",
    )


def _main_missing(claims: list[Claim], facts: Facts) -> list[str]:
    if not facts.emotions:
        return []
    main = facts.emotions[0][0]
    told = [claim for claim in claims if not claim.negated]
    named = [claim for claim in told if claim.kind == "emotion"]
    strength = max((claim.strength for claim in told if main in labels_of(claim)), default=0.0)
    if not strength:
        return [f"the main emotion, {main}, is not named"]
    rivals = [claim for claim in named if main not in labels_of(claim) and claim.strength > strength]
    return [f"{claim.text!r} is told more strongly than {main}, the main emotion" for claim in rivals]
