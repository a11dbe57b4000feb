"""What verification changes in captions, and what it costs.

    python benchmarks/verification.py --manifest DATA/manifest.csv --limit 100 --markdown FILE

Captions of `dev` speakers, at most ``--limit`` clips a corpus, as the model writes them at first and as they are
returned. Columns: macro recall of the strongest emotion named (mean over corpora, 95 % over speakers); captions with
doubts, and clumsy ones (`aligncap.captioner.verify`); those that tell an emotion twice; distinct captions; those that
differ from the first ones, and that name another main emotion; seconds a clip.
"""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path

import numpy as np
from ablation import measured_voices, test_clips
from ablation_table import machine, recall
from preferences import repeats

import aligncap
from aligncap.captioner.verify import clumsy, doubts
from aligncap.captions import main_emotion
from aligncap.captions.prompt import DEFAULT_INSTRUCTION

HEAD = (
    "| captions | macro recall | with doubts | clumsy | emotion told twice | distinct | others than at first | "
    "another main emotion | s a clip |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|",
)


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
    first: list[str] = []
    for name, verify in (("at first", False), ("verified", True)):
        start = time.perf_counter()
        found = captioner.caption([str(clip.audio) for clip in clips], verify=verify)
        seconds = (time.perf_counter() - start) / len(clips)
        kept = {
            one.audio: one for one in reversed(found) if isinstance(one, aligncap.Caption)
        }  # of long clips the head
        told = [kept[str(clip.audio)] for clip in clips]
        texts = [one.caption for one in told]
        first = first or texts
        doubted = [
            bool(doubts(one.caption, DEFAULT_INSTRUCTION, one.emotions, voices[clip.id]))
            for one, clip in zip(told, clips, strict=True)
        ]
        pairs = list(zip(first, texts, strict=True))
        shares = (
            np.mean(doubted),
            np.mean([bool(clumsy(text)) for text in texts]),
            np.mean([repeats(text, "target") for text in texts]),
            len(set(texts)) / len(texts),
            np.mean([one != other for one, other in pairs]),
            np.mean([main_emotion(one) != main_emotion(other) for one, other in pairs]),
        )
        cells = [str(recall([{clip.id: text for clip, text in zip(clips, texts, strict=True)}], clips, "dev"))]
        cells += [f"{share:.3f}" for share in shares]
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds:.3f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
