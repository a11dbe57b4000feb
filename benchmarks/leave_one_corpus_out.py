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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emotion import machine
from heads import Corpora, leave_out, load_corpora
from numpy.typing import NDArray

from aligncap.metrics import Interval, bootstrap, macro_recall

FEWEST_SPEAKERS = 5
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


@dataclass(frozen=True)
class Heard:
    """What a head hears on the corpus that was left out.

    Attributes:
        truth: labels.
        speakers: of the clips.
        restricted: the likeliest of the corpus's labels.
        free: the likeliest of all.
    """

    truth: NDArray[np.str_]
    speakers: list[str]
    restricted: NDArray[np.str_]
    free: NDArray[np.str_]

    def recall(self, rows: NDArray[np.int64], kind: str) -> float:
        """Macro recall of some clips; ``kind``: ``restricted`` or ``free``."""
        return macro_recall(list(self.truth[rows]), list(getattr(self, kind)[rows]))[0]

    def interval(self, kind: str) -> Interval:
        """Macro recall of all."""
        return bootstrap(lambda rows: self.recall(np.array(rows), kind), self.speakers)


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
        f"{date.today().isoformat()}, {machine()}, torch {torch.__version__}; the fit is convex, no seed. "
        f"Last columns: {next(iter(variants))} less this, over the same draws of speakers.",
        "",
        f"| head | {' | '.join(data.names)} | mean | mean, all labels | gained | gained, all labels |",
        f"|---|{'---|' * len(data.names)}--:|--:|---|---|",
    ]
    report: dict[str, dict[str, object]] = {}
    first: list[Heard] = []
    for name, variant in variants.items():
        heard = [evaluate(corpus, data, variant) for corpus in data.names]
        first = first or heard
        scores = [(one.interval("restricted"), one.interval("free")) for one in heard]
        mean, unrestricted = (sum(score[i].value for score in scores) / len(scores) for i in (0, 1))
        cells = " | ".join(str(score[0]) for score in scores)
        less = [str(difference(first, heard, kind)) if heard is not first else "" for kind in ("restricted", "free")]
        lines.append(f"| {name} | {cells} | {mean:.3f} | {unrestricted:.3f} | {' | '.join(less)} |")
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


def evaluate(corpus: str, data: Corpora, variant: dict[str, Any]) -> Heard:
    """Fit on the other corpora, and hear this one."""
    changes = {key: value for key, value in variant.items() if key not in ("copies", "size_power", "heard")}
    stage = replace(data.recipe.warm_start, **changes)
    others = {name: variant[name] for name in ("copies", "size_power") if name in variant}
    held = leave_out(corpus, data, stage, speeds=variant.get("heard"), **others)
    return Heard(
        np.array(held.truth), [clip.speaker for clip in held.clips], *map(np.array, held.guesses(held.logits()))
    )


def difference(ones: Sequence[Heard], others: Sequence[Heard], kind: str) -> Interval:
    """Of two variants' macro recalls, mean over corpora, over the same draws of speakers (of clips, where few)."""
    rng = np.random.default_rng(0)
    draws = []
    for one, other in zip(ones, others, strict=True):
        groups: dict[str, list[int]] = {}
        for place, speaker in enumerate(one.speakers):
            groups.setdefault(speaker, []).append(place)
        many = len(groups) >= FEWEST_SPEAKERS
        parts = list(groups.values()) if many else [[place] for place in range(len(one.speakers))]
        samples = [np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(1000)]
        whole = np.arange(len(one.speakers))
        draws.append([one.recall(rows, kind) - other.recall(rows, kind) for rows in (whole, *samples)])
    value, *drawn = np.mean(draws, axis=0)
    return Interval(float(value), *map(float, np.quantile(drawn, [0.025, 0.975])))


if __name__ == "__main__":
    main()
