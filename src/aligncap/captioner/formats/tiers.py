"""What an annotation program shows: tiers of intervals that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aligncap.captioner.results import Caption, Result

__all__ = ["Tier", "duration", "tiers"]


@dataclass
class Tier:
    """Captions that do not overlap, in order.

    Attributes:
        name: empty, or the speaker, with a number where one speaker's turns overlap.
        captions: at least one.
    """

    name: str
    captions: list[Caption] = field(default_factory=list)


def tiers(results: Sequence[Result]) -> list[Tier]:
    """The captions of a recording: a tier for each speaker, and more where one speaker's turns overlap."""
    found: dict[str, list[Tier]] = {}
    for caption in sorted((item for item in results if isinstance(item, Caption)), key=lambda item: item.start):
        layers = found.setdefault(caption.speaker or "", [])
        free = next((tier for tier in layers if tier.captions[-1].end <= caption.start), None)
        if free is None:
            number = f" {len(layers) + 1}" if layers else ""
            free = Tier(f"{caption.speaker or ''}{number}".strip())
            layers.append(free)
        free.captions.append(caption)
    return [tier for layers in found.values() for tier in layers]


def duration(results: Sequence[Result]) -> float:
    """Seconds to the end of the last part; the parts of a recording that was captioned whole reach to its end."""
    return max((item.end for item in results if hasattr(item, "end")), default=0.0)


def named(kind: str, tier: Tier) -> str:
    """What a tier is called that shows something of the captions."""
    return f"{kind} ({tier.name})" if tier.name else kind


def strongest(caption: Caption) -> str:
    """The likeliest emotion, with its probability."""
    label, probability = next(iter(caption.emotions.items()))
    return f"{label} {probability:.0%}"
