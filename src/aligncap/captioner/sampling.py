"""How the words of captions are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CAREFUL", "VARIED", "VERIFY", "Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How captions are drawn.

    Attributes:
        temperature: at least 0; higher is more varied, 0 takes the likeliest token each time (greedy decoding).
        top_p: nucleus, in (0, 1]: only the likeliest tokens that together have this probability are drawn.
        opening: only so many tokens at the beginning are drawn, and the rest are the likeliest; None: all are drawn.
        seed: the same seed gives the same captions of the same samples, alone and in any batch.

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    seed: int = 0
    opening: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.opening is not None and self.opening < 1:
            raise ValueError(f"opening must be at least 1, not {self.opening}")


VARIED = Sampling(temperature=1.0, top_p=0.9)
"""Of single captions that are verified, unless told otherwise: every word is drawn.

Greedy captions begin nearly all alike. Those that are drawn, and drawn again where something in them is doubted, name
emotions and voice as truly, in other words for other recordings (docs/results.md).
"""

CAREFUL = Sampling(temperature=1.0, top_p=0.9, opening=5)
"""Of single captions that are not verified: how a caption begins is drawn, what it says is the likeliest."""

VERIFY: dict[str, bool | Literal["strict"]] = {"off": False, "on": True, "strict": "strict"}
"""How the ways to verify are called on the command line → ``verify`` of `Captioner.caption`."""
