"""Our caption metrics beside the public implementations, on real captions: how far they differ, and how fast they are.

    python benchmarks/metrics_parity.py --brace DATA/labels/brace --markdown FILE [--only-speed]

The pairs are those of BRACE's main parts (see benchmarks/brace.py), each caption of a pair with the sound's other
references, tokenised by Stanford's program. Needs Java, pycocoevalcap, sacrebleu, rouge-score and nltk; the last
comes with rouge-score. aac-metrics is compared too where it is installed.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
from brace import read
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer

from aligncap.metrics import bleu, cider_d, java, meteor_lite, rouge_l, score_captions, self_bleu, tokenize

try:
    import aac_metrics.functional as aac
except ImportError:
    aac = None

ROUNDS = 5

Row = tuple[str, str, str, str]


class Words:
    """The tokenizer to hand to rouge-score for text that is tokenised already."""

    def tokenize(self, text: str) -> list[str]:
        """Split at white space."""
        return text.split()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brace", type=Path, required=True, help="folder of BRACE's JSON files")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    parser.add_argument("--copies", type=int, default=10_000, help="captions to time, of five references each")
    parser.add_argument("--only-speed", action="store_true", help="print the table of times alone")
    arguments = parser.parse_args()
    pairs = [pair for pair in read(arguments.brace)[0] if pair.kind != "hallucination"]
    written = [text for pair in pairs for text in (pair.first, pair.second)]
    given = [list(pair.references) for pair in pairs for _ in range(2)]
    texts = sorted({*written, *(text for several in given for text in several)})
    by_java = java.ptb(texts)
    words = dict(zip(texts, by_java, strict=True))
    candidates, references = [words[text] for text in written], [[words[text] for text in row] for row in given]
    if arguments.only_speed:
        print("\n".join(speed(candidates, references, arguments.copies)))
        return
    by_us = tokenize(texts)
    differ = sum(one != other for one, other in zip(by_java, by_us, strict=True))
    where = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one process"
    lines = [
        f"{date.today().isoformat()}, {where}; {len(candidates)} captions with "
        f"{min(map(len, references))} to {max(map(len, references))} references.",
        "",
        f"Tokenizer: {differ} of {len(texts)} different texts come out otherwise than from Stanford's program.",
        "",
        "| metric | against | largest difference, corpus | largest difference, caption |",
        "|---|---|--:|--:|",
        *(f"| {' | '.join(row)} |" for row in parity(candidates, references)),
        "",
        *tokenizer_effect(written, given),
        "",
        *meteor_agreement(candidates, references),
        "",
        *speed(candidates, references, arguments.copies),
    ]
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")


def coco(metric: Any, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
    """(corpus score, caption scores) by a metric of pycocoevalcap."""
    quiet = {"verbose": 0} if isinstance(metric, Bleu) else {}
    return metric.compute_score(dict(enumerate(references)), {i: [text] for i, text in enumerate(candidates)}, **quiet)


def parity(candidates: list[str], references: list[list[str]]) -> list[Row]:
    """Largest differences from public implementations of the same definition."""
    rows: list[Row] = []

    def add(name: str, against: str, ours: Any, corpus: float | None, captions: Any) -> None:
        whole = "" if corpus is None else f"{abs(ours.corpus - corpus):.1e}"
        each = "" if captions is None else f"{np.abs(np.array(ours.captions) - np.array(captions)).max():.1e}"
        rows.append((name, against, whole, each))

    scores = bleu(candidates, references)
    corpus, captions = coco(Bleu(4), candidates, references)
    for order in range(4):
        add(f"BLEU-{order + 1}", "pycocoevalcap", scores[order], corpus[order], captions[order])
    most = max(map(len, references))
    streams = [[several[k] if k < len(several) else None for several in references] for k in range(most)]
    theirs = sacrebleu.corpus_bleu(candidates, streams, smooth_method="none", tokenize="none", force=True)
    add("BLEU-4", "sacrebleu (its score / 100)", scores[3], theirs.score / 100, None)
    add("ROUGE-L", "pycocoevalcap", rouge_l(candidates, references), *coco(Rouge(), candidates, references))
    scorer, single = RougeScorer(["rougeL"], tokenizer=Words()), [several[:1] for several in references]
    f1 = [scorer.score(t[0], c)["rougeL"].fmeasure for c, t in zip(candidates, single, strict=True)]
    add("ROUGE-L, beta 1", "rouge-score, one reference", rouge_l(candidates, single, beta=1), float(np.mean(f1)), f1)
    add("CIDEr-D", "pycocoevalcap", cider_d(candidates, references), *coco(Cider(), candidates, references))
    if aac is not None:
        for order in range(4):
            add(
                f"BLEU-{order + 1}",
                "aac-metrics",
                scores[order],
                *numbers(aac.bleu(candidates, references, n=order + 1)),
            )
        add("ROUGE-L", "aac-metrics", rouge_l(candidates, references), *numbers(aac.rouge_l(candidates, references)))
        add("CIDEr-D", "aac-metrics", cider_d(candidates, references), *numbers(aac.cider_d(candidates, references)))
    meteor = java.meteor(candidates, references)
    add("METEOR (Java)", "pycocoevalcap", meteor, *coco(Meteor(), candidates, references))
    few = candidates[:300]
    others = [few[:i] + few[i + 1 :] for i in range(len(few))]
    add("Self-BLEU-4", "pycocoevalcap, 300 captions", self_bleu(few), None, coco(Bleu(4), few, others)[1][3])
    return rows


def numbers(scores: Any) -> tuple[float, list[float]]:
    """(corpus score, caption scores) of what aac-metrics gives: two dictionaries of one tensor each."""
    (corpus,), (captions,) = (dictionary.values() for dictionary in scores)
    return float(corpus), captions.tolist()


def tokenizer_effect(written: list[str], given: list[list[str]]) -> list[str]:
    """What our tokenizer instead of Stanford's changes in the corpus scores."""
    ours, theirs = score_captions(written, given), score_captions(written, given, tokenizer="ptb-java")
    worst = max(theirs, key=lambda name: abs(ours[name].corpus - theirs[name].corpus) / max(theirs[name].corpus, 1e-9))
    change = abs(ours[worst].corpus - theirs[worst].corpus)
    return [
        "Our tokenizer instead of Stanford's changes no corpus score by more than "
        f"{change / max(theirs[worst].corpus, 1e-9):.1e} of itself ({worst})."
    ]


def meteor_agreement(candidates: list[str], references: list[list[str]]) -> list[str]:
    """How METEOR-lite follows METEOR."""
    full, lite = java.meteor(candidates, references), meteor_lite(candidates, references)
    one, other = np.array(full.captions), np.array(lite.captions)
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other)]
    return [
        f"METEOR-lite against METEOR: corpus {lite.corpus:.4f} and {full.corpus:.4f}; per caption, correlation "
        f"{np.corrcoef(one, other)[0, 1]:.3f}, rank correlation {np.corrcoef(*ranks)[0, 1]:.3f}, mean absolute "
        f"difference {np.abs(one - other).mean():.3f}; equal for {(np.abs(one - other) < 1e-6).mean():.0%} of captions."
    ]


def speed(candidates: list[str], references: list[list[str]], captions: int) -> list[str]:
    """Processor seconds of this process for the metrics that all have without Java; medians of paired rounds."""
    pool = [text for several in references for text in several]
    texts = [candidates[i % len(candidates)] for i in range(captions)]
    truths = [[pool[(5 * i + k) % len(pool)] for k in range(5)] for i in range(captions)]
    tasks: dict[str, list[Callable[[], object]]] = {
        "BLEU-1 … 4": [lambda: bleu(texts, truths), lambda: coco(Bleu(4), texts, truths)],
        "ROUGE-L": [lambda: rouge_l(texts, truths), lambda: coco(Rouge(), texts, truths)],
        "CIDEr-D": [lambda: cider_d(texts, truths), lambda: coco(Cider(), texts, truths)],
    }
    peers = ["pycocoevalcap"]
    if aac is not None:
        peers.append("aac-metrics")
        tasks["BLEU-1 … 4"].append(lambda: aac.bleu(texts, truths, return_1_to_n=True))
        tasks["ROUGE-L"].append(lambda: aac.rouge_l(texts, truths))
        tasks["CIDEr-D"].append(lambda: aac.cider_d(texts, truths))
    rounds = [[[seconds(task) for task in row] for row in tasks.values()] for _ in range(ROUNDS)]
    took = np.array(rounds)  # rounds × metrics × implementations
    took = np.concatenate([took, took.sum(axis=1, keepdims=True)], axis=1)
    heads = ["metric", "AlignCap, s", *(f"{peer}, s | ratio" for peer in peers)]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "--:|" * (1 + 2 * len(peers))]
    for name, row in zip([*tasks, "these three"], took.transpose(1, 0, 2), strict=True):
        cells = [name, f"{np.median(row[:, 0]):.2f}"]
        for peer in row[:, 1:].T:
            cells += [f"{np.median(peer):.2f}", f"{np.median(peer / row[:, 0]):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    everything = np.median([seconds(lambda: score_captions(texts, truths)) for _ in range(ROUNDS)])
    lines.append(
        f"| all of `score_captions`, with tokenising and METEOR-lite | {everything:.2f} |{' |' * 2 * len(peers)}"
    )
    versions = ", ".join(f"{peer} {version(peer)}" for peer in peers)
    what = (
        f"Processor seconds for {captions} captions with five references each, medians of {ROUNDS} rounds; {versions}:"
    )
    return [what, "", *lines]


def seconds(task: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    start = time.process_time()
    task()
    return time.process_time() - start


if __name__ == "__main__":
    main()
