"""Captions for the rows of a manifest that has labels only, and statistics of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from aligncap.captions.check import check_caption
from aligncap.captions.facts import Facts, facts_of, label_of
from aligncap.captions.grammar import Style, answer, instructions_for, write_caption
from aligncap.captions.instructions import INSTRUCTIONS

if TYPE_CHECKING:
    import numpy as np

    from aligncap.corpora.row import Row

__all__ = ["Annotator", "Rewriter", "Statistics"]

_Plan: TypeAlias = tuple[Style, Literal[1, 2] | None]
_TRIES = 30
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")


class Rewriter(Protocol):
    """Says a caption in other words."""

    def __call__(self, caption: str, facts: Facts) -> str | None:
        """Another wording that says nothing else, or None where none came about."""


@dataclass
class Statistics:
    """What was written, counted as it comes.

    Attributes:
        rows: seen.
        captioned: rows that got captions.
        captions: in all.
        repeated: captions whose text an earlier row, or caption, has already.
        with_voice: captioned rows of which measured facts of the voice are known.
        with_second: captioned rows with a second emotion that is told.
        doubtful: captioned rows whose listeners were not sure.
        redrawn: drafts put aside because of their text: it was there already, or the check found something in it.
        contradictions: reasons that the check found in captions that were kept: none, unless a rule of it is broken.
        rewritten: captions in the rewriter's words.
        refused: rewritten captions put aside by the check.
        without: emotion, as the row has it → rows that got no caption.
    """

    rows: int = 0
    captioned: int = 0
    captions: int = 0
    repeated: int = 0
    with_voice: int = 0
    with_second: int = 0
    doubtful: int = 0
    redrawn: int = 0
    contradictions: list[str] = field(default_factory=list)
    rewritten: int = 0
    refused: int = 0
    without: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    _words: Counter[str] = field(default_factory=Counter)
    _pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_captions(self, captions: Iterable[str]) -> None:
        """Count words and pairs of words."""
        for caption in captions:
            words = _WORD.findall(caption.lower())
            self.captions += 1
            self.lengths[len(caption.split())] += 1
            self._words.update(words)
            self._pairs.update(pairwise(words))

    @property
    def vocabulary(self) -> int:
        """Number of different words, in lower case; a word with a hyphen or an apostrophe is one."""
        return len(self._words)

    @property
    def distinct_2(self) -> float:
        """Different pairs of neighbouring words over all such pairs (Li et al. 2016); falls as captions are added."""
        return len(self._pairs) / max(self._pairs.total(), 1)

    def summary(self) -> Mapping[str, str]:
        """What to tell of it: name → figure."""
        lengths = list(self.lengths.elements())
        figures = {
            "rows": f"{self.rows}",
            "captioned": f"{self.captioned} ({self.with_voice} with a measured voice, {self.with_second} with a second "
            f"emotion, {self.doubtful} in doubt)",
            "captions": f"{self.captions}",
            "repeated": f"{self.repeated} ({self.repeated / max(self.captions, 1):.2%})",
            "vocabulary": f"{self.vocabulary} words",
            "distinct-2": f"{self.distinct_2:.3f}",
            "words a caption": f"{min(lengths)} to {max(lengths)}, median {median_low(lengths)}" if lengths else "-",
            "redrawn": f"{self.redrawn}",
            "contradictions": f"{len(self.contradictions)}",
        }
        if self.rewritten or self.refused:
            figures["rewritten"] = f"{self.rewritten} ({self.refused} refused by the check)"
        if self.without:
            which = ", ".join(f"{name or 'no emotion'} {count}" for name, count in self.without.most_common())
            figures["without captions"] = f"{self.without.total()} ({which})"
        return figures


class Annotator:
    """Writes captions for rows.

    The captions of a row depend on the seed, the row, and the texts of the rows before it, which are not used again:
    annotating a manifest in two parts gives the same captions as in one, as long as the second part is told of the
    first with `resume`.

    Args:
        captions: of each row, in turn: plain in one sentence, plain in two, literary or clinical, the other of these,
            and plain.
        seed: of all choices.
        with_gender: whether captions may tell the speaker's sex.
        answers: instructions with their answers, for each row: a list of ``{"instruction", "form", "answer"}`` in the
            row's column ``answers``, the instructions drawn among those that the row's facts can answer.
        rewriter: says each caption in other words; what it returns is checked as the captions are.
        renew: whether rows that have captions lose them; else they keep them and get none.
    """

    def __init__(
        self,
        captions: int = 3,
        seed: int = 0,
        *,
        answers: int = 0,
        with_gender: bool = False,
        rewriter: Rewriter | None = None,
        renew: bool = False,
    ) -> None:
        self.statistics = Statistics()
        self._captions = captions
        self._seed = seed
        self._answers = answers
        self._with_gender = with_gender
        self._rewriter = rewriter
        self._renew = renew
        self._used: set[str] = set()

    def wants(self, row: Row) -> bool:
        """Whether `annotate` would write captions for the row."""
        emotions = (row.emotion, *row.votes)
        return (self._renew or not row.captions) and any(label_of(emotion) for emotion in emotions)

    def annotate(self, row: Row) -> Row:
        """The row with captions; as it is where it has some, or no emotion that a caption could name.

        Raises:
            AlignCapError: its votes or clue words make no sense.
        """
        facts = facts_of(row, with_gender=self._with_gender)
        if not (facts.emotions and self.wants(row)):
            self._count(row, facts, ())
            return row
        rng = self._generator(row)
        texts = tuple(self._write(row, facts, rng))
        self._count(row, facts, texts)
        if not self._answers:
            return replace(row, captions=texts)
        answers = [self._answer(row, facts, text, rng) for text in self._instructions(facts, rng)]
        return replace(row, captions=texts, extra={**row.extra, "answers": answers})

    def resume(self, row: Row) -> None:
        """Take note of a row that was annotated before."""
        facts = facts_of(row, with_gender=self._with_gender)
        self._count(row, facts, row.captions if facts.emotions else ())

    def _generator(self, row: Row) -> np.random.Generator:
        """Of the seed and the row's id alone."""
        import numpy as np

        digest = hashlib.sha256(row.id.encode("utf-8", "surrogatepass")).digest()
        return np.random.default_rng([self._seed, int.from_bytes(digest[:8], "big")])

    def _instructions(self, facts: Facts, rng: np.random.Generator) -> list[str]:
        known = instructions_for(facts)
        return [known[i] for i in rng.permutation(len(known))[: self._answers]]

    def _answer(self, row: Row, facts: Facts, instruction: str, rng: np.random.Generator) -> dict[str, str]:
        form = INSTRUCTIONS[instruction]
        for _ in range(_TRIES):
            text = answer(facts, instruction, rng)
            reasons = check_caption(text, facts, needs_emotion=form != "voice")
            if not reasons:
                break
            self.statistics.redrawn += 1
        self.statistics.contradictions += [f"{row.id}: {text}: {reason}" for reason in reasons]
        return {"instruction": instruction, "form": form, "answer": text}

    def _write(self, row: Row, facts: Facts, rng: np.random.Generator) -> list[str]:
        texts: list[str] = []
        plans = _plans(rng)
        for i in range(self._captions):
            style, sentences = plans[i % len(plans)]
            for _ in range(_TRIES):
                text = write_caption(facts, rng, style=style, sentences=sentences)
                reasons = check_caption(text, facts)
                if not reasons and text not in self._used and text not in texts:
                    break
                self.statistics.redrawn += 1
            self.statistics.contradictions += [f"{row.id}: {text}: {reason}" for reason in reasons]
            texts.append(self._reword(text, facts, texts))
        return texts

    def _reword(self, text: str, facts: Facts, texts: list[str]) -> str:
        other = self._rewriter(text, facts) if self._rewriter else None
        if other is None:
            return text
        if other in self._used or other in texts or check_caption(other, facts):
            self.statistics.refused += 1
            return text
        self.statistics.rewritten += 1
        return other

    def _count(self, row: Row, facts: Facts, texts: tuple[str, ...]) -> None:
        counts = self.statistics
        counts.rows += 1
        if not texts:
            if not row.captions:
                counts.without[row.emotion] += 1
            return
        counts.captioned += 1
        counts.with_voice += bool(facts.voice)
        counts.with_second += facts.second is not None
        counts.doubtful += facts.certainty != "sure"
        for text in texts:
            counts.repeated += text in self._used
            self._used.add(text)
        counts.add_captions(texts)


def _plans(rng: np.random.Generator) -> list[_Plan]:
    """Style and number of sentences of a row's captions, in turn."""
    styled: list[_Plan] = [("literary", None), ("clinical", None)]
    return [("plain", 1), ("plain", 2), *(styled if rng.random() < 0.5 else styled[::-1]), ("plain", None)]
