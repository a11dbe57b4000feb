"""How well does our emotion taxonomy agree with other emotion wheels, and with a table of synonyms?

    python benchmarks/wheels.py DIR

DIR holds wheels as CSV (level1, level2, level3: wheel*.csv) and, if there is one, synonym.csv with pairs of columns
word…, synonym… (synonyms separated by commas), as published with the MER2025 challenge. AlignCap does not need them.

Agreement: over all pairs of words that both wheels know, whether they put the pair into one group of the inner ring or
into two (for us: share a group). Chance-corrected by Cohen's kappa. Synonyms: the share of (word, synonym) pairs known
to us that share a group or a category of ours in any reading, and as a baseline that of random pairs of the same words
(seed 0).
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Callable
from datetime import date
from itertools import combinations
from pathlib import Path

from aligncap.captions.phrases import normalise
from aligncap.captions.taxonomy import Wheel, category_of, own_wheel, read_wheel, same_group


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    wheels = [read_wheel(path) for path in sorted(arguments.directory.glob("wheel*.csv"))]
    print(f"{date.today()}, seed 0\n")
    print("| wheel | words | known to us | pairs | ours, of theirs | theirs, of ours | agreement | kappa |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for wheel in wheels:
        compare(wheel.name, words_of(wheel), wheel, own_wheel())
    print("\nThe wheels among themselves:\n")
    print("| wheels | | | pairs | second, of first | first, of second | agreement | kappa |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for one, two in combinations(wheels, 2):
        compare(f"{one.name}, {two.name}", [word for word in words_of(one) if two.groups_of(word)], one, two)
    table = arguments.directory / "synonym.csv"
    if table.exists():
        synonyms(table)


def words_of(wheel: Wheel) -> list[str]:
    """Every word of a wheel, any ring."""
    return sorted({word for path in wheel.paths for word in path})


def compare(name: str, words: list[str], theirs: Wheel, ours: Wheel) -> None:
    """Print a line: pairs of `words` that both wheels know."""
    known = [word for word in words if theirs.groups_of(word) and ours.groups_of(word)]
    them, us = cache_groups(theirs, known), cache_groups(ours, known)
    pairs = [(bool(them(a) & them(b)), bool(us(a) & us(b))) for a, b in combinations(known, 2)]
    both = sum(a and b for a, b in pairs)
    n_theirs, n_ours = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    n = max(len(pairs), 1)
    agreement = sum(a == b for a, b in pairs) / n
    chance = (n_theirs * n_ours + (n - n_theirs) * (n - n_ours)) / n**2
    kappa = (agreement - chance) / max(1 - chance, 1e-9)
    print(
        f"| {name} | {len(words)} | {len(known)} | {len(pairs)} | {both / max(n_theirs, 1):.2f} "
        f"| {both / max(n_ours, 1):.2f} | {agreement:.2f} | {kappa:.2f} |"
    )


def cache_groups(wheel: Wheel, words: list[str]) -> Callable[[str], frozenset[str]]:
    """Groups of every word, looked up once."""
    return {word: wheel.groups_of(word) for word in words}.__getitem__


def synonyms(path: Path) -> None:
    """Print the share of synonym pairs that share a group of ours."""
    pairs: set[tuple[str, str]] = set()
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            for column in [name for name in row if name.startswith("word")]:
                word = normalise(row[column] or "")
                others = (row.get(column.replace("word", "synonym")) or "").split(",")
                pairs |= {(word, normalise(other)) for other in others if normalise(other) not in {"", word}}
    known = sorted(pair for pair in pairs if all(map(category_of, pair)))
    firsts, seconds = [list(side) for side in zip(*known, strict=True)]
    random.Random(0).shuffle(seconds)
    shuffled = list(zip(firsts, seconds, strict=True))
    print(f"\n{len(pairs)} synonym pairs, {len(known)} of two words that we know:")
    for level, name in ((1, "group"), (2, "category")):
        shares = [
            sum(bool(same_group(a, b, level=level)) for a, b in chosen) / len(chosen) for chosen in (known, shuffled)
        ]
        print(f"* share a {name}: {shares[0]:.2f} (random pairs of the same words: {shares[1]:.2f})")


if __name__ == "__main__":
    main()
