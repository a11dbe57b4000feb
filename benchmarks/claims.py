"""How well does `find_claims` read captions? Precision and recall against the hand-annotated captions; speed.

    python benchmarks/claims.py                         # all parts, and speed
    python benchmarks/claims.py --half dev --errors     # the part that rules were tuned on, with every error

A claim of a caption is (target, denied or not), counted once a caption; other claims are compared by category. A claim
found also counts as right where the annotated target is among its `also`. Intervals: 95 %, bootstrap over captions,
2,000 draws. No model, no data but tests/captions/annotated.jsonl.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from datetime import date
from pathlib import Path

from aligncap.captions.claims import Claim, find_claims

ANNOTATED = Path(__file__).parent.parent / "tests" / "captions" / "annotated.jsonl"
KINDS = ("emotion", "acoustic", "other")
PARTS = ("dev", "test", "fresh")
Counts = tuple[int, int, int, int]  # right, found, found of gold, gold


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotated", type=Path, default=ANNOTATED)
    parser.add_argument("--half", choices=PARTS, help="one part only")
    parser.add_argument("--errors", action="store_true", help="print every caption that is not read as annotated")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.annotated.read_text(encoding="utf-8").splitlines()]
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {arguments.seed}\n")
    print("| part | captions | claims | annotated | precision | recall | F1 | hedges right |")
    print("|---|--:|---|--:|---|---|--:|--:|")
    for half in [arguments.half] if arguments.half else PARTS:
        chosen = [row for row in rows if row["half"] == half]
        if chosen:
            report(half, chosen, arguments.seed)
            if arguments.errors:
                print_errors(chosen)
    rate = speed([row["text"] for row in rows])
    print(f"\n{rate:,.0f} captions a second of processor time, of {mean_words(rows):.1f} words on average")


def report(half: str, rows: list[dict[str, object]], seed: int) -> None:
    """Print a line for each kind of claim."""
    claims = [find_claims(str(row["text"])) for row in rows]
    for kind in KINDS:
        counts = [compare(row, found, kind) for row, found in zip(rows, claims, strict=True)]
        chance = random.Random(seed)
        draws = [rates(chance.choices(counts, k=len(counts))) for _ in range(2000)]
        precision, recall = rates(counts)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        low, high = int(0.025 * len(draws)), int(0.975 * len(draws)) - 1
        intervals = [sorted(draw[i] for draw in draws) for i in (0, 1)]
        spread = [f"[{values[low]:.3f}, {values[high]:.3f}]" for values in intervals]
        hedges = f"{hedges_right(rows, claims, kind):.3f}" if kind != "other" else ""
        gold = sum(count[3] for count in counts)
        print(
            f"| {half} | {len(rows)} | {kind} | {gold} | {precision:.3f} {spread[0]} | {recall:.3f} {spread[1]} "
            f"| {f1:.3f} | {hedges} |"
        )


def gold_of(row: dict[str, object], kind: str) -> set[tuple[str, bool]]:
    """(target, denied) of the annotation."""
    marks = row[kind]
    assert isinstance(marks, list)
    return {(mark.lstrip("~!"), "!" in mark) for mark in marks}


def found_of(claims: list[Claim], kind: str) -> dict[tuple[str, bool], set[tuple[str, bool]]]:
    """(target, denied) → everything that would make it right."""
    found: dict[tuple[str, bool], set[tuple[str, bool]]] = {}
    for claim in claims:
        if claim.kind == kind:
            target = claim.category if kind == "other" else claim.target
            readings = {(name, claim.negated) for name in (target, *claim.also)}
            found.setdefault((target, claim.negated), set()).update(readings)
    return found


def compare(row: dict[str, object], claims: list[Claim], kind: str) -> Counts:
    """Counts of one caption."""
    gold, found = gold_of(row, kind), found_of(claims, kind)
    right = sum(bool(readings & gold) for readings in found.values())
    covered = sum(any(mark in readings for readings in found.values()) for mark in gold)
    return right, len(found), covered, len(gold)


def rates(counts: list[Counts]) -> tuple[float, float]:
    """Precision and recall over captions."""
    right, found, covered, gold = (sum(count[i] for count in counts) for i in range(4))
    return right / max(found, 1), covered / max(gold, 1)


def hedges_right(rows: list[dict[str, object]], claims: list[list[Claim]], kind: str) -> float:
    """Of the annotated claims found and not denied: share whose strength is below 1 exactly where it should be."""
    hits: list[bool] = []
    for row, found in zip(rows, claims, strict=True):
        marks = row[kind]
        assert isinstance(marks, list)
        strongest: dict[str, float] = {}
        for claim in found:
            if claim.kind == kind and not claim.negated:
                strongest[claim.target] = max(claim.strength, strongest.get(claim.target, 0.0))
        hits += [
            (strongest[mark.lstrip("~")] < 1) == mark.startswith("~") for mark in marks if mark.lstrip("~") in strongest
        ]
    return sum(hits) / max(len(hits), 1)


def print_errors(rows: list[dict[str, object]]) -> None:
    """Print what is missed and what is made up."""
    for row in rows:
        claims = find_claims(str(row["text"]))
        lines = []
        for kind in KINDS:
            gold, found = gold_of(row, kind), found_of(claims, kind)
            missed = [mark for mark in gold if not any(mark in readings for readings in found.values())]
            wrong = [mark for mark, readings in found.items() if not readings & gold]
            if missed or wrong:
                lines.append(f"    {kind}: missed {missed}, wrong {wrong}")
        if lines:
            print(f"{row['id']} {row['text']}", *lines, sep="\n")


def speed(texts: list[str]) -> float:
    """Captions for a second of processor time."""
    find_claims(texts[0])
    repeats = 1 + 3000 // len(texts)
    start = time.process_time()
    for text in texts * repeats:
        find_claims(text)
    seconds: float = time.process_time() - start
    return repeats * len(texts) / seconds


def mean_words(rows: list[dict[str, object]]) -> float:
    """Mean number of words of a caption."""
    return sum(len(str(row["text"]).split()) for row in rows) / len(rows)


if __name__ == "__main__":
    main()
