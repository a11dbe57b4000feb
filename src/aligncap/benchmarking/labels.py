"""From what a system says to one of a corpus's labels, as `aligncap classify` does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aligncap.captioner.labels import LabelSet
from aligncap.corpora.row import Row
from aligncap.evaluation.predictions import System

__all__ = ["label_map", "needs_words", "with_labels"]


def label_map(labels: Sequence[str], emotions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Label of a corpus → the emotions of the system that it counts as, with weights; {} where it counts as none."""
    return dict(zip(labels, LabelSet.of(labels, emotions).readings, strict=True))


def needs_words(labels: Sequence[str], emotions: Sequence[str]) -> bool:
    """Whether the system's emotions do not tell a corpus's labels apart, so that it must be asked for the words."""
    return not LabelSet.of(labels, emotions).by_emotions_alone


def with_labels(
    system: System,
    rows: Sequence[Row],
    labels: Mapping[str, Sequence[str]],
    emotions: Sequence[str],
    asked: Iterable[Mapping[str, Any]] = (),
) -> System:
    """The predictions with the likeliest label of each row's corpus.

    Where the system's emotions tell the labels apart, their probabilities decide; else what it answered when it was
    asked for the words, over the stretches of a recording by their seconds. Where neither is known there is no label.

    Args:
        system: whose predictions carry emotions.
        rows: all of them.
        labels: corpus → its labels.
        emotions: of the system; none: nothing is changed.
        asked: records of `Classification`, of corpora whose labels need words, with the ``labels`` that it chose from.
    """
    sets = {corpus: LabelSet.of(names, emotions) for corpus, names in labels.items()} if emotions else {}
    answers: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    choices: dict[str, list[str]] = {}
    for record in asked:
        if "error" not in record:
            choices[record["audio"]] = list(record["labels"])
            for label, share in record["probabilities"].items():
                answers[record["audio"]][label] += share * (record["end"] - record["start"])
    found = dict(system.predictions)
    for row in rows:
        prediction = found.get(row.id)
        if prediction is None or row.corpus not in sets:
            continue
        wanted = sets[row.corpus]
        if wanted.by_emotions_alone and prediction.emotions:
            equal = [1 / len(wanted.words)] * len(wanted.words)
            label = next(iter(wanted.probabilities(prediction.emotions, equal)))
        elif choices.get(row.id) == list(wanted.words):
            label = max(wanted.words, key=lambda word: answers[row.id][word])
        else:
            continue
        found[row.id] = replace(prediction, label=label)
    return replace(system, predictions=found)
