"""The metrics of a report, and what may be measured beyond what needs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.corpora.row import Row
from aligncap.metrics.score import METRICS, Metric
from aligncap.metrics.tokenize import tokenizer_for

if TYPE_CHECKING:
    from aligncap.evaluation.sentence_encoder import SentenceEncoder

__all__ = ["MEASURES", "METHODS", "Labels", "Settings", "labels_by_corpus"]

METHODS = {
    "lexicon": "the strongest emotion that the caption names",
    "similarity": "the label nearest to the caption by sentence similarity",
    "likelihood": "the most probable label by the system's own probabilities",
    "stated": "the label that the system states beside its caption",
}
"""Ways from a prediction to a corpus's label; each is scored by itself."""

_WEIGHED = "weight of the heaviest finding, with partial credit for what some listeners hear"

MEASURES: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        *METRICS.values(),
        # its counts are not at hand for every sample; docs/evaluate.md says so
        replace(METRICS["meteor_lite"], aggregate="mean"),
        *(
            metric
            for method, what in METHODS.items()
            for metric in (
                Metric(f"uar.{method}", f"UAR, {method}", 0, 1, True, "pooled", f"mean recall of the labels; {what}"),
                Metric(f"war.{method}", f"WAR, {method}", 0, 1, True, "mean", f"accuracy; {what}"),
                Metric(f"macro_f1.{method}", f"Macro-F1, {method}", 0, 1, True, "pooled", f"mean F1; {what}"),
            )
        ),
        Metric("ece.likelihood", "Calibration error", 0, 1, False, "pooled", "Guo et al. 2017, 15 bins"),
        Metric("emotion_named", "Captions that name an emotion", 0, 1, True, "mean", ""),
        Metric(
            "hit_rate", "Emotion hit rate", 0, 1, True, "mean", "strongest emotion of the caption, by taxonomy group"
        ),
        Metric("group_precision", "Group precision", 0, 1, True, "mean", "claimed groups that are true"),
        Metric("group_recall", "Group recall", 0, 1, True, "mean", "true groups that are claimed"),
        Metric("group_f1", "Group F1", 0, 1, True, "mean", "of the two, caption by caption"),
        Metric(
            "valence_ccc", "Valence agreement", -1, 1, True, "pooled", "concordance (Lin 1989), our taxonomy's values"
        ),
        Metric(
            "arousal_ccc", "Arousal agreement", -1, 1, True, "pooled", "concordance (Lin 1989), our taxonomy's values"
        ),
        Metric("hallucination", "Captions that hallucinate", 0, 1, False, "mean", "of either kind"),
        Metric("factuality", "Factuality hallucination", 0, 1, False, "mean", "captions that misread the voice"),
        Metric("faithfulness", "Faithfulness hallucination", 0, 1, False, "mean", "captions that disobey or invent"),
        *(
            Metric(f"{name}_weight", f"{title}, weighed", 0, 1, False, "mean", _WEIGHED)
            for name, title in {
                "hallucination": "Hallucination",
                "factuality": "Factuality",
                "faithfulness": "Faithfulness",
            }.items()
        ),
    )
}
"""Every metric of a report, in its order."""


@dataclass(frozen=True)
class Settings:
    """What is measured beyond what needs nothing.

    Attributes:
        tokenizer: as in `aligncap.metrics.tokenize`; ``auto``: that of the language.
        language: in which captions ought to be written, as a BCP 47 tag; ``auto``: that of most references, or
            English. Emotions are read from English captions only.
        instruction: what the systems were asked; empty where it is not to be checked.
        encoder: of sentences, for sentence similarity; None: it is not measured.
        meteor: METEOR proper; needs Java.
        spice: folder of SPICE's jars; None: it is not measured.
        amount: what the numbers in the names of systems count, for learning curves; nothing is measured by it.
    """

    tokenizer: str = "auto"
    language: str = "auto"
    instruction: str = ""
    encoder: SentenceEncoder | None = None
    meteor: bool = False
    spice: Path | None = None
    amount: str = "amount"

    def resolved(self, rows: Sequence[Row]) -> Settings:
        """The same with language and tokenizer named."""
        language = _language_of(rows) if self.language == "auto" else self.language
        tokenizer = tokenizer_for(language) if self.tokenizer == "auto" else self.tokenizer
        return replace(self, language=language, tokenizer=tokenizer)


def _language_of(rows: Sequence[Row]) -> str:
    from aligncap.evaluation.hallucination.language import language_of

    references = islice((text for row in rows for text in row.captions), 500)
    found = Counter(language for text in references if (language := language_of(text)))
    return found.most_common(1)[0][0] if found else "en"


Labels = Mapping[str, Sequence[str]]
"""Corpus → its labels."""


def labels_by_corpus(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The labels that each corpus uses; corpora with fewer than two are left out, as there is nothing to tell apart."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.emotion:
            found.setdefault(row.corpus, set()).add(row.emotion)
    return {corpus: sorted(labels) for corpus, labels in sorted(found.items()) if len(labels) > 1}
