"""Which probabilities should `emotions` carry: the language model's, the emotion head's, or a blend? How far
softened? On dev speakers.

    python benchmarks/emotion_probabilities.py --manifest DATA/manifest.csv

Prints, for each: macro recall restricted to each corpus's labels, share right among all labels, mean confidence, and
the negative log-likelihood of the label (lower is better). At most 110 random clips a corpus, seed 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import aligncap
from aligncap.captions import clue_prompt
from aligncap.captions.prompt import WORD_INSTRUCTION
from aligncap.evaluation import best_label
from aligncap.metrics import macro_recall
from aligncap.model.configuration import EMOTIONS
from aligncap.model.likelihood import distinguishing, log_likelihoods
from aligncap.training.data import Clip, label_sets, read_manifest
from aligncap.training.features import extract
from aligncap.training.recipe import load_recipe
from aligncap.training.warm_start import pad_states

WORDS = ("angry", "bored", "calm", "disgusted", "afraid", "happy", "neutral", "sad", "surprised")
TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0)


@torch.inference_mode()
def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"))
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--limit", type=int, default=110, help="clips a corpus")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the recipe")
    parser.add_argument(
        "--told",
        choices=["emotions", "voice", "nothing"],
        default="emotions",
        help="what the clue prompt tells: hypotheses and voice, the voice alone, nothing",
    )
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.config, [f"manifest={arguments.manifest}", *arguments.set])
    clips = [clip for clip in read_manifest(arguments.manifest) if clip.split != "zero_shot"]
    features = extract(clips, recipe.model, Path(recipe.output) / "features", workers=recipe.workers)
    captioner = aligncap.load(arguments.checkpoint)
    model, processor = captioner.model, captioner.processor
    answers = distinguishing([processor.response_ids(word) for word in WORDS])
    rng = np.random.default_rng(0)
    chosen: list[int] = []
    for corpus in sorted({clip.corpus for clip in clips}):
        if corpus not in recipe.corpora or recipe.corpora[corpus].captions:
            dev = [i for i, c in enumerate(clips) if c.corpus == corpus and c.split == "dev"]
            usable = [i for i in dev if features.states[i] is not None]
            chosen += rng.permutation(usable)[: arguments.limit].tolist()
    told, heard = [], []
    for at in range(0, len(chosen), 16):
        rows = chosen[at : at + 16]
        states = [state for row in rows if (state := features.states[row]) is not None]
        speech = model.hear_states(*pad_states(states))
        head = speech.emotion_logits.softmax(-1)
        clues = [
            clue_prompt(
                list(zip(EMOTIONS, probabilities, strict=True)) if arguments.told == "emotions" else [],
                [] if arguments.told == "nothing" else features.voice[row],
            )
            for probabilities, row in zip(head.tolist(), rows, strict=True)
        ]
        prompts = processor.prompts(speech.mask.sum(1).tolist(), WORD_INSTRUCTION, clues)
        told.append(log_likelihoods(model, prompts, speech, answers))
        heard.append(head)
    llm, head = torch.cat(told), torch.cat(heard)
    members = [clips[i] for i in chosen]
    targets = torch.from_numpy(label_sets(members, EMOTIONS, recipe.corpora)[0])
    print(
        "| language model's part | its temperature | macro recall, restricted | right | confidence "
        "| negative log-likelihood |"
    )
    print("|--:|--:|--:|--:|--:|--:|")
    for share in (1.0, 0.7, 0.5, 0.3, 0.0):
        for temperature in TEMPERATURES if share else (1.0,):
            found = judge(share * (llm / temperature).softmax(-1) + (1 - share) * head, targets, members)
            print(f"| {share:.0%} | {temperature} | {' | '.join(f'{value:.3f}' for value in found)} |")


def judge(probabilities: Tensor, targets: Tensor, clips: list[Clip]) -> list[float]:
    """Restricted macro recall (mean over corpora), share right, confidence, negative log-likelihood."""
    recalls = []
    for corpus in sorted({clip.corpus for clip in clips}):
        rows = [i for i, clip in enumerate(clips) if clip.corpus == corpus]
        truth = [clips[i].emotion for i in rows]
        labels = sorted(set(truth))
        guesses = [best_label(dict(zip(EMOTIONS, probabilities[i].tolist(), strict=True)), labels) for i in rows]
        recalls.append(macro_recall(truth, guesses)[0])
    right = targets.gather(1, probabilities.argmax(1, keepdim=True)).float().mean().item()
    surprise = -(probabilities * targets).sum(1).clamp(min=1e-9).log().mean().item()
    return [float(np.mean(recalls)), right, probabilities.max(1).values.mean().item(), surprise]


if __name__ == "__main__":
    main()
