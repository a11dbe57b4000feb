"""What abstaining is worth: how much is still told, and how much of that is wrong, over thresholds of support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.corpora.row import Row
from aligncap.evaluation.details import Measured
from aligncap.evaluation.estimates import Floats, mean_interval
from aligncap.evaluation.hallucination.finding import OMISSION, Finding
from aligncap.evaluation.parts import LEVEL, Estimator, Part
from aligncap.evaluation.prediction import Prediction, Supported
from aligncap.metrics.statistics import Interval

__all__ = ["KINDS", "THRESHOLDS", "Item", "caption_items", "claim_items", "coverage_curves", "coverage_scores", "tally"]

THRESHOLDS = tuple(step / 20 for step in range(21))
"""Of support, in [0, 1]."""

KINDS = {
    "captions": "a caption is told if its best supported emotion has at least this support, and it does not abstain; "
    "wrong is one that hallucinates",
    "claims": "a claim is told if it has at least this support; wrong is one that a finding is about",
}
"""What may be left untold."""


@dataclass(frozen=True)
class Item:
    """Something that a system may tell, or leave untold.

    Attributes:
        row: index of its row.
        support: in [0, 1]; -inf where the system has left it untold itself.
        wrong: whether it is hallucinated.
    """

    row: int
    support: float
    wrong: bool


def caption_items(row: int, prediction: Prediction, findings: Sequence[Finding]) -> Iterator[Item]:
    """The caption, as well supported as the best supported emotion that it claims; with none of these, not at all."""
    emotions = [one.support for one in prediction.claims or () if one.kind == "emotion" and not one.denied]
    support = -math.inf if prediction.abstained else max(emotions, default=0.0)
    yield Item(row, support, any(one.type != OMISSION for one in findings))


def claim_items(
    row: int, prediction: Prediction, findings: Sequence[Finding], *, emotion: bool, voice: bool
) -> Iterator[Item]:
    """The claims that can be judged; wrong are those that a finding is about.

    Args:
        row: its index.
        prediction: with claims.
        findings: of its caption.
        emotion: whether the clip's emotion is known.
        voice: whether its voice was measured.
    """
    wrong = {one.text.casefold() for one in findings if one.text}

    def judged(claim: Supported) -> bool:
        return {"emotion": emotion, "acoustic": voice}.get(claim.kind, True)

    for claim in filter(judged, prediction.claims or ()):
        yield Item(row, claim.support, claim.text.casefold() in wrong)


def tally(items: Sequence[Item]) -> tuple[list[int], Floats]:
    """Counts of items, row by row.

    Returns:
        Row indices, rising; and (rows, 1 + 2 × thresholds): all items, those told at each threshold, those of them that
        are wrong.
    """
    index = sorted({item.row for item in items})
    place = {row: at for at, row in enumerate(index)}
    counts = np.zeros((len(index), 1 + 2 * len(THRESHOLDS)))
    thresholds = np.array(THRESHOLDS)
    for item in items:
        told = item.support >= thresholds
        counts[place[item.row]] += np.concatenate([[1], told, told & item.wrong])
    return index, counts


def coverage_scores(sums: Floats) -> Floats:
    """(samples, 2 × thresholds) from summed counts of `tally`: share of items told; share of these that is wrong.

    The latter is NaN where nothing is told.
    """
    told, wrong = sums[:, 1 : 1 + len(THRESHOLDS)], sums[:, 1 + len(THRESHOLDS) :]
    rate = np.divide(wrong, told, out=np.full_like(wrong, np.nan), where=told > 0)
    return np.concatenate([told / sums[:, :1], rate], axis=1)


def coverage_curves(
    rows: Sequence[Row], measured: Measured, parts: Sequence[Part], estimate: Estimator
) -> list[dict[str, Any]]:
    """The curves of one system, of all rows, of each corpus, and their mean; none where its captions carry no claims.

    Args:
        rows: all of them.
        measured: the system. Captions without claims (of other systems, say) have no part in it.
        parts: of the rows; languages have no curves.
        estimate: of the intervals.

    Returns:
        Records with ``system``, ``part``, ``name``, ``kind`` (of `KINDS`), ``items`` (how many captions or claims) and
        ``points``: for each threshold ``threshold``, ``told``, ``coverage`` and ``wrong`` (shares), each of the two
        with ``_low`` and ``_high``. ``wrong`` is null where nothing is told; of the mean, where a corpus tells nothing.
    """
    said = {
        i: (prediction, measured.invented.findings[i])
        for i in measured.invented.findings
        if (prediction := measured.system.predictions[rows[i].id]).claims is not None
    }
    items = {"captions": [one for i, both in said.items() for one in caption_items(i, *both)]}
    items["claims"] = [
        one
        for i, both in said.items()
        for one in claim_items(
            i, *both, emotion=bool(rows[i].emotion or rows[i].votes), voice=i in measured.invented.grounded
        )
    ]
    found = []
    for kind, several in items.items():
        index, counts = tally(several)
        where = np.array(index, dtype=np.int64)
        corpora: list[tuple[Floats, list[Interval]]] = []
        for part in (part for part in parts if part.kind != "language"):
            there: NDArray[np.bool_] = np.isin(where, list(part.rows))
            if not there.any():
                continue
            scores = estimate.draws(where[there].tolist()).intervals(counts[there], coverage_scores, LEVEL)
            sums = counts[there].sum(0)
            found.append(_record(measured.system.name, part.kind, part.name, kind, sums, scores))
            if part.kind == "corpus":
                corpora.append((sums, scores))
        if sum(part.kind == "corpus" for part in parts) > 1 and corpora:
            means = [mean_interval(one) for one in zip(*(scores for _, scores in corpora), strict=True)]
            total = np.sum([sums for sums, _ in corpora], axis=0)
            found.append(_record(measured.system.name, "mean", "", kind, total, means))
    return found


def _record(system: str, part: str, name: str, kind: str, sums: Floats, scores: Sequence[Interval]) -> dict[str, Any]:
    points = [
        {"threshold": threshold, "told": int(sums[1 + at])}
        | _told("coverage", scores[at])
        | _told("wrong", scores[at + len(THRESHOLDS)])
        for at, threshold in enumerate(THRESHOLDS)
    ]
    return {"system": system, "part": part, "name": name, "kind": kind, "items": int(sums[0]), "points": points}


def _told(name: str, interval: Interval) -> dict[str, float | None]:
    values = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {key: None if math.isnan(value) else value for key, value in values.items()}
