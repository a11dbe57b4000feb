from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aligncap.captions import INSTRUCTIONS
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION
from aligncap.corpora import Row
from aligncap.training.collate import TeacherPrompts
from aligncap.training.data import Clip, TrainingSet
from aligncap.training.examples import Examples, Windows, has_captions, trusted
from aligncap.training.recipe import CaptionRules

EMOTIONS = ["angry", "happy", "sad"]
RULES = CaptionRules(per_clip=4)


def training_set(clips: int = 20, **changed: Any) -> TrainingSet:
    rng = np.random.default_rng(1)
    rows = [
        Row(f"c{i}", "x.wav", corpus="c", emotion=EMOTIONS[i % 3], intensity="strong", transcript="Hi")
        for i in range(clips)
    ]
    targets = torch.nn.functional.one_hot(torch.arange(clips) % 3, 3).bool()
    return TrainingSet(
        [Clip(replace(row, **changed), Path(row.audio)) for row in rows],
        [np.zeros((int(n), 2, 3), np.float16) for n in rng.integers(10, 50, clips)],
        [[("pitch", "high")] if i % 2 else [] for i in range(clips)],
        targets,
        torch.ones_like(targets),
        torch.ones(clips),
        [0] * clips,
    )


def logits(clips: int = 20) -> torch.Tensor:
    return torch.randn(clips, 3, generator=torch.Generator().manual_seed(0))


class Prompts:
    """Keeps the texts that stand where speech would be."""

    def prompts(self, counts: list[int], instructions: list[str], texts: list[str], responses: list[str]) -> dict:
        self.texts = texts
        return {}


def make(data: TrainingSet, rules: CaptionRules = RULES, seed: int = 0) -> Examples:
    return Examples(data, rules, seed, logits(len(data)), EMOTIONS, frame_dropout=0.3)


def test_an_example_depends_on_seed_and_number_alone() -> None:
    one, other = make(training_set()), make(training_set())
    forwards = [one(i) for i in range(50)]
    assert [other(i) for i in reversed(range(50))] == forwards[::-1]
    assert [make(training_set(), seed=1)(i) for i in range(50)] != forwards
    assert len({example.row for example in forwards}) > 10


def test_another_order_draws_other_examples_of_the_same_captions() -> None:
    data = training_set()
    usual, other = make(data), Examples(data, RULES, 0, logits(20), EMOTIONS, 0.3, order=1)
    assert [usual(i) for i in range(50)] != [other(i) for i in range(50)]
    assert [usual.lesson(3, pair) for pair in range(4)] == [other.lesson(3, pair) for pair in range(4)]


def test_pairs_of_a_clip_are_finitely_many_and_belong_to_the_clip() -> None:
    examples = make(training_set())
    drawn: dict[tuple[int, int], object] = {}
    for number in range(600):
        example = examples(number)
        assert drawn.setdefault((example.row, example.pair), example.lesson) == example.lesson
    assert {pair for _, pair in drawn} == {0, 1, 2, 3}
    # the same pairs in a data set of which some rows are left out
    data = training_set()
    few = make(data.select([3, 7]))
    assert few.lesson(1, 2) == examples.lesson(7, 2)


def test_shares_are_those_of_the_rules() -> None:
    examples = make(training_set(300), CaptionRules(per_clip=8))
    lessons = [examples.lesson(row, pair) for row in range(300) for pair in range(8)]
    asked = [lesson.instruction for lesson in lessons]
    # the default instruction is also one of those that are drawn freely
    assert asked.count(WORD_INSTRUCTION) / len(asked) == pytest.approx(0.25 + 0.25 / len(INSTRUCTIONS), abs=0.04)
    assert asked.count(DEFAULT_INSTRUCTION) / len(asked) == pytest.approx(0.5 + 0.25 / len(INSTRUCTIONS), abs=0.04)
    assert sum(lesson.clued for lesson in lessons) / len(lessons) == pytest.approx(0.75, abs=0.03)
    assert all(lesson.voice == () for lesson in lessons if not lesson.clued)


def test_the_students_prompt_holds_nothing_that_was_not_computed_from_speech() -> None:
    """Other labels, intensities and transcripts give the same clues (a label enters only where trust is asked for)."""
    rules = replace(RULES, clue_trust=0.0, default_share=1.0, word_share=0.0)
    told = make(training_set(), rules)
    other = make(training_set(emotion="happy", intensity="mild", transcript="I hate you"), rules)
    clues = [(told(i).clues, other(i).clues, told(i).row) for i in range(200)]
    assert all(ours == theirs for ours, theirs, _ in clues)
    assert len({ours for ours, _, _ in clues}) > 5
    winners = {row: EMOTIONS[int(logits()[row].argmax())] for row in range(20)}
    for ours, _, row in clues:
        assert not ours or {"happy": "happy", "sad": "sad", "angry": "angry"}[winners[row]] in ours
    without = make(training_set(), replace(rules, hypotheses=False))
    assert not any("Feeling" in without(i).clues for i in range(50))


def test_captions_of_the_manifest_are_learnt_and_their_clues_are_for_the_teacher_alone() -> None:
    captions = ["A weary voice that trails off.", "He sounds dejected."]
    data = training_set(captions=captions)
    examples = make(data)
    drawn = [examples(number) for number in range(300)]
    own = [example for example in drawn if example.lesson.instruction == DEFAULT_INSTRUCTION]
    assert {example.lesson.response for example in own} == set(captions)
    assert {example.lesson.parsed for example in own} == {"Clues: weary, trails off.", "Clues: dejected."}
    assert all(not example.lesson.parsed for example in drawn if example not in own)
    assert not any(word in example.clues for example in drawn for word in ("weary", "trails", "dejected"))
    processor = Prompts()
    TeacherPrompts(processor, data).prompts(own[:4])  # type: ignore[arg-type]
    assert all(example.lesson.parsed in text for example, text in zip(own[:4], processor.texts, strict=True))


def test_a_clip_without_a_label_learns_its_own_captions_alone() -> None:
    captions = ["It trails off.", "He is at the end of his tether."]
    examples = make(training_set(captions=captions, emotion=""))
    drawn = [examples(number) for number in range(40)]
    assert {example.lesson.response for example in drawn} == set(captions)
    assert {example.lesson.instruction for example in drawn} == {DEFAULT_INSTRUCTION}
    assert any("Feeling:" in example.clues for example in drawn)


def test_nothing_that_captions_need_knows_the_teachers_text() -> None:
    source = Path(__file__).parents[2] / "src" / "aligncap"
    for package in ("captioner", "model", "cli/caption.py"):
        path = source / package
        for file in [path] if path.is_file() else path.rglob("*.py"):
            if file.name == "teacher_text.py":
                continue
            text = file.read_text()
            assert "teacher_text" not in text, file
            assert "aligncap.training" not in text, file


def test_wrong_hypotheses_change_places_with_the_label() -> None:
    rng = np.random.default_rng(0)
    row, targets = torch.tensor([3.0, 1.0, 0.0]), torch.tensor([False, True, False])
    assert trusted(row, targets, 1, 1.0, rng).tolist() == [1.0, 3.0, 0.0]
    assert trusted(row, targets, 1, 0.0, rng).tolist() == row.tolist()
    assert trusted(row, torch.tensor([True, False, False]), 0, 1.0, rng).tolist() == row.tolist()


def test_frames_left_out_are_a_share_at_most() -> None:
    data = training_set()
    examples = make(data)
    shares = []
    for number in range(200):
        example = examples(number)
        start, end = example.left_out
        length = len(data.states[example.row])
        assert 0 <= start <= end <= length
        shares.append((end - start) / length)
    assert max(shares) <= 0.3
    assert np.mean(shares) > 0.08


def test_a_window_holds_a_steps_examples_by_length() -> None:
    examples = make(training_set())
    windows = Windows(examples, steps=3, batch_size=8)
    assert len(windows) == 24
    for step in range(3):
        window = [windows[8 * step + offset] for offset in range(8)]
        assert sorted(example.number for example in window) == list(range(8 * step, 8 * step + 8))
        assert [example.size for example in window] == sorted(example.size for example in window)


def test_shares_of_captioned_clips_are_nested() -> None:
    clips = training_set(400).clips
    few, more = ({clip.id for clip in clips if has_captions(clip, share, 3)} for share in (0.2, 0.6))
    assert few < more
    assert len(few) == pytest.approx(80, abs=25)
    assert all(has_captions(clip, 1.0, 3) for clip in clips)
