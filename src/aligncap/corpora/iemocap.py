"""IEMOCAP's evaluations and transcripts: turns of dialogues, with times, labels and listeners' answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from aligncap.corpora.known import Corpus, CorpusError, Groups
from aligncap.corpora.sidefiles import find_files, read_text, shares

__all__ = ["iemocap", "read_evaluation"]

_TURN = re.compile(r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(Ses0[1-5][FM]_\w+)\t(\w{3})\t\[")
_ANSWER = re.compile(r"C-(\w+):\t([^(]*)")
_SPEECH = re.compile(r"(Ses0[1-5][FM]_\w+) \[[\d.]+-[\d.]+\]:(.*)")
_SIDE = re.compile(r"_([FM])[A-Z]{0,2}\d+$")


def iemocap(corpus: Corpus, root: Path, tell: Callable[[str, str], None]) -> Callable[[Groups], list[Groups]]:
    """The details of `aligncap.corpora.details` for IEMOCAP.

    A recording of a sentence is one clip; a recording of a dialogue is one for each of its turns, unless the turns are
    there as recordings of their own.
    """
    turns: dict[str, Groups] = {}
    dialogues: dict[str, list[str]] = {}
    for path in find_files(_release(root), "Ses0[1-5]*.txt"):
        if path.parent.name == "EmoEvaluation":
            for turn in read_evaluation(read_text(path), corpus):
                turns[turn["turn"]] = turn
                dialogues.setdefault(path.stem, []).append(turn["turn"])
    if not turns:
        raise CorpusError(f"{root}: there is no Session*/dialog/EmoEvaluation/*.txt in it, which holds the labels")
    transcripts: dict[str, str] = {}
    for path in find_files(_release(root), "Ses0[1-5]*.txt"):
        if path.parent.name == "transcriptions":
            found = (_SPEECH.match(line) for line in read_text(path).splitlines())
            transcripts.update({match[1]: match[2].strip() for match in found if match})
    if not transcripts:
        tell("dialog/transcriptions", "there are none: no transcripts")
    sentences = {path.parent.name for path in find_files(root, "Ses0[1-5]*.wav") if path.parent.name in dialogues}

    def complete(clip: Groups) -> list[Groups]:
        name = clip["recording"]
        if name in dialogues:  # its turns, with their times
            wanted = [] if name in sentences else dialogues[name]
            return [{**clip, **turns[turn], "transcript": transcripts.get(turn, "")} for turn in wanted]
        if name not in turns:
            return [{**clip, "problem": "no evaluation names it"}]
        whole = {key: value for key, value in turns[name].items() if key not in ("start", "end")}
        return [{**clip, **whole, "transcript": transcripts.get(name, "")}]

    return complete


def read_evaluation(text: str, corpus: Corpus) -> Iterator[Groups]:
    """Read one file of EmoEvaluation.

    Yields:
        For each turn: turn, speaker (session and side, such as ``Ses01F``), sex, start, end (seconds), code, and votes:
        emotion → share of the outside listeners. Who chose several emotions has a part of a vote for each.
    """
    current: Groups | None = None
    answers: dict[str, float] = {}
    listeners = 0
    for line in [*text.splitlines(), "[end]"]:
        if line.startswith("[") and current is not None:
            current["votes"] = shares(answers, listeners)
            yield current
            current = None
        turn, answer = _TURN.match(line), _ANSWER.match(line)
        if turn and (side := _SIDE.search(turn[3])):
            current = {"turn": turn[3], "speaker": turn[3][:5] + side[1], "sex": side[1], "code": turn[4]}
            current |= {"start": float(turn[1]), "end": float(turn[2])}
            answers, listeners = {}, 0
        elif answer and answer[1][0] not in "FM":  # actors judging themselves are C-F1, C-M1
            chosen = [word.strip() for word in answer[2].split(";") if word.strip()]
            listeners += bool(chosen)
            for word in chosen:
                if emotion := corpus.answers.get(word):
                    answers[emotion] = answers.get(emotion, 0.0) + 1 / len(chosen)


def _release(root: Path) -> Path:
    """The folder around ``Session1``…, also where the user named one of the folders in them."""
    for folder in root.absolute().parents:
        if re.fullmatch(r"Session[1-5]", folder.name):
            return folder
    return root
