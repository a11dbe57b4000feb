"""Whether a caption hallucinates, and how often captions do.

Factuality: what it says of the emotion, the voice and the speaker is not what is known. Faithfulness: it does not do
what was asked, or tells what nobody can hear. See docs/hallucination.md::

    evidence = evidence_of(row, voice=(("pitch", "high"),))
    for finding in judge("She sounds calm and speaks in a deep voice at a funeral.", evidence):
        print(finding.kind, finding.type, finding.weight, finding.reason)

`judge` is a pure function, needs no model, and reads some thousands of captions a second.
"""

from aligncap.evaluation.hallucination.evidence import MEASURED, Evidence, Instruction, evidence_of
from aligncap.evaluation.hallucination.finding import TYPES, Finding
from aligncap.evaluation.hallucination.grounding import Grounding, grounding
from aligncap.evaluation.hallucination.judge import judge
from aligncap.evaluation.hallucination.rates import Rate, rates

__all__ = [
    "MEASURED",
    "TYPES",
    "Evidence",
    "Finding",
    "Grounding",
    "Instruction",
    "Rate",
    "evidence_of",
    "grounding",
    "judge",
    "rates",
]
