"""Metrics as pure functions; of this package they import nothing but `aligncap.errors`.

Caption metrics take tokenised captions and, for each, a list of tokenised references, and return a `Score`: of the
corpus and of every caption. `METRICS` says what each means; `score_captions` tokenises once and computes them all::

    scores = score_captions(["She sounds sad."], [["A sad, low voice.", "She is sad."]])
    scores["rouge_l"].corpus

docs/metrics.md has their definitions, their parity with public implementations, and how often each agrees with people.
"""

from aligncap.metrics.bleu import BleuCounts, bleu, bleu_counts
from aligncap.metrics.cider import cider, cider_d
from aligncap.metrics.classification import macro_recall
from aligncap.metrics.diversity import diversity, length_ratio, self_bleu, words
from aligncap.metrics.meteor import meteor_lite
from aligncap.metrics.rouge import rouge_l
from aligncap.metrics.score import METRICS, Metric, Score
from aligncap.metrics.similarity import similarity
from aligncap.metrics.statistics import (
    Agreement,
    Comparison,
    Interval,
    agreement,
    bootstrap,
    bootstrap_mean,
    compare,
)
from aligncap.metrics.suite import score_captions, spider
from aligncap.metrics.tokenize import tokenize, tokenizer_for

__all__ = [
    "METRICS",
    "Agreement",
    "BleuCounts",
    "Comparison",
    "Interval",
    "Metric",
    "Score",
    "agreement",
    "bleu",
    "bleu_counts",
    "bootstrap",
    "bootstrap_mean",
    "cider",
    "cider_d",
    "compare",
    "diversity",
    "length_ratio",
    "macro_recall",
    "meteor_lite",
    "rouge_l",
    "score_captions",
    "self_bleu",
    "similarity",
    "spider",
    "tokenize",
    "tokenizer_for",
    "words",
]
