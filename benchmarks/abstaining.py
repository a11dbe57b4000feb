"""Abstaining from unsure captions: how many are left, and how many of these name a wrong emotion.

    python benchmarks/abstaining.py DATA/manifest.csv CAPTIONS.jsonl --markdown FILE

CAPTIONS are records of `aligncap caption` (or of benchmarks/emotion.py) whose ``audio`` ends in the manifest's paths.
For each threshold: the coverage (share of the clips whose likeliest emotion has at least that probability: the others
are what `--verify strict` answers with "The emotion is unclear"), and the share of the captions left that name no
emotion which the label supports, as means over the corpora. Intervals: 95 % bootstrap over speakers. Nothing is
captioned here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from aligncap.captions import main_emotion
from aligncap.captions.facts import facts_of
from aligncap.corpora import Row, read_manifest
from aligncap.evaluation.estimates import mean_interval
from aligncap.metrics import Interval, bootstrap_mean

THRESHOLDS = (0.0, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    rows = {row.id: row for row in read_manifest(arguments.manifest) if row.split == arguments.split}
    by_audio = {str((arguments.manifest.parent / str(row.audio)).resolve()): row for row in rows.values()}
    judged: dict[str, list[tuple[Row, float, bool]]] = {}
    surprise = []
    for line in arguments.captions.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        row = by_audio.get(str(Path(record["audio"]).resolve()))
        if row is None or "caption" not in record or not (labels := facts_of(row).emotions):
            continue
        wrong = main_emotion(record["caption"]) not in dict(labels)
        surprise.append(-np.log(max(record["emotions"].get(labels[0][0], 0.0), 1e-4)))
        judged.setdefault(row.corpus, []).append((row, max(record["emotions"].values()), wrong))
    lines = [
        f"{sum(map(len, judged.values()))} captions of split {arguments.split}; corpora: {', '.join(sorted(judged))}; "
        "95 % intervals over speakers, seed 0. "
        f"`emotions`: negative log-likelihood of the label {np.mean(surprise):.3f} nats, mean confidence "
        f"{np.mean([item[1] for items in judged.values() for item in items]):.3f}.",
        "",
        "| threshold | coverage | captions left that name a wrong emotion |",
        "|--:|--:|--:|",
    ]
    for threshold in THRESHOLDS:
        left = {corpus: [item for item in items if item[1] >= threshold] for corpus, items in judged.items()}
        coverage = float(np.mean([len(left[corpus]) / len(items) for corpus, items in judged.items()]))
        error = mean_interval([share_wrong(items) for items in left.values() if items])
        lines.append(f"| {threshold:.2f} | {coverage:.3f} | {error} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


def share_wrong(items: list[tuple[Row, float, bool]]) -> Interval:
    """Share of wrong captions of a corpus, with its interval."""
    return bootstrap_mean([float(wrong) for _, _, wrong in items], [row.speaker or row.id for row, _, _ in items])


if __name__ == "__main__":
    main()
