"""Scores of the arms of benchmarks/ablation.py, from their saved captions alone."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aligncap.captions import Facts, answer, main_emotion
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.evaluation import caption_label
from aligncap.evaluation.emotion import group_scores, read_caption, true_groups
from aligncap.evaluation.hallucination import evidence_of, grounding, judge
from aligncap.evaluation.sentence_encoder import SentenceEncoder
from aligncap.metrics import Interval, macro_recall, similarity
from aligncap.training.data import Clip, main_label

GREEDY, DRAWN = "captions.jsonl", "drawn.jsonl"
RESAMPLES = 1000
FEWEST_SPEAKERS = 5


def tables(output: Path, names: Sequence[str], clips: Sequence[Clip], voices: dict[str, list[tuple[str, str]]]) -> str:
    """All the tables as Markdown: emotions, hallucinations, and the difference that distillation makes."""
    arms = {name: found for name in names if (found := _captions(output, name, GREEDY, clips))}
    splits = sorted({clip.split for clip in clips})
    lines = [
        f"| system | seeds | {' | '.join(splits)} | wrong on training clips, greedy | sampled at T=1 | "
        "KL to the teacher |",
        f"|---|--:|{'---|' * len(splits)}--:|--:|--:|",
    ]
    for name, seeds in arms.items():
        numbers = _numbers(output, name, len(seeds))
        cells = [str(recall(seeds, clips, split)) for split in splits]
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} | {' | '.join(numbers)} |")
    lines += [
        "",
        "| system | emotion wheel | similarity | emotion contradicts the label | voice claims | agree | by chance | "
        "contradict | by chance | other hallucinations | distinct captions |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    near = Similarity(clips, voices)
    lines += [_hallucination_row(name, seeds, clips, voices, near) for name, seeds in arms.items()]
    lines += _differences(arms, clips)
    drawn = {name: found for name in names if (found := _captions(output, name, DRAWN, clips))}
    lines += _drawn(arms, drawn, clips)
    return "\n".join(lines)


def recall(
    seeds: Sequence[dict[str, str]], clips: Sequence[Clip], split: str, less: Sequence[dict[str, str]] = ()
) -> Interval:
    """Macro recall, mean over the split's corpora and over seeds; ``less``: of another arm, which is taken off it.

    Speakers are drawn within each corpus, the same for all seeds and both arms.
    """
    rng = np.random.default_rng(0)
    values, draws = [], []
    for corpus in sorted({clip.corpus for clip in clips if clip.split == split}):
        members = [clip for clip in clips if clip.split == split and clip.corpus == corpus]
        labels = sorted({clip.emotion for clip in members})
        truth = np.array([clip.emotion for clip in members])
        told = [
            (sign / len(arm), np.array([caption_label(found[clip.id], labels) for clip in members]))
            for arm, sign in ((seeds, 1.0), (less, -1.0))
            for found in arm
        ]

        def score(index: np.ndarray, told: list[tuple[float, np.ndarray]] = told, truth: np.ndarray = truth) -> float:
            return sum(share * macro_recall(list(truth[index]), list(named[index]))[0] for share, named in told)

        values.append(score(np.arange(len(members))))
        groups: dict[str, list[int]] = {}
        for place, clip in enumerate(members):
            groups.setdefault(clip.speaker, []).append(place)
        parts = list(groups.values()) if len(groups) >= FEWEST_SPEAKERS else [[place] for place in range(len(members))]
        draws.append(
            [
                score(np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))]))
                for _ in range(RESAMPLES)
            ]
        )
    low, high = np.quantile(np.mean(draws, axis=0), [0.025, 0.975])
    return Interval(float(np.mean(values)), float(low), float(high))


def _differences(arms: dict[str, list[dict[str, str]]], clips: Sequence[Clip]) -> list[str]:
    """Each system less cross-entropy alone; with the same share of the captions, where it had but a share."""
    splits = sorted({clip.split for clip in clips})
    lines = ["", f"| less CE only | {' | '.join(splits)} |", f"|---|{'---|' * len(splits)}"]
    for name, seeds in arms.items():
        _, comma, share = name.partition(", ")
        base = arms.get(f"CE only{comma}{share}")
        if base is not None and not name.startswith("CE only"):
            cells = [str(recall(seeds, clips, split, base)) for split in splits]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines if len(lines) > 3 else []


def _drawn(
    greedy: dict[str, list[dict[str, str]]], drawn: dict[str, list[dict[str, str]]], clips: Sequence[Clip]
) -> list[str]:
    """Greedy captions beside those drawn at T=1: recall, and how many name no emotion, or one that is wrong."""
    if not drawn:
        return []
    splits = sorted({clip.split for clip in clips})
    columns = [f"{split}, drawn | less CE only" for split in splits]
    wrong = "none named, greedy | drawn | wrong one named, greedy | drawn"
    lines = [
        "",
        f"| system | seeds | {' | '.join(columns)} | {wrong} |",
        f"|---|--:|{'---|---|' * len(splits)}--:|--:|--:|--:|",
    ]
    for name, seeds in drawn.items():
        base = drawn.get("CE only")
        cells = []
        for split in splits:
            less = str(recall(seeds, clips, split, base)) if base and name != "CE only" else ""
            cells += [str(recall(seeds, clips, split)), less]
        shares = [_missed(found, clips) for found in (greedy[name], seeds)]
        cells += [f"{one[kind]:.3f}" for kind in (0, 1) for one in shares]
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def _missed(seeds: Sequence[dict[str, str]], clips: Sequence[Clip]) -> tuple[float, float]:
    """Shares of captions that name no emotion, and another one than the label."""
    named = [(main_emotion(captions[clip.id]), main_label(clip)) for captions in seeds for clip in clips]
    return (
        float(np.mean([told is None for told, _ in named])),
        float(np.mean([told is not None and told != label for told, label in named])),
    )


class Similarity:
    """To three captions that the grammar writes of each clip's label and measured voice."""

    def __init__(self, clips: Sequence[Clip], voices: dict[str, list[tuple[str, str]]]) -> None:
        rng = np.random.default_rng(0)
        self._encoder = SentenceEncoder()
        self._references = []
        for clip in clips:
            facts = Facts(((str(main_label(clip)), 1.0),), voice=tuple(voices[clip.id]))
            self._references.append(self._encoder.encode([answer(facts, DEFAULT_INSTRUCTION, rng) for _ in range(3)]))

    def __call__(self, texts: Sequence[str]) -> float:
        return similarity(self._encoder.encode(texts), self._references).corpus


def _hallucination_row(
    name: str,
    seeds: Sequence[dict[str, str]],
    clips: Sequence[Clip],
    voices: dict[str, list[tuple[str, str]]],
    near: Similarity,
) -> str:
    """Of the captions of all seeds together; distinct captions: mean over seeds."""
    arms = [[captions[clip.id] for clip in clips] for captions in seeds]
    texts, clips = [text for arm in arms for text in arm], list(clips) * len(arms)
    speakers = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
    findings = [judge(text, evidence_of(clip.row, voices[clip.id])) for text, clip in zip(texts, clips, strict=True)]
    emotion = np.mean([any(found.type == "emotion" for found in several) for several in findings])
    others = np.mean([any(found.type not in ("emotion", "acoustic", "no_emotion") for found in x) for x in findings])
    wheel = np.mean(
        [
            group_scores(read_caption(text).groups(), true_groups(str(main_label(clip)), clip.row.votes))[0]
            for text, clip in zip(texts, clips, strict=True)
        ]
    )
    told = grounding(texts, [voices[clip.id] for clip in clips], speakers).get("all")
    voice = (
        f"{told.claims} | {told.agree} | {told.chance:.3f} | {told.contradict.value:.3f} | {told.chance_contradict:.3f}"
        if told
        else "0 | | | |"
    )
    cells = f"{wheel:.3f} | {np.mean([near(arm) for arm in arms]):.3f} | {emotion:.3f} | {voice} | {others:.3f}"
    return f"| {name} | {cells} | {np.mean([len(set(arm)) / len(arm) for arm in arms]):.3f} |"


def _captions(output: Path, name: str, file: str, clips: Sequence[Clip]) -> list[dict[str, str]]:
    """Clip → caption, for each seed of an arm that is done and has captioned all the clips."""
    found = []
    for folder in _folders(output, name):
        if not (folder / file).is_file():
            continue
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        captions = {record["id"]: record["caption"] for record in map(json.loads, lines)}
        if all(clip.id in captions for clip in clips):
            found.append(captions)
    return found


def _numbers(output: Path, name: str, seeds: int) -> list[str]:
    """Means over the seeds of what was measured beside the captions."""
    wanted = ("wrong on training clips, greedy", "wrong on training clips, sampled", "KL to the teacher")
    read = [json.loads((folder / "numbers.json").read_text()) for folder in _folders(output, name)[:seeds]]
    return [f"{np.mean([one[key] for one in read]):.3f}" if key in read[0] else "" for key in wanted]


def _folders(output: Path, name: str) -> list[Path]:
    stem = folder_name(name, 0)[:-1]
    return sorted(path.parent for path in output.glob(f"{stem}[0-9]/numbers.json"))


def folder_name(name: str, seed: int) -> str:
    """Folder of an arm's run."""
    return f"{name.replace(' ', '_').replace('%', 'percent')}-{seed}"


def machine() -> str:
    """Processor and threads in words."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"
