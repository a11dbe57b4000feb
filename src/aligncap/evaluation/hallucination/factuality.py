"""Factuality: a caption's claims about emotion, voice and gender against what is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from math import dist

from aligncap.captions.check import Unsupported, labels_of, unsupported
from aligncap.captions.claims import Claim
from aligncap.captions.facts import MIXTURE_MIN, Facts
from aligncap.captions.taxonomy import EMOTIONS, VAD, categories, strength
from aligncap.evaluation.hallucination.evidence import Evidence
from aligncap.evaluation.hallucination.finding import Finding, finding
from aligncap.evaluation.hallucination.vocabulary import load_words

__all__ = ["factuality"]

_NEAR = {"calm": "neutral", "neutral": "calm", "disappointed": "sad", "sad": "disappointed"}
_FAR = 1.1  # distance in valence, arousal and dominance from which feelings exclude each other
_EXTREME = 0.8  # strength of a word whose denial does not deny a milder feeling
_FAR_WEIGHT = _OVERSTATED_WEIGHT = _ORDINARY_WEIGHT = _UNKNOWN_GENDER_WEIGHT = 0.5


def factuality(text: str, claims: Sequence[Claim], evidence: Evidence) -> Iterator[Finding]:
    """What is wrong with a caption's claims.

    Args:
        text: a caption.
        claims: of `aligncap.captions.claims.find_claims` for it.
        evidence: what is known.
    """
    heard = _heard(evidence)
    facts = Facts(heard, voice=evidence.voice or ())
    strict = replace(facts, emotions=evidence.emotions)  # "not calm" denies calm, and not what is near it
    names_main = _names_main(claims, evidence)
    attempted = _attempted(text)
    worst: dict[tuple[int, int], Finding] = {}  # "shouts" is loud and forceful, and one mistake at most
    for claim in claims:
        if claim.kind == "other":
            if claim.category == "gender":
                yield from _of_gender(claim, evidence.gender)
            continue
        skipped = claim.start in attempted or (claim.negated and _only_in_degree(claim, claims))
        judged = None if skipped else _judged(claim, evidence)
        wrong = unsupported(judged, strict if claim.negated else facts) if judged else None
        if wrong:
            for found in _of_claim(wrong, dict(heard), names_main=names_main):
                place = (claim.start, claim.end)
                worst[place] = max(found, worst.get(place, found), key=lambda one: one.weight)
    yield from worst.values()


def _only_in_degree(claim: Claim, claims: Sequence[Claim]) -> bool:
    """Whether a denial leaves the thing itself standing: "irritated rather than angry", "not in despair"."""
    if (strength(claim.text) or 0.0) >= _EXTREME:
        return True
    return any(other.target == claim.target and not other.negated for other in claims)


def _attempted(text: str) -> set[int]:
    """Where the words for a feeling begin that the speaker only tries to show: "tries to sound composed"."""
    return {match.end() for match in _attempt_pattern().finditer(text)}


@cache
def _attempt_pattern() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(load_words()['attempts'])})\s+(?:\w+ly\s+)?", re.IGNORECASE)


def _heard(evidence: Evidence) -> tuple[tuple[str, float], ...]:
    """The shares, each label counting for its near one as well: few corpora tell calm from neutral."""
    shares = dict(evidence.emotions)
    heard = [(label, shares.get(label, 0.0) + shares.get(_NEAR.get(label, ""), 0.0)) for label in EMOTIONS]
    return tuple(sorted((pair for pair in heard if pair[1]), key=lambda pair: -pair[1]))


def _names_main(claims: Sequence[Claim], evidence: Evidence) -> bool:
    if not evidence.emotions:
        return True
    main = evidence.emotions[0][0]
    return any({main, _NEAR.get(main)} & labels_of(claim) for claim in claims if not claim.negated)


def _of_gender(claim: Claim, gender: str) -> Iterator[Finding]:
    if not gender:
        yield finding("gender", f"{claim.text!r}: the speaker's sex is not known", claim.text, _UNKNOWN_GENDER_WEIGHT)
    elif claim.target != gender:
        yield finding("gender", f"{claim.text!r}: the speaker is {gender}", claim.text)


def _judged(claim: Claim, evidence: Evidence) -> Claim | None:
    """The claim with the readings that the evidence can decide; None where a reading may be right for all we know."""
    readings = [target for target in (claim.target, *claim.also) if _is_known(target, evidence)]
    if len(readings) == 1 + len(claim.also):
        return claim if all(":" in name or name in EMOTIONS for name in readings) else _of_distance(claim, evidence)
    # "a low voice" may be quiet, which was not measured; but not of a voice that is high
    wrong = claim.target in readings and ":" in claim.target and _is_opposite(claim, evidence)
    return replace(claim, also=()) if wrong else None


def _is_known(target: str, evidence: Evidence) -> bool:
    if ":" not in target:
        return bool(evidence.emotions)
    dimension = target.partition(":")[0]
    return evidence.voice is not None and (dimension in evidence.measured or dimension in dict(evidence.voice))


def _is_opposite(claim: Claim, evidence: Evidence) -> bool:
    dimension, _, level = claim.target.partition(":")
    measured = dict(evidence.voice or ()).get(dimension)
    return measured is not None and (measured == level) == claim.negated


def _of_distance(claim: Claim, evidence: Evidence) -> Claim | None:
    """A feeling that is no label (pride, sarcasm) is judged only where it excludes all that listeners hear."""
    readings = [name for name in (claim.target, *claim.also) if ":" in name or name in EMOTIONS or _far(name, evidence)]
    return claim if len(readings) == 1 + len(claim.also) and not claim.negated else None


def _far(category: str, evidence: Evidence) -> bool:
    known = categories().get(category)
    heard = [label for label, share in evidence.emotions if share >= MIXTURE_MIN] or [evidence.emotions[0][0]]
    return known is not None and all(dist(known.vad, _centre(label)) >= _FAR for label in heard)


@cache
def _centre(label: str) -> VAD:
    """Mean valence, arousal and dominance of a label's categories."""
    found = [category.vad for category in categories().values() if category.emotion == label]
    return VAD(*(sum(axis) / len(found) for axis in zip(*found, strict=True)))


def _of_claim(wrong: Unsupported, heard: dict[str, float], *, names_main: bool) -> Iterator[Finding]:
    claim = wrong.claim
    text = claim.text
    share = min(1.0, max((heard.get(label, 0.0) for label in labels_of(claim)), default=0.0))
    match wrong.how:
        case "emotion":
            weight = (1 - share) * claim.strength
            if not labels_of(claim):
                weight *= _FAR_WEIGHT
            yield finding("emotion", f"{text!r}: {_listeners(share)} {claim.target}", text, weight)
        case "denied" if wrong.share >= MIXTURE_MIN:
            yield finding("denied", wrong.reason, text, wrong.share * claim.strength)
        case "overstated" if names_main:
            yield finding("overstated", wrong.reason, text, (1 - share) * _OVERSTATED_WEIGHT)
        case "overstated":
            yield finding(
                "emotion", f"{text!r}: {_listeners(share)} {claim.target}", text, (1 - share) * claim.strength
            )
        case "opposite":
            yield finding("voice_opposite", wrong.reason, text, claim.strength)
        case "ordinary":
            yield finding("voice_unsupported", wrong.reason, text, claim.strength * _ORDINARY_WEIGHT)


def _listeners(share: float) -> str:
    return f"{share:.0%} of the listeners hear" if share else "nobody hears"
