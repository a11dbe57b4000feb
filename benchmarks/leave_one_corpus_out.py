"""Choosing the emotion head without touching zero-shot corpora: leave one training corpus out.

    python benchmarks/leave_one_corpus_out.py --manifest DATA/manifest.csv

For each training corpus with emotion labels, the head is fitted on all the others and scored on it (all its
speakers), with the labels restricted to those that the held-out corpus uses (and, in the last column, among all
labels, as captions choose); calm counts as neutral, and boredom,
which only one corpus has, is left out. Features come from the cache of the recipe's output folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch
from emotion import machine
from torch import Tensor

from aligncap.metrics import Interval, bootstrap, macro_recall
from aligncap.model.configuration import EMOTIONS
from aligncap.model.utterance import UtteranceSummary
from aligncap.training.data import Clip, balance, label_sets, read_manifest
from aligncap.training.features import extract
from aligncap.training.recipe import CorpusRule, Recipe, load_recipe
from aligncap.training.warm_start import fit_linear_head, summaries

VARIANTS = {  # name: (strength of the damping, L2 penalty, augmented copies, share of the loss over all labels)
    "no damping": (0.0, 0.03, 0, 0.1),
    "damping 0.5": (0.5, 0.03, 0, 0.1),
    "damping 1 (chosen)": (1.0, 0.03, 0, 0.1),
    "damping 2": (2.0, 0.03, 0, 0.1),
    "loss over each corpus's labels only": (1.0, 0.03, 0, 0.0),
    "loss over all labels only": (1.0, 0.03, 0, 1.0),
    "penalty 0.003": (1.0, 0.003, 0, 0.1),
    "penalty 0.3": (1.0, 0.3, 0, 0.1),
    "with an augmented copy": (1.0, 0.03, 1, 0.1),
}


def main() -> None:
    """Run all variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-augmented", action="store_true", help="leave out the variants that need augmented copies")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.config, [f"manifest={arguments.manifest}"])
    clips = [clip for clip in read_manifest(arguments.manifest) if clip.split != "zero_shot"]
    variants = {n: v for n, v in VARIANTS.items() if not (arguments.no_augmented and v[2])}
    means = [features(clips, recipe, copy) for copy in range(1 + max(v[2] for v in variants.values()))]
    held_out = sorted({c.corpus for c in clips if recipe.corpora.get(c.corpus, CorpusRule()).captions})
    lines = [
        "Macro recall [95 % interval over speakers] on the corpus left out; "
        f"{date.today().isoformat()}, {machine()}, torch {torch.__version__}; the fit is convex, no seed.",
        "",
        f"| head | {' | '.join(held_out)} | mean | mean, all labels |",
        f"|---|{'---|' * len(held_out)}--:|--:|",
    ]
    report: dict[str, dict[str, object]] = {}
    for name, variant in variants.items():
        scores = [evaluate(corpus, clips, means, recipe, variant) for corpus in held_out]
        mean, unrestricted = (sum(score[i].value for score in scores) / len(scores) for i in (0, 1))
        cells = " | ".join(str(score[0]) for score in scores)
        lines.append(f"| {name} | {cells} | {mean:.3f} | {unrestricted:.3f} |")
        report[name] = {"mean": mean, "mean, all labels": unrestricted} | {
            corpus: vars(score[0]) for corpus, score in zip(held_out, scores, strict=True)
        }
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def features(clips: Sequence[Clip], recipe: Recipe, copy: int) -> Tensor:
    """Tap means (clips, size); NaN where a recording cannot be used."""
    folder = Path(recipe.output) / "features"
    cached = extract(clips, recipe.model, folder, augmented=copy > 0, seed=copy, workers=recipe.workers)
    rows = [None if state is None else summaries([state])[0] for state in cached.states]
    size = next(len(row) for row in rows if row is not None)
    return torch.stack([torch.full((size,), float("nan")) if row is None else row for row in rows])


def evaluate(
    corpus: str, clips: Sequence[Clip], means: list[Tensor], recipe: Recipe, variant: tuple[float, float, int, float]
) -> tuple[Interval, Interval]:
    """Fit on the other corpora, score on this one: labels restricted to its own, and among all."""
    strength, penalty, copies, share = variant
    usable = torch.isfinite(means[0]).all(1).tolist()
    train = [i for i, clip in enumerate(clips) if clip.corpus != corpus and usable[i]]
    test = [i for i, clip in enumerate(clips) if clip.corpus == corpus and usable[i] and clip.emotion != "boredom"]
    fitted = [clips[i] for i in train]
    targets, allowed = map(torch.from_numpy, label_sets(fitted, EMOTIONS, recipe.corpora))
    repeat = copies + 1
    x = torch.cat([copy[train] for copy in means[:repeat]])
    summary = UtteranceSummary(x.shape[1], 128)
    summary.fit(x, [f"{clip.corpus}/{clip.speaker}" for clip in fitted] * repeat, strength)
    weights = torch.from_numpy(balance(fitted, recipe.corpora))
    weight, bias = fit_linear_head(
        summary.normalise(x),
        targets.repeat(repeat, 1),
        allowed.repeat(repeat, 1),
        weights.repeat(repeat),
        penalty,
        share,
    )
    probabilities = (summary.normalise(means[0][test]) @ weight.T + bias).softmax(-1)
    truth = ["neutral" if clips[i].emotion == "calm" else clips[i].emotion for i in test]
    labels = sorted(set(truth))
    column = {emotion: index for index, emotion in enumerate(EMOTIONS)}
    probabilities[:, column["neutral"]] += probabilities[:, column["calm"]]
    probabilities[:, column["calm"]] = 0
    among = probabilities[:, [column[label] for label in labels]].argmax(1).tolist()
    guesses = [labels[i] for i in among], [EMOTIONS[i] for i in probabilities.argmax(1).tolist()]
    speakers = [clips[i].speaker for i in test]
    restricted, free = (
        bootstrap(lambda index, g=g: macro_recall([truth[i] for i in index], [g[i] for i in index])[0], speakers)
        for g in guesses
    )
    return restricted, free


if __name__ == "__main__":
    main()
