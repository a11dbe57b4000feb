"""How well does `aligncap.evaluation.hallucination.judge` find hallucinations? Against captions labelled by hand.

    python benchmarks/hallucination.py                            # the half that rules were corrected on
    python benchmarks/hallucination.py --half test --markdown FILE
    python benchmarks/hallucination.py --errors                   # every caption that is not judged as labelled
    python benchmarks/hallucination.py --own                      # false alarms on captions of our own writer

Every line of benchmarks/data/hallucinations.jsonl is a caption with its evidence and the types of everything that is
wrong with it (none: a clean caption). A type counts once a caption. Precision is the share of what is found that is
labelled, recall the share of what is labelled that is found. Intervals: 95 %, bootstrap over captions, 1,000 draws,
seed 0. No model, no other data.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from aligncap.captions import EMOTIONS, VOICE_LEVELS
from aligncap.captions.annotate import Annotator
from aligncap.corpora import Row
from aligncap.evaluation.hallucination import MEASURED, TYPES, Evidence, Finding, evidence_of, judge
from aligncap.metrics.statistics import Interval, bootstrap

LABELLED = Path(__file__).parent / "data" / "hallucinations.jsonl"


@dataclass(frozen=True)
class Judged:
    """A labelled caption and what was found."""

    id: str
    text: str
    labelled: frozenset[str]
    findings: tuple[Finding, ...]

    @property
    def found(self) -> frozenset[str]:
        """Types of the findings."""
        return frozenset(finding.type for finding in self.findings)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=Path, default=LABELLED)
    parser.add_argument("--half", choices=("develop", "test", "all"), default="develop")
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--errors", action="store_true", help="print every caption that is not judged as labelled")
    parser.add_argument("--own", action="store_true", help="false alarms on captions that our own writer makes")
    arguments = parser.parse_args()
    if arguments.own:
        print(own(300))
        return
    lines = [json.loads(line) for line in arguments.labelled.read_text(encoding="utf-8").splitlines()]
    chosen = [line for line in lines if arguments.half in {"all", line["half"]}]
    judged = [of_line(line) for line in chosen]
    if arguments.errors:
        print_errors(judged)
    table = report(judged, arguments.half)
    print(table)
    print(f"\n{speed(chosen):,.0f} captions a second of processor time")
    if arguments.markdown:
        arguments.markdown.write_text(table + "\n", encoding="utf-8")


def evidence_of_line(line: dict[str, Any]) -> Evidence:
    """The evidence that stands beside a caption."""
    given = dict(line["evidence"])
    emotions = tuple(sorted(given.pop("emotions").items(), key=lambda pair: -pair[1]))
    voice = given.pop("voice")
    pairs = None if voice is None else tuple((dimension, level) for dimension, level in (v.split(":") for v in voice))
    return Evidence(emotions, pairs, **given)


def of_line(line: dict[str, Any]) -> Judged:
    """Judge one line."""
    findings = judge(line["text"], evidence_of_line(line))
    return Judged(line["id"], line["text"], frozenset(line["types"]), tuple(findings))


def report(judged: Sequence[Judged], half: str) -> str:
    """The table, as Markdown."""
    clean = [one for one in judged if not one.labelled]
    lines = [
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, seed 0; half: {half}, "
        f"{len(judged)} captions, of which {len(clean)} clean.",
        "",
        "| type | kind | labelled | found | precision | recall |",
        "|---|---|--:|--:|---|---|",
    ]
    for type_, kind in TYPES.items():
        lines.append(row(type_, kind, judged, lambda types, name=type_: {name} & types))  # type: ignore[misc]
    lines.append(row("all types", "", judged, set))
    lines.append(row("a caption with any", "", judged, lambda types: {"any"} if types else set()))
    return "\n".join(lines)


def row(name: str, kind: str, judged: Sequence[Judged], of: Callable[[frozenset[str]], set[str]]) -> str:
    """One line of the table."""
    pairs = [(of(one.labelled), of(one.found)) for one in judged]
    right = [len(labelled & found) for labelled, found in pairs]
    labels, finds = [len(labelled) for labelled, _ in pairs], [len(found) for _, found in pairs]
    precision, recall = (ratio(right, totals) for totals in (finds, labels))
    return f"| {name} | {kind} | {sum(labels)} | {sum(finds)} | {precision} | {recall} |"


def ratio(parts: Sequence[int], totals: Sequence[int]) -> str:
    """Sum over sum with its interval; empty where there is nothing to divide by."""
    if not sum(totals):
        return ""

    def score(indices: list[int]) -> float:
        total = sum(totals[i] for i in indices)
        return sum(parts[i] for i in indices) / total if total else 1.0

    used = [i for i, total in enumerate(totals) if total]  # the others change neither sum
    parts, totals = [parts[i] for i in used], [totals[i] for i in used]
    interval: Interval = bootstrap(score, range(len(used)))
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def print_errors(judged: Sequence[Judged]) -> None:
    """What is missed and what is made up."""
    for one in judged:
        missed, wrong = sorted(one.labelled - one.found), sorted(one.found - one.labelled)
        if missed or wrong:
            print(f"{one.id} {one.text!r}: missed {missed}, wrong {wrong}")
            for finding in one.findings:
                print(f"      {finding.type}: {finding.reason}")
    print()


def own(clips: int) -> str:
    """How many captions of our own writer, made from random evidence, have a finding with the same evidence."""
    chance, annotator, texts, wrong = random.Random(0), Annotator(captions=3, answers=3, with_gender=True), 0, []
    for i in range(clips):
        voice = [f"{name}:{chance.choice(VOICE_LEVELS[name])}" for name in MEASURED if chance.random() < 0.3]
        first, second = chance.sample(EMOTIONS, 2)
        votes = {first: 0.6, second: 0.25} if i % 2 else {}
        gender = chance.choice(("female", "male"))
        row = Row(f"own/{i}", "none.wav", emotion=first, gender=gender, votes=votes, clues={"words": voice})
        done = annotator.annotate(row)
        answers = [(text, None) for text in done.captions]
        answers += [(answer["answer"], answer["instruction"]) for answer in done.extra["answers"]]
        texts += len(answers)
        for text, instruction in answers:
            wrong += [f"{text}: {found.reason}" for found in judge(text, evidence_of(row, instruction=instruction))]
    return "\n".join([*wrong, f"{len(wrong)} findings in {texts:,} captions"])


def speed(lines: Sequence[dict[str, Any]]) -> float:
    """Captions judged in a second of processor time."""
    work = [(str(line["text"]), evidence_of_line(line)) for line in lines] * 10
    start = time.process_time()
    for text, evidence in work:
        judge(text, evidence)
    return len(work) / (time.process_time() - start)


if __name__ == "__main__":
    main()
