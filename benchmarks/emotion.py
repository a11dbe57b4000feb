"""Caption → emotion: macro recall on dev speakers and on zero-shot corpora, beside a linear probe.

    python benchmarks/emotion.py --manifest DATA/manifest.csv --split dev --split zero_shot

Captions are saved as JSON Lines and not made again (delete the folder for that); the scores are computed from
them. Systems:

* caption: the strongest emotion word of the caption; the model is not told the corpus's labels.
* likelihood: the model's own label likelihoods, restricted to the corpus's labels.
* probe: logistic regression on the clip means of the same frozen encoder states, trained on the same clips;
  unrestricted (as the caption) and restricted (as the likelihood).

The rule from emotions to a corpus's labels is `aligncap.evaluation.to_label_set`. Intervals: 95 % bootstrap over
speakers (over clips, where a corpus has fewer than five speakers).
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import date
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aligncap
from aligncap.evaluation import best_label, caption_label, to_label_set
from aligncap.evaluation.estimates import mean_interval
from aligncap.metrics import Interval, bootstrap, macro_recall
from aligncap.training.data import Clip, read_manifest
from aligncap.training.features import extract, progress_bar
from aligncap.training.recipe import Recipe, load_recipe
from aligncap.training.warm_start import summaries

BAVED_LIKE = ("baved",)  # corpora whose labels are not emotions


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/embedded.yaml"), help="for the probe's features")
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--split", action="append", choices=["dev", "zero_shot"], help="repeatable")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark_emotion"))
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    parser.add_argument("--examples", type=int, default=20, help="zero_shot captions drawn at random, for reading")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--no-probe", action="store_true", help="leave out the probe, which needs features of all clips"
    )
    parser.add_argument("--limit", type=int, help="clips a corpus, drawn at random (for a quick look)")
    arguments = parser.parse_args()
    splits = arguments.split or ["dev", "zero_shot"]
    arguments.output.mkdir(parents=True, exist_ok=True)
    recipe = load_recipe(arguments.config, [f"manifest={arguments.manifest}"])
    clips = [clip for clip in read_manifest(arguments.manifest) if clip.corpus not in BAVED_LIKE]
    wanted = choose([clip for clip in clips if clip.split in splits], arguments.limit)
    records = caption_all(wanted, arguments)
    train = [clip for clip in clips if clip.split == "train"]
    probed = {} if arguments.no_probe else probe(train, wanted, recipe)
    rows = [row for split in splits for row in score(split, wanted, records, probed)]
    report = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "checkpoint": arguments.checkpoint,
        "aligncap": aligncap.__version__,
        "torch": torch.__version__,
        "dtype": arguments.dtype,
        "seed": 0,
        "rows": [{**row, **{k: vars(v) for k, v in row.items() if isinstance(v, Interval)}} for row in rows],
    }
    (arguments.output / "scores.json").write_text(json.dumps(report, indent=2) + "\n")
    text = table(rows, report) + examples(wanted, records, arguments.examples)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


def choose(clips: list[Clip], limit: int | None) -> list[Clip]:
    """At most ``limit`` clips of each corpus and split."""
    if limit is None:
        return clips
    rng = np.random.default_rng(0)
    groups = sorted({(clip.split, clip.corpus) for clip in clips})
    chosen = []
    for group in groups:
        members = [clip for clip in clips if (clip.split, clip.corpus) == group]
        chosen += [members[i] for i in sorted(rng.permutation(len(members))[:limit])]
    return chosen


def caption_all(clips: list[Clip], arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Caption what has not been captioned; id → record of the first stretch of each clip."""
    path = arguments.output / "captions.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {record["audio"]: record for record in map(json.loads, lines)}
    todo = [clip for clip in clips if str(clip.audio) not in done]
    if todo:
        captioner = aligncap.load(arguments.checkpoint, dtype=arguments.dtype)
        todo.sort(key=lambda clip: clip.audio.stat().st_size)  # like lengths together
        with path.open("a", encoding="utf-8") as file, progress_bar() as bar:
            task = bar.add_task("captions", total=len(todo))
            for result in captioner.stream([str(clip.audio) for clip in todo], batch_size=16):
                record = result.to_dict()
                done.setdefault(str(record["audio"]), record)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
                bar.advance(task)
    return {clip.id: done[str(clip.audio)] for clip in clips}


def probe(train: list[Clip], wanted: list[Clip], recipe: Recipe) -> dict[str, dict[str, float]]:
    """Class probabilities of logistic regression on the mean states; the penalty is chosen on dev speakers."""
    everything = read_manifest(Path(recipe.manifest))
    folder = Path(recipe.output) / "features"
    means: dict[str, np.ndarray] = {}
    for part in (
        [clip for clip in everything if clip.split != "zero_shot"],
        [clip for clip in everything if clip.split == "zero_shot"],
    ):
        features = extract(part, recipe.model, folder, workers=recipe.workers)
        for clip, state in zip(part, features.states, strict=True):
            if state is not None:
                means[clip.id] = summaries([state])[0].numpy()
    dev = [clip for clip in everything if clip.split == "dev" and clip.corpus not in BAVED_LIKE]
    best: tuple[float, object] = (-1.0, None)
    usable = [clip for clip in train if clip.id in means]
    x, y = np.stack([means[clip.id] for clip in usable]), [clip.emotion for clip in usable]
    for c in (1e-3, 1e-2):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300)).fit(x, y)
        by_corpus = []
        for corpus in sorted({clip.corpus for clip in dev}):
            members = [clip for clip in dev if clip.corpus == corpus and clip.id in means]
            predicted = model.predict(np.stack([means[clip.id] for clip in members]))
            by_corpus.append(macro_recall([clip.emotion for clip in members], list(predicted))[0])
        best = max(best, (float(np.mean(by_corpus)), model), key=lambda pair: pair[0])
    chosen = best[1]
    probabilities = chosen.predict_proba(np.stack([means[clip.id] for clip in wanted]))  # type: ignore[attr-defined]
    classes = chosen.classes_  # type: ignore[attr-defined]
    return {clip.id: dict(zip(classes, row, strict=True)) for clip, row in zip(wanted, probabilities, strict=True)}


def score(
    split: str, clips: list[Clip], records: dict[str, dict[str, object]], probed: dict[str, dict[str, float]]
) -> list[dict[str, object]]:
    """One row per corpus of the split, and their mean; without the probe where nothing was probed."""
    rows: list[dict[str, object]] = []
    draws: dict[str, list[Interval]] = {}
    for corpus in sorted({clip.corpus for clip in clips if clip.split == split}):
        members = [clip for clip in clips if clip.split == split and clip.corpus == corpus]
        labels = sorted({clip.emotion for clip in members})
        truth = [clip.emotion for clip in members]
        systems = {
            "caption": [caption_label(str(records[clip.id].get("caption", "")), labels) for clip in members],
            "likelihood": [best_label(emotions_of(records[clip.id]), labels) for clip in members],
        }
        if probed:
            likeliest = [max(probed[clip.id], key=lambda label, p=probed[clip.id]: p[label]) for clip in members]
            systems["probe, unrestricted"] = [to_label_set(label, labels) for label in likeliest]
            systems["probe, restricted"] = [best_label(probed[clip.id], labels) for clip in members]
        row: dict[str, object] = {
            "split": split,
            "corpus": corpus,
            "clips": len(members),
            "classes": len(labels),
        }
        for name, predicted in systems.items():

            def sample(index: list[int], predicted: list[str] = predicted, truth: list[str] = truth) -> float:
                return macro_recall([truth[i] for i in index], [predicted[i] for i in index])[0]

            row[name] = bootstrap(sample, [clip.speaker for clip in members])
            draws.setdefault(name, []).append(row[name])  # type: ignore[arg-type]
        rows.append(row)
    mean: dict[str, object] = {
        "split": split,
        "corpus": "mean",
        "clips": sum(int(str(r["clips"])) for r in rows),
    }
    mean["classes"] = ""
    for name, intervals in draws.items():
        mean[name] = mean_interval(intervals)
    return [*rows, mean]


def examples(clips: list[Clip], records: dict[str, dict[str, object]], count: int) -> str:
    """Captions of clips of zero_shot drawn at random, beside their labels and clues, as Markdown."""
    unseen = [clip for clip in clips if clip.split == "zero_shot"]
    lines = ["", "| corpus | label | clue prompt | caption | doubts |", "|---|---|---|---|---|"]
    for index in np.random.default_rng(0).permutation(len(unseen))[:count]:
        clip, record = unseen[index], records[unseen[index].id]
        doubts = "; ".join(record.get("doubts", []))  # type: ignore[arg-type]
        lines.append(f"| {clip.corpus} | {clip.emotion} | {record['clues']} | {record['caption']} | {doubts} |")
    return "\n".join(lines) + "\n" if unseen and count else ""


def emotions_of(record: dict[str, object]) -> dict[str, float]:
    """Label probabilities of a record; none for a failure."""
    emotions = record.get("emotions", {})
    return dict(emotions) if isinstance(emotions, dict) else {}


def machine() -> str:
    """Processor and cores in words."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return f"{cpu}, {torch.get_num_threads()} threads"


def table(rows: list[dict[str, object]], report: dict[str, object]) -> str:
    """The scores as Markdown."""
    names = [name for name in rows[0] if isinstance(rows[0][name], Interval)]
    lines = [
        f"Macro recall [95 % interval]; {report['date']}, {report['machine']}, torch {report['torch']}, "
        f"dtype {report['dtype']}, seed {report['seed']}.",
        "",
        f"| split | corpus | clips | classes | {' | '.join(names)} |",
        f"|---|---|--:|--:|{'---|' * len(names)}",
    ]
    lines += [
        f"| {row['split']} | {row['corpus']} | {row['clips']} | {row['classes']} | "
        + " | ".join(str(row[name]) for name in names)
        + " |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
