"""One thing that is wrong with a caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["OMISSION", "TYPES", "Finding", "Kind"]

Kind: TypeAlias = Literal["factuality", "faithfulness"]

TYPES: Mapping[str, Kind] = MappingProxyType(
    {
        "emotion": "factuality",
        "denied": "factuality",
        "overstated": "factuality",
        "voice_opposite": "factuality",
        "voice_unsupported": "factuality",
        "gender": "factuality",
        "instruction": "faithfulness",
        "language": "faithfulness",
        "leakage": "faithfulness",
        "event": "faithfulness",
        "place": "faithfulness",
        "identity": "faithfulness",
        "sound": "faithfulness",
        "content": "faithfulness",
        "refusal": "faithfulness",
        "loop": "faithfulness",
        "form": "faithfulness",
        "no_emotion": "faithfulness",
    }
)
"""Type of a finding → its kind.

emotion: one that listeners do not hear; denied: the text denies one that they hear; overstated: a trace told as a
certainty; voice_opposite: the contrary was measured; voice_unsupported: something remarkable is claimed of an ordinary
voice, or the reverse; gender: not the speaker's, or nobody knows it.

instruction: form or content that was not asked for; language: not the one asked for; leakage: words of the transcript;
event, place, identity (age, accent, profession, other persons), sound, content (what is talked about, and why):
invented; refusal: the model says that it cannot; loop: repetition; form: empty, cut off, markup, remains of a chat;
no_emotion: none is named, though one was asked for: an omission, and no hallucination.
"""

OMISSION = "no_emotion"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a caption.

    Attributes:
        kind: factuality or faithfulness.
        type: a key of `TYPES`.
        reason: in words.
        text: the words that it is about; empty where it is about the whole caption.
        weight: how bad, in (0, 1]. Of emotions: the share of the listeners who would disagree, times the strength of
            the claim (see `aligncap.captions.claims.Claim`).
    """

    kind: Kind
    type: str
    reason: str
    text: str
    weight: float


def finding(type_: str, reason: str, text: str = "", weight: float = 1.0) -> Finding:
    """A finding whose kind follows from its type."""
    return Finding(TYPES[type_], type_, reason, text, weight)
