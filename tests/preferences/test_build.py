from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from aligncap.corpora import Row
from aligncap.evaluation.hallucination import judge
from aligncap.preferences.build import SURE, Builder, BuildRules
from aligncap.preferences.candidates import Candidate, Candidates
from aligncap.preferences.judges import assess, evidence_for
from aligncap.preferences.negatives import KINDS
from aligncap.preferences.pairs import Pair
from aligncap.preferences.votes import Choice

DEFAULT, WORD = "Describe the emotion in the voice.", "Name the emotion in a single word."
GOOD = "The speaker sounds sad, and the pitch stays low."
ROW = Row("c/1", "a.wav", corpus="c", emotion="sad", transcript="Where have you been all day?", split="train")
VOICE = (("pitch", "low"),)
AS_IT_COMES = {"balance": 0.0, "match_lengths": False, "match_content": False}


def clip(*captions: str, instruction: str = DEFAULT, id: str = "c/1", more: Sequence[Candidate] = ()) -> Candidates:
    made = tuple(Candidate(instruction, text, -5.0, 9, 1.0, True) for text in captions)
    return Candidates(id, "Feeling: sad.", VOICE, (*made, *more))


def build(candidates: Candidates, rules: BuildRules, row: Row = ROW, choices: Sequence[Choice] = ()) -> list[Pair]:
    return Builder({row.id: row}, rules).build([candidates], choices)


def test_a_pair_says_by_how_much_and_why() -> None:
    angry = "The speaker sounds furious, and the pitch stays low."
    (pair,) = build(clip(GOOD, angry), BuildRules(**AS_IT_COMES))
    assert (pair.chosen, pair.rejected) == (GOOD, angry)
    assert (pair.margin, pair.judge, pair.kind) == (1.0, "judges", "emotion")
    assert (pair.id, pair.clues, pair.corpus, pair.emotion, pair.split) == ("c/1", "Feeling: sad.", "c", "sad", "train")
    assert "furious" in pair.reason


def test_nothing_with_a_fault_is_ever_chosen() -> None:
    high = "The speaker sounds sad, and the pitch stays high."
    invented = "The speaker sounds sad after a funeral."
    assert build(clip(high, invented, "The speaker sounds angry."), BuildRules(**AS_IT_COMES)) == []
    rules = BuildRules(negatives=tuple(KINDS), per_prompt=4, **AS_IT_COMES)
    pairs = build(clip(high, invented, GOOD, "The speaker sounds angry."), rules)
    assert {pair.chosen for pair in pairs} == {GOOD}
    assert {high, invented} < {pair.rejected for pair in pairs}
    slight = "The speaker sounds sad and perhaps speaks fast."
    assert assess(slight, evidence_for(ROW, VOICE, DEFAULT)).score >= 0.8, "a slight fault is a fault"
    assert build(clip(slight, "The speaker sounds angry."), BuildRules(**AS_IT_COMES)) == []
    evidence = evidence_for(ROW, VOICE, DEFAULT)
    assert all(not judge(pair.chosen, evidence) for pair in pairs)


def test_what_was_drawn_by_a_rare_chance_is_not_chosen() -> None:
    odd, angry = "The speaker sounds sad, and the pitch low esoterically.", "The speaker sounds angry."
    rare = Candidate(DEFAULT, odd, -20.0, 9, 1.0, True)
    assert build(clip(angry, more=[rare]), BuildRules(**AS_IT_COMES)) == []
    (pair,) = build(clip(angry, more=[rare]), BuildRules(fluency=-3.0, **AS_IT_COMES))
    assert pair.chosen == odd
    (pair,) = build(clip(GOOD, more=[replace(rare, caption=angry)]), BuildRules(**AS_IT_COMES))
    assert pair.rejected == angry, "it may be rejected"


def test_a_beginning_is_not_chosen_always() -> None:
    """Of captions as good as one another, the first of each clip begins alike, as greedy ones do."""
    other = "There is sorrow in the low voice."
    builder = Builder({f"c/{n}": replace(ROW, id=f"c/{n}") for n in range(10)}, BuildRules(per_prompt=1, **AS_IT_COMES))
    pairs = builder.build([clip(GOOD, other, "The speaker sounds angry.", id=f"c/{n}") for n in range(10)])
    assert [pair.chosen for pair in pairs].count(GOOD) == 5


def test_silence_about_the_voice_is_not_preferred_unless_asked_for() -> None:
    silent, wrong = "The speaker sounds sad.", "The speaker sounds sad, and the pitch is high."
    clips = [clip(silent, wrong, id=f"c/{n}") for n in range(6)]
    rows = {one.id: replace(ROW, id=one.id) for one in clips}
    assert Builder(rows, BuildRules(balance=0.0, match_lengths=False)).build(clips) == []
    assert len(Builder(rows, BuildRules(**AS_IT_COMES)).build(clips)) == 6


def test_chosen_captions_take_turns() -> None:
    others = [f"The speaker {verb} sadly, and the pitch stays low." for verb in ("talks", "speaks")]
    wrong = [f"The speaker sounds {word}." for word in ("angry", "happy", "afraid")]
    pairs = build(clip(GOOD, *others, *wrong), BuildRules(per_prompt=3, **AS_IT_COMES))
    assert {pair.chosen for pair in pairs} == {GOOD, *others}
    assert {pair.rejected for pair in pairs} == set(wrong)


def test_listeners_set_the_margin() -> None:
    row = Row("c/1", "a.wav", corpus="c", votes={"sad": 0.5, "fear": 0.35, "angry": 0.15}, split="train")
    captions = ["The speaker sounds sad.", "The speaker sounds afraid.", "The speaker sounds happy."]
    pairs = {pair.rejected: pair for pair in build(clip(*captions), BuildRules(**AS_IT_COMES), row)}
    doubtful, wrong = pairs[captions[1]], pairs[captions[2]]
    assert doubtful.kind == "listeners"
    assert doubtful.margin == pytest.approx(0.3)
    assert wrong.kind == "emotion"
    assert wrong.margin == 1


def test_hard_negatives_are_marked_by_kind() -> None:
    word = Candidate(WORD, "sad", -1.0, 2, 1.0, True)
    rules = BuildRules(per_prompt=0, negatives=tuple(KINDS), **AS_IT_COMES)
    pairs = {pair.kind: pair for pair in build(clip(GOOD, more=[word]), rules) if pair.instruction == DEFAULT}
    assert pairs.keys() == set(KINDS)
    for kind, pair in pairs.items():
        assert pair.chosen == GOOD
        assert pair.margin >= SURE.get(kind, 0.1)
    assert pairs["instruction_ignored"].rejected == "sad"


def test_a_label_that_listeners_hear_too_is_not_swapped_in() -> None:
    row = Row("c/1", "a.wav", corpus="c", votes={"sad": 0.6, "fear": 0.4}, split="train")
    for seed in range(8):
        rules = BuildRules(per_prompt=0, negatives=("label_swapped",), seed=seed, **AS_IT_COMES)
        (pair,) = build(clip(GOOD), rules, row)
        assert "fear" not in pair.reason
        assert (
            "neutral" not in build(clip("The speaker sounds calm."), rules, Row("c/1", "a", emotion="calm"))[0].reason
        )


def test_listeners_choices_become_pairs_unless_the_evidence_contradicts_them() -> None:
    told: list[str] = []
    plain, wrong = "The speaker sounds rather sad.", "The speaker sounds angry."
    votes = [
        Choice("c/1", DEFAULT, GOOD, plain, 0.5, "human", "1 of 4 chose the other caption"),
        Choice("c/1", DEFAULT, wrong, GOOD, 1.0, "human", "all"),
        Choice("c/9", DEFAULT, GOOD, wrong, 1.0, "human", "all"),
    ]
    builder = Builder({ROW.id: ROW}, BuildRules(per_prompt=0, **AS_IT_COMES), on_problem=told.append)
    (pair,) = builder.build([clip(GOOD)], votes)
    assert (pair.chosen, pair.rejected, pair.margin, pair.judge, pair.kind) == (GOOD, plain, 0.5, "human", "listeners")
    assert any("listeners chose 'The speaker sounds angry.'" in line for line in told)
    assert any(line.startswith("c/9: 1 choices of listeners") for line in told)


def test_zero_shot_rows_and_strangers_make_no_pairs() -> None:
    told: list[str] = []
    hidden = Row("z/1", "a.wav", emotion="sad", split="zero_shot")
    builder = Builder({"z/1": hidden}, BuildRules(), on_problem=told.append)
    assert builder.build([clip(GOOD, "The speaker sounds angry.", id="z/1"), clip(GOOD, id="gone")]) == []
    assert "zero_shot" in told[0]
    assert told[1] == "gone: not in the manifest"


def test_why_there_are_no_pairs_is_counted() -> None:
    builder = Builder({ROW.id: ROW}, BuildRules(**AS_IT_COMES))
    builder.build([clip(GOOD, GOOD), clip("The speaker sounds angry.")])
    assert builder.passed_over["candidates of a prompt that are all as good"] == 1
    assert builder.passed_over["no candidate without a fault"] == 1


def test_the_same_seed_gives_the_same_pairs() -> None:
    rules = BuildRules(negatives=tuple(KINDS), seed=5)
    candidates = clip(GOOD, "The speaker talks sadly.", "The speaker sounds angry, and the pitch stays high.")
    assert build(candidates, rules) == build(candidates, rules)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"judges": ("taste",)}, "unknown judge"),
        ({"negatives": ("typos",)}, "unknown kind"),
        ({"min_margin": 0.0}, "least margin"),
        ({"trust": 1.5}, "trust"),
        ({"per_prompt": -1}, "at least 0"),
    ],
)
def test_rules_out_of_range(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BuildRules(**wrong)  # type: ignore[arg-type]
