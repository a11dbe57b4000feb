"""A training run: features → warm start → teacher → align → checkpoint → prefer. Finished stages are not repeated."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from aligncap.errors import AlignCapError
from aligncap.model.configuration import EMOTIONS
from aligncap.model.processing import HABITS_FILE
from aligncap.preferences.pairs import read_pairs
from aligncap.training.align import align, build_model
from aligncap.training.data import Clip, TrainingSet, balance, label_sets, main_label, read_manifest
from aligncap.training.examples import has_captions
from aligncap.training.features import Features, extract
from aligncap.training.habits import chosen_captions, learnt_captions, write_habits
from aligncap.training.head import model_to_refit, refit_head
from aligncap.training.prefer import aligned_checkpoint, prefer
from aligncap.training.progress import is_main_process, say
from aligncap.training.recipe import CorpusRule, Recipe, as_dict
from aligncap.training.stages import claim, finished, head_key, key_hash, prefer_key, stage_key
from aligncap.training.teacher import ADAPTER, train_teacher
from aligncap.training.warm_start import fit_summary, out_of_fold, summaries, warm_start

__all__ = ["Run", "build_model", "train", "training_set"]

_WARM, _HYPOTHESES = "model.safetensors", "hypotheses.safetensors"


def train(recipe: Recipe, stage: str = "all", split: str = "train") -> Path:
    """Run a recipe, or one stage of it and what that needs.

    Args:
        recipe: see `Recipe`.
        stage: ``features``, ``warm-start``, ``teacher``, ``align``, ``all``, ``head`` or ``prefer``.
        split: rows of the manifest to train on (rows of ``zero_shot`` are refused).

    Returns:
        The folder of what was made: after ``align``, ``all``, ``head`` and ``prefer`` the checkpoint.

    Raises:
        AlignCapError: the manifest is unusable, or the output folder belongs to another recipe.
        Stopped: SIGINT or SIGTERM came; a checkpoint of the run was saved.
    """
    run = Run(recipe, split)
    stages: dict[str, Callable[[], Path]] = {
        "features": run.features,
        "warm-start": run.warm_start,
        "teacher": run.teacher,
        "align": run.align,
        "all": run.align,
        "head": run.head,
        "prefer": run.prefer,
    }
    return stages[stage]()


class Run:
    """The stages of a recipe; each runs those that it needs first.

    Args:
        recipe: see `Recipe`.
        split: rows of the manifest to train on.
    """

    def __init__(self, recipe: Recipe, split: str = "train") -> None:
        if split == "zero_shot":
            raise AlignCapError("rows of the split zero_shot are for evaluation only")
        if not recipe.manifest or not Path(recipe.manifest).is_file():
            raise AlignCapError(f"no manifest at {recipe.manifest!r}: give manifest=PATH/manifest.csv")
        self.recipe = recipe
        self.split = split
        self.output = Path(recipe.output)
        self.clips = [clip for clip in read_manifest(Path(recipe.manifest)) if clip.split != "zero_shot"]
        self._sets: dict[str, TrainingSet] = {}

    def data(self, split: str) -> TrainingSet:
        """Features and labels of a split's clips."""
        if split not in self._sets:
            self._sets[split] = training_set(self.clips, self.recipe, split)
            if split == self.split:
                data = self._sets[split]
                say(f"{len(data)} training rows from {len({clip.id for clip in data.clips})} clips")
        return self._sets[split]

    def captioned(self, split: str, share: float = 1.0) -> list[int]:
        """Rows of a split's data for which captions are written; at most those of a share of the clips.

        The recipe's own share, ``captions.clips``, is of the clips to train on alone.
        """
        data, recipe = self.data(split), self.recipe
        share = min(share, recipe.captions.clips) if split == self.split else 1.0
        rows = [
            row
            for row, clip in enumerate(data.clips)
            if (main_label(clip) is not None or clip.row.captions)
            and recipe.corpora.get(clip.corpus, CorpusRule()).captions
            and has_captions(clip, share, recipe.seed)
        ]
        if not rows and split == self.split:
            raise AlignCapError("no clip of the manifest has captions: is any emotion one that captions can name?")
        return rows

    def at_speeds(self) -> list[Tensor]:
        """Tap means of the training rows' clips at each further speed of the warm start, (N, taps * width)."""
        recipe, base = self.recipe, Path(self.recipe.base) / "features" if self.recipe.base else None
        place = {clip.id: number for number, clip in enumerate(self.clips)}
        rows = [place[clip.id] for clip in self.data(self.split).clips]
        out = []
        for speed in recipe.warm_start.speeds:
            folder, workers = self.output / "features", recipe.workers
            found = extract(self.clips, recipe.model, folder, speed=speed, workers=workers, base=base)
            heard = [states for row in rows if (states := found.states[row]) is not None]
            assert len(heard) == len(rows)  # what can be read at one speed can be read at all
            out.append(summaries(heard))
        return out

    def features(self) -> Path:
        """Extract what the frozen encoder makes of each clip."""
        self.data(self.split)
        self.at_speeds()
        return self.output / "features"

    def warm_start(self) -> Path:
        """Fit the summary and the emotion head, train the bridge, make out-of-fold hypotheses."""
        key = stage_key(self.recipe, "warm_start", self.split)
        return self._once("warm_start", key, (_WARM, _HYPOTHESES), self._warm_start)

    def _warm_start(self, folder: Path) -> None:
        if not is_main_process():
            return
        recipe, data = self.recipe, self.data(self.split)
        model, _ = build_model(recipe)
        x = fit_summary(model, data, recipe.warm_start, self.at_speeds())
        logits = out_of_fold(x, data, recipe.warm_start, recipe.seed)
        warm_start(model, data, recipe.warm_start, recipe.seed)
        save_file({"logits": logits}, folder / _HYPOTHESES)
        save_file({k: v.contiguous() for k, v in model.own_state().items()}, folder / f"{_WARM}.part")
        (folder / f"{_WARM}.part").replace(folder / _WARM)

    def teacher(self) -> Path:
        """Tune the language model that reads."""
        key = stage_key(self.recipe, "teacher", self.split)

        def work(folder: Path) -> None:
            data = self.data(self.split).select(self.captioned(self.split))
            dev = self.data("dev").select(self.captioned("dev"))
            train_teacher(self.recipe, data, dev, folder, key_hash(key))

        return self._once("teacher", key, (ADAPTER,), work)

    def align(self) -> Path:
        """Train the student, and write the checkpoint."""
        recipe, key = self.recipe, stage_key(self.recipe, "align", self.split)
        checkpoint = self.output / "checkpoint"

        def work(folder: Path) -> None:
            warm = self.warm_start()
            teacher = self.teacher() if recipe.align.lambda_kd else None
            logits = load_file(warm / _HYPOTHESES)["logits"]
            data, rows = self.data(self.split), self.captioned(self.split, recipe.align.clips)
            labelled = [row for row in rows if not data.targets[row].all()]
            right = data.targets[labelled].gather(1, logits[labelled].argmax(1, keepdim=True)).float().mean()
            say(f"out-of-fold emotion hypotheses: {float(right):.3f} right")
            taught = data.select(rows)
            model = align(recipe, taught, logits[rows], warm / _WARM, teacher, folder, key_hash(key))
            if is_main_process():
                model.save_pretrained(checkpoint, dtype=torch.float16)
                write_habits(checkpoint, learnt_captions(taught, recipe.captions, recipe.seed))
                (folder / "done").touch()

        self._once("align", key, ("done",), work)
        return checkpoint

    def head(self) -> Path:
        """Give a finished model another emotion head, and write the checkpoint."""
        recipe = self.recipe
        start = aligned_checkpoint(recipe, "head")
        checkpoint = self.output / "refitted"

        def work(folder: Path) -> None:
            if not is_main_process():
                return
            model = model_to_refit(recipe, start)
            refit_head(model, recipe, self.data(self.split), self.at_speeds())
            model.save_pretrained(checkpoint, dtype=torch.float16)
            if (start / HABITS_FILE).is_file():
                shutil.copy(start / HABITS_FILE, checkpoint / HABITS_FILE)
            (folder / "done").touch()

        self._once("head", head_key(recipe, self.split, start), ("done",), work)
        return checkpoint

    def prefer(self) -> Path:
        """Train the aligned model on pairs, and write the checkpoint; or all rounds of it."""
        recipe = self.recipe
        if recipe.prefer.rounds:
            from aligncap.training.rounds import run_rounds

            return run_rounds(recipe, self.split)
        key = prefer_key(recipe, self.split, aligned_checkpoint(recipe))
        checkpoint = self.output / "preferred"

        def work(folder: Path) -> None:
            model = prefer(recipe, self._paired(), folder, key_hash(key))
            if is_main_process():
                model.save_pretrained(checkpoint, dtype=torch.float16)
                write_habits(checkpoint, chosen_captions(Path(recipe.prefer.pairs)))
                (folder / "done").touch()

        self._once("prefer", key, ("done",), work)
        return checkpoint

    def _paired(self) -> TrainingSet:
        """Features of the clips that pairs are about; no others are needed."""
        path = Path(self.recipe.prefer.pairs)
        pairs = read_pairs(path, on_problem=lambda line: None) if path.is_file() else ()  # `prefer` tells what is wrong
        wanted = {pair.id for pair in pairs}
        return training_set([clip for clip in self.clips if clip.id in wanted], self.recipe, self.split)

    def _once(self, stage: str, key: dict[str, object], results: tuple[str, ...], work: Callable[[Path], None]) -> Path:
        """Run a stage unless its results are there; processes other than the first wait for them."""
        found = finished(self.recipe, stage, key, results)
        if found is not None:
            say(f"{stage.replace('_', ' ')}: done before, in {found}")
            return found
        folder = self.output / stage
        claim(folder, key)
        self._keep_recipe()
        work(folder)
        while (found := finished(self.recipe, stage, key, results)) is None:
            time.sleep(0.2)
        return found

    def _keep_recipe(self) -> None:
        if is_main_process():
            (self.output / "recipe.yaml").write_text(yaml.safe_dump(as_dict(self.recipe), sort_keys=False))


def training_set(clips: list[Clip], recipe: Recipe, split: str) -> TrainingSet:
    """Features, augmented copies and labels of the clips of a split.

    The features of all the clips are extracted and cached; those without a usable recording or label are left out.
    """
    folder = Path(recipe.output) / "features"
    base = Path(recipe.base) / "features" if recipe.base else None
    copies: list[Features] = []
    for copy in range(recipe.augmented_copies + 1):
        copies.append(
            extract(clips, recipe.model, folder, augmented=copy > 0, seed=copy, workers=recipe.workers, base=base)
        )
    if split == "train":
        _list_left_out(copies[0].failures, Path(recipe.output))
    targets, allowed = label_sets(clips, EMOTIONS, recipe.corpora)
    chosen = [row for row, clip in enumerate(clips) if clip.split == split]
    weights = np.zeros(len(clips), np.float32)
    if chosen:
        weights[chosen] = balance([clips[row] for row in chosen], recipe.corpora)
    rows = [
        (index, number)
        for number, copy in enumerate(copies)
        for index in chosen
        if copy.states[index] is not None and targets[index].any()
    ]
    index = np.array([row for row, _ in rows], int)
    return TrainingSet(
        [clips[row] for row, _ in rows],
        [state for row, number in rows if (state := copies[number].states[row]) is not None],
        [copies[number].voice[row] for row, number in rows],
        torch.from_numpy(targets[index]),
        torch.from_numpy(allowed[index]),
        torch.from_numpy(weights[index]),
        [number for _, number in rows],
    )


def _list_left_out(failures: dict[str, str], output: Path) -> None:
    """Name the recordings that cannot be used, a few of them on the screen."""
    if not failures or not is_main_process():
        return
    path = output / "left_out.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "reason"), *failures.items()])
    for name, reason in list(failures.items())[:5]:
        say(f"left out: {name}: {reason}")
    say(f"{len(failures)} recordings cannot be used and were left out; all are listed in {path}")
