"""How often captions hallucinate."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from aligncap.evaluation.hallucination.finding import OMISSION, TYPES, Finding
from aligncap.metrics.statistics import Interval, bootstrap_mean

__all__ = ["Rate", "rates"]


@dataclass(frozen=True)
class Rate:
    """How often captions have findings of some type or kind.

    Attributes:
        share: of the captions with at least one, with its 95 % interval.
        weight: mean over all captions of their heaviest such finding (0 where there is none): the same with partial
            credit, for what some listeners would have said too.
        captions: how many captions have one.
    """

    share: Interval
    weight: Interval
    captions: int


def rates(
    findings: Sequence[Sequence[Finding]],
    speakers: Sequence[Hashable] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Rate]:
    """Share of the captions with findings.

    Args:
        findings: of `judge`, for each caption.
        speakers: of each caption's recording: the bootstrap draws speakers; None draws captions.
        resamples: bootstrap samples.
        seed: of the draws.

    Returns:
        By name: ``any``, ``factuality``, ``faithfulness``, and every one of `TYPES`. Captions that name no emotion
        (``no_emotion``) have left something out and invented nothing: they are counted under their own name alone.

    Raises:
        ValueError: no captions, or not one speaker for each.
    """
    names: dict[str, set[str]] = {"any": set(TYPES) - {OMISSION}}
    for kind in ("factuality", "faithfulness"):
        names[kind] = {name for name, of in TYPES.items() if of == kind} - {OMISSION}
    names |= {name: {name} for name in TYPES}
    found = {}
    for name, types in names.items():
        weights = [max((one.weight for one in several if one.type in types), default=0.0) for several in findings]
        has = [float(weight > 0) for weight in weights]
        share = bootstrap_mean(has, speakers, resamples=resamples, seed=seed)
        mean = bootstrap_mean(weights, speakers, resamples=resamples, seed=seed)
        found[name] = Rate(share, mean, int(sum(has)))
    return found
