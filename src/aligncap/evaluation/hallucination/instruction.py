"""Whether a caption is what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aligncap.captions.claims import Claim
from aligncap.captions.instructions import AnswerForm, obeys
from aligncap.evaluation.hallucination.finding import Finding, finding

__all__ = ["disobeyed"]

_WEIGHT = 0.7


def disobeyed(text: str, claims: Sequence[Claim], instruction: AnswerForm | None) -> Iterator[Finding]:
    """What a caption does that its instruction did not ask for.

    Length and signs are those of `aligncap.captions.obeys`. Where only the voice was asked for, no emotion may be
    named, and where only the emotion was, nothing said of the voice.

    Args:
        text: a caption.
        claims: of `find_claims` for it.
        instruction: the form that was asked for; None allows everything.
    """
    if instruction is None:
        return
    if wrong := obeys(text, instruction):
        yield finding("instruction", f"asked for {instruction}: {'; '.join(wrong)}", weight=_WEIGHT)
    unwanted = {"voice": "emotion", "emotion": "acoustic"}.get(instruction)
    for claim in claims:
        if claim.kind == unwanted and not claim.negated:
            yield finding("instruction", f"asked for the {instruction} alone: {claim.text!r}", claim.text, _WEIGHT)
            return
