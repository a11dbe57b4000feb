"""Which text metric agrees with people? Human preferences between captions (BRACE) against every metric.

    python benchmarks/brace.py --brace DATA/labels/brace --markdown FILE

BRACE's main parts hold pairs of captions of one sound, each judged by three raters (first better, alike, second
better); its hallucination part pairs a human caption with a copy into which a wrong thing was planted. Both captions
of a pair are scored against the sound's references less the two captions themselves; a metric agrees when it scores the
preferred caption higher, and half agrees when it scores both alike. Pairs without a majority are left out.
Intervals: 95 % bootstrap over sounds.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from aligncap.evaluation.sentence_encoder import sentence_similarity
from aligncap.metrics import METRICS, Agreement, Interval, agreement, bootstrap_mean, java, score_captions

MAIN = ("AudioCaps_Main.json", "Clotho_Main.json")
HALLUCINATION = "AudioCaps_Hallu.json"
KINDS = ("human-human", "human-machine", "machine-machine")
SHOWN = (
    "bleu1",
    "bleu2",
    "bleu3",
    "bleu4",
    "meteor",
    "meteor_lite",
    "rouge_l",
    "cider_d",
    "cider",
    "similarity",
    "words",
)


@dataclass(frozen=True)
class Pair:
    """Two captions of a sound, and the raters' votes: 1 for the first, -1 for the second, 0 for neither."""

    sound: str
    kind: str
    first: str
    second: str
    references: tuple[str, ...]
    votes: tuple[int, ...]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brace", type=Path, required=True, help="folder of BRACE's JSON files")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--no-similarity", action="store_true", help="leave out the metric that needs PyTorch")
    arguments = parser.parse_args()
    pairs, dropped = read(arguments.brace)
    table = {name: {} for name in SHOWN}  # type: dict[str, dict[str, Agreement]]
    for part in ("main", "hallucination"):
        members = [pair for pair in pairs if (pair.kind == "hallucination") == (part == "hallucination")]
        kinds = ["hallucination"] if part == "hallucination" else [*KINDS, "main"]
        for name, (first, second) in score(members, similarity=not arguments.no_similarity).items():
            for kind in kinds:
                rows = [i for i, pair in enumerate(members) if kind in (pair.kind, part)]
                table[name][kind] = agreement(
                    [first[i] for i in rows],
                    [second[i] for i in rows],
                    [sum(members[i].votes) for i in rows],
                    [members[i].sound for i in rows],
                )
    raters = {kind: one_rater([p for p in pairs if kind in (p.kind, "main") and len(p.votes) > 1]) for kind in KINDS}
    raters["main"] = one_rater([pair for pair in pairs if len(pair.votes) > 1])
    text = render({name: row for name, row in table.items() if row}, raters, dropped)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        rows = {name: {kind: record(of) for kind, of in row.items()} for name, row in table.items()}
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[list[Pair], int]:
    """All pairs, and how many were left out for want of a reference besides the two captions."""
    pairs, dropped = [], 0
    for name in (*MAIN, HALLUCINATION):
        for sound in json.loads((folder / name).read_text(encoding="utf-8")):
            for key, entry in sound.items():
                if key in ("file_name", "references"):
                    continue
                first, second, who, _, judged = entry
                if name == HALLUCINATION:
                    kind, votes, given = "hallucination", (1 if who == "human" else -1,), judged["references"]
                else:
                    kind, votes, given = key.split("_")[0].lower(), tuple(judged), sound["references"]
                references = tuple(text for text in given if text not in (first, second))
                if references:
                    pairs.append(Pair(f"{name}/{sound['file_name']}", kind, first, second, references, votes))
                else:
                    dropped += 1
    return pairs, dropped


def score(pairs: Sequence[Pair], *, similarity: bool) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    """Each metric of the first and of the second captions, higher being better."""
    captions = [pair.first for pair in pairs] + [pair.second for pair in pairs]
    references = [list(pair.references) for pair in pairs] * 2
    tokenizer = "ptb-java" if java.available() else "ptb"
    scores = score_captions(captions, references, tokenizer=tokenizer, meteor=java.available())
    if similarity:
        scores["similarity"] = sentence_similarity(captions, references)
    result: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for name in SHOWN:
        if name in scores:
            sign = -1 if METRICS[name].higher_is_better is False else 1
            values = [sign * value for value in scores[name].captions]
            result[name] = values[: len(pairs)], values[len(pairs) :]
    return result


def one_rater(pairs: Sequence[Pair]) -> Interval:
    """How often one rater agrees with the others' majority, where there is one; no preference half agrees."""
    right, sounds = [], []
    for pair in pairs:
        for vote in pair.votes:
            others = sum(pair.votes) - vote
            if others:
                right.append(0.5 if not vote else float(vote * others > 0))
                sounds.append(pair.sound)
    return bootstrap_mean(right, sounds)


def record(of: Agreement) -> dict[str, float]:
    """An agreement as numbers."""
    return {**vars(of.share), "ties": of.ties, "pairs": of.pairs}


def render(table: dict[str, dict[str, Agreement]], raters: dict[str, Interval], dropped: int) -> str:
    """The table as Markdown."""
    kinds = [*KINDS, "main", "hallucination"]
    sizes = next(iter(table.values()))
    lines = [
        f"Share of pairs [95 % interval]; {date.today().isoformat()}, {platform.machine()}, seed 0; "
        f"{dropped} pairs without a reference of their own left out.",
        "",
        "| metric | " + " | ".join(f"{kind} ({sizes[kind].pairs})" for kind in kinds) + " | alike |",
        "|---" * (len(kinds) + 1) + "|--:|",
    ]
    for name, row in table.items():
        cells = " | ".join(str(row[kind].share) for kind in kinds)
        lines.append(f"| {METRICS[name].title} | {cells} | {row['main'].ties:.3f} |")
    cells = " | ".join(str(raters[kind]) for kind in kinds[:-1])
    lines.append(f"| *one rater against the others* | {cells} | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
