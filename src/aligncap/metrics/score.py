"""What a caption metric returns, and what each metric means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["METRICS", "Metric", "Score", "check_pairs"]


@dataclass(frozen=True)
class Score:
    """A metric of a system's captions.

    Attributes:
        corpus: the score of all captions together; for some metrics (BLEU, METEOR) not the mean of ``captions``.
        captions: the score of each caption, in the order given; empty for metrics of a whole set of captions.
    """

    corpus: float
    captions: tuple[float, ...] = ()


@dataclass(frozen=True)
class Metric:
    """What a metric means.

    Attributes:
        name: the key under which results are filed.
        title: as people write it.
        low: smallest possible value.
        high: largest possible value, infinity where there is none.
        higher_is_better: None where neither end is good in itself.
        aggregate: how the corpus score is made: ``mean`` of the captions, ``pooled`` counts, or of the whole ``set``.
        source: where it is defined.
    """

    name: str
    title: str
    low: float
    high: float
    higher_is_better: bool | None
    aggregate: str
    source: str


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


_INF = float("inf")
_BLEU = "Papineni et al. 2002, as coco-caption computes it"

METRICS = _table(
    Metric("bleu1", "BLEU-1", 0, 1, True, "pooled", _BLEU),
    Metric("bleu2", "BLEU-2", 0, 1, True, "pooled", _BLEU),
    Metric("bleu3", "BLEU-3", 0, 1, True, "pooled", _BLEU),
    Metric("bleu4", "BLEU-4", 0, 1, True, "pooled", _BLEU),
    Metric("meteor", "METEOR", 0, 1, True, "pooled", "Denkowski and Lavie 2014 (version 1.5, the authors' program)"),
    Metric("meteor_lite", "METEOR-lite", 0, 1, True, "pooled", "METEOR 1.5 with exact and stem matches only"),
    Metric("rouge_l", "ROUGE-L", 0, 1, True, "mean", "Lin 2004, as coco-caption computes it (beta 1.2)"),
    Metric("cider_d", "CIDEr-D", 0, 10, True, "mean", "Vedantam et al. 2015, with clipping and length penalty"),
    Metric("cider", "CIDEr", 0, 10, True, "mean", "Vedantam et al. 2015, without stemming"),
    Metric("spice", "SPICE", 0, 1, True, "mean", "Anderson et al. 2016, the authors' program"),
    Metric("spider", "SPIDEr", 0, 5.5, True, "mean", "Liu et al. 2017: mean of SPICE and CIDEr-D"),
    Metric("similarity", "Sentence similarity", -1, 1, True, "mean", "Reimers and Gurevych 2019 (all-MiniLM-L6-v2)"),
    Metric("words", "Words per caption", 0, _INF, None, "mean", ""),
    Metric("length_ratio", "Words per word of the nearest reference", 0, _INF, None, "pooled", "as in BLEU's brevity"),
    Metric("distinct1", "Distinct-1", 0, 1, True, "set", "Li et al. 2016"),
    Metric("distinct2", "Distinct-2", 0, 1, True, "set", "Li et al. 2016"),
    Metric("vocabulary", "Vocabulary", 0, _INF, True, "set", ""),
    Metric("unique", "Unique captions", 0, 1, True, "set", ""),
    Metric("self_bleu", "Self-BLEU-4", 0, 1, False, "mean", "Zhu et al. 2018"),
    Metric("repetition", "Repeated 4-grams", 0, 1, False, "mean", "Welleck et al. 2020 (seq-rep-4)"),
)
"""Name of a metric → what it is called, its range, whether higher is better, and how it is computed."""


def check_pairs(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Refuse what cannot be scored.

    Raises:
        ValueError: no captions, not one list of references for each, or a caption without a reference.
        TypeError: a string where a list of references belongs, or a candidate that is no string.
    """
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} captions and references of {len(references)}")
    for index, (candidate, several) in enumerate(zip(candidates, references, strict=True)):
        if not isinstance(candidate, str) or isinstance(several, str):
            raise TypeError(f"caption {index}: expected a string and a list of reference strings")
        if not several:
            raise ValueError(f"caption {index} has no reference")
