"""How well `aligncap classify` finds the emotion of dev speakers, by labels of several kinds.

    python benchmarks/classify.py --manifest DATA/manifest.csv

Each clip is classified by the labels of its corpus: with these labels (told apart by the model's emotions); with other
words for them (likewise, by the taxonomy); and with both as if the taxonomy knew none of them (by the language model's
likelihood of the words alone). Macro recall (UAR) a corpus, and the mean over corpora with a bootstrap interval over
speakers. The clips are a random draw, seed 0, balanced over corpora and emotions.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch

import aligncap
from aligncap.captioner import Captioner, Failure
from aligncap.captioner.labels import LabelSet
from aligncap.captioner.stretches import Clip
from aligncap.captioner.words import Words
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.corpora import Row, read_manifest
from aligncap.metrics import bootstrap, macro_recall

OTHER_WORDS = {
    "angry": "furious",
    "boredom": "uninterested",
    "calm": "relaxed",
    "disappointed": "dissatisfied",
    "disgust": "repelled",
    "fear": "scared",
    "happy": "joyful",
    "neutral": "matter-of-fact",
    "sad": "unhappy",
    "surprise": "astonished",
}
WAYS = ("its labels", "other words for them", "its labels, words alone", "other words, words alone")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    captioner = aligncap.load(arguments.checkpoint, device="cpu", threads=arguments.threads)
    known = captioner.model.config.emotions
    dev = [row for row in read_manifest(arguments.manifest) if row.split == "dev" and row.emotion in known]
    rows = balanced(dev, arguments.clips)
    found: list[tuple[Row, list[str]]] = []
    for corpus in sorted({row.corpus for row in rows}):
        of_corpus = [row for row in rows if row.corpus == corpus]
        audio = {str(arguments.manifest.parent / row.audio): row for row in of_corpus}
        labels = sorted({row.emotion for row in of_corpus})
        if len(labels) < 2:
            continue
        for name, guesses in classified(captioner, list(audio), labels):
            found.append((audio[name], guesses))
    print(table(found, arguments.checkpoint))


def balanced(rows: Sequence[Row], count: int) -> list[Row]:
    """Clips of every corpus and emotion in turn, drawn at random, until there are enough."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for place in np.random.default_rng(0).permutation(len(rows)):
        groups[rows[place].corpus, rows[place].emotion].append(rows[place])
    turns = max(map(len, groups.values()))
    return [groups[key][turn] for turn in range(turns) for key in sorted(groups) if turn < len(groups[key])][:count]


def classified(captioner: Captioner, audio: list[str], labels: list[str]) -> list[tuple[str, list[str]]]:
    """Of each clip that is no longer than one stretch, the label found in each of the `WAYS`."""
    sets = [LabelSet.of(words, captioner.model.config.emotions) for words in (labels, [OTHER_WORDS[w] for w in labels])]
    blind = [LabelSet(given.words, ({},) * len(labels)) for given in sets]
    scorers = [Words(captioner.model, captioner.processor, given.words) for given in sets]

    @torch.inference_mode()
    def work(clips: Sequence[Clip]) -> list[tuple[str, list[str]]]:
        heard = captioner._listen(clips, DEFAULT_INSTRUCTION)
        words = [scorer.probabilities(heard.inputs, heard.speech, heard.prefix).tolist() for scorer in scorers]
        out = []
        for row, (clip, shares) in enumerate(zip(clips, heard.emotions.tolist(), strict=True)):
            emotions = dict(zip(captioner.model.config.emotions, shares, strict=True))
            likely = [given.probabilities(emotions, words[n % 2][row]) for n, given in enumerate((*sets, *blind))]
            best = [given.words.index(next(iter(p))) for given, p in zip((*sets, *blind), likely, strict=True)]
            out.append((clip.id, [labels[place] for place in best]))
        return out

    results = captioner._results(audio, 8, work)
    return [result for result in results if not isinstance(result, Failure) and result[0] in audio]


def table(found: list[tuple[Row, list[str]]], checkpoint: str) -> str:
    """Markdown."""
    corpora = sorted({row.corpus for row, _ in found})

    def scores(way: int, items: Sequence[int]) -> list[float]:
        chosen = [found[item] for item in items]
        groups = [[(row.emotion, guess[way]) for row, guess in chosen if row.corpus == corpus] for corpus in corpora]
        return [macro_recall(*zip(*group, strict=True))[0] for group in groups if group]

    speakers = [row.speaker for row, _ in found]
    lines = [
        f"{len(found)} clips, checkpoint `{checkpoint}`, {date.today().isoformat()}, seed 0.",
        "",
        f"| labels | {' | '.join(corpora)} | mean |",
        f"|---|{'--:|' * (len(corpora) + 1)}",
    ]
    for way, name in enumerate(WAYS):
        whole = bootstrap(lambda items, w=way: float(np.mean(scores(w, items))), speakers)  # type: ignore[misc]
        cells = [f"{score:.2f}" for score in scores(way, range(len(found)))]
        lines.append(f"| {name} | {' | '.join(cells)} | {whole} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
