"""Emotion and hallucination measures of one system's captions, clip by clip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aligncap.corpora.problems import shown
from aligncap.corpora.row import Row
from aligncap.errors import AlignCapError
from aligncap.evaluation import emotion as emo
from aligncap.evaluation.estimates import Floats, Quantity, mean_of
from aligncap.evaluation.hallucination import Evidence, Finding, evidence_of, judge
from aligncap.evaluation.hallucination.finding import OMISSION
from aligncap.evaluation.hallucination.language import is_english
from aligncap.evaluation.labels import caption_label, to_label_set
from aligncap.evaluation.measures import METHODS, Labels, Settings
from aligncap.evaluation.notes import Note
from aligncap.evaluation.prediction import Prediction

if TYPE_CHECKING:
    from aligncap.evaluation.sentence_encoder import SentenceEncoder

__all__ = ["Emotions", "Hallucinations", "evidence_by_row", "measure_emotions", "measure_hallucination"]

_NONE: Floats = np.zeros(0)


@dataclass(frozen=True)
class Emotions:
    """Emotion measures of a system.

    Attributes:
        quantities: the scores.
        predicted: method → row index → label of the row's corpus, or `NO_LABEL`.
        confidence: row index → probability of the most probable label.
    """

    quantities: list[Quantity]
    predicted: dict[str, dict[int, str]]
    confidence: dict[int, float]


def measure_emotions(
    rows: Sequence[Row], predictions: Mapping[str, Prediction], labels: Labels, settings: Settings
) -> Emotions:
    """Labels by every method that the predictions allow, and their scores; groups, valence and arousal.

    What takes reading the caption is measured of English ones only, by the settings' language.
    """
    english, encoder = is_english(settings.language), settings.encoder
    told = [index for index, row in enumerate(rows) if row.id in predictions and row.emotion]
    usable = [index for index in told if rows[index].corpus in labels]
    said = {index: predictions[rows[index].id] for index in told}
    predicted: dict[str, dict[int, str]] = {
        "lexicon": {i: caption_label(said[i].caption, labels[rows[i].corpus]) for i in usable if english},
        "similarity": _by_similarity(rows, said, usable, labels, encoder) if encoder and english else {},
        "stated": {i: to_label_set(said[i].label, labels[rows[i].corpus]) for i in usable if said[i].label},
    }
    shares = {i: emo.restricted(said[i].emotions, labels[rows[i].corpus]) for i in usable if said[i].emotions}
    predicted["likelihood"] = {i: max(found, key=found.__getitem__) for i, found in shares.items()}
    predicted = {method: predicted[method] for method in METHODS if predicted[method]}
    quantities = [one for method, found in predicted.items() for one in _classes(rows, method, found)]
    confidence = {i: max(found.values()) for i, found in shares.items()}
    if shares:
        right = [predicted["likelihood"][i] == rows[i].emotion for i in shares]
        counts = emo.calibration_counts(list(confidence.values()), right)
        quantities.append(Quantity("ece.likelihood", np.array(list(shares)), counts, emo.calibration_error, _NONE))
    if english:
        quantities += _groups(rows, said, labels)
    return Emotions(quantities, predicted, confidence)


def _classes(rows: Sequence[Row], method: str, predicted: Mapping[int, str]) -> list[Quantity]:
    truth = [rows[i].emotion for i in predicted]
    names = sorted(set(truth))
    counts = emo.class_counts(truth, list(predicted.values()), names)
    index = np.array(list(predicted))
    right = np.array([float(true == guess) for true, guess in zip(truth, predicted.values(), strict=True)])
    return [
        Quantity(f"uar.{method}", index, counts, emo.macro_recall_of, right),
        Quantity(f"war.{method}", index, counts, emo.accuracy, right),
        Quantity(f"macro_f1.{method}", index, counts, emo.macro_f1, _NONE),
    ]


def _groups(rows: Sequence[Row], said: Mapping[int, Prediction], labels: Labels) -> list[Quantity]:
    known = {i: emo.true_groups(rows[i].emotion, rows[i].votes) for i in said}
    known = {i: groups for i, groups in known.items() if groups}
    if not known:
        return []
    read = {i: emo.read_caption(said[i].caption) for i in known}
    scores = [emo.group_scores(read[i].groups(labels.get(rows[i].corpus, ())), groups) for i, groups in known.items()]
    index = list(known)
    found = [mean_of("emotion_named", index, [float(bool(read[i].emotions)) for i in index])]
    for place, name in enumerate(("hit_rate", "group_precision", "group_recall", "group_f1")):
        found.append(mean_of(name, index, [row[place] for row in scores]))
    points = {i: point for i in index if (point := emo.true_point(rows[i].emotion, rows[i].votes))}
    where = np.array(list(points))
    for axis, name in enumerate(("valence", "arousal")):
        counts = emo.agreement_counts([getattr(read[i], name) for i in points], [p[axis] for p in points.values()])
        if len(where):
            found.append(Quantity(f"{name}_ccc", where, counts, emo.concordance, _NONE))
    return found


def _by_similarity(
    rows: Sequence[Row],
    said: Mapping[int, Prediction],
    usable: Sequence[int],
    labels: Labels,
    encoder: SentenceEncoder,
) -> dict[int, str]:
    found: dict[int, str] = {}
    if not usable:
        return found
    vectors = dict(zip(usable, encoder.encode([said[i].caption for i in usable]), strict=True))
    for corpus, names in labels.items():
        members = [i for i in usable if rows[i].corpus == corpus]
        if members:
            texts = encoder.encode(emo.label_texts(names))
            nearest = emo.nearest_labels(np.stack([vectors[i] for i in members]), texts, names)
            found |= dict(zip(members, nearest, strict=True))
    return {i: found[i] for i in usable}


@dataclass(frozen=True)
class Hallucinations:
    """What the captions of a system make up.

    Attributes:
        quantities: the rates.
        findings: row index → what is wrong with its caption.
        grounded: whether claims about the voice could be judged: row indices with measured clues.
    """

    quantities: list[Quantity]
    findings: dict[int, list[Finding]]
    grounded: frozenset[int]


def evidence_by_row(rows: Sequence[Row], settings: Settings) -> tuple[dict[int, Evidence], list[Note]]:
    """What is known of each row, and the rows whose votes or clues make no sense: their captions are not judged."""
    found, notes = {}, []
    for index, row in enumerate(rows):
        try:
            found[index] = evidence_of(row, instruction=settings.instruction or None, language=settings.language)
        except AlignCapError as error:
            notes.append(Note("bad row", shown(row.id), f"hallucination is not judged: {error}"))
    return found, notes


def measure_hallucination(
    rows: Sequence[Row], predictions: Mapping[str, Prediction], evidence: Mapping[int, Evidence]
) -> Hallucinations:
    """What captions make up, by `aligncap.evaluation.hallucination`: shares of the captions with findings, and weights.

    Captions that name no emotion have left something out and invented nothing: that finding does not count.
    """
    index = [i for i in evidence if rows[i].id in predictions]
    findings = {i: judge(predictions[rows[i].id].caption, evidence[i]) for i in index}

    def heaviest(kinds: Collection[str]) -> list[float]:
        counted = [[one.weight for one in findings[i] if one.kind in kinds and one.type != OMISSION] for i in index]
        return [max(weights, default=0.0) for weights in counted]

    quantities = []
    wanted = {"hallucination": ("factuality", "faithfulness"), "factuality": ("factuality",)}
    wanted["faithfulness"] = ("faithfulness",)
    for name, kinds in wanted.items() if index else ():
        weights = heaviest(kinds)
        quantities.append(mean_of(name, index, [float(weight > 0) for weight in weights]))
        quantities.append(mean_of(f"{name}_weight", index, weights))
    grounded = frozenset(i for i in index if evidence[i].voice is not None)
    return Hallucinations(quantities, findings, grounded)
