"""Text metrics of one system's captions, clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aligncap.corpora.row import Row
from aligncap.evaluation.estimates import Floats, Quantity, mean_of
from aligncap.evaluation.measures import Settings
from aligncap.evaluation.prediction import Prediction
from aligncap.metrics import java
from aligncap.metrics.bleu import bleu_counts, score_counts
from aligncap.metrics.cider import cider, cider_d
from aligncap.metrics.diversity import diversity
from aligncap.metrics.meteor import meteor_lite
from aligncap.metrics.ngrams import count_pairs
from aligncap.metrics.rouge import rouge_l
from aligncap.metrics.score import Score
from aligncap.metrics.tokenize import tokenize

__all__ = ["measure_captions"]

_SET = ("distinct1", "distinct2", "vocabulary", "unique")
_NONE: Floats = np.zeros(0)


def measure_captions(rows: Sequence[Row], predictions: Mapping[str, Prediction], settings: Settings) -> list[Quantity]:
    """Text metrics, against references where there are any; settings have a tokenizer named.

    Document frequencies of CIDEr are of the references of all rows, whichever the system described, so that systems are
    measured alike.
    """
    there = [index for index, row in enumerate(rows) if row.captions]
    tokenizer = settings.tokenizer
    scored = [place for place, index in enumerate(there) if rows[index].id in predictions]
    described = [index for index, row in enumerate(rows) if row.id in predictions]
    if not scored:
        own = tokenize([predictions[rows[index].id].caption for index in described], tokenizer)
        return _of_set(described, own)
    captions = [predictions[rows[i].id].caption if rows[i].id in predictions else "" for i in there]
    counts = [len(rows[i].captions) for i in there]
    tokens = tokenize([*captions, *(text for i in there for text in rows[i].captions)], tokenizer)
    hypotheses, flat = tokens[: len(there)], iter(tokens[len(there) :])
    truths = [[next(flat) for _ in range(count)] for count in counts]
    pairs = count_pairs(hypotheses, truths)
    index = [there[place] for place in scored]

    def of(score: Score) -> list[float]:
        return [score.captions[place] for place in scored]

    def mean(name: str, score: Score) -> Quantity:
        return mean_of(name, index, of(score))

    def pooled(name: str, score: Score, again: Callable[[list[str], list[list[str]]], Score]) -> Quantity:
        base = mean(name, score)

        def whole(places: list[int]) -> float:
            if len(places) == len(there):
                return score.corpus
            chosen = [scored[place] for place in places]
            return again([hypotheses[i] for i in chosen], [truths[i] for i in chosen]).corpus

        return Quantity(name, base.index, base.counts, base.score, base.each, whole)

    blue = bleu_counts(hypotheses, truths, pairs=pairs)
    table = np.concatenate([blue.matches, blue.totals, blue.lengths[:, None], blue.closest[:, None]], axis=1)[scored]
    each = score_counts(blue.matches, blue.totals, blue.lengths, blue.closest)[scored]
    found = [
        Quantity(f"bleu{k + 1}", np.array(index), table.astype(np.float64), _bleu(k), each[:, k]) for k in range(4)
    ]
    found += [
        mean("meteor_lite", meteor_lite(hypotheses, truths)),
        mean("rouge_l", rouge_l(hypotheses, truths)),
        mean("cider_d", short := cider_d(hypotheses, truths, pairs=pairs)),
        mean("cider", cider(hypotheses, truths, pairs=pairs)),
    ]
    if settings.meteor:
        found.append(pooled("meteor", java.meteor(hypotheses, truths), java.meteor))
    if settings.spice is not None:
        several = [list(rows[i].captions) for i in there]
        spice = java.spice(captions, several, settings.spice)
        both = [(one + other) / 2 for one, other in zip(of(spice), of(short), strict=True)]
        found += [mean("spice", spice), mean_of("spider", index, both)]
    if settings.encoder is not None:
        from aligncap.evaluation.sentence_encoder import sentence_similarity

        several = [list(rows[i].captions) for i in there]
        found.append(mean("similarity", sentence_similarity(captions, several, settings.encoder)))
    ratio = table[:, 8:].astype(np.float64)
    found.append(Quantity("length_ratio", np.array(index), ratio, lambda s: s[:, 0] / np.maximum(s[:, 1], 1), _NONE))
    own = tokenize([predictions[rows[index].id].caption for index in described], tokenizer)
    return [*found, *_of_set(described, own)]


def _bleu(k: int) -> Callable[[Floats], Floats]:
    def score(sums: Floats) -> Floats:
        whole = np.rint(sums).astype(np.int64)
        return score_counts(whole[:, :4], whole[:, 4:8], whole[:, 8], whole[:, 9])[:, k]

    return score


def _of_set(index: Sequence[int], tokens: Sequence[str]) -> list[Quantity]:
    """Length and diversity, which need no reference."""
    if not index:
        return []
    spread = diversity(tokens)
    kept: dict[tuple[int, ...], dict[str, Score]] = {}

    def whole_of(name: str) -> Callable[[list[int]], float]:
        def whole(places: list[int]) -> float:
            key = tuple(places)
            if key not in kept:
                kept[key] = diversity([tokens[place] for place in places])
            return kept[key][name].corpus

        return whole

    lengths = [float(len(text.split())) for text in tokens]
    empty = np.zeros((len(index), 1))
    found = [mean_of("words", index, lengths), mean_of("repetition", index, spread["repetition"].captions)]
    found += [Quantity(n, np.array(index), empty, lambda sums: sums[:, 0], _NONE, whole_of(n)) for n in _SET]
    own = mean_of("self_bleu", index, spread["self_bleu"].captions)
    return [*found, Quantity(own.name, own.index, own.counts, own.score, _NONE, whole_of("self_bleu"))]
