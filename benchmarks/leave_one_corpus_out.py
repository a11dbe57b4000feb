"""Choosing the emotion head without touching zero-shot corpora: leave one training corpus out.

    python benchmarks/leave_one_corpus_out.py --manifest DATA/manifest.csv

For each training corpus with emotion labels, the head is fitted on all the others and scored on it (all its
speakers), with the labels restricted to those that the held-out corpus uses (and, in the last column, among all
labels, as captions choose); calm counts as neutral, and boredom, which only one corpus has, is left out. Features
come from the cache of the recipe's output folder.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from emotion import machine
from heads import Corpora, leave_out, load_corpora

from aligncap.metrics import Interval, bootstrap, macro_recall

NARROW, WIDE = [0.92, 1.08], [0.85, 0.92, 1.08, 1.17]
# changes of the warm start; not of it are copies, size_power, and heard: further speeds at which the head hears
VARIANTS: dict[str, dict[str, Any]] = {
    "chosen": {},
    "one speed": {"speeds": [], "heard": []},
    "one speed, heard at three": {"speeds": [], "heard": NARROW},
    "three speeds, heard at one": {"speeds": NARROW, "heard": []},
    "three speeds, heard at three": {"speeds": NARROW, "heard": NARROW},
    "five speeds, heard at one": {"speeds": WIDE, "heard": []},
    "five speeds, heard at three": {"speeds": WIDE, "heard": NARROW},
    "five speeds, heard at five": {"speeds": WIDE, "heard": WIDE},
    "no damping": {"nuisance_strength": 0.0},
    "damping 0.5": {"nuisance_strength": 0.5},
    "damping 2": {"nuisance_strength": 2.0},
    "no prior": {"prior_strength": 0.0},
    "prior in full": {"prior_strength": 1.0},
    "uniform prior": {"prior": {}},
    "corpora by the root of their size": {"size_power": 0.5},
    "corpora by the root of their size, no prior (v0)": {"size_power": 0.5, "prior_strength": 0.0, "penalty": 0.03},
    "loss over each corpus's labels only": {"unrestricted": 0.0},
    "loss over all labels only": {"unrestricted": 1.0},
    "penalty 0.005": {"penalty": 0.005},
    "penalty 0.08": {"penalty": 0.08},
    "with an augmented copy": {"copies": 1},
}


def main() -> None:
    """Run all variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"))
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the recipe")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="repeatable; default: all")
    parser.add_argument("--no-augmented", action="store_true", help="leave out the variants that need augmented copies")
    arguments = parser.parse_args()
    variants = {n: v for n, v in VARIANTS.items() if not (arguments.no_augmented and "copies" in v)}
    variants = {n: v for n, v in variants.items() if not arguments.variant or n in arguments.variant}
    copies = max(variant.get("copies", 0) for variant in variants.values())
    speeds = {speed for v in variants.values() for speed in (*v.get("speeds", ()), *v.get("heard", ()))}
    data = load_corpora(arguments.manifest, arguments.config, copies, arguments.set, speeds)
    lines = [
        "Macro recall [95 % interval over speakers] on the corpus left out; "
        f"{date.today().isoformat()}, {machine()}, torch {torch.__version__}; the fit is convex, no seed.",
        "",
        f"| head | {' | '.join(data.names)} | mean | mean, all labels |",
        f"|---|{'---|' * len(data.names)}--:|--:|",
    ]
    report: dict[str, dict[str, object]] = {}
    for name, variant in variants.items():
        scores = [evaluate(corpus, data, variant) for corpus in data.names]
        mean, unrestricted = (sum(score[i].value for score in scores) / len(scores) for i in (0, 1))
        cells = " | ".join(str(score[0]) for score in scores)
        lines.append(f"| {name} | {cells} | {mean:.3f} | {unrestricted:.3f} |")
        report[name] = {"mean": mean, "mean, all labels": unrestricted} | {
            corpus: vars(score[0]) for corpus, score in zip(data.names, scores, strict=True)
        }
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def evaluate(corpus: str, data: Corpora, variant: dict[str, Any]) -> tuple[Interval, Interval]:
    """Fit on the other corpora, score on this one: labels restricted to its own, and among all."""
    changes = {key: value for key, value in variant.items() if key not in ("copies", "size_power", "heard")}
    stage = replace(data.recipe.warm_start, **changes)
    others = {name: variant[name] for name in ("copies", "size_power") if name in variant}
    held = leave_out(corpus, data, stage, speeds=variant.get("heard"), **others)
    truth, speakers = held.truth, [clip.speaker for clip in held.clips]
    restricted, free = (
        bootstrap(lambda index, g=g: macro_recall([truth[i] for i in index], [g[i] for i in index])[0], speakers)
        for g in held.guesses(held.logits())
    )
    return restricted, free


if __name__ == "__main__":
    main()
