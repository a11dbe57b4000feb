"""What calibration gains, and what it may spoil, on corpora that the head never heard.

    python benchmarks/calibration.py --manifest DATA/manifest.csv

For each training corpus the emotion head is fitted on the others; then recordings of the corpus left out are drawn,
the head is calibrated on them as `aligncap calibrate` does, and scored on the whole corpus. Draws: recordings of any
kind; of one speaker; of one emotion; of one emotion of one speaker. The last three are what must not do harm.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from emotion import machine
from heads import HeldOut, leave_out, load_corpora

from aligncap.captioner.calibration import strength
from aligncap.metrics import macro_recall

RULES: dict[str, Callable[[int, float], float]] = {
    "chosen": strength,
    "no guard": lambda count, _: strength(count, 0.0),
    "whole distance": lambda _count, _share: 1.0,
}


def main() -> None:
    """Run all draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"))
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the recipe")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    data = load_corpora(arguments.manifest, arguments.config, 0, arguments.set)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for corpus in data.names:
        held = leave_out(corpus, data, data.recipe.warm_start)
        rng = np.random.default_rng(arguments.seed)
        found.setdefault(("none", ""), []).append(score(held))
        for kind, rows in draws(held, arguments.draws, rng).items():
            for rule, amount in RULES.items():
                each = [score(held, chosen, amount) for chosen in rows]
                found.setdefault((kind, rule), []).append(tuple(np.mean(each, 0)))
    lines = [
        f"Macro recall on the corpus left out, mean over {', '.join(data.names)} and {arguments.draws} draws; "
        f"{date.today().isoformat()}, {machine()}, seed {arguments.seed}.",
        "",
        "| calibrated on | rule | among the corpus's labels | change | among all labels | change |",
        "|---|---|--:|--:|--:|--:|",
    ]
    plain = np.mean(found["none", ""], 0)
    for (kind, rule), scores in found.items():
        mean = np.mean(scores, 0)
        change = mean - plain
        lines.append(f"| {kind} | {rule} | {mean[0]:.3f} | {change[0]:+.3f} | {mean[1]:.3f} | {change[1]:+.3f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


def draws(held: HeldOut, count: int, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Rows of recordings to calibrate on, by kind of draw."""
    speakers, labels = (np.array([getattr(c, name) for c in held.clips]) for name in ("speaker", "emotion"))
    many = [s for s in sorted(set(speakers)) if (speakers == s).sum() >= 10]
    out = {
        f"{n} recordings": [rng.choice(len(labels), n, replace=False) for _ in range(count)] for n in (5, 10, 20, 50)
    }
    out["10 of one speaker"] = [
        rng.choice(np.flatnonzero(speakers == s), 10, replace=False) for s in rng.choice(many, count)
    ]
    out["20 of one emotion"] = [
        rng.choice(np.flatnonzero(labels == e), 20, replace=False) for e in sorted(set(labels)) for _ in range(3)
    ]
    narrow = [(s, e) for s in many for e in sorted(set(labels)) if ((speakers == s) & (labels == e)).sum() >= 6]
    chosen = [narrow[i] for i in rng.choice(len(narrow), count)]
    out["6 of one speaker's emotion"] = [
        rng.choice(np.flatnonzero((speakers == s) & (labels == e)), 6, replace=False) for s, e in chosen
    ]
    return out


def score(
    held: HeldOut, rows: np.ndarray | None = None, amount: Callable[[int, float], float] | None = None
) -> tuple[float, float]:
    """Macro recall among the corpus's labels and among all, calibrated on some rows."""
    offset: torch.Tensor | float = 0.0
    if rows is not None and amount is not None:
        share = float(held.logits()[rows].softmax(-1).mean(0).max())
        offset = amount(len(rows), share) * (held.x[rows].mean(0) - held.summary.mean)
    restricted, free = held.guesses(held.logits(offset))
    return macro_recall(held.truth, restricted)[0], macro_recall(held.truth, free)[0]


if __name__ == "__main__":
    main()
