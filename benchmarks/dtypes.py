"""Does a faster number format change what is said?

    python benchmarks/dtypes.py --manifest DATA/manifest.csv --against int8
    python benchmarks/dtypes.py --manifest DATA/manifest.csv --against EXPORTED_FOLDER --greedy

Captions the same `dev` recordings in float32 and in another format, or with what `aligncap export` wrote, and counts:
captions that are the same to the letter, captions that name the same emotion, the largest change of a probability,
macro recall of both; and for each format how many captions are the same alone and in a batch.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
from emotion import machine

import aligncap
from aligncap.captioner import Sampling
from aligncap.captions import main_emotion
from aligncap.corpora import audio_path, read_manifest
from aligncap.evaluation.labels import best_label, caption_label
from aligncap.metrics import bootstrap_mean, macro_recall


def main() -> None:
    """Caption twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--against", default="int8", metavar="int8|bfloat16|float16|DIR")
    parser.add_argument("--greedy", action="store_true", help="no drawn beginnings, and not verified")
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--alone", type=int, default=40, help="recordings that are also captioned alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    rows = [
        row for row in read_manifest(arguments.manifest) if row.split == "dev" and row.emotion not in ("low", "high")
    ]
    rows = [row for row in rows if row.corpus != "baved"]
    order = np.random.default_rng(arguments.seed).permutation(len(rows))[: arguments.clips]
    rows = [rows[i] for i in order]
    labels = {corpus: sorted({r.emotion for r in rows if r.corpus == corpus}) for corpus in {r.corpus for r in rows}}
    results, alone = {}, {}
    options = {"sampling": Sampling(temperature=0), "verify": False} if arguments.greedy else {}
    folder, against = Path(arguments.against), Path(arguments.against).name
    for dtype in ("float32", against):
        if dtype == against and folder.is_dir():
            captioner = aligncap.load(folder)
        else:
            captioner = aligncap.load(arguments.checkpoint, device="cpu", dtype=dtype)
        paths = [audio_path(row.audio, arguments.manifest.parent) for row in rows]
        results[dtype] = captioner.caption(paths, batch_size=16, **options)
        again = [captioner.caption(path, **options)[0].caption for path in paths[: arguments.alone]]
        alone[dtype] = sum(one == other.caption for one, other in zip(again, results[dtype], strict=False))
        del captioner
    plain, other = (results[dtype] for dtype in ("float32", against))
    assert len(plain) == len(other) == len(rows), "recordings of more than one stretch"
    speakers = [f"{row.corpus}/{row.speaker}" for row in rows]
    change = max(abs(a.emotions[k] - b.emotions[k]) for a, b in zip(plain, other, strict=True) for k in a.emotions)
    pairs = list(zip(plain, other, strict=True))
    same = bootstrap_mean([float(a.caption == b.caption) for a, b in pairs], speakers)
    named = bootstrap_mean([float(main_emotion(a.caption) == main_emotion(b.caption)) for a, b in pairs], speakers)
    recall = defaultdict(list)
    for corpus, names in sorted(labels.items()):
        chosen = [i for i, row in enumerate(rows) if row.corpus == corpus]
        truth = [rows[i].emotion for i in chosen]
        for dtype, found in results.items():
            said = [caption_label(found[i].caption, names) or "" for i in chosen]
            likely = [best_label(found[i].emotions, names) for i in chosen]
            recall[dtype].append((macro_recall(truth, said)[0], macro_recall(truth, likely)[0]))
    lines = [
        f"{len(rows)} recordings of `dev` speakers; {date.today().isoformat()}, {machine()}, seed {arguments.seed}.",
        "",
        f"| | {against} against float32{', greedy' * arguments.greedy} |",
        "|---|--:|",
        f"| captions the same to the letter | {same} |",
        f"| captions that name the same emotion | {named} |",
        f"| largest change of a probability in `emotions` | {change:.3f} |",
    ]
    for dtype, count in alone.items():
        lines.append(f"| captions the same alone and in a batch of 16, {dtype} | {count} of {arguments.alone} |")
    for dtype, scores in recall.items():
        caption, likelihood = np.mean(scores, 0)
        lines.append(
            f"| macro recall, mean of corpora, {dtype}: caption, `emotions` | {caption:.3f}, {likelihood:.3f} |"
        )
    if 0 < (differing := sum(a.caption != b.caption for a, b in pairs)) <= 10:
        lines += ["", "Those that differ:", ""]
        lines += [f"* {a.caption} / {b.caption}" for a, b in pairs if a.caption != b.caption]
    print(f"{differing} captions differ")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
