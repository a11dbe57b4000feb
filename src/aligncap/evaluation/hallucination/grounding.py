"""Whether words for the voice are about this voice: how often they agree with the measurements, by chance or not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aligncap.captions.claims import find_claims
from aligncap.evaluation.hallucination.evidence import MEASURED
from aligncap.metrics.statistics import Interval, bootstrap_mean

__all__ = ["Grounding", "grounding"]

_ORDINARY = "middle"


@dataclass(frozen=True)
class Grounding:
    """What captions say of one dimension of the voice, against what was measured.

    Attributes:
        claims: how many; a caption that says a thing twice claims it once.
        agree: share of the claims that the measurement bears out, with its 95 % interval.
        contradict: share to which the measurement is the contrary: "fast" of a slow voice, "not fast" of a fast one.
            The rest claim something remarkable of an ordinary voice, or the reverse.
        chance: share that would agree if each claim were made of a clip drawn at random from all of them (the exact
            expectation, not a sample): 0.41 means that agreeing 0.41 shows nothing.
        chance_contradict: share that would contradict, likewise.
    """

    claims: int
    agree: Interval
    contradict: Interval
    chance: float
    chance_contradict: float


@dataclass(frozen=True)
class _Claim:
    levels: frozenset[tuple[str, str]]
    negated: bool


def grounding(
    captions: Sequence[str],
    voices: Sequence[Collection[tuple[str, str]] | None],
    speakers: Sequence[Hashable] | None = None,
    *,
    measured: Collection[str] = MEASURED,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Grounding]:
    """Compare what captions say of the voice with what was measured.

    Args:
        captions: in English.
        voices: of each clip, measured (dimension, level) pairs that are out of the ordinary; None where it was not
            measured: such a caption is left out.
        speakers: of each clip: the bootstrap draws speakers; None draws claims.
        measured: dimensions that were measured; those that occur in `voices` are added. What captions say of others
            (a trembling voice, say) cannot be compared, and is left out.
        resamples: bootstrap samples.
        seed: of the draws.

    Returns:
        By dimension, in the order of `measured`, those of which captions say something; and ``all``, if there are any.
        A claim that may mean several things ("a low voice": deep, or quiet) agrees where one of them does.

    Raises:
        ValueError: not one voice, or not one speaker, for each caption.
    """
    if len(voices) != len(captions) or (speakers is not None and len(speakers) != len(captions)):
        raise ValueError(f"{len(captions)} captions, {len(voices)} voices and {len(speakers or captions)} speakers")
    known = [dict(voice) for voice in voices if voice is not None]
    dimensions = dict.fromkeys((*measured, *(name for voice in known for name in voice)))
    expected = _Chance(known)
    outcomes: dict[str, list[tuple[float, float, float, float, Hashable]]] = defaultdict(list)
    for index, (caption, voice) in enumerate(zip(captions, voices, strict=True)):
        if voice is None:
            continue
        for dimension, claim in dict.fromkeys(_claims(caption, dimensions)):
            agree, contradict = _compare(claim, dict(voice))
            row = (agree, contradict, *expected.of(claim), speakers[index] if speakers else None)
            outcomes[dimension].append(row)
    ordered = {name: outcomes[name] for name in dimensions if name in outcomes}
    if ordered:
        ordered["all"] = [row for rows in ordered.values() for row in rows]
    return {name: _summary(rows, speakers is not None, resamples, seed) for name, rows in ordered.items()}


def _claims(caption: str, dimensions: Collection[str]) -> Iterator[tuple[str, _Claim]]:
    for claim in find_claims(caption):
        if claim.kind == "acoustic":
            pairs = [target.partition(":")[::2] for target in (claim.target, *claim.also) if ":" in target]
            levels = frozenset((dimension, level) for dimension, level in pairs if dimension in dimensions)
            if claim.category in dimensions:
                yield claim.category, _Claim(levels, claim.negated)


def _compare(claim: _Claim, voice: Mapping[str, str]) -> tuple[float, float]:
    """Whether a claim agrees with a voice, and whether it contradicts it: (1, 0), (0, 1) or (0, 0)."""
    found = {_compare_one(level, voice.get(dimension, _ORDINARY), claim.negated) for dimension, level in claim.levels}
    return max(found, key=lambda outcome: (outcome[0], -outcome[1]))


def _compare_one(level: str, measured: str, negated: bool) -> tuple[float, float]:
    if negated:
        return (0.0, 1.0) if measured == level else (1.0, 0.0)
    if measured == level:
        return 1.0, 0.0
    return 0.0, float(_ORDINARY not in {measured, level})


class _Chance:
    """The mean outcome of a claim over all clips; clips with the same voice are compared once."""

    def __init__(self, voices: Sequence[Mapping[str, str]]) -> None:
        self._voices = Counter(tuple(sorted(voice.items())) for voice in voices)
        self._known: dict[_Claim, tuple[float, float]] = {}

    def of(self, claim: _Claim) -> tuple[float, float]:
        if claim not in self._known:
            outcomes = [(_compare(claim, dict(voice)), count) for voice, count in self._voices.items()]
            total = sum(self._voices.values())
            agree = sum(outcome[0] * count for outcome, count in outcomes) / total
            self._known[claim] = agree, sum(outcome[1] * count for outcome, count in outcomes) / total
        return self._known[claim]


def _summary(
    rows: Sequence[tuple[float, float, float, float, Hashable]], clustered: bool, resamples: int, seed: int
) -> Grounding:
    agree, contradict, chance, chance_contradict, owners = zip(*rows, strict=True)
    clusters = owners if clustered else None
    return Grounding(
        len(rows),
        bootstrap_mean(agree, clusters, resamples=resamples, seed=seed),
        bootstrap_mean(contradict, clusters, resamples=resamples, seed=seed),
        sum(chance) / len(rows),
        sum(chance_contradict) / len(rows),
    )
