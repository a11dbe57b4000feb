"""Fills sentence plans with words: the inner part of the grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aligncap.captions.facts import MIXTURE_MIN, VOICE_LEVELS, Facts
from aligncap.captions.phrases import load_data

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Writer", "article", "as_sentences", "clue_words", "pick", "repeats", "same_root", "word_of"]

_T = TypeVar("_T")

_VOICE_FACTS = 2  # more of them in one sentence, and nobody would say it
_PLAINEST = 0.25  # share of the first phrase of a list, the plainest, above its turn

_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(?:(?P<prefix>a|they):)?(?P<slot>\w+)\}")
_EMOTION_SLOTS = ("feeling", "tone", "noun", "manner", "stirs", "as_if")
_VOICE_SLOTS = ("attribute", "speaks_how", "has", "clause", "the", "literary", "clinical")
_PEOPLE = {
    "female": ("she", "her", "the woman"),
    "male": ("he", "his", "the man"),
    None: ("the speaker", "the", "the speaker"),
}
_MAY_REPEAT = frozenset({"with", "that", "than", "from", "pitch", "words", "word", "speaker", "high"})


class Writer:
    """Fills the slots of the plans of one caption; choices made for one slot hold for the others."""

    def __init__(self, facts: Facts, rng: np.random.Generator) -> None:
        self._facts = facts
        self._rng = rng
        self._used: list[str] = []
        self._fit: bool | None = None
        she, her, woman = _PEOPLE[facts.gender]
        subject = pick([she, woman, "the speaker"] if facts.gender else ["the speaker"], rng)
        voices = [f"{her} voice", f"{woman}'s voice"] if facts.gender else ["the voice"]
        self._pronoun = she if facts.gender else "they"
        # "the speaker speaks" sounds wrong
        stem = "talk" if subject == "the speaker" else pick(["speak", "talk"], rng)
        self._people = {
            "subject": subject,
            "she": she,
            "voice": pick(voices, rng),
            "her_voice": f"{her} voice",
            "speaks": f"{stem}s",
            "speaking": f"{stem}ing",
        }

    def sentence(self, plan: dict[str, Any], *, doubt: bool) -> str | None:
        """The plan with its slots filled, without a full stop; None where it does not fit the facts."""
        text: str = plan["text"]
        self._fit = {"yes": True, "no": False, None: None}[plan.get("fit")]
        label = self._facts.emotions[0][0] if self._facts.emotions else ""
        if label in plan.get("not", ()) or ("{degree}" in text and not self._facts.intensity):
            return None
        if any(re.search(rf"\b{slot}1?}}", text) and not self._voice_facts(slot) for slot in _VOICE_SLOTS):
            return None
        lead = ""
        if doubt and self._facts.certainty != "sure" and "{surely}" not in text:
            if plan.get("lead") == "no":
                return None
            lead = pick(load_data("plans.yaml")["lead"][self._facts.certainty], self._rng)
        return lead + _SLOT.sub(self._fill, _choose(text, self._rng))

    def phrase(self, slot: str, label: str) -> str:
        """A phrase for an emotion, of another root than the phrases before it where there is one."""
        forms = load_data("lexicon.yaml")["emotions"][label][slot]
        phrases: list[str] = forms if isinstance(forms, list) else forms[self._facts.intensity or "normal"]
        for _ in range(10):
            plainest = self._rng.random() < _PLAINEST
            phrase = _choose(phrases[0] if plainest else pick(phrases, self._rng), self._rng)
            if not any(same_root(phrase, used) for used in self._used):
                break
        self._used.append(phrase)
        return phrase

    def _fill(self, match: re.Match[str]) -> str:
        prefix, slot = match.group("prefix"), match.group("slot")
        if prefix == "they":
            return f"{self._pronoun} {slot}" if self._pronoun == "they" else f"{self._pronoun} {slot}s"
        value = self._value(slot)
        return f"{article(value)} {value}" if prefix == "a" else value

    def _value(self, slot: str) -> str:
        facts = self._facts
        if slot in self._people:
            return self._people[slot]
        if slot in _EMOTION_SLOTS:
            return self.phrase(slot, facts.emotions[0][0])
        if slot.removesuffix("1") in _VOICE_SLOTS:
            return self._voice(slot.removesuffix("1"), 1 if slot.endswith("1") else _VOICE_FACTS)
        if slot == "every":
            return "any" if facts.emotions[0][0] == "neutral" else pick(["every", "each"], self._rng)
        plans = load_data("plans.yaml")
        if slot == "degree":
            return str(pick(plans["degree"][facts.intensity], self._rng))
        if slot == "surely":
            plain = facts.certainty == "sure" and (facts.second or facts.intensity == "mild")
            return "" if plain else str(pick(plans["surely"][facts.certainty], self._rng))
        return self._second({"also": "after_adjective", "mix": "after_noun", "with": ""}[slot])

    def _second(self, place: str) -> str:
        if not self._facts.second:
            return ""
        main, (label, share) = self._facts.emotions[0][0], self._facts.second
        degree = "tie" if self._facts.tied else "mixture" if share >= MIXTURE_MIN else "trace"
        if label == "neutral":
            degree = "nearly_neutral"
        elif main == "neutral" and degree != "tie":
            degree += "_beside_neutral"
        tails = load_data("plans.yaml")["second"][degree]
        tail = _choose(pick(tails["anywhere"] + tails.get(place, []), self._rng), self._rng)
        return tail.format(name=load_data("lexicon.yaml")["emotions"][label]["name"], word=word_of(label))

    def _voice_facts(self, slot: str) -> list[list[str]]:
        """The phrases for each fact of the voice that may fill the slot."""
        lexicon = load_data("lexicon.yaml")
        wanted = None
        if self._fit is not None:
            wanted = lexicon["emotions"][self._facts.emotions[0][0]]["signs" if self._fit else "unlike"]
        order = list(VOICE_LEVELS)
        facts = sorted(self._facts.voice, key=lambda fact: order.index(fact[0]))
        facts = [fact for fact in facts if wanted is None or ":".join(fact) in wanted]
        return [
            lexicon["voice"][dimension][level][slot]
            for dimension, level in facts
            if lexicon["voice"][dimension][level][slot]
        ]

    def _voice(self, slot: str, most: int) -> str:
        choices = self._voice_facts(slot)
        count = min(len(choices), most)
        chosen = sorted(self._rng.choice(len(choices), size=count, replace=False))
        phrases = [_choose(pick(choices[i], self._rng), self._rng) for i in chosen]
        if slot == "attribute":
            return ", ".join(phrases)
        preposition = phrases[0].split()[0] + " "
        if slot == "speaks_how" and preposition in {"at ", "in ", "with "}:
            phrases[1:] = [phrase.removeprefix(preposition) for phrase in phrases[1:]]
        return " and ".join(phrases)


def _choose(text: str, rng: np.random.Generator) -> str:
    """Decide every (one|other), from the inside out."""
    while "(" in text:
        text = _CHOICE.sub(lambda match: pick(match.group(1).split("|"), rng), text)
    return text


def pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of them, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def word_of(label: str) -> str:
    """The plainest word for an emotion."""
    return str(load_data("lexicon.yaml")["emotions"][label]["word"])


def clue_words(voice: Sequence[tuple[str, str]]) -> list[str]:
    """The words of clue prompts for facts of the voice."""
    levels = load_data("lexicon.yaml")["voice"]
    return [str(levels[dimension][level]["clue"]) for dimension, level in voice]


def article(phrase: str) -> str:
    """The indefinite article of a phrase in small letters."""
    return "an" if re.match(r"(?!uni[^nm]|eu|use|one)[aeiou]", phrase) else "a"


def as_sentences(text: str) -> str:
    """Capitals at the head of each sentence."""
    return re.sub(r"(?:^|(?<=\. ))[a-z]", lambda match: match.group().upper(), text)


def repeats(text: str) -> int:
    """How many pairs of longer words are alike."""
    words = [word for word in re.findall(r"[a-z]{4,}", text.lower()) if word not in _MAY_REPEAT]
    return sum(_alike(a, b) for i, a in enumerate(words) for b in words[:i]) + sum(
        max(text.count(phrase) - 1, 0) for phrase in ("as if ", " way")
    )


def same_root(first: str, second: str) -> bool:
    """Whether two phrases share a word, or words as alike as "angry" and "anger"; short words excepted."""
    return any(_alike(a, b) for a in first.split() for b in second.split() if min(len(a), len(b)) >= 3)


def _alike(first: str, second: str) -> bool:
    length = min(5, max(3, min(len(first), len(second)) - 2))
    return first[:length] == second[:length]
