"""From candidates and judgements to pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from zlib import crc32

from aligncap.errors import AlignCapError
from aligncap.preferences.balance import balanced, without_content_bias, without_length_bias
from aligncap.preferences.judges import DEFAULT_JUDGES, JUDGES, Assessment, Confusions, assess, evidence_for, near
from aligncap.preferences.negatives import KINDS, Good, hard_negatives
from aligncap.preferences.pairs import BadPair, Pair

if TYPE_CHECKING:
    import numpy as np

    from aligncap.corpora import Row
    from aligncap.evaluation.hallucination import Evidence
    from aligncap.preferences.candidates import Candidates
    from aligncap.preferences.votes import Choice

__all__ = ["SURE", "BuildRules", "Builder"]

SURE: Mapping[str, float] = MappingProxyType(
    {
        "strength_exaggerated": 0.3,
        "emotion_repeated": 0.3,
        "transcript_leaked": 0.5,
        "instruction_ignored": 0.5,
        "form_broken": 0.5,
    }
)
"""Kind of hard negative → its least margin: it is bad by how it was made, whether the judges see it or not.

The other kinds are wrong only where the judges find them so: another label may be one that listeners hear too.
"""
_AGREED = 0.8
_OPENING = 3  # words


@dataclass(frozen=True)
class BuildRules:
    """How pairs are made.

    Attributes:
        judges: of `JUDGES`.
        per_prompt: most pairs of sampled captions of a clip and an instruction.
        negatives: kinds of hard negatives (see `KINDS`); one is made of a chosen caption of each prompt for each kind.
        min_margin: pairs whose captions' scores differ by less are left out.
        fluency: least mean log-probability per token that a sampled caption to be chosen has under the model that it
            was drawn from: below it stand chance finds that no judge understands ("the pitch esoterically").
        trust: see `aligncap.preferences.judges.listeners`.
        balance: no corpus or emotion has more than this many times the median; 0: as it comes.
        match_lengths: whether to leave out pairs until longer captions are chosen as often as shorter ones.
        match_content: whether to leave out pairs until captions that say more of the voice are chosen as often as those
            that say less.
        seed: of every choice.

    Raises:
        ValueError: a number or name is out of range.
    """

    judges: tuple[str, ...] = DEFAULT_JUDGES
    per_prompt: int = 2
    negatives: tuple[str, ...] = ()
    min_margin: float = 0.1
    fluency: float = -1.0
    trust: float = 0.5
    balance: float = 2.0
    match_lengths: bool = True
    match_content: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for what, given, known in (("judge", self.judges, JUDGES), ("kind of negative", self.negatives, KINDS)):
            if unknown := [name for name in given if name not in known]:
                raise ValueError(f"unknown {what} {unknown[0]!r}: choose among {', '.join(known)}")
        if not 0 < self.min_margin <= 1:
            raise ValueError(f"the least margin is {self.min_margin}: it must be above 0 and at most 1")
        if not 0 < self.trust <= 1:
            raise ValueError(f"trust is {self.trust}: it must be above 0 and at most 1")
        if self.fluency >= 0:
            raise ValueError(f"fluency is {self.fluency}: a mean log-probability is below 0")
        if self.per_prompt < 0 or self.balance < 0:
            raise ValueError("the number of pairs and the balance must be at least 0")


@dataclass
class Builder:
    """Makes pairs, clip by clip.

    Attributes:
        rows: clips by id.
        rules: see `BuildRules`.
        prior: see `aligncap.preferences.judges.listeners`.
        on_problem: told of what is left out because something is wrong with it, one line each.
        passed_over: why there are no (or not all) pairs of a prompt → how often.
    """

    rows: Mapping[str, Row]
    rules: BuildRules = field(default_factory=BuildRules)
    prior: Confusions | None = None
    on_problem: Callable[[str], None] = lambda line: None
    passed_over: Counter[str] = field(default_factory=Counter)
    _openings: Counter[str] = field(default_factory=Counter)

    def build(self, clips: Iterable[Candidates], choices: Sequence[Choice] = ()) -> list[Pair]:
        """All pairs, balanced as the rules say.

        Args:
            clips: with candidates.
            choices: of listeners, or of a language model, between two captions.
        """
        import numpy as np

        by_clip: dict[str, list[Choice]] = {}
        for choice in choices:
            by_clip.setdefault(choice.id, []).append(choice)
        pairs: dict[tuple[str, ...], Pair] = {}
        for clip in clips:
            for pair in self.of_clip(clip, by_clip.pop(clip.id, ())):
                pairs.setdefault((pair.id, pair.instruction, pair.chosen, pair.rejected), pair)
        for name, left in by_clip.items():
            self.on_problem(f"{name}: {len(left)} choices of listeners, and no candidates of this clip")
        rng = np.random.default_rng(self.rules.seed)
        kept = list(pairs.values())
        if self.rules.balance:
            kept = balanced(kept, rng, most=self.rules.balance)
        if self.rules.match_content:
            kept = without_content_bias(kept, rng)
        if self.rules.match_lengths:
            kept = without_length_bias(kept, rng)
        self.passed_over["left out to balance emotions, corpora, content and lengths"] += len(pairs) - len(kept)
        return kept

    def of_clip(self, clip: Candidates, choices: Sequence[Choice] = ()) -> Iterator[Pair]:
        """The pairs of a clip: of listeners' choices, of its sampled captions, and of spoilt ones."""
        import numpy as np

        row = self.rows.get(clip.id)
        if row is None:
            self.on_problem(f"{clip.id}: not in the manifest")
            return
        if row.split == "zero_shot":
            self.on_problem(f"{clip.id}: of the split zero_shot, which is for evaluation only")
            return
        rng = np.random.default_rng((self.rules.seed, crc32(clip.id.encode("utf-8", "surrogatepass"))))
        try:
            prompts = self._prompts(clip, row, choices)
        except AlignCapError as error:
            self.on_problem(f"{clip.id}: {error}")
            return
        good = {name: prompt.good() for name, prompt in prompts.items()}
        for name, prompt in prompts.items():
            yield from self._chosen_by_votes(clip, prompt, row, [one for one in choices if one.instruction == name])
            if not good[name]:
                self.passed_over["no candidate without a fault"] += 1
                continue
            yield from self._of_samples(clip, prompt, row, good[name], rng)
            others = tuple(text for other, texts in good.items() if other != name for text in texts)
            yield from self._of_negatives(clip, prompt, row, good[name], others, rng)

    def _prompts(self, clip: Candidates, row: Row, choices: Sequence[Choice]) -> dict[str, _Prompt]:
        texts: dict[str, dict[str, bool]] = {}
        for choice in choices:
            texts.setdefault(choice.instruction, {}).update({choice.chosen: True, choice.rejected: True})
        for candidate in clip.captions:
            is_fluent = candidate.log_prob >= self.rules.fluency * candidate.tokens
            texts.setdefault(candidate.instruction, {}).setdefault(candidate.caption, is_fluent)
        out = {}
        for instruction, captions in texts.items():
            evidence = evidence_for(row, clip.voice, instruction, self.prior, self.rules.trust)
            seen = {text: self._seen(text, evidence) for text in captions}
            fluently = {text for text, fluent in captions.items() if fluent}
            out[instruction] = _Prompt(instruction, evidence, seen, fluently)
        return out

    def _seen(self, caption: str, evidence: Evidence) -> Assessment:
        return assess(caption, evidence, self.rules.judges)

    def _chosen_by_votes(
        self, clip: Candidates, prompt: _Prompt, row: Row, choices: Sequence[Choice]
    ) -> Iterator[Pair]:
        for choice in choices:
            faults = prompt.captions[choice.chosen].findings
            if faults:
                self.on_problem(f"{clip.id}: listeners chose {choice.chosen!r}, but {faults[0].reason}: left out")
                continue
            worst = prompt.captions[choice.rejected].gravest
            kind = worst.type if worst else "listeners"
            yield from self._pair(
                clip, prompt, row, choice.chosen, choice.rejected, choice.margin, choice.judge, choice.reason, kind
            )

    def _of_samples(
        self, clip: Candidates, prompt: _Prompt, row: Row, good: Sequence[str], rng: np.random.Generator
    ) -> Iterator[Pair]:
        """The worst captions, each against one of the best, no caption chosen twice before every other was once.

        Of captions that are as good, that whose beginning was chosen least often comes first: the greedy caption would
        be chosen always, and the policy would learn to write nothing else.
        """
        seen = prompt.captions
        ranked = sorted(good, key=lambda text: (-seen[text].score, self._openings[_opening(text)]))
        worse = sorted((text for text in seen if text not in good[:1]), key=lambda text: seen[text].score)
        made = 0
        for text in worse:
            if made == self.rules.per_prompt:
                break
            ahead = [best for best in ranked if seen[best].score - seen[text].score >= self.rules.min_margin]
            if not ahead:
                break
            chosen = ahead[made % len(ahead)]
            worst = seen[text].gravest
            kind, reason = (worst.type, worst.reason) if worst else ("listeners", "fewer listeners would agree")
            made += 1
            self._openings[_opening(chosen)] += 1
            yield from self._pair(
                clip, prompt, row, chosen, text, seen[chosen].score - seen[text].score, "judges", reason, kind
            )
        if not made and self.rules.per_prompt:
            self.passed_over["candidates of a prompt that are all as good"] += 1

    def _of_negatives(
        self,
        clip: Candidates,
        prompt: _Prompt,
        row: Row,
        good: Sequence[str],
        others: tuple[str, ...],
        rng: np.random.Generator,
    ) -> Iterator[Pair]:
        heard = [label for label, share in prompt.evidence.emotions if share >= self.rules.min_margin]
        for kind in self.rules.negatives:
            text = good[int(rng.integers(len(good)))]
            close = tuple(label for label in _labels() if any(near(label, other) for other in heard))
            source = Good(text, prompt.instruction, (*heard, *close), row.transcript, others)
            for negative in hard_negatives(source, [kind], rng):
                seen = self._seen(negative.caption, prompt.evidence)
                margin = max(prompt.captions[text].score - seen.score, SURE.get(kind, 0.0))
                if margin < self.rules.min_margin:
                    self.passed_over[f"{kind} that the judges do not mind"] += 1
                    continue
                yield from self._pair(
                    clip, prompt, row, text, negative.caption, margin, "judges", negative.reason, kind
                )

    def _pair(
        self,
        clip: Candidates,
        prompt: _Prompt,
        row: Row,
        chosen: str,
        rejected: str,
        margin: float,
        judge: str,
        reason: str,
        kind: str,
    ) -> Iterator[Pair]:
        emotion = prompt.evidence.emotions[0][0] if prompt.evidence.emotions else ""
        try:
            yield Pair(
                id=clip.id,
                instruction=prompt.instruction,
                clues=clip.clues,
                chosen=chosen,
                rejected=rejected,
                margin=round(min(margin, 1.0), 4),
                judge=judge,
                reason=reason,
                kind=kind,
                corpus=row.corpus,
                emotion=emotion,
                split=row.split,
            )
        except BadPair as error:
            self.passed_over[str(error)] += 1


@dataclass(frozen=True)
class _Prompt:
    """An instruction about a clip, what its answers are judged by, and these answers."""

    instruction: str
    evidence: Evidence
    captions: Mapping[str, Assessment]
    fluent: Collection[str]

    def good(self) -> list[str]:
        """Fluent captions with which nothing is wrong, and most listeners would agree."""
        return [
            text
            for text, seen in self.captions.items()
            if text in self.fluent and not seen.findings and seen.score >= _AGREED
        ]


def _opening(caption: str) -> str:
    return " ".join(caption.lower().split()[:_OPENING])


def _labels() -> tuple[str, ...]:
    from aligncap.captions import EMOTIONS

    return tuple(EMOTIONS)
