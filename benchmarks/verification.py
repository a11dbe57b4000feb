"""What verification changes in captions, and how they are drawn; what both cost.

    python benchmarks/verification.py --manifest DATA/manifest.csv --limit 60 --markdown FILE

Captions of `dev` speakers, at most ``--limit`` clips a corpus: greedy, with the beginning drawn (`CAREFUL`) and drawn
to the last word (`VARIED`), as the model writes them at first; and the first and the last of these verified, as they
are returned. Columns: macro recall of the strongest emotion named (mean over corpora, 95 % over speakers); captions
with doubts, and clumsy ones (`aligncap.captioner.verify`); those that tell an emotion twice; sides of the voice told;
distinct captions, distinct-2; seconds a clip.
"""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from ablation import measured_voices, test_clips
from ablation_table import machine, recall
from preferences import numbers

import aligncap
from aligncap.captioner import Sampling
from aligncap.captioner.sampling import VARIED
from aligncap.captioner.verify import clumsy, doubts
from aligncap.captions.prompt import DEFAULT_INSTRUCTION

HEAD = (
    "| captions | macro recall | with doubts | clumsy | emotion told twice | sides of the voice told | distinct | "
    "distinct-2 | s a clip |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|",
)
SIDES, TWICE, DISTINCT, DISTINCT_2 = 5, 6, 8, 9  # of the columns of `numbers`
GREEDY = Sampling(temperature=0)
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"sampling": GREEDY, "verify": False},
    "beginning drawn (default where not verified)": {"verify": False},
    "drawn": {"sampling": VARIED, "verify": False},
    "greedy, verified": {"sampling": GREEDY},
    "drawn, verified (default)": {},
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--limit", type=int, default=100, help="clips a corpus")
    parser.add_argument("--voices", type=Path, default=Path("runs/voices.json"), help="measured voices are kept here")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    clips = test_clips(arguments.manifest.resolve(), arguments.limit, ["dev"])
    arguments.voices.parent.mkdir(parents=True, exist_ok=True)
    voices = measured_voices(clips, arguments.voices)
    captioner = aligncap.load(arguments.checkpoint, dtype=arguments.dtype)
    captioner.caption([str(clip.audio) for clip in clips[:8]])  # warm
    lines = [
        f"{len(clips)} clips of dev; {date.today().isoformat()}, {machine()}, dtype {arguments.dtype}, seed 0.",
        "",
        *HEAD,
    ]
    for name, options in WAYS.items():
        start = time.perf_counter()
        found = captioner.caption([str(clip.audio) for clip in clips], **options)
        seconds = (time.perf_counter() - start) / len(clips)
        whole = [one for one in found if isinstance(one, aligncap.Caption)]
        kept = {one.audio: one for one in reversed(whole)}  # of long clips the first stretch
        told = [kept[str(clip.audio)] for clip in clips]
        texts = [one.caption for one in told]
        doubted = [
            bool(doubts(one.caption, DEFAULT_INSTRUCTION, one.emotions, voices[clip.id]))
            for one, clip in zip(told, clips, strict=True)
        ]
        columns = numbers(texts, clips, voices)
        cells = [
            str(recall([{clip.id: text for clip, text in zip(clips, texts, strict=True)}], clips, "dev")),
            f"{np.mean(doubted):.3f}",
            f"{np.mean([bool(clumsy(text)) for text in texts]):.3f}",
            *(f"{columns[place]:.3f}" for place in (TWICE, SIDES, DISTINCT, DISTINCT_2)),
            f"{seconds:.3f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
