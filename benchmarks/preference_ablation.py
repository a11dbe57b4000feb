"""What each part of PO-Regularization is worth: policies trained alike but for one setting, beside the aligned model.

    python benchmarks/preference_ablation.py --manifest DATA/manifest.csv --aligned CHECKPOINT --base runs/embedded \\
        --listeners crema_d.jsonl --steps 60 --seeds 3 --markdown FILE

The aligned model is sampled once (``candidates.jsonl`` under ``--output``), pairs are built of it as each arm says, and
each arm is an ``aligncap train prefer`` of its own. What is done is not done again, captions are saved and scores are
computed from them, so the command can be stopped and repeated. Arms:

* DPO: pairs of sampled captions, judged by factuality, acoustic and faithfulness; margins; + 0.2 NLL(chosen);
* IPO, SimPO: the same pairs, another loss;
* without the NLL term; without margins; listeners' votes in the margins (``--listeners``, see `aligncap pairs build`);
* hard negatives besides; factuality alone (factuality and acoustic judges); faithfulness alone;
* two rounds, three rounds: sampled again from the policy, on other clips.

Columns are those of benchmarks/preferences.py, means over seeds; then each arm less the aligned model: recall, and
captions with any factuality or faithfulness hallucination, and distinct-2 as a ratio. Intervals: 95 %, bootstrap over
speakers (over clips, where a corpus has fewer than five). Captions are not verified.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path

import numpy as np
import torch
from ablation import measured_voices, test_clips
from ablation_table import folder_name, machine, recall
from preferences import FACTUALITY, HEAD, Voices, captions_of, findings, numbers, row

from aligncap.captioner.loading import locate
from aligncap.captioner.torch_loading import load_checkpoint
from aligncap.corpora import Row, read_manifest
from aligncap.metrics import bootstrap_mean
from aligncap.preferences.balance import count_pairs
from aligncap.preferences.build import Builder, BuildRules
from aligncap.preferences.candidates import CandidateFile, read_candidates
from aligncap.preferences.judges import confusions
from aligncap.preferences.negatives import KINDS
from aligncap.preferences.pairs import write_pairs
from aligncap.preferences.sampler import SamplePlan, Sampler, draw_rows
from aligncap.training.data import Clip
from aligncap.training.prefer import checkpoint_hash
from aligncap.training.progress import progress_bar
from aligncap.training.recipe import load_recipe
from aligncap.training.run import Run

DISTINCT = 9  # of the columns of `numbers`


@dataclass(frozen=True)
class Arm:
    """What an arm differs in: its pairs, its recipe, its number of rounds."""

    rules: BuildRules = field(default_factory=lambda: BuildRules(per_prompt=4))
    overrides: tuple[str, ...] = ()
    listeners: bool = False
    rounds: int = 1


ARMS = {
    "DPO": Arm(),
    "IPO": Arm(overrides=("prefer.loss=ipo",)),
    "SimPO": Arm(overrides=("prefer.loss=simpo", "prefer.beta=2.0")),
    "DPO without the NLL term": Arm(overrides=("prefer.gamma=0",)),
    "DPO without margins": Arm(overrides=("prefer.margin_scale=0",)),
    "DPO, listeners in the margins": Arm(listeners=True),
    "DPO, hard negatives besides": Arm(BuildRules(per_prompt=4, negatives=tuple(KINDS))),
    "DPO, factuality alone": Arm(BuildRules(per_prompt=4, judges=("factuality", "acoustic"))),
    "DPO, faithfulness alone": Arm(BuildRules(per_prompt=4, judges=("faithfulness",))),
    "DPO, two rounds": Arm(rounds=2),
    "DPO, three rounds": Arm(rounds=3),
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--aligned", required=True, help="checkpoint that preference optimisation begins with")
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"))
    parser.add_argument("--base", default="", help="a run with features")
    parser.add_argument("--output", type=Path, default=Path("runs/preference_ablation"))
    parser.add_argument("--listeners", type=Path, help="manifest of clips with votes (`aligncap corpora read`)")
    parser.add_argument("--clips", type=int, default=112, help="that captions are sampled of")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate")
    parser.add_argument("--seeds", type=int, default=3, help="of arms named by --arm; else of the first")
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="repeatable; default: all")
    parser.add_argument("--split", default="dev", choices=["dev", "zero_shot"], help="whose clips are captioned")
    parser.add_argument("--limit", type=int, default=100, help="clips a corpus")
    parser.add_argument("--how", action="append", choices=["greedy", "beginning drawn", "T = 1"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every arm's recipe")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    arguments = parser.parse_args()
    output, ways = arguments.output, arguments.how or ["greedy", "T = 1"]
    output.mkdir(parents=True, exist_ok=True)
    manifest = arguments.manifest.resolve()
    clips = test_clips(manifest, arguments.limit, [arguments.split])
    voices = measured_voices(clips, output / "voices.json")
    rows = {one.id: one for one in read_manifest(manifest)}
    captions = output / "captions"
    captions.mkdir(exist_ok=True)
    told = {"aligned": [captions_of("aligned", arguments.aligned, clips, captions, ways)]}
    for name in arguments.arm or ARMS:
        asked = arguments.seeds if arguments.arm or name == next(iter(ARMS)) else 1
        for seed in count():
            folder = output / folder_name(name.replace(",", ""), seed)
            if seed >= asked and not (folder / f"round-{ARMS[name].rounds}/preferred/model.safetensors").is_file():
                break  # seeds that an earlier command trained count as well
            trained = policy(ARMS[name], seed, folder, rows, arguments)
            told.setdefault(name, []).append(captions_of(folder.name, str(trained), clips, captions, ways))
            print(f"{name}, seed {seed}: {trained}", flush=True)
    lines = [
        f"{len(clips)} clips of {arguments.split}; {date.today().isoformat()}, {machine()}, torch {torch.__version__}; "
        f"{arguments.steps} steps of 16 pairs, learning rate {arguments.rate:g}, pairs of {arguments.clips} clips",
        "",
        HEAD[0].replace("| model |", "| model | seeds |"),
        "|---|--:" + HEAD[1].removeprefix("|---"),
    ]
    for name, seeds in told.items():
        for how in ways:
            line = row(name, how, [seed[how] for seed in seeds], clips, voices, arguments.split)
            lines.append(line.replace(f"| {name} |", f"| {name} | {len(seeds)} |", 1))
    lines += ["", "| less aligned | captions | macro recall | factuality | faithfulness | distinct-2, ratio |"]
    lines.append("|---|---|---|---|---|--:|")
    for name, seeds in list(told.items())[1:]:
        for how in ways:
            first, several = told["aligned"][0][how], [seed[how] for seed in seeds]
            lines.append(f"| {name} | {how} | {differences(several, first, clips, voices)} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


def policy(arm: Arm, seed: int, folder: Path, rows: dict[str, Row], arguments: argparse.Namespace) -> Path:
    """The trained policy of an arm."""
    checkpoint = arguments.aligned
    for number in range(1, arm.rounds + 1):
        # the first round's candidates are those of all arms; later ones are the arm's own
        place = arguments.output if number == 1 else folder / f"round-{number}"
        here = folder / f"round-{number}"
        here.mkdir(parents=True, exist_ok=True)
        trained = here / "preferred"
        if not (trained / "model.safetensors").is_file():
            pairs = here / "pairs.jsonl"
            if not pairs.exists():
                candidates = sampled(checkpoint, place / "candidates.jsonl", rows, number, arguments)
                build(arm, candidates, pairs, rows, arguments.listeners)
            overrides = [
                f"manifest={arguments.manifest.resolve()}",
                f"base={arguments.base}",
                f"output={here}",
                f"seed={1 + seed}",
                f"prefer.pairs={pairs}",
                f"prefer.checkpoint={checkpoint}",
                f"prefer.steps={arguments.steps}",
                f"prefer.learning_rate={arguments.rate}",
                "prefer.save_every=20",
                *arm.overrides,
                *arguments.set,
            ]
            Run(load_recipe(arguments.config, overrides), "train").prefer()
        checkpoint = str(trained)
    return Path(checkpoint)


def sampled(checkpoint: str, path: Path, rows: dict[str, Row], number: int, arguments: argparse.Namespace) -> Path:
    """Candidates drawn from a checkpoint; other clips in every round."""
    chosen = draw_rows(list(rows.values()), "train", arguments.clips, number, ["baved"])
    plan = SamplePlan(seed=number)
    settings = {"model": checkpoint_hash(Path(checkpoint)), **plan.settings()}
    with CandidateFile(path, settings) as file, progress_bar() as bar:
        task = bar.add_task("sampling", total=len(chosen), completed=len(file.done))
        if todo := [one for one in chosen if one.id not in file.done]:
            loaded = load_checkpoint(*locate(Path(checkpoint)), dtype="float32")
            for clip in Sampler(loaded.model, loaded.processor, plan).sample(todo, arguments.manifest.resolve().parent):
                file.write(clip)
                bar.advance(task)
    return path


def build(arm: Arm, candidates: Path, pairs: Path, rows: dict[str, Row], listeners: Path | None) -> None:
    """Pairs of candidates, as the arm says."""
    prior = None
    if arm.listeners:
        if listeners is None:
            raise SystemExit("this arm needs --listeners: a manifest of clips with votes")
        prior = confusions(read_manifest(listeners))
    found = Builder(rows, arm.rules, prior).build(read_candidates(candidates, print))
    for line in count_pairs(found).lines():
        print(line)
    write_pairs(found, pairs)


def differences(several: Sequence[Sequence[str]], first: Sequence[str], clips: Sequence[Clip], voices: Voices) -> str:
    """An arm's recall, share of hallucinating captions and distinct-2, less (or by) those of the aligned model."""
    split = clips[0].split
    names = [clip.id for clip in clips]
    ours, base = ([dict(zip(names, texts, strict=True)) for texts in group] for group in (several, [first]))
    cells = [str(recall(ours, clips, split, base))]
    speakers = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
    for part in (lambda types: bool(types & set(FACTUALITY)), lambda types: bool(types - set(FACTUALITY))):
        before = np.array([part(types) for types in findings(first, clips, voices)], float)
        after = np.mean([[part(types) for types in findings(texts, clips, voices)] for texts in several], axis=0)
        cells.append(str(bootstrap_mean(list(after - before), clusters=speakers, seed=0)))
    variety = np.mean([numbers(texts, clips, voices)[DISTINCT] for texts in several])
    cells.append(f"{variety / numbers(first, clips, voices)[DISTINCT]:.2f}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
