"""Labels that a user asks for, and how the model's probabilities are shared out among them. Pure; no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aligncap.captions import EMOTIONS
from aligncap.captions.taxonomy import emotions_of

__all__ = ["LabelSet"]


@dataclass(frozen=True)
class LabelSet:
    """Label words, and what the taxonomy knows of them.

    Attributes:
        words: the labels, as given.
        readings: for each label, emotion of the model → weight in (0, 1]; empty where it counts as none
            ("sarcastic", or a word that the taxonomy does not know).
    """

    words: tuple[str, ...]
    readings: tuple[dict[str, float], ...]

    @classmethod
    def of(cls, labels: Sequence[str], emotions: Collection[str] = EMOTIONS) -> LabelSet:
        """Look labels up.

        Args:
            labels: two or more different words or short phrases.
            emotions: the labels of the model.

        Raises:
            ValueError: fewer than two labels, an empty one, or the same twice.
        """
        words = tuple(" ".join(label.split()) for label in labels)
        if "" in words:
            raise ValueError("a label is empty")
        repeated = [word for word, times in Counter(word.casefold() for word in words).items() if times > 1]
        if repeated:
            raise ValueError(f"the label {repeated[0]!r} is given twice")
        if len(words) < 2:
            raise ValueError("give at least two labels to choose from")
        return cls(words, tuple(_readings(word, emotions) for word in words))

    @property
    def by_emotions_alone(self) -> bool:
        """Whether the emotions tell the labels apart: each label counts as some, and no two as the same."""
        carried = [emotion for reading in self.readings for emotion in reading]
        return all(self.readings) and len(set(carried)) == len(carried)

    def probabilities(self, emotions: Mapping[str, float], words: Sequence[float]) -> dict[str, float]:
        """Share out probabilities of emotions and of words.

        The labels that count as emotions have, together, the share that the language model gives to their words.
        Among them the emotions decide; emotions that no label counts as are left out. Labels that count as the same
        emotion share it by weight and by the probability of their words.

        Args:
            emotions: emotion of the model → probability.
            words: probability of each label's word, summing to 1; any equal numbers where `by_emotions_alone`.

        Returns:
            label → probability, summing to 1, the most probable first.
        """
        shares = [0.0 if reading else word for reading, word in zip(self.readings, words, strict=True)]
        left = sum(words) - sum(shares)
        carried = {emotion: probability for emotion, probability in emotions.items() if self._claims(emotion, words)}
        total = sum(carried.values())
        for emotion, probability in carried.items():
            claims = self._claims(emotion, words)
            for place, claim in claims.items():
                part = probability / total if total > 0 else 1 / len(carried)
                shares[place] += left * part * claim / sum(claims.values())
        whole = sum(shares)
        found = {word: share / whole for word, share in zip(self.words, shares, strict=True)}
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def _claims(self, emotion: str, words: Sequence[float]) -> dict[int, float]:
        """Place of each label that counts as an emotion → its claim to it."""
        return {
            place: reading[emotion] * max(words[place], 1e-30)
            for place, reading in enumerate(self.readings)
            if emotion in reading
        }


def _readings(word: str, emotions: Collection[str]) -> dict[str, float]:
    """A word's emotions, as far as the model knows them; the model's own labels mean themselves."""
    if word.casefold() in emotions:
        return {word.casefold(): 1.0}
    return {emotion: weight for emotion, weight in emotions_of(word).items() if emotion in emotions}
