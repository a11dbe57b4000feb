"""In which language a text is written, as far as its letters and smallest words tell."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache

from aligncap.evaluation.hallucination.finding import Finding, finding
from aligncap.evaluation.hallucination.vocabulary import load_words

__all__ = ["foreign", "is_english", "language_of"]

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|(?<=[\u3002\uff01\uff1f\uff1b])|\n+")
_FEWEST_HITS = 2
_STRANGE = 2  # letters of another script that may be a name or a symbol


def foreign(text: str, language: str) -> Iterator[Finding]:
    """The sentences of a text that are not in a language, as one finding or none; its weight is their share.

    Args:
        text: a caption.
        language: BCP 47 tag of what was asked for. A language that this module does not know is not judged.
    """
    wanted = primary(language)
    if wanted not in load_words()["languages"] and wanted not in _languages_of_scripts():
        return
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
    wrong = [sentence for sentence in sentences if _is_wrong(sentence, wanted)]
    if wrong:
        share = sum(map(len, wrong)) / sum(map(len, sentences))
        found = language_of(" ".join(wrong))
        written = "written in another language" if found in {None, wanted} else f"written in {found}"
        yield finding("language", f"{written}, not in {wanted}", wrong[0].strip(), max(share, 0.3))


def is_english(language: str) -> bool:
    """Whether a BCP 47 tag names English; an empty one does."""
    return primary(language) == "en"


def primary(language: str) -> str:
    """The first part of a BCP 47 tag; ``en`` of an empty one."""
    return language.lower().replace("_", "-").partition("-")[0] or "en"


def language_of(text: str) -> str | None:
    """The language of a text: by its script, or in Latin script by the smallest words; None where neither tells.

    Returns:
        ISO 639-1 code; for a script that several languages share, the first in ``words.yaml``.
    """
    scripts = _scripts(text)
    if scripts.keys() & {"HIRAGANA", "KATAKANA"}:
        return "ja"
    script = max(scripts, key=lambda name: scripts[name], default="LATIN")
    if script != "LATIN":
        languages: str = load_words()["scripts"].get(script, "")
        return languages.split(maxsplit=1)[0] if languages else None
    hits = _hits(text)
    best = max(hits, key=lambda name: hits[name], default=None)
    return best if best and hits[best] >= _FEWEST_HITS else None


def _is_wrong(sentence: str, wanted: str) -> bool:
    scripts = _scripts(sentence)
    own = {name for name, languages in load_words()["scripts"].items() if wanted in languages.split()} or {"LATIN"}
    inside = sum(scripts[name] for name in own)
    outside = scripts.total() - inside
    if own != {"LATIN"}:  # Latin names and terms stand in texts of any script
        is_kana = bool(scripts.keys() & {"HIRAGANA", "KATAKANA"})
        return outside > max(inside, _STRANGE) or (is_kana and wanted != "ja")
    if outside > _STRANGE or (outside and outside >= inside):
        return True
    hits = _hits(sentence)
    others = max((count for name, count in hits.items() if name != wanted), default=0)
    return others >= _FEWEST_HITS and others > 2 * hits[wanted]


def _scripts(text: str) -> Counter[str]:
    """Letters of each script ("LATIN", "CJK", "CYRILLIC", …, as Unicode names them)."""
    return Counter(_script_of(letter) for letter in text if letter.isalpha())


@cache
def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0].split("-")[0]


@cache
def _languages_of_scripts() -> frozenset[str]:
    return frozenset(name for languages in load_words()["scripts"].values() for name in languages.split())


def _hits(text: str) -> Counter[str]:
    """How many of the words are among the smallest words of each language in Latin script."""
    words = re.findall(r"\w+(?:'\w+)?", text.lower())
    return Counter({name: sum(word in small for word in words) for name, small in _small_words().items()})


@cache
def _small_words() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, words in load_words()["languages"].items()}
