"""Captions of the same recordings by several checkpoints, side by side, for reading.

    python benchmarks/side_by_side.py DATA/manifest.csv before=A.jsonl after=B.jsonl --split zero_shot --count 20

The files are records of `aligncap caption` (or of benchmarks/emotion.py) whose ``audio`` is of the manifest. Drawn at
random by ``--seed`` among the recordings of the split that all files caption.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from aligncap.corpora import read_manifest


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("captions", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    systems = {name: captions(Path(file)) for name, _, file in (text.partition("=") for text in arguments.captions)}
    rows = {}
    for row in read_manifest(arguments.manifest):
        audio = str((arguments.manifest.parent / str(row.audio)).resolve())
        if row.split == arguments.split and all(audio in found for found in systems.values()):
            rows[audio] = row
    order = np.random.default_rng(arguments.seed).permutation(sorted(rows))[: arguments.count]
    print(f"| corpus | label | {' | '.join(systems)} |\n|{'---|' * (2 + len(systems))}")
    for audio in order:
        row = rows[audio]
        told = " | ".join(found[audio].replace("|", "\\|") for found in systems.values())
        print(f"| {row.corpus} | {row.emotion} | {told} |")


def captions(file: Path) -> dict[str, str]:
    """Recording → caption."""
    records = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {str(Path(record["audio"]).resolve()): record["caption"] for record in records if "caption" in record}


if __name__ == "__main__":
    main()
