"""METEOR-lite: METEOR 1.5 (Denkowski and Lavie 2014) for English with exact and stem matches only.

METEOR proper also matches synonyms of WordNet and paraphrases of a table of 60 MB, and needs Java
(`aligncap.metrics.java.meteor`). METEOR-lite needs neither. It is another metric under its own name: its scores are
lower, since it sees fewer matches. docs/metrics.md says how far the two agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from aligncap.errors import MissingExtraError
from aligncap.metrics.score import Score, check_pairs

__all__ = ["meteor_lite"]

# METEOR 1.5's parameters for English (its task "rank")
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_STEM_WEIGHT = 0.6
# METEOR's search prefers fewer chunks to stem matches that stand alone: observed, it takes a run of stem matches
# without any exact one from this length on
_SHORTEST_STEM_RUN = 4


@dataclass
class _Counts:
    """What METEOR is made of; sums over captions give the corpus score.

    Each list holds content words and function words; matched ones are weighted by the kind of match.
    """

    candidate: list[float]
    reference: list[float]
    candidate_matched: list[float]
    reference_matched: list[float]
    matches: int = 0
    chunks: int = 0

    def add(self, other: _Counts) -> None:
        for mine, theirs in (
            (self.candidate, other.candidate),
            (self.reference, other.reference),
            (self.candidate_matched, other.candidate_matched),
            (self.reference_matched, other.reference_matched),
        ):
            mine[0] += theirs[0]
            mine[1] += theirs[1]
        self.matches += other.matches
        self.chunks += other.chunks

    def score(self) -> float:
        precision = _share(self.candidate_matched, self.candidate)
        recall = _share(self.reference_matched, self.reference)
        if not precision or not recall:
            return 0.0
        mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
        return float(mean * (1 - _GAMMA * (self.chunks / self.matches) ** _BETA))


@dataclass(frozen=True)
class _Text:
    """Words and stems of a text, and where each stem stands."""

    words: list[str]
    stems: list[str]
    places: dict[str, list[int]]
    sizes: list[float]


def meteor_lite(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """METEOR with exact and stem matches only, in [0, 1], higher being better.

    Score = F · (1 − 0.6 · (chunks / matches)^0.2) with F the harmonic mean of precision and recall that weighs recall
    most (α = 0.85), content words counting three times as much as function words (δ = 0.75), stem matches 0.6 of an
    exact one. Words are aligned greedily, longest common run first, where METEOR searches; the best of several
    references counts. The corpus score pools the counts of all captions.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).
        references: tokenised references of each caption, at least one.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
        MissingExtraError: the package snowballstemmer is not installed.
    """
    check_pairs(candidates, references)
    stem = _stemmer()
    total = _Counts([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    scores = []
    for candidate, several in zip(candidates, references, strict=True):
        text = _text(candidate, stem)
        counts = [_compare(text, _text(reference, stem)) for reference in several]
        rated = [of.score() for of in counts]
        best = max(range(len(rated)), key=rated.__getitem__)
        total.add(counts[best])
        scores.append(rated[best])
    return Score(total.score(), tuple(scores))


def _share(matched: list[float], size: list[float]) -> float:
    whole = _DELTA * size[0] + (1 - _DELTA) * size[1]
    return (_DELTA * matched[0] + (1 - _DELTA) * matched[1]) / whole if whole else 0.0


def _text(text: str, stem: _Stem) -> _Text:
    words = text.split()
    stems = [stem(word) for word in words]
    places: dict[str, list[int]] = defaultdict(list)
    for index, word in enumerate(stems):
        places[word].append(index)
    known = _function_words()
    function = float(sum(word in known for word in words))
    return _Text(words, stems, places, [len(words) - function, function])


def _compare(candidate: _Text, reference: _Text) -> _Counts:
    counts = _Counts(candidate.sizes, reference.sizes, [0.0, 0.0], [0.0, 0.0])
    pairs = _align(candidate, reference)
    function, last = _function_words(), (-2, -2)
    for here, there in pairs:
        word, other = candidate.words[here], reference.words[there]
        weight = 1.0 if word == other else _STEM_WEIGHT
        counts.candidate_matched[word in function] += weight
        counts.reference_matched[other in function] += weight
        counts.chunks += last != (here - 1, there - 1)
        last = (here, there)
    counts.matches = len(pairs)
    if counts.chunks == 1 and len(pairs) == len(candidate.words) == len(reference.words):
        counts.chunks = 0  # as METEOR has it: nothing is out of order
    return counts


def _align(candidate: _Text, reference: _Text) -> list[tuple[int, int]]:
    """Matched positions, sorted; as many as can be, in long runs."""
    free = {(i, j) for i, stem in enumerate(candidate.stems) for j in reference.places.get(stem, ())}
    chosen: list[tuple[int, int]] = []
    while free:
        best: tuple[tuple[int, int, int, int], list[tuple[int, int]]] | None = None
        for i, j in free:
            if (i - 1, j - 1) in free:
                continue
            run = [(i, j)]
            while (i + len(run), j + len(run)) in free:
                run.append((i + len(run), j + len(run)))
            exact = sum(candidate.words[a] == reference.words[b] for a, b in run)
            key = (len(run), exact, -abs(i - j), -i)
            if best is None or key > best[0]:
                best = key, run
        assert best is not None
        if not best[0][1] and len(best[1]) < _SHORTEST_STEM_RUN:
            free.difference_update(best[1])
            continue
        chosen += best[1]
        here, there = {i for i, _ in best[1]}, {j for _, j in best[1]}
        free = {(i, j) for i, j in free if i not in here and j not in there}
    return sorted(chosen)


class _Stem:
    """Snowball's English stemmer, which METEOR uses, each word stemmed once."""

    def __init__(self) -> None:
        try:
            import snowballstemmer
        except ImportError as error:
            raise MissingExtraError("METEOR-lite", "metrics") from error
        self._stem = lru_cache(maxsize=1 << 16)(snowballstemmer.stemmer("english").stemWord)

    def __call__(self, word: str) -> str:
        return str(self._stem(word))


@lru_cache(maxsize=1)
def _function_words() -> frozenset[str]:
    lines = (files("aligncap.metrics") / "function_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=1)
def _stemmer() -> _Stem:
    return _Stem()
