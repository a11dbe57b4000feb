"""How captions are sampled."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How captions are drawn; by default they are not: greedy decoding takes the likeliest token each time.

    Attributes:
        temperature: above 0; higher is more varied.
        top_p: nucleus, in (0, 1]: only the likeliest tokens that together have this probability are drawn.
        seed: the same seed gives the same captions of the same samples, alone and in any batch.

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
