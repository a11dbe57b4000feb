"""From captions and label probabilities to the label set of a corpus, by one fixed rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aligncap.captions import emotions_in

__all__ = ["NO_LABEL", "best_label", "caption_label", "to_label_set"]

NO_LABEL = "none"
"""Stands for the label of a caption that names none of a corpus's."""

# What counts as what, where a corpus does not use a label; nothing else is ever mapped.
_NEAREST = {
    "calm": "neutral",
    "neutral": "calm",
    "disappointed": "sad",
    "sad": "disappointed",
}


def to_label_set(emotion: str, labels: Collection[str]) -> str:
    """The emotion itself if the corpus uses it, else its nearest (calm for neutral, say), else `NO_LABEL`.

    Args:
        emotion: an emotion label.
        labels: the corpus's labels.
    """
    if emotion in labels:
        return emotion
    nearest = _NEAREST.get(emotion, NO_LABEL)
    return nearest if nearest in labels else NO_LABEL


def caption_label(caption: str, labels: Collection[str]) -> str:
    """The label that a caption names: its strongest emotion, mapped by `to_label_set`.

    A caption whose strongest emotion the corpus does not use counts as wrong: the model was not told the
    labels.
    """
    named = emotions_in(caption)
    return to_label_set(max(named, key=lambda emotion: named[emotion]), labels) if named else NO_LABEL


def best_label(probabilities: Mapping[str, float], labels: Collection[str]) -> str:
    """The most probable label of the corpus; the probability of other emotions is mapped by `to_label_set`."""
    total = dict.fromkeys(labels, 0.0)
    for emotion, probability in probabilities.items():
        label = to_label_set(emotion, labels)
        if label != NO_LABEL:
            total[label] += probability
    return max(sorted(total), key=lambda label: total[label])
