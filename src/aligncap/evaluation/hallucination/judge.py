"""Everything that is wrong with a caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aligncap.captions.claims import Claim, find_claims
from aligncap.evaluation.hallucination.evidence import Evidence
from aligncap.evaluation.hallucination.factuality import factuality
from aligncap.evaluation.hallucination.finding import OMISSION, Finding, finding
from aligncap.evaluation.hallucination.form import broken_form, loops, refusals
from aligncap.evaluation.hallucination.instruction import disobeyed
from aligncap.evaluation.hallucination.invention import inventions
from aligncap.evaluation.hallucination.language import foreign, is_english
from aligncap.evaluation.hallucination.leakage import leaks

__all__ = ["judge"]

_LONGEST = 5000


def judge(caption: str, evidence: Evidence) -> list[Finding]:
    """Find what is wrong with a caption.

    Claims are read in English only: of a caption in another language, language, loops, leakage, refusals and form
    are judged; of a refusal, the same.

    Args:
        caption: any text; one of more than 5,000 characters is no caption, and of it only the beginning is read.
        evidence: what is known, and what was asked.

    Returns:
        Factuality first, each kind in the order of the text, and one finding for each thing that is said several times;
        empty where nothing is wrong.
    """
    text = caption[:_LONGEST]
    found = list(broken_form(text))
    if len(caption) > _LONGEST:
        found.append(finding("form", f"{len(caption):,} characters are no caption"))
    if not any(char.isalpha() for char in text):
        return found
    strange = list(foreign(text, evidence.language))
    refused = list(refusals(text))
    found += strange + refused + list(loops(text)) + list(leaks(text, evidence.transcript))
    readable = is_english(evidence.language) and not strange and not refused
    claims = find_claims(text) if readable else []
    found += disobeyed(text, claims, evidence.instruction)
    if readable:
        found += factuality(text, claims, evidence)
        found += inventions(text, claims, evidence.transcript)
        if evidence.instruction != "voice" and not _names_emotion(claims):
            found.append(finding(OMISSION, "no emotion is named", weight=0.5))
    return sorted(_once(found), key=lambda one: one.kind != "factuality")


def _names_emotion(claims: Sequence[Claim]) -> bool:
    """Whether any emotion is claimed, if only by a word for the voice that may also mean one."""
    return any(any(":" not in name for name in (claim.target, *claim.also)) for claim in claims if _asserts(claim))


def _asserts(claim: Claim) -> bool:
    return claim.kind != "other" and not claim.negated


def _once(found: Sequence[Finding]) -> Iterator[Finding]:
    """Drop what is said again: "she … her … she" is one claim of gender."""
    seen: set[tuple[str, str]] = set()
    for one in found:
        key = (one.type, one.text.lower() if one.type not in {"gender", "leakage"} else "")
        if key not in seen or (one.type == "form" and not one.text):
            seen.add(key)
            yield one
