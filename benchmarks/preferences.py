"""What preference optimisation changes: hallucinations, recall and variety of captions, greedy, with the beginning
drawn (as `aligncap caption --verify off` does), and drawn at T = 1.

    python benchmarks/preferences.py --manifest DATA/manifest.csv --checkpoint aligned=embedded \\
        --checkpoint DPO=runs/dpo/preferred --limit 100 --markdown FILE

Captions are those that the model writes at first (not verified), of `dev` speakers, at most ``--limit`` clips a corpus;
they are saved and not made again. Columns: macro recall of the strongest emotion named, mean over corpora (95 %,
bootstrap over speakers); share of captions that name an emotion that the label does not support, or none; that say of
the voice what was not measured, or its contrary; that are unfaithful (form, leaks, inventions); how many sides of the
voice are told; captions that tell an emotion twice, and in the same word; distinct captions, distinct-2, words.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
from ablation import captioned, measured_voices, test_clips
from ablation_table import machine, recall

import aligncap
from aligncap.captioner import Sampling
from aligncap.captioner.sampling import CAREFUL
from aligncap.captions.claims import find_claims
from aligncap.evaluation.hallucination import evidence_of, judge
from aligncap.training.data import Clip

FACTUALITY = ("emotion", "no_emotion", "voice_unsupported", "voice_opposite")
HEAD = (
    "| model | captions | macro recall | emotion wrong | none named | voice not measured | voice contrary | "
    "unfaithful | sides of the voice told | emotion told twice | in the same word | distinct captions | "
    "distinct-2 | words |",
    "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)
Voices = dict[str, list[tuple[str, str]]]
HOW = {"greedy": Sampling(temperature=0), "beginning drawn": CAREFUL, "T = 1": Sampling(temperature=1.0, top_p=1.0)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--checkpoint", action="append", required=True, metavar="NAME=CHECKPOINT")
    parser.add_argument("--output", type=Path, default=Path("runs/preferences"))
    parser.add_argument("--limit", type=int, default=100, help="clips a corpus")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    clips = test_clips(arguments.manifest.resolve(), arguments.limit, ["dev"])
    voices = measured_voices(clips, arguments.output / "voices.json")
    lines = [
        f"{len(clips)} clips of dev; {date.today().isoformat()}, {machine()}, seed 0; captions not verified.",
        "",
        *HEAD,
    ]
    for given in arguments.checkpoint:
        name, _, checkpoint = given.rpartition("=")
        texts = captions_of(name or checkpoint, checkpoint, clips, arguments.output)
        lines += [row(name or checkpoint, how, [texts[how]], clips, voices) for how in HOW]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


def captions_of(
    name: str, checkpoint: str, clips: Sequence[Clip], output: Path, ways: Sequence[str] = tuple(HOW)
) -> dict[str, list[str]]:
    """Captions of the clips, for each way to write them; kept in a file for each checkpoint."""
    path = output / f"{name}.json"
    kept: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.is_file() else {}
    missing = [how for how in ways if any(clip.id not in kept.get(how, {}) for clip in clips)]
    if missing:
        captioner = aligncap.load(checkpoint, dtype="float32")
        for how in missing:
            sampling = HOW[how]
            kept[how] = {clip.id: text for clip, text in zip(clips, captioned(captioner, clips, sampling), strict=True)}
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return {how: [kept[how][clip.id] for clip in clips] for how in ways}


def findings(texts: Sequence[str], clips: Sequence[Clip], voices: Voices) -> list[set[str]]:
    """What is hallucinated in each caption, as types."""
    return [
        {finding.type for finding in judge(text, evidence_of(clip.row, voices[clip.id]))}
        for text, clip in zip(texts, clips, strict=True)
    ]


def row(
    name: str, how: str, seeds: Sequence[Sequence[str]], clips: Sequence[Clip], voices: Voices, split: str = "dev"
) -> str:
    """One line of the table, of captions of the split's clips; means over seeds."""
    cells = [str(recall([dict(zip((c.id for c in clips), texts, strict=True)) for texts in seeds], clips, split))]
    columns = [numbers(texts, clips, voices) for texts in seeds]
    for index, digits in enumerate((3, 3, 3, 3, 3, 2, 3, 3, 3, 3, 1)):
        cells.append(f"{np.mean([column[index] for column in columns]):.{digits}f}")
    return f"| {name} | {how} | {' | '.join(cells)} |"


def numbers(texts: Sequence[str], clips: Sequence[Clip], voices: Voices) -> list[float]:
    """The columns after the recall."""
    judged = findings(texts, clips, voices)
    sides = [len({c.category for c in find_claims(text) if c.kind == "acoustic"}) for text in texts]
    words = [text.lower().split() for text in texts]
    pairs = [pair for found in words for pair in pairwise(found)]
    return [
        *(float(np.mean([kind in types for types in judged])) for kind in FACTUALITY),
        float(np.mean([bool(types - set(FACTUALITY)) for types in judged])),
        float(np.mean(sides)),
        float(np.mean([repeats(text, "target") for text in texts])),
        float(np.mean([repeats(text, "text") for text in texts])),
        len(set(texts)) / len(texts),
        len(set(pairs)) / max(len(pairs), 1),
        float(np.mean([len(found) for found in words])),
    ]


def repeats(caption: str, what: str) -> bool:
    """Whether the claims of a caption tell an emotion more than once (``target``), or in the same word (``text``)."""
    told = [getattr(claim, what).lower() for claim in find_claims(caption) if claim.kind == "emotion"]
    return len(set(told)) < len(told)


if __name__ == "__main__":
    main()
