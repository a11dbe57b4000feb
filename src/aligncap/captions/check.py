"""Whether a caption says only what is known: its claims against the facts."""

from __future__ import annotations

from aligncap.captions.claims import Claim, find_claims
from aligncap.captions.facts import MIXTURE_MIN, SECOND_MIN, Facts
from aligncap.captions.taxonomy import EMOTIONS

__all__ = ["check_caption"]

_CERTAIN = 0.9


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
    found = [reason for claim in claims if (reason := _unsupported(claim, facts))]
    if needs_emotion:
        found += _main_missing(claims, facts)
    else:
        found += [
            f"{claim.text!r} names an emotion" for claim in claims if claim.kind == "emotion" and not claim.negated
        ]
    return found


def _unsupported(claim: Claim, facts: Facts) -> str | None:
    """Why the facts do not support a claim; of several things that its words may mean, one is enough."""
    if claim.kind == "other":
        if claim.category == "gender":
            return (
                None if claim.target == facts.gender else f"{claim.text!r}: the speaker's sex is not known to be that"
            )
        return f"{claim.text!r}: nothing is known about that ({claim.category})"
    meant = (claim.target, *claim.also)
    reasons = [
        _of_voice(claim, target, facts) if ":" in target else _of_emotion(claim, target, facts) for target in meant
    ]
    return None if None in reasons else reasons[0]


def _of_emotion(claim: Claim, label: str, facts: Facts) -> str | None:
    shares = dict(reversed(facts.emotions))
    share = shares.get(label, 0.0)
    if claim.negated:
        return f"{claim.text!r} denies {label}, which has a share of {share:.2f}" if share >= SECOND_MIN else None
    if share < SECOND_MIN:
        return f"{claim.text!r}: nothing is known of {label}"
    if share < MIXTURE_MIN and claim.strength >= _CERTAIN and label != facts.emotions[0][0]:
        return f"{claim.text!r}: told as certain, its share being {share:.2f}"
    return None


def _of_voice(claim: Claim, target: str, facts: Facts) -> str | None:
    dimension, _, level = target.partition(":")
    measured = dict(facts.voice).get(dimension, "")
    if (measured != level) if claim.negated else (measured == level):  # "not fast" fits slow, and what is neither
        return None
    claimed = f"not {target}" if claim.negated else target
    return f"{claim.text!r} claims {claimed}; {dimension} is {measured or 'not out of the ordinary'}"


def _main_missing(claims: list[Claim], facts: Facts) -> list[str]:
    if not facts.emotions:
        return []
    main = facts.emotions[0][0]
    told = [claim for claim in claims if not claim.negated]
    named = [claim for claim in told if claim.kind == "emotion"]
    # "a tense voice" is an acoustic claim that may also mean fear
    strength = max((claim.strength for claim in told if main in _labels(claim)), default=0.0)
    if not strength:
        return [f"the main emotion, {main}, is not named"]
    rivals = [claim for claim in named if main not in _labels(claim) and claim.strength > strength]
    return [f"{claim.text!r} is told more strongly than {main}, the main emotion" for claim in rivals]


def _labels(claim: Claim) -> set[str]:
    """The labels of `EMOTIONS` that a claim may mean."""
    return {target for target in (claim.target, *claim.also) if target in EMOTIONS}
