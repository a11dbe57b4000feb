"""What is known about a recording, and what was asked: all that a caption is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast, get_args

from aligncap.captions.facts import check_emotions, check_voice, facts_of, label_of
from aligncap.captions.instructions import INSTRUCTIONS, AnswerForm
from aligncap.corpora.row import Row
from aligncap.errors import AlignCapError

__all__ = ["MEASURED", "Evidence", "Instruction", "evidence_of"]

Instruction: TypeAlias = AnswerForm
"""The form of answer that was asked for; `aligncap.captions.INSTRUCTIONS` has the wordings."""

MEASURED = ("pitch", "melody", "contour", "pace", "pauses", "dynamics", "effort", "quality")
"""Dimensions that `aligncap.clues` measures in any recording (loudness takes a speaker's own to compare with)."""


@dataclass(frozen=True)
class Evidence:
    """What is known about a recording, and what was asked.

    Attributes:
        emotions: (label of `aligncap.captions.EMOTIONS`, share of the listeners who hear it), the shares summing to
            1, the strongest first. Empty: claims about emotions are not judged.
        voice: measured (dimension, level) pairs that are out of the ordinary (see
            `aligncap.captions.VOICE_LEVELS`); a dimension of `measured` that is not among them is ordinary. None: the
            voice was not measured, and what is said of it is not judged.
        gender: ``female``, ``male``, or empty where unknown.
        transcript: what is said, in any language.
        instruction: form of answer that was asked for; None: none that could be checked.
        language: of the caption (not of the speech), as a BCP 47 tag.
        measured: dimensions of the voice that were measured; those in `voice` always count as measured.

    Raises:
        AlignCapError: an emotion, dimension, level, gender or instruction that is not one of these; shares that do not
            sum to 1.
    """

    emotions: tuple[tuple[str, float], ...] = ()
    voice: tuple[tuple[str, str], ...] | None = None
    gender: str = ""
    transcript: str = ""
    instruction: Instruction | None = None
    language: str = "en"
    measured: tuple[str, ...] = MEASURED

    def __post_init__(self) -> None:
        check_emotions(self.emotions)
        check_voice(self.voice or ())
        total = sum(share for _, share in self.emotions)
        if self.emotions and (abs(total - 1) > 1e-6 or min(share for _, share in self.emotions) < 0):
            raise AlignCapError(f"shares of {dict(self.emotions)} do not sum to 1: divide them by {total:g}")
        if self.gender not in {"", "female", "male"}:
            raise AlignCapError(f"unknown gender {self.gender!r}: use female, male or nothing")
        if self.instruction is not None and self.instruction not in get_args(AnswerForm):
            forms = ", ".join(get_args(AnswerForm))
            raise AlignCapError(f"unknown form of answer {self.instruction!r}: use one of {forms}")


def evidence_of(
    row: Row, voice: Sequence[tuple[str, str]] | None = None, instruction: str | None = None, language: str = "en"
) -> Evidence:
    """What a manifest's row says.

    Listeners' votes come before the corpus's label, as in `aligncap.captions.facts_of`. Votes for what is no label of
    `aligncap.captions.EMOTIONS`, nor a category of one, do not count, and the others are made to sum to 1.

    Args:
        row: a clip. Its language is that of the speech, and says nothing about the caption's.
        voice: measured pairs; None takes those of ``row.clues["words"]``, and where there are none either, the voice
            was not measured.
        instruction: its form, or its wording. A wording that is not one of `aligncap.captions.INSTRUCTIONS` asks for
            no form that could be checked.
        language: that the caption should have.

    Raises:
        AlignCapError: a voice fact that is none, or a share of votes outside [0, 1].
    """
    facts = facts_of(row, voice, with_gender=True)
    is_measured = voice is not None or "words" in row.clues
    form = instruction if instruction in get_args(AnswerForm) else INSTRUCTIONS.get(instruction or "")
    return Evidence(
        emotions=_shares(row),
        voice=facts.voice if is_measured else None,
        gender=facts.gender or "",
        transcript=row.transcript,
        instruction=cast("AnswerForm | None", form),
        language=language,
    )


def _shares(row: Row) -> tuple[tuple[str, float], ...]:
    main = label_of(row.emotion)
    votes: dict[str, float] = {}
    for emotion, share in row.votes.items():
        if share > 0 and (label := label_of(emotion)):
            votes[label] = votes.get(label, 0.0) + share
    if not votes:
        return ((main, 1.0),) if main else ()
    total = sum(votes.values())
    ranked = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0] != main, vote[0]))
    return tuple((label, share / total) for label, share in ranked)
