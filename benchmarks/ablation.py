"""What each part of Speech-Text Alignment is worth: students trained alike but for one setting, beside simpler systems.

    python benchmarks/ablation.py --manifest DATA/manifest.csv --base runs/embedded --steps 100 --seeds 3

``--base`` is a run whose features, warm start and teacher are finished (``aligncap train teacher``). Each arm is an
``aligncap train align`` of its own under ``--output``, with the recipe's warm start and teacher; an arm that is done is
not trained again, predictions are saved as JSON Lines and not made again, and scores are computed from them, so the
command can be stopped and repeated, or repeated for another split. Systems that are not trained:

* template: the label of the emotion head and the measured clues, written by the caption grammar;
* cascade: the same label and clues as text → the teacher → caption. What the student must beat.

Columns: macro recall of the strongest emotion that captions name, mean over corpora, on dev speakers and on zero_shot
corpora; emotion wheel: does the strongest emotion named lie in the group of the label's; similarity to captions that
the grammar writes of label and measured voice (cosine of MiniLM's embeddings); how often captions contradict what is
known (labels, measured voice), what they say of the voice against the measurements and against chance; errors on
training clips, greedy and sampled at T=1; divergence from the teacher. Of trained arms also captions drawn at T=1: they
show what the whole distribution says, where greedy captions show its likeliest wording.
Intervals: 95 %, bootstrap over speakers (over clips, where a corpus has fewer than five speakers).
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablation_table import DRAWN, GREEDY, folder_name, machine, tables
from safetensors.torch import load_file

import aligncap
from aligncap.audio import read_audio
from aligncap.captioner import Sampling
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.captions import Facts, answer, clue_prompt, main_emotion
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.clues import clue_words, measure
from aligncap.corpora import Row
from aligncap.model.configuration import EMOTIONS
from aligncap.model.lora import TEACHER, using_adapter
from aligncap.model.teacher_text import teacher_text
from aligncap.training.align import build_model
from aligncap.training.collate import StudentBatch, TeacherPrompts
from aligncap.training.data import Clip, main_label, pad_states, read_manifest
from aligncap.training.examples import Examples, Windows
from aligncap.training.networks import Student
from aligncap.training.recipe import Recipe, load_recipe
from aligncap.training.run import Run
from aligncap.training.teacher import Teacher, load_teacher

ARMS = {
    "KD + CE": [],
    "CE only": ["align.lambda_kd=0"],
    "KD only": ["align.lambda_ce=0"],
    "no emotion head in the loss": ["align.lambda_aux=0"],
    "no hypotheses in the prompt": ["captions.hypotheses=false"],
    "cold start of the bridge": ["warm_start.epochs=0"],
    "without damping of speakers": ["warm_start.nuisance_strength=0"],
    "without frame dropout": ["align.frame_dropout=0"],
    "CE only, no clue prompt": ["captions.clue_share=0", "align.lambda_kd=0"],
    "reverse KD + CE": ["align.divergence=reverse"],
    "sharpened KD + CE": ["align.teacher_temperature=0.7"],
    "sharpened KD only": ["align.lambda_ce=0", "align.teacher_temperature=0.7"],
    "KD at T=0.7 + CE": ["align.temperature=0.7"],
    "KD + CE, 20 % of clips heard": ["align.clips=0.2"],
    "CE only, 20 % of clips heard": ["align.clips=0.2", "align.lambda_kd=0"],
    "KD + CE, 5 % of clips heard": ["align.clips=0.05"],
    "CE only, 5 % of clips heard": ["align.clips=0.05", "align.lambda_kd=0"],
    "KD + CE, 20 % of captions": ["captions.clips=0.2"],
    "CE only, 20 % of captions": ["captions.clips=0.2", "align.lambda_kd=0"],
    "KD + CE, 5 % of captions": ["captions.clips=0.05"],
    "CE only, 5 % of captions": ["captions.clips=0.05", "align.lambda_kd=0"],
}
UNTRAINED = ("template", "cascade")
BATCH = 16
LIKELIEST = Sampling(temperature=0)
ANCESTRAL = Sampling(temperature=1.0, top_p=1.0)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--base", required=True, help="a run with features, warm start and teacher")
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3, help="of arms named by --arm; else of the first two")
    parser.add_argument("--arm", action="append", choices=[*ARMS, *UNTRAINED], help="repeatable; default: all")
    parser.add_argument("--limit", type=int, default=100, help="clips a corpus and split")
    parser.add_argument(
        "--split", action="append", choices=["dev", "zero_shot"], help="repeatable: clips of these; default: both"
    )
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    arguments = parser.parse_args()
    manifest, base, output = arguments.manifest.resolve(), Path(arguments.base).resolve(), arguments.output
    everything = load_recipe(base / "recipe.yaml", [f"manifest={manifest}", f"base={base}", f"output={base}"])
    output.mkdir(parents=True, exist_ok=True)
    run = Run(everything)
    clips = test_clips(manifest, arguments.limit, arguments.split or ["dev", "zero_shot"])
    voices = measured_voices(clips, output / "voices.json")
    wanted = arguments.arm or [*UNTRAINED, *ARMS]
    for name in wanted:
        many = name in ARMS and name in (arguments.arm or list(ARMS)[:2])
        for seed in range(arguments.seeds if many else 1):
            folder = output / folder_name(name, seed)
            folder.mkdir(parents=True, exist_ok=True)
            start, numbers = time.perf_counter(), folder / "numbers.json"
            if name in UNTRAINED:
                untrained(name, everything, todo(folder / GREEDY, clips), voices, folder)
                measured: dict[str, float] = {}
            elif not numbers.is_file():
                overrides = [*ARMS[name], f"align.steps={arguments.steps}", f"align.seed={seed}", "align.save_every=25"]
                recipe = load_recipe(
                    base / "recipe.yaml", [f"manifest={manifest}", f"base={base}", f"output={folder}", *overrides]
                )
                Run(recipe).align()
                measured = student(recipe, run, folder)
            if name not in UNTRAINED:
                write(folder / GREEDY, clips, LIKELIEST)
                write(folder / DRAWN, clips, ANCESTRAL)
            if not numbers.is_file():
                measured["seconds"] = time.perf_counter() - start
                numbers.write_text(json.dumps(measured, indent=1) + "\n")
                print(f"{name}, seed {seed}: {measured}", flush=True)
    text = tables(output, [*UNTRAINED, *ARMS], clips, voices)
    head = f"{date.today().isoformat()}, {machine()}, torch {torch.__version__}; {arguments.steps} steps of 16."
    print(f"{head}\n\n{text}")
    if arguments.markdown:
        arguments.markdown.write_text(f"{head}\n\n{text}\n")


def test_clips(manifest: Path, limit: int, splits: Sequence[str]) -> list[Clip]:
    """At most ``limit`` clips of each corpus of these splits, drawn at random."""
    rng = np.random.default_rng(0)
    clips = [clip for clip in read_manifest(manifest) if clip.split in splits and main_label(clip) is not None]
    chosen = []
    for group in sorted({(clip.split, clip.corpus) for clip in clips}):
        members = [clip for clip in clips if (clip.split, clip.corpus) == group]
        chosen += [members[i] for i in sorted(rng.permutation(len(members))[:limit])]
    return sorted(chosen, key=lambda clip: clip.audio.stat().st_size)


def measured_voices(clips: Sequence[Clip], path: Path) -> dict[str, list[tuple[str, str]]]:
    """Clip → what is out of the ordinary in its voice, by the measurements that captions are checked against."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    for clip in clips:
        if clip.id not in known:
            clues = measure(read_audio(clip.audio).samples, voice_quality=False)
            known[clip.id] = [(word.dimension, word.level) for word in clue_words(clues)]
    path.write_text(json.dumps(known) + "\n")
    return {name: [(dimension, level) for dimension, level in voice] for name, voice in known.items()}


def student(recipe: Recipe, run: Run, folder: Path) -> dict[str, float]:
    """What is measured of a trained arm on training clips and against the teacher."""
    captioner = aligncap.load(str(folder / "checkpoint"), dtype="float32")
    rows = np.random.default_rng(0).permutation(run.captioned("train"))[:96].tolist()
    seen = [run.data("train").clips[row] for row in rows]
    numbers: dict[str, float] = {}
    for how, texts in (("greedy", captioned(captioner, seen)), ("sampled", captioned(captioner, seen, ANCESTRAL))):
        wrong = [main_emotion(text) != main_label(clip) for text, clip in zip(texts, seen, strict=True)]
        numbers[f"wrong on training clips, {how}"] = float(np.mean(wrong))
    numbers["KL to the teacher"] = divergence(recipe, run, captioner)
    del captioner
    gc.collect()
    return numbers


def write(path: Path, clips: Sequence[Clip], sampling: Sampling) -> None:
    """Captions of a trained arm for those clips that have none there yet."""
    missing = todo(path, clips)
    if missing:
        captioner = aligncap.load(str(path.parent / "checkpoint"), dtype="float32")
        save(path, missing, captioned(captioner, missing, sampling))


def todo(path: Path, clips: Sequence[Clip]) -> list[Clip]:
    """The clips of which a file of predictions has no caption."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    done = {json.loads(line)["id"] for line in lines}
    return [clip for clip in clips if clip.id not in done]


def captioned(captioner: TorchCaptioner, clips: Sequence[Clip], sampling: Sampling = LIKELIEST) -> Iterator[str]:
    """Captions of clips (greedy by default), in order, as the model writes them at first; of failures empty ones."""
    paths = [str(clip.audio) for clip in clips]
    for result in captioner.stream(paths, batch_size=BATCH, sampling=sampling, verify=False):
        record = result.to_dict()
        if record.get("start", 0) == 0:  # of a long clip its first stretch
            yield str(record.get("caption", ""))


@torch.no_grad()
def divergence(recipe: Recipe, run: Run, captioner: TorchCaptioner, count: int = 64) -> float:
    """KL of the student from the teacher, a response token, on the captions of dev clips, prompted as at inference."""
    stage = replace(
        recipe.align, lambda_kd=1.0, divergence="forward", temperature=1.0, teacher_temperature=1.0, top_k=0
    )
    teacher = load_teacher(recipe, Path(recipe.base) / "teacher", captioner.model.language_model)
    data = run.data("dev").select(run.captioned("dev"))
    heard = [captioner.model.hear_states(*pad_states([states])) for states in data.states]
    hypotheses = torch.cat([speech.emotion_logits for speech in heard])
    rules = replace(recipe.captions, clue_trust=0.0)
    examples = Examples(data, rules, 0, hypotheses, captioner.model.config.emotions)
    collate = StudentBatch(captioner.processor, data, TeacherPrompts(teacher.processor, data), None)
    network = Student(captioner.model, stage).eval()
    windows = Windows(examples, count // BATCH, BATCH)
    total = tokens = 0.0
    for start in range(0, count, BATCH):
        batch = collate([windows[place] for place in range(start, start + BATCH)])
        inputs = {name: value for name, value in batch.items() if name not in ("ids", "numbers")}
        total += float(network(**inputs)["kd"])
        tokens += float((batch["labels"][:, 1:] != -100).sum())
    return total / tokens


def untrained(
    name: str, recipe: Recipe, clips: Sequence[Clip], voices: dict[str, list[tuple[str, str]]], folder: Path
) -> None:
    """Captions from the emotion head's label and the measured clues: by the grammar, or by the teacher."""
    run = Run(recipe)
    model, processor = build_model(recipe)
    model.load_own(load_file(run.warm_start() / "model.safetensors"))
    captioner = TorchCaptioner(model.eval(), processor, name)
    teacher = load_teacher(recipe, run.teacher(), model.language_model) if name == "cascade" else None
    if clips:
        save(folder / GREEDY, clips, _from_labels(captioner, teacher, clips, voices))


@torch.inference_mode()
def _from_labels(
    captioner: TorchCaptioner, teacher: Teacher | None, clips: Sequence[Clip], voices: dict[str, list[tuple[str, str]]]
) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for start in range(0, len(clips), BATCH):
        some = clips[start : start + BATCH]
        samples = [read_audio(clip.audio).samples[: 10 * 16000] for clip in some]
        batch = captioner.processor.features(samples)
        speech = captioner.model.hear(batch["features"], batch["feature_lengths"])
        labels = [EMOTIONS[index] for index in speech.emotion_logits.argmax(-1).tolist()]
        voice = [voices[clip.id] for clip in some]
        if teacher is None:
            for label, heard in zip(labels, voice, strict=True):
                yield answer(Facts(((label, 1.0),), voice=tuple(heard)), DEFAULT_INSTRUCTION, rng)
            continue
        texts = [
            teacher_text(Row(clip.id, "", emotion=label), clue_prompt((), heard))
            for clip, label, heard in zip(some, labels, voice, strict=True)
        ]
        prompts = teacher.processor.prompts([0] * len(texts), DEFAULT_INSTRUCTION, texts)
        tokenizer = teacher.processor.tokenizer
        with using_adapter(teacher.language_model, TEACHER):
            ends: dict[str, Any] = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
            out = teacher.language_model.generate(**prompts, max_new_tokens=64, do_sample=False, **ends)
        yield from teacher.processor.batch_decode(out[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)


def save(path: Path, clips: Sequence[Clip], captions: Iterator[str]) -> None:
    """Add captions to predictions that ``aligncap evaluate`` reads."""
    lines = [
        json.dumps({"id": clip.id, "caption": " ".join(text.split())}, ensure_ascii=False)
        for clip, text in zip(clips, captions, strict=True)
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
