"""Praat TextGrid: interval tiers with the captions, and with the likeliest emotions.

The long text format as Praat's manual describes it ("TextGrid file formats"); what is empty has an empty label.
"""

from __future__ import annotations

from collections.abc import Sequence

from aligncap.captioner.formats.tiers import Tier, duration, named, strongest, tiers
from aligncap.captioner.results import Caption, Result

__all__ = ["textgrid"]


def textgrid(results: Sequence[Result]) -> str:
    """The captions of one recording as a TextGrid, from its beginning to the end of its last part."""
    end = duration(results)
    shown = tiers(results) or [Tier("")]
    blocks = [
        _tier(named(kind, tier), end, [(item, text(item)) for item in tier.captions])
        for kind, text in (("caption", lambda item: item.caption), ("emotion", strongest))
        for tier in shown
    ]
    head = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(end)}",
        "tiers? <exists>",
        f"size = {len(blocks)}",
        "item []:",
    ]
    lines = [*head, *(line for place, block in enumerate(blocks, 1) for line in (f"    item [{place}]:", *block))]
    return "\n".join(lines) + "\n"


def _tier(name: str, end: float, labels: Sequence[tuple[Caption, str]]) -> list[str]:
    intervals: list[tuple[float, float, str]] = []
    reached = 0.0
    for caption, label in labels:
        if caption.start > reached:
            intervals.append((reached, caption.start, ""))
        intervals.append((caption.start, caption.end, label))
        reached = caption.end
    if reached < end or not intervals:
        intervals.append((reached, end, ""))
    lines = [
        '        class = "IntervalTier"',
        f"        name = {_quoted(name)}",
        "        xmin = 0",
        f"        xmax = {_number(end)}",
        f"        intervals: size = {len(intervals)}",
    ]
    for place, (first, last, label) in enumerate(intervals, 1):
        lines += [
            f"        intervals [{place}]:",
            f"            xmin = {_number(first)}",
            f"            xmax = {_number(last)}",
            f"            text = {_quoted(label)}",
        ]
    return lines


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
