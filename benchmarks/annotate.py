"""Captions of a manifest that has labels only: statistics, and random captions beside what they were made from.

    python benchmarks/annotate.py CAPTIONED.jsonl --markdown docs/captions_sample.md
    python benchmarks/annotate.py CAPTIONED.jsonl --votes crema_d/tabulatedVotes.csv --without MANIFEST.csv

CAPTIONED is what ``aligncap annotate`` wrote. Every caption is read again by the claim checker. `--votes` adds captions
made from a table of crowd votes as CREMA-D distributes it (voice-only rows; no recordings, hence no clues), without the
clips of the manifest given by `--without`; they show mixtures and doubt.
"""

from __future__ import annotations

import argparse
import csv
import platform
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

import aligncap
from aligncap.captions import INSTRUCTIONS, answer, facts_of, instructions_for
from aligncap.captions.annotate import Annotator, Statistics
from aligncap.captions.check import check_caption
from aligncap.corpora import Row, read_manifest

_CODES = {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_MEANT = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "NEU": "N", "SAD": "S"}
_DEGREES = {"LO": "mild", "MD": "normal", "HI": "strong"}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captioned", type=Path)
    parser.add_argument("--votes", type=Path)
    parser.add_argument("--without", type=Path, help="a manifest whose clips are left out of the votes")
    parser.add_argument("--examples", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="also write the text here")
    arguments = parser.parse_args()
    rows = [row for row in read_manifest(arguments.captioned, on_problem=lambda _: None) if row.captions]
    rng = np.random.default_rng(arguments.seed)
    lines = [
        f"{date.today().isoformat()}, {platform.machine()}, Python {platform.python_version()}, "
        f"aligncap {aligncap.__version__}, seed {arguments.seed}",
        "",
        *table(rows),
        "",
        *repetition(rows, rng),
        "",
        *examples(draw(rows, arguments.examples, rng), rng),
    ]
    if arguments.votes:
        left_out = {row.id for row in read_manifest(arguments.without)} if arguments.without else set()
        voted = draw(read_votes(arguments.votes, left_out), arguments.examples, rng)
        annotator = Annotator(seed=arguments.seed)
        lines += ["", "From votes:", "", *examples([annotator.annotate(row) for row in voted], rng)]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")


def table(rows: list[Row]) -> list[str]:
    """Statistics of all captions; the claim checker reads each of them."""
    statistics = Statistics(rows=len(rows), captioned=len(rows))
    texts = [text for row in rows for text in row.captions]
    statistics.add_captions(texts)
    statistics.repeated = len(texts) - len(set(texts))
    for row in rows:
        facts = facts_of(row, with_gender=True)
        statistics.with_voice += bool(facts.voice)
        statistics.with_second += facts.second is not None
        statistics.doubtful += facts.certainty != "sure"
        for text in row.captions:
            statistics.contradictions += [f"{row.id}: {text}: {reason}" for reason in check_caption(text, facts)]
    figures = {name: value for name, value in statistics.summary().items() if name not in {"rows", "redrawn"}}
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in figures.items())]
    return lines + [f"contradiction: {reason}" for reason in statistics.contradictions]


def repetition(rows: list[Row], rng: np.random.Generator) -> list[str]:
    """How often texts come twice when nothing is drawn anew: one caption of each form for 10,000 clips."""
    chosen = [rows[i] for i in rng.integers(len(rows), size=10_000)]
    lines = ["| answers to 10,000 clips | texts that came before |", "|---|---|"]
    firsts = {form: text for text, form in reversed(list(INSTRUCTIONS.items()))}
    for form in ("caption", "literary", "clinical", "five_words"):
        facts = [facts_of(row) for row in chosen]
        seen = Counter(answer(known, firsts[form], rng) for known in facts)  # type: ignore[index]
        lines.append(f"| {form} | {1 - len(seen) / len(chosen):.2%} |")
    return lines


def draw(rows: list[Row], count: int, rng: np.random.Generator) -> list[Row]:
    """Some rows, at random."""
    return [rows[i] for i in rng.permutation(len(rows))[:count]]


def examples(rows: list[Row], rng: np.random.Generator) -> list[str]:
    """One caption of each row, and an answer, beside label, votes and clues."""
    lines = ["| label | votes | clues | caption | instruction → answer |", "|---|---|---|---|---|"]
    for row in rows:
        label = " ".join(filter(None, (row.emotion, row.intensity)))
        votes = ", ".join(f"{name} {share:.2f}" for name, share in row.votes.items())
        clues = ", ".join(row.clues.get("words") or ())
        caption = row.captions[rng.integers(len(row.captions))]
        facts = facts_of(row)
        asked = instructions_for(facts)[rng.integers(len(instructions_for(facts)))]
        lines.append(f"| {label} | {votes} | {clues} | {caption} | {asked} → {answer(facts, asked, rng)} |")
    return lines


def read_votes(path: Path, left_out: set[str]) -> list[Row]:
    """Rows of the voice-only responses of a table in CREMA-D's layout."""
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for record in csv.DictReader(file):
            name, total = record["fileName"], int(record["numResponses"])
            if not record[""].startswith("1") or not total or any(name in known for known in left_out):
                continue
            _, _, meant, degree = name.split("_")
            row = Row(f"crema_d/{name}", "", emotion=_CODES[_MEANT[meant]], intensity=_DEGREES.get(degree, ""))
            votes = {_CODES[code]: int(record[code]) / total for code in _CODES if int(record[code])}
            rows.append(replace(row, votes=votes))
    return rows


if __name__ == "__main__":
    main()
