"""What the teacher reads where the student hears: a clip's transcript, annotation and clues as text.

The text takes the place of the speech embeddings and the clue prompt, through the same chat template:
``processor.prompts([0, …], instructions, clues=[teacher_text(row, clues), …], responses)``.

It tells the label, and possibly clues parsed from reference captions: it is for the teacher's side only.
"""

from __future__ import annotations

import re

from aligncap.corpora.row import Row

__all__ = ["teacher_text"]

# Speech takes 10 s at most, which is some 200 characters: longer texts are no transcripts of it.
_LONGEST = 1000
_LONGEST_NAME = 40


def teacher_text(row: Row, clues: str = "") -> str:
    """Transcript, annotation and clues of a clip, a line each; what is not known is left out.

    ::

        Transcript: "Dogs are sitting by the door."
        Emotion: fear (strong)
        Listeners: fear 70%, sad 20%
        Feeling: afraid. Voice: high-pitched, fast.

    Every field is untrusted: none can end its line, and the transcript cannot end its quotation, so that no field
    can pass for another. Chat markup and speech placeholders are broken up where the prompt is rendered (see
    `aligncap.captions.prompt.neutralise`), as for every text in a prompt.

    Args:
        row: ``transcript``, ``emotion`` (or else the corpus's own ``label``), ``intensity`` and ``votes`` are told.
        clues: clue prompt, measured or parsed from captions.

    Returns:
        Up to four lines; an empty text where nothing is known.
    """
    transcript = _line(row.transcript).replace('"', "'")
    emotion, intensity = _name(row.emotion or row.label), _name(row.intensity)
    shares = sorted(((_name(name), share) for name, share in row.votes.items()), key=lambda vote: (-vote[1], vote[0]))
    votes = ", ".join(f"{name} {share:.0%}" for name, share in shares if name and share >= 0.005)
    lines = [
        f'Transcript: "{transcript}"' if transcript else "",
        f"Emotion: {emotion}" + (f" ({intensity})" if intensity else "") if emotion else "",
        f"Listeners: {votes}" if votes else "",
        _line(clues),
    ]
    return "\n".join(line for line in lines if line)


def _line(text: str, longest: int = _LONGEST) -> str:
    """One line of printable text: no line breaks or control characters of any kind, no halves of surrogate pairs."""
    printable = "".join(char if char.isprintable() or _joins(char) else " " for char in text)
    line = " ".join(printable.split())
    return line if len(line) <= longest else f"{line[:longest].rstrip()} …"


def _joins(char: str) -> bool:
    """Zero-width (non-)joiners, without which several scripts cannot be written."""
    return char in "\u200c\u200d"


def _name(text: str) -> str:
    """The name of an emotion or intensity: letters, digits, spaces and hyphens."""
    return _line(re.sub(r"[^\w\s'-]", " ", text), _LONGEST_NAME)
