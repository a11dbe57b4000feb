"""What a caption rests on: its claims against what was heard and measured, the measurements, and their curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.audio import RATE
from aligncap.captioner.results import Caption
from aligncap.captions import Facts
from aligncap.captions.check import unsupported
from aligncap.captions.claims import Claim, find_claims
from aligncap.clues import DIMENSIONS, clue_record, clue_words, contours, measure, said_with_number
from aligncap.clues.measure import HOP_S

__all__ = ["evidence"]

_COLUMNS = 400  # of the waveform's outline
_POINTS = 500  # of the curves


def evidence(caption: Caption, samples: NDArray[np.float32]) -> dict[str, Any]:
    """What a caption rests on.

    Args:
        caption: of a stretch.
        samples: (T,) 16 kHz mono samples of the whole recording.

    Returns:
        ``claims``: what the caption claims, each with ``supported`` and, where it is not, ``reason``. Emotions are
        compared with the caption's own probabilities, the voice with what was measured. ``measured``: as
        `aligncap.clues.clue_record` gives it; ``words``: what is out of the ordinary, with numbers; ``curves``: ``hop``
        (seconds), ``f0_hz`` (None where unvoiced), ``level_db`` (relative to the loudest frame); ``wave``: ``low`` and
        ``high`` of each of at most 400 columns.
    """
    part = samples[round(caption.start * RATE) : round(caption.end * RATE)]
    clues = measure(part)
    words = clue_words(clues, dimensions=DIMENSIONS)
    facts = Facts(
        tuple(caption.emotions.items()),
        voice=tuple((word.dimension, word.level) for word in words),
    )
    return {
        "claims": [_claim(claim, facts) for claim in find_claims(caption.caption)],
        "measured": clue_record(clues, words),
        "words": [said_with_number(word, clues) for word in words],
        "curves": _curves(part),
        "wave": _outline(part),
    }


def _claim(claim: Claim, facts: Facts) -> dict[str, Any]:
    wrong = unsupported(claim, facts)
    record: dict[str, Any] = {
        "text": claim.text,
        "kind": claim.kind,
        "target": claim.target,
        "strength": claim.strength,
        "negated": claim.negated,
        "start": claim.start,
        "end": claim.end,
        "supported": wrong is None,
    }
    return record if wrong is None else {**record, "reason": wrong.reason}


def _curves(part: NDArray[np.float32]) -> dict[str, Any]:
    if not np.any(part):
        return {"hop": HOP_S, "f0_hz": [], "level_db": []}
    found = contours(part)
    step = -(-len(found.level_db) // _POINTS)
    f0 = np.where(found.voiced, found.f0_hz, np.nan)[::step]
    return {
        "hop": round(HOP_S * step, 6),
        "f0_hz": [None if np.isnan(value) else round(float(value), 1) for value in f0],
        "level_db": [round(float(value), 1) for value in found.level_db[::step]],
    }


def _outline(part: NDArray[np.float32]) -> dict[str, list[float]]:
    edges = np.linspace(0, len(part), min(_COLUMNS, len(part)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(part, edges), np.maximum.reduceat(part, edges)
    return {"low": np.round(low, 4).tolist(), "high": np.round(high, 4).tolist()}
