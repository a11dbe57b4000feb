"""The grammar parser: a caption's words for emotion and voice, with part of speech, lemma, negation and strength.

What the words mean comes from `find_claims`; which part of speech and lemma they have here, from HanTa, the Hanover
Tagger (Wartena 2019, "A Probabilistic Morphology Model for German Lemmatization"; English model, C5 tags). HanTa is an
optional dependency (LGPL-3.0-or-later), loaded at the first call; its model is a file inside its own package.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from aligncap.captions.claims import Claim, find_claims
from aligncap.captions.items import items_of
from aligncap.captions.phrases import PhraseTable, expanded, load_data, tokenize
from aligncap.captions.taxonomy import categories
from aligncap.errors import MissingExtraError

__all__ = ["Clue", "ClueCount", "clue_vocabulary", "parse_clues"]

PartOfSpeech = Literal["adjective", "adverb", "noun", "verb", "interjection", "modal", "phrase", "other"]
_TAGS: tuple[tuple[str, PartOfSpeech], ...] = (
    ("AJ", "adjective"),
    ("AV", "adverb"),
    ("NN", "noun"),
    ("NP", "noun"),
    ("ITJ", "interjection"),
    ("VM", "modal"),
    ("V", "verb"),
)
_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Clue:
    """A word or phrase that carries emotion or voice.

    Attributes:
        text: as the caption has it.
        lemma: its dictionary form ("trembles" → "tremble"); of a phrase, the phrase in lower case.
        part_of_speech: of the word in this caption; "phrase" for several words.
        kind: what it is a clue to; "modal" for a modal verb that makes the clues near it doubtful ("may", "might").
        target: as in `Claim`; of a modal, "doubt".
        strength: 1, or less where the caption hedges (see `Claim`).
        negated: the caption denies it.
        start: first character.
        end: the character after the last.
    """

    text: str
    lemma: str
    part_of_speech: PartOfSpeech
    kind: Literal["emotion", "acoustic", "modal"]
    target: str
    strength: float
    negated: bool
    start: int
    end: int


@dataclass(frozen=True)
class ClueCount:
    """One entry of a clue vocabulary: how often captions say, and how often they deny, a clue."""

    lemma: str
    part_of_speech: PartOfSpeech
    kind: str
    target: str
    count: int
    denied: int


def parse_clues(caption: str) -> list[Clue]:
    """The clues of a caption, in the order in which they stand.

    Args:
        caption: English text.

    Raises:
        MissingExtraError: HanTa is not installed.
    """
    tagged = list(_tagged(caption))
    clues = [_clue(claim, tagged) for claim in find_claims(caption) if claim.kind != "other"]
    clues += _interjections(caption)
    clues += _modals(caption, tagged)
    return sorted(clues, key=lambda clue: (clue.start, clue.end))


def clue_vocabulary(captions: Iterable[str]) -> list[ClueCount]:
    """Count the clues of many captions.

    Args:
        captions: English texts; read once, so a generator over a large corpus will do.

    Returns:
        An entry for each (lemma, part of speech, target), the most frequent first, then by lemma.

    Raises:
        MissingExtraError: HanTa is not installed.
    """
    said: Counter[tuple[str, PartOfSpeech, str, str]] = Counter()
    denied: Counter[tuple[str, PartOfSpeech, str, str]] = Counter()
    for caption in captions:
        for clue in parse_clues(caption):
            key = (clue.lemma, clue.part_of_speech, clue.kind, clue.target)
            (denied if clue.negated else said)[key] += 1
    keys = sorted(said | denied, key=lambda key: (-said[key] - denied[key], key))
    return [ClueCount(*key, count=said[key], denied=denied[key]) for key in keys]


class _Tagged(NamedTuple):
    start: int
    end: int
    lemma: str
    part_of_speech: PartOfSpeech


def _tagged(text: str) -> Iterator[_Tagged]:
    matches = list(_WORD.finditer(text))
    tags = _tagger().tag_sent([match.group() for match in matches]) if matches else []
    for match, (_, lemma, tag) in zip(matches, tags, strict=True):
        yield _Tagged(match.start(), match.end(), str(lemma).lower(), _part_of_speech(str(tag)))


def _part_of_speech(tag: str) -> PartOfSpeech:
    return next((part for prefix, part in _TAGS if tag.startswith(prefix)), "other")


@cache
def _tagger() -> Any:
    try:
        from HanTa import HanoverTagger
    except ImportError as error:
        raise MissingExtraError("parsing captions into clues", "captions") from error
    return HanoverTagger.HanoverTagger("morphmodel_en.pgz")


def _clue(claim: Claim, tagged: list[_Tagged]) -> Clue:
    words = [word for word in tagged if word.start < claim.end and claim.start < word.end]
    single = len(words) == 1
    kind: Literal["emotion", "acoustic"] = "acoustic" if claim.kind == "acoustic" else "emotion"
    return Clue(
        text=claim.text,
        lemma=words[0].lemma if single else " ".join(claim.text.lower().split()),
        part_of_speech=words[0].part_of_speech if single else "phrase",
        kind=kind,
        target=claim.target,
        strength=claim.strength,
        negated=claim.negated,
        start=claim.start,
        end=claim.end,
    )


def _interjections(text: str) -> Iterator[Clue]:
    tokens = tokenize(text)
    words = [token.text for token in tokens]
    at = 0
    while at < len(tokens):
        match = _interjection_table().match(words, at)
        if match:
            length, target = match
            start, end = tokens[at].start, tokens[at + length - 1].end
            yield Clue(
                text[start:end], text[start:end].lower(), "interjection", "emotion", target, 1.0, False, start, end
            )
        at += match[0] if match else 1


@cache
def _interjection_table() -> PhraseTable[str]:
    table: PhraseTable[str] = PhraseTable()
    for category, phrases in load_data("taxonomy.yaml")["interjections"].items():
        for phrase in expanded(phrases):
            table.add(phrase, categories()[category].emotion or category)
    return table


def _modals(text: str, tagged: list[_Tagged]) -> Iterator[Clue]:
    modals = {word.start for word in tagged if word.part_of_speech == "modal"}
    for item in items_of(text):
        if item.entry.role == "hedge" and item.start in modals:
            strength = item.entry.strength
            yield Clue(
                text[item.start : item.end], item.text, "modal", "modal", "doubt", strength, False, item.start, item.end
            )
