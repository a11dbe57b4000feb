"""Judges of one caption: emotions against listeners, voice against measurement, faithfulness, wording; with reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from aligncap.captions import emotions_in
from aligncap.captions.claims import find_claims
from aligncap.captions.facts import label_of
from aligncap.evaluation.labels import to_label_set

if TYPE_CHECKING:
    from aligncap.corpora import Row
    from aligncap.evaluation.hallucination import Evidence, Finding

__all__ = ["JUDGES", "Assessment", "Confusions", "assess", "confusions", "evidence_for", "listeners", "near"]

Confusions: TypeAlias = Mapping[str, Mapping[str, float]]
"""Emotion that was meant → emotion that was heard → share of the listeners; the shares of each sum to 1."""

_Verdict: TypeAlias = "tuple[float, Sequence[Finding]]"

_STEM = 4  # letters: "angry", "angrily"
_VOICE = ("voice_opposite", "voice_unsupported")
_DISAGREEMENT = "emotion"  # what listeners do not hear is in the agreement already


@dataclass(frozen=True)
class Assessment:
    """What the judges think of a caption.

    Attributes:
        score: product of the judges' scores, in [0, 1]; 1: nothing is wrong with it.
        scores: judge → its score.
        findings: what is wrong, as `aligncap.evaluation.hallucination` says, of the judges that were asked.
    """

    score: float
    scores: Mapping[str, float]
    findings: tuple[Finding, ...]

    @property
    def gravest(self) -> Finding | None:
        """The finding of the largest weight."""
        return max(self.findings, key=lambda one: one.weight, default=None)


DEFAULT_JUDGES = ("factuality", "acoustic", "faithfulness")
"""Those of `JUDGES` that find hallucinations."""


def assess(caption: str, evidence: Evidence, judges: Sequence[str] = DEFAULT_JUDGES) -> Assessment:
    """Ask judges about a caption.

    Args:
        caption: any text.
        evidence: what is known about the clip, and what was asked; see `evidence_for`.
        judges: of `JUDGES` (default: those that find hallucinations).

    Raises:
        ValueError: an unknown judge.
    """
    from aligncap.evaluation.hallucination import judge

    if unknown := [name for name in judges if name not in JUDGES]:
        raise ValueError(f"unknown judge {unknown[0]!r}: choose among {', '.join(JUDGES)}")
    found = judge(caption, evidence)
    verdicts = {name: JUDGES[name](caption, evidence, found) for name in judges}
    findings = tuple(one for _, own in verdicts.values() for one in own)
    scores = {name: score for name, (score, _) in verdicts.items()}
    return Assessment(math.prod(scores.values()), scores, findings)


def _factuality(caption: str, evidence: Evidence, found: Sequence[Finding]) -> _Verdict:
    """How many listeners would agree with the emotions that a caption names, to the most that could agree with any.

    Each named emotion counts by how strongly it is named; what is denied, overstated or said of the speaker's sex takes
    its weight off.
    """
    own = [one for one in found if one.kind == "factuality" and one.type not in _VOICE]
    rest = _unblamed([one for one in own if one.type != _DISAGREEMENT])
    named = emotions_in(caption)
    if not named or not evidence.emotions:
        return rest, own
    shares = {label: sum(share for heard, share in evidence.emotions if near(label, heard)) for label in named}
    best = max(sum(share for other, share in evidence.emotions if near(label, other)) for label, _ in evidence.emotions)
    agreement = sum(strength * shares[label] for label, strength in named.items()) / sum(named.values())
    return min(agreement / best, 1.0) * rest, own


def _acoustic(caption: str, evidence: Evidence, found: Sequence[Finding]) -> _Verdict:
    own = [one for one in found if one.type in _VOICE]
    return _unblamed(own), own


def _faithfulness(caption: str, evidence: Evidence, found: Sequence[Finding]) -> _Verdict:
    own = [one for one in found if one.kind == "faithfulness"]
    return _unblamed(own), own


def _wording(caption: str, evidence: Evidence, found: Sequence[Finding]) -> _Verdict:
    """No hallucination, but tiresome: "talks angrily, and the tone is angry"."""
    from aligncap.evaluation.hallucination import Finding

    told: dict[str, list[str]] = {}
    own = []
    for claim in find_claims(caption):
        if claim.kind != "emotion":
            continue
        before = told.setdefault(claim.target, [])
        word = claim.text.lower()
        if before:
            same = [other for other in before if other[:_STEM] == word[:_STEM]]
            reason = f"{(same or before)[0]!r} and {word!r} tell the same"
            own.append(Finding("faithfulness", "told_again", reason, claim.text, 0.5 if same else 0.2))
        before.append(word)
    return _unblamed(own), own


def _unblamed(findings: Iterable[Finding]) -> float:
    """1, less the weight of each finding."""
    return math.prod(1 - one.weight for one in findings)


JUDGES: Mapping[str, Callable[[str, Evidence, Sequence[Finding]], _Verdict]] = MappingProxyType(
    {"factuality": _factuality, "acoustic": _acoustic, "faithfulness": _faithfulness, "wording": _wording}
)
"""Judge → what it says of a caption, given what `aligncap.evaluation.hallucination` found: a score in [0, 1], and why.

factuality: emotions and the speaker's sex, by how many listeners would agree; acoustic: what is said of the voice,
against what was measured; faithfulness: whether it does what was asked, and nothing is invented, leaked, repeated or
broken; wording: whether each emotion is told once (again in a word of the same stem weighs 0.5, in another 0.2).
"""


def near(label: str, other: str) -> bool:
    """Whether two emotions count as one where a corpus does not tell them apart (calm and neutral, say)."""
    return to_label_set(label, {other}) == other


def confusions(rows: Iterable[Row]) -> Confusions:
    """What listeners hear where an emotion was meant, from rows with a label and votes.

    CREMA-D's voice-only votes, for one, are such rows. Votes for what is no label of `EMOTIONS` do not count; rows of
    the split ``zero_shot`` are passed over.
    """
    sums: dict[str, dict[str, float]] = {}
    for row in rows:
        meant = label_of(row.emotion)
        if meant is None or row.split == "zero_shot":
            continue
        votes = _votes(row)
        total = sum(votes.values())
        for heard, share in votes.items():
            cell = sums.setdefault(meant, {})
            cell[heard] = cell.get(heard, 0.0) + share / total
    return {meant: {k: v / sum(cell.values()) for k, v in cell.items()} for meant, cell in sums.items()}


def listeners(row: Row, prior: Confusions | None = None, trust: float = 0.5) -> tuple[tuple[str, float], ...]:
    """What share of the listeners hears which emotion.

    Votes say it. Where they leave a part open (of EmoDB only the share is known that recognised the emotion), that part
    is spread as listeners are known to confuse emotions. A label without votes has the share ``trust`` for itself, and
    the rest is spread likewise.

    Args:
        row: a clip.
        prior: see `confusions`; None: what is open is left out, and a label without votes is taken for certain.
        trust: share of a label without votes, in (0, 1].

    Returns:
        (label of `EMOTIONS`, share), the shares summing to 1, the strongest first; empty where nothing is known.
    """
    meant, votes = label_of(row.emotion), _votes(row)
    spread = dict((prior or {}).get(meant or "", {}))
    if votes:
        left = max(1.0 - sum(votes.values()), 0.0)
        spread = {label: share for label, share in spread.items() if label not in votes}
    else:
        votes = {meant: trust if spread else 1.0} if meant else {}
        left = 1.0 - sum(votes.values())
    total = sum(spread.values())
    for label, share in spread.items():
        votes[label] = votes.get(label, 0.0) + left * share / total
    whole = sum(votes.values())
    ranked = sorted(votes.items(), key=lambda pair: (-pair[1], pair[0] != meant, pair[0]))
    return tuple((label, share / whole) for label, share in ranked if share > 0)


def evidence_for(
    row: Row,
    voice: Sequence[tuple[str, str]] | None,
    instruction: str,
    prior: Confusions | None = None,
    trust: float = 0.5,
) -> Evidence:
    """All that a caption of a clip is judged by.

    Args:
        row: of the manifest.
        voice: measured (dimension, level) pairs; None: the row's own, if it has any.
        instruction: that the caption answers.
        prior: see `listeners`.
        trust: see `listeners`.

    Raises:
        AlignCapError: votes or voice facts that make no sense.
    """
    from aligncap.evaluation.hallucination import evidence_of

    return replace(evidence_of(row, voice, instruction), emotions=listeners(row, prior, trust))


def _votes(row: Row) -> dict[str, float]:
    votes: dict[str, float] = {}
    for emotion, share in row.votes.items():
        if share > 0 and (label := label_of(emotion)):
            votes[label] = votes.get(label, 0.0) + share
    return votes
