"""Emotion metrics as pure functions: captions and probabilities to labels, groups, valence and arousal, and scores.

Scores are functions of sums over clips (``*_counts`` gives each clip's row, the functions below it the score of summed
rows), so that the score of any sample, as a bootstrap draws it, comes from one matrix product.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aligncap.captions.claims import Claim, find_claims
from aligncap.captions.taxonomy import categories, category_of, vad
from aligncap.evaluation.labels import NO_LABEL, to_label_set

__all__ = [
    "LABEL_PROMPTS",
    "Floats",
    "Reading",
    "accuracy",
    "agreement_counts",
    "calibration_counts",
    "calibration_error",
    "class_counts",
    "classification",
    "concordance",
    "group_scores",
    "label_texts",
    "macro_f1",
    "macro_recall_of",
    "nearest_labels",
    "read_caption",
    "restricted",
    "true_groups",
    "true_point",
]

Floats = NDArray[np.float64]

LABEL_PROMPTS = ("The speaker sounds {}.", "The voice is {}.", "The speaker feels {}.")
"""What stands for a label where a caption's is found by sentence similarity; the embeddings are averaged."""

_ADJECTIVES = {"boredom": "bored", "disgust": "disgusted", "fear": "afraid", "surprise": "surprised"}
_SHARE_MIN = 0.3  # of votes, from which on an emotion is one of the truth's: a mixture, as in captions.facts
_BINS = 15  # as Guo et al. 2017


@dataclass(frozen=True)
class Reading:
    """What a caption says of emotion.

    Attributes:
        emotions: (label or category, taxonomy group, strength), the strongest first, of equals the first in the text;
            what the caption denies is left out.
        valence: in [-1, 1]; 0 where it names no emotion.
        arousal: in [-1, 1]; 0 where it names no emotion.
    """

    emotions: tuple[tuple[str, str, float], ...]
    valence: float
    arousal: float

    def groups(self, labels: Collection[str] = ()) -> tuple[str, ...]:
        """Taxonomy groups, the strongest first, each once.

        Args:
            labels: of the corpus: an emotion that it lacks counts as `to_label_set` says. None: each counts as it is.
        """
        found = []
        for emotion, group, _ in self.emotions:
            mapped = to_label_set(emotion, labels)
            found.append(group if mapped in (emotion, NO_LABEL) else _group(mapped) or group)
        return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1 << 14)
def read_caption(caption: str) -> Reading:
    """Find the emotions of a caption; English only.

    Valence and arousal are means over the words, weighted by their strength (less after a hedge), of our taxonomy's
    values (`aligncap.captions.taxonomy.vad`), which are no norms collected from people.
    """
    claims = [claim for claim in find_claims(caption) if claim.kind == "emotion" and not claim.negated]
    ranked = sorted(claims, key=lambda claim: -claim.strength)
    emotions = tuple((claim.target, categories()[claim.category].group, claim.strength) for claim in ranked)
    weight = sum(claim.strength for claim in claims)
    if not weight:
        return Reading(emotions, 0.0, 0.0)
    points = [_point(claim) for claim in claims]
    valence, arousal = (
        sum(claim.strength * point[axis] for claim, point in zip(claims, points, strict=True)) / weight
        for axis in range(2)
    )
    return Reading(emotions, valence, arousal)


def _point(claim: Claim) -> tuple[float, float]:
    found = vad(claim.text) or categories()[claim.category].vad
    return found.valence, found.arousal


def _group(emotion: str) -> str | None:
    category = category_of(emotion)
    return categories()[category].group if category else None


def true_groups(emotion: str, votes: Mapping[str, float]) -> frozenset[str]:
    """Taxonomy groups of a clip: of its label, and of what at least 30 % of the votes say; empty where unknown."""
    names = [emotion, *(name for name, share in votes.items() if share >= _SHARE_MIN)]
    return frozenset(group for name in names if (group := _group(name)))


def true_point(emotion: str, votes: Mapping[str, float]) -> tuple[float, float] | None:
    """Valence and arousal of a clip: of the votes, weighted by their shares, else of its label; None: unknown."""
    shares = {name: share for name, share in votes.items() if share > 0 and vad(name)} or {emotion: 1.0}
    points = [(share, point) for name, share in shares.items() if (point := vad(name))]
    if not points:
        return None
    whole = sum(share for share, _ in points)
    return (
        sum(share * point.valence for share, point in points) / whole,
        sum(share * point.arousal for share, point in points) / whole,
    )


def group_scores(claimed: Sequence[str], true: Collection[str]) -> tuple[float, float, float, float]:
    """Hit, precision, recall and F1 of the groups that a caption claims, each in [0, 1], higher being better.

    Args:
        claimed: groups, the strongest first. None at all scores 0.
        true: groups of the clip, at least one.

    Returns:
        Whether the strongest group is one of the clip's; the share of claimed groups that are; the share of the clip's
        groups that are claimed; the harmonic mean of the last two.

    Raises:
        ValueError: no true group.
    """
    if not true:
        raise ValueError("nothing is known of the clip's emotion")
    common = len(set(claimed) & set(true))
    if not common:
        return 0.0, 0.0, 0.0, 0.0
    precision, recall = common / len(set(claimed)), common / len(set(true))
    return float(claimed[0] in true), precision, recall, 2 * precision * recall / (precision + recall)


def restricted(probabilities: Mapping[str, float], labels: Collection[str]) -> dict[str, float]:
    """Probabilities of a corpus's labels, mapped by `to_label_set`, summing to 1; alike where nothing can be mapped."""
    total = dict.fromkeys(sorted(labels), 0.0)
    for emotion, probability in probabilities.items():
        label = to_label_set(emotion, labels)
        if label != NO_LABEL:
            total[label] += probability
    whole = sum(total.values())
    return {label: value / whole if whole else 1 / len(total) for label, value in total.items()}


def label_texts(labels: Sequence[str]) -> list[str]:
    """The sentences that stand for each label, one label's after another's: `LABEL_PROMPTS` filled in."""
    return [prompt.format(_ADJECTIVES.get(label, label)) for label in labels for prompt in LABEL_PROMPTS]


def nearest_labels(captions: NDArray[np.floating], texts: NDArray[np.floating], labels: Sequence[str]) -> list[str]:
    """The label of each caption by sentence similarity.

    Args:
        captions: (captions, dimensions) embeddings of unit length.
        texts: (labels × prompts, dimensions) embeddings of `label_texts`.
        labels: to choose from; of equally near ones, the first.
    """
    means = texts.reshape(len(labels), -1, texts.shape[1]).mean(axis=1)
    means = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return [labels[index] for index in (captions @ means.T).argmax(axis=1)]


def class_counts(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Floats:
    """(clips, 3 × labels) of 0 and 1: the true label, the predicted one, and both where they agree."""
    place = {label: index for index, label in enumerate(labels)}
    rows = np.zeros((len(truth), 3, len(labels)))
    for index, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        rows[index, 0, place[true]] = 1
        if guess in place:
            rows[index, 1, place[guess]] = 1
        rows[index, 2, place[true]] = true == guess
    return rows.reshape(len(truth), -1)


def accuracy(sums: Floats) -> Floats:
    """Weighted average recall (WAR), which is accuracy, in [0, 1], from (samples, 3 × labels) summed `class_counts`."""
    counts = _by_class(sums)
    return _ratio(counts[:, 2].sum(1), counts[:, 0].sum(1))


def macro_recall_of(sums: Floats) -> Floats:
    """Unweighted average recall (UAR), in [0, 1]: the mean over the labels that occur in the sample."""
    counts = _by_class(sums)
    return _mean_over(_ratio(counts[:, 2], counts[:, 0]), counts[:, 0] > 0)


def macro_f1(sums: Floats) -> Floats:
    """Mean F1 in [0, 1] over the labels that occur in the sample."""
    counts = _by_class(sums)
    return _mean_over(_ratio(2 * counts[:, 2], counts[:, 0] + counts[:, 1]), counts[:, 0] > 0)


def _by_class(sums: Floats) -> Floats:
    return sums.reshape(len(sums), 3, -1)


def _ratio(above: Floats, below: Floats) -> Floats:
    result: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return result


def _mean_over(values: Floats, there: NDArray[np.bool_]) -> Floats:
    return _ratio((values * there).sum(1), there.sum(1).astype(np.float64))


def classification(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, object]:
    """The confusion matrix and what it says of each label.

    Args:
        truth: true label of each clip.
        predicted: predicted label, or `NO_LABEL`.
        labels: of the corpus.

    Returns:
        ``labels``; ``columns`` (the labels and, where it occurs, `NO_LABEL`); ``counts`` (labels × columns: row true,
        column predicted); ``classes``: for each label ``label``, ``precision``, ``recall``, ``f1`` and ``clips``.
    """
    columns = [*labels, *sorted(set(predicted) - set(labels))]
    counts = [[0] * len(columns) for _ in labels]
    for true, guess in zip(truth, predicted, strict=True):
        counts[labels.index(true)][columns.index(guess)] += 1
    classes = []
    for index, label in enumerate(labels):
        hits, clips, named = counts[index][index], sum(counts[index]), sum(row[index] for row in counts)
        classes.append(
            {
                "label": label,
                "precision": hits / named if named else 0.0,
                "recall": hits / clips if clips else 0.0,
                "f1": 2 * hits / (clips + named) if clips + named else 0.0,
                "clips": clips,
            }
        )
    return {"labels": list(labels), "columns": columns, "counts": counts, "classes": classes}


def calibration_counts(confidence: Sequence[float], right: Sequence[bool]) -> Floats:
    """(clips, 3 × 15): in the bin of the predicted label's probability that, whether it is right, and 1."""
    rows = np.zeros((len(confidence), 3, _BINS))
    for index, (sure, hit) in enumerate(zip(confidence, right, strict=True)):
        place = min(int(sure * _BINS), _BINS - 1)
        rows[index, :, place] = sure, hit, 1
    return rows.reshape(len(confidence), -1)


def calibration_error(sums: Floats) -> Floats:
    """Expected calibration error (Guo et al. 2017, equation 5) with 15 equal bins, in [0, 1], lower being better."""
    bins = sums.reshape(len(sums), 3, _BINS)
    return _ratio(np.abs(bins[:, 0] - bins[:, 1]).sum(1), bins[:, 2].sum(1))


def agreement_counts(first: Sequence[float], second: Sequence[float]) -> Floats:
    """(clips, 6): 1, x, y, x², y², xy."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def concordance(sums: Floats) -> Floats:
    """Lin's concordance correlation coefficient (1989), in [-1, 1], 1 being equality; 0 where nothing varies."""
    count, x, y, xx, yy, xy = (sums[:, index] for index in range(6))
    mean_x, mean_y = x / count, y / count
    spread = xx / count - mean_x**2 + yy / count - mean_y**2 + (mean_x - mean_y) ** 2
    shared = 2 * (xy / count - mean_x * mean_y)
    result: Floats = np.divide(shared, spread, out=np.zeros_like(shared), where=spread > 1e-12)
    return result
