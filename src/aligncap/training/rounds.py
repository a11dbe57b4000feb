"""On-policy rounds: sample captions from the policy as it is, judge them, train on the pairs, and once more."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

from aligncap.corpora import read_manifest
from aligncap.errors import AlignCapError
from aligncap.preferences.balance import count_pairs
from aligncap.preferences.build import Builder, BuildRules
from aligncap.preferences.candidates import CandidateFile, read_candidates
from aligncap.preferences.pairs import write_pairs
from aligncap.preferences.sampler import SamplePlan, Sampler, draw_rows
from aligncap.training.prefer import aligned_checkpoint, checkpoint_hash
from aligncap.training.progress import is_main_process, progress_bar, say
from aligncap.training.recipe import Recipe

__all__ = ["run_rounds"]


def run_rounds(recipe: Recipe, split: str) -> Path:
    """Run all rounds of a recipe; what is done is not done again.

    Each round's reference is the policy that it begins with. A round leaves ``round-N/`` with ``candidates.jsonl``,
    ``pairs.jsonl`` and what the stage leaves.

    Args:
        recipe: see `Recipe`; its ``prefer.rounds`` is at least 1.
        split: of the clips.

    Returns:
        The checkpoint of the last round, copied to ``preferred`` of the output.
    """
    from aligncap.training.run import Run

    output, checkpoint = Path(recipe.output), aligned_checkpoint(recipe)
    for number in range(1, recipe.prefer.rounds + 1):
        folder = output / f"round-{number}"
        pairs = folder / "pairs.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        if is_main_process() and not pairs.exists():
            _make_pairs(recipe, split, checkpoint, folder, number)
        while not pairs.exists():
            time.sleep(0.5)
        stage = replace(recipe.prefer, rounds=0, pairs=str(pairs), checkpoint=str(checkpoint))
        checkpoint = Run(replace(recipe, output=str(folder), base=str(output), prefer=stage), split).prefer()
    last = output / "preferred"
    if is_main_process():
        shutil.copytree(checkpoint, last, dirs_exist_ok=True)
    return last


def _make_pairs(recipe: Recipe, split: str, checkpoint: Path, folder: Path, number: int) -> None:
    """Sample and judge; other clips in every round."""
    from aligncap.captioner.loading import locate
    from aligncap.captioner.torch_loading import load_checkpoint

    stage, manifest = recipe.prefer, Path(recipe.manifest)
    rows = list(read_manifest(manifest))
    unnamed = [corpus for corpus, rule in recipe.corpora.items() if not rule.captions]
    chosen = draw_rows(rows, split, stage.round_clips, recipe.seed + number, unnamed)
    plan = SamplePlan(captions=stage.round_captions, seed=recipe.seed + number)
    path = folder / "candidates.jsonl"
    with CandidateFile(path, {"model": checkpoint_hash(checkpoint), **plan.settings()}) as file, progress_bar() as bar:
        task = bar.add_task(f"round {number}: sampling", total=len(chosen), completed=len(file.done))
        todo = [row for row in chosen if row.id not in file.done]
        if todo:
            loaded = load_checkpoint(*locate(checkpoint), dtype="float32")
            for clip in Sampler(loaded.model, loaded.processor, plan).sample(todo, manifest.absolute().parent):
                file.write(clip)
                bar.advance(task)
    problems: list[str] = []
    rules = BuildRules(negatives=tuple(stage.round_negatives), seed=recipe.seed + number)
    builder = Builder({row.id: row for row in rows}, rules, on_problem=problems.append)
    pairs = builder.build(read_candidates(path, problems.append))
    for line in (*problems[:5], *count_pairs(pairs).lines()):
        say(f"round {number}: {line}")
    if not pairs:
        raise AlignCapError(f"round {number}: no pairs came of {path}: sample more clips (prefer.round_clips)")
    write_pairs(pairs, folder / "pairs.jsonl")
