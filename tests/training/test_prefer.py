"""Preference optimisation on tiny random base weights: the engine is tested here, not quality."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_data import Done, Train

from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.corpora import Row
from aligncap.errors import RecipeError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.objectives import dpo
from aligncap.preferences.pairs import Pair, write_pairs
from aligncap.preferences.sampler import draw_rows
from aligncap.training import policy as policy_module
from aligncap.training.data import Clip, TrainingSet
from aligncap.training.pair_data import PairOrder, PairSet
from aligncap.training.policy import pair_losses
from aligncap.training.recipe import PreferStage, Recipe, load_recipe
from aligncap.training.run import Run
from aligncap.training.stages import stage_key

CAPTIONS = [("sad", "angry"), ("The speaker sounds sad and talks slowly.", "The speaker sounds furious.")]
SETTINGS = {
    "steps": 4,
    "batch_size": 8,
    "learning_rate": 0.01,
    "log_every": 1,
    "save_every": 2,
    "report_to": "[]",
    "held_out": 0,
    "warmup": 0,
}
Prefer = Callable[..., Done]


def some_pairs() -> list[Pair]:
    """Two pairs about each clip of ``acted`` that is trained on."""
    return [
        Pair(
            id=f"acted{speaker}{take}",
            instruction="Describe the emotion in the voice." if number else "Name the emotion in a single word.",
            clues="Feeling: sad." if take % 2 else "",
            chosen=CAPTIONS[number][0],
            rejected=CAPTIONS[number][1],
            margin=0.4 + 0.1 * take,
            judge="judges",
            reason="because",
            kind=["emotion", "label_swapped"][number],
            corpus="acted",
            emotion="sad",
            split="train",
        )
        for speaker in range(2)
        for take in range(4)
        for number in range(2)
    ]


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    write_pairs(some_pairs(), path)
    return path


@pytest.fixture(scope="session")
def prefer(train: Train, finished: Path, pairs: Path) -> Prefer:
    """``prefer(output, loss="ipo", …)``: train on the pairs, from the finished run's checkpoint."""

    def run(output: Path, base: Path = finished, **settings: object) -> Done:
        given = {"pairs": pairs, **SETTINGS, **settings}
        return train("prefer", f"base={base}", f"output={output}", *(f"prefer.{k}={v}" for k, v in given.items()))

    return run


@pytest.fixture(scope="session")
def preferred(prefer: Prefer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    output = tmp_path_factory.mktemp("preferred")
    done = prefer(output)
    assert done.code == 0, done.err
    assert done.out == f"checkpoint: {output / 'preferred'}\n"
    return output


def log_of(run: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((run / "prefer" / "log.json").read_text())
    return found


def assert_same(ours: Path, theirs: Path, rtol: float = 1e-4, atol: float = 2e-4) -> None:
    logs = log_of(ours), log_of(theirs)
    assert [point["step"] for point in logs[0]] == [1, 2, 3, 4]
    for name in logs[1][0].keys() - {"epoch"}:
        a, b = ([point[name] for point in log] for log in logs)
        np.testing.assert_allclose(a, b, rtol=10 * rtol, atol=1e-5, err_msg=name)
    a, b = (load_file(run / "prefer" / "checkpoint-4" / "model.safetensors") for run in (ours, theirs))
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], rtol=rtol, atol=atol, msg=name)


def test_the_chosen_captions_gain_on_the_rejected_ones(preferred: Path) -> None:
    log = log_of(preferred)
    first, last = log[0], log[-1]
    assert abs(first["chosen_change"]) < 1e-5, "the policy begins as its reference"
    assert abs(first["kl"]) < 1e-5
    assert (first["accuracy"], last["accuracy"]) == (0.5, 1)
    assert last["reward_margin"] > first["reward_margin"] + 0.01
    assert last["chosen_change"] > last["rejected_change"]
    margins = torch.tensor([pair.margin for pair in some_pairs()])
    expected = float(dpo(torch.zeros(16), torch.zeros(16), margin=margins))
    assert first["preference"] == pytest.approx(expected, abs=0.05), "half of the pairs, no rewards yet"
    for point in log:
        assert point["loss"] == pytest.approx(point["preference"] + 0.2 * point["nll"], rel=1e-5)


def test_only_clips_with_pairs_are_heard(preferred: Path) -> None:
    facts = [json.loads(path.read_text()) for path in (preferred / "features").glob("*/*.json")]
    lengths = [len(fact["lengths"]) for fact in facts if "lengths" in fact]
    assert sum(lengths) == len({pair.id for pair in some_pairs()})


def test_the_loss_is_told_by_kind(preferred: Path) -> None:
    for point in log_of(preferred):
        kinds = [point["loss/emotion"], point["loss/label_swapped"]]
        assert min(kinds) <= point["preference"] <= max(kinds)
        assert not any(name.startswith(("sum/", "pairs/")) for name in point)


def test_only_the_adapters_changed(preferred: Path, finished: Path) -> None:
    before, after = (load_file(run / "model.safetensors") for run in (finished / "checkpoint", preferred / "preferred"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    AlignCapForConditionalGeneration.from_pretrained(preferred / "preferred")


def test_a_checkpoint_knows_what_it_is_likely_to_write(preferred: Path, finished: Path) -> None:
    learnt = AlignCapProcessor.from_pretrained(finished / "checkpoint").habits
    assert 0 < len(learnt) <= 300
    asked = [pair.chosen for pair in some_pairs() if pair.instruction == DEFAULT_INSTRUCTION]
    assert AlignCapProcessor.from_pretrained(preferred / "preferred").habits == tuple(dict.fromkeys(asked))


def test_the_bridge_trains_where_it_is_asked_to(prefer: Prefer, finished: Path, tmp_path: Path) -> None:
    assert prefer(tmp_path, train_bridge="true", bridge_learning_rate=0.01, steps=2).code == 0
    before, after = (load_file(run / "model.safetensors") for run in (finished / "checkpoint", tmp_path / "preferred"))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"bridge", "language_model", "layer_weights"}


def test_eight_batches_of_one_are_one_batch_of_eight(prefer: Prefer, preferred: Path, tmp_path: Path) -> None:
    assert prefer(tmp_path, micro_batch=1).code == 0
    assert_same(tmp_path, preferred)


def test_a_cached_reference_is_a_live_one(prefer: Prefer, preferred: Path, tmp_path: Path) -> None:
    assert prefer(tmp_path, cache="false").code == 0
    assert not (tmp_path / "prefer" / "reference.safetensors").exists()
    assert_same(tmp_path, preferred)


def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_been(
    prefer: Prefer, preferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = PairOrder.__getitem__

    def interrupt(self: PairOrder, number: int) -> Any:
        if number == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return get(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(PairOrder, "__getitem__", interrupt)
        stopped = prefer(tmp_path)
    assert stopped.code == 128 + signal.SIGTERM
    assert not (tmp_path / "preferred").exists()
    done = prefer(tmp_path)
    assert "going on from" in done.err
    assert "log-probabilities under the reference" not in done.err, "they are there already"
    assert_same(tmp_path, preferred, rtol=1e-6, atol=1e-7)


def test_a_stale_reference_is_refused(prefer: Prefer, preferred: Path, pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefer"
    folder.mkdir()
    shutil.copy(preferred / "prefer" / "reference.safetensors", folder)
    other = tmp_path / "other.jsonl"
    write_pairs([replace(pair, rejected="The speaker sounds glad.") for pair in some_pairs()], other)
    done = prefer(tmp_path, pairs=other)
    assert done.code == 3
    assert "stale log-probabilities of the reference (pairs differ" in done.err
    (folder / "reference.safetensors").write_bytes(b"torn")
    assert "damaged" in prefer(tmp_path, pairs=other).err


def test_the_reference_of_another_run_is_used_where_it_fits(
    prefer: Prefer, preferred: Path, finished: Path, tmp_path: Path
) -> None:
    settings = {"base": preferred, "checkpoint": finished / "checkpoint", "steps": 1, "loss": "ipo"}
    done = prefer(tmp_path / "same", **settings)
    assert done.code == 0, done.err
    assert "log-probabilities under the reference" not in done.err
    assert abs(log_of(tmp_path / "same")[0]["chosen_change"]) < 1e-5
    settings["checkpoint"] = preferred / "preferred"
    assert "log-probabilities under the reference" in prefer(tmp_path / "other", **settings).err


def test_training_ends_when_the_chosen_captions_become_less_likely(
    prefer: Prefer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the chosen captions are pushed down
    monkeypatch.setattr(policy_module, "chosen_nll", lambda sums, counts, reduction: sums / counts)
    done = prefer(tmp_path, gamma=5, steps=8, eval_every=1, held_out=0.3, eval_captions=2, max_chosen_drop=0.05)
    assert done.code == 0, done.err
    assert "nats per token (prefer.max_chosen_drop is 0.05)" in done.err
    looks = json.loads((tmp_path / "prefer" / "held_out.json").read_text())
    assert looks[0]["step"] == 0
    assert looks[-1]["step"] < 8
    assert looks[-1]["chosen_change"] < -0.05 <= looks[-2]["chosen_change"]
    assert {"words", "distinct_2", "factuality", "faithfulness", "kl"} <= looks[0].keys()
    assert (tmp_path / "preferred" / "model.safetensors").is_file()


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_what_is_held_out_has_nothing_to_do_with_what_was_sampled(seed: int) -> None:
    """Both are drawn by hashes of the same ids: under the same seed, nearly all that was sampled was once held out."""
    rows = [Row(id=f"clip{n}", audio="a.wav", corpus="a", emotion="sad", split="train") for n in range(2000)]
    drawn = draw_rows(rows, "train", 200, seed)
    clips = [Clip(row, Path(row.audio)) for row in drawn]
    pair = some_pairs()[0]
    data = TrainingSet(clips, [], [], torch.empty(0), torch.empty(0), torch.empty(0), [0] * len(clips))
    pairs = PairSet([replace(pair, id=row.id) for row in drawn], data)
    assert 0.04 < len(pairs.parted(0.1, seed)[1]) / len(drawn) < 0.18


def test_held_out_clips_are_not_trained_on(data: Path, finished: Path) -> None:
    run = Run(load_recipe(data / "recipe.yaml", [f"output={finished}"]))
    pairs = PairSet(some_pairs(), run.data("train"))
    trained_on, held_out = pairs.parted(0.3, 1)
    assert sorted(trained_on + held_out) == list(range(16))
    clips = [{pairs.pairs[place].id for place in side} for side in (trained_on, held_out)]
    assert len(clips[1]) > 0
    assert not clips[0] & clips[1]
    assert pairs.parted(0.3, 1) == (trained_on, held_out)
    assert pairs.parted(0.0, 1)[1] == []


def test_bad_pairs_and_missing_clips_are_named_counted_and_passed_over(
    prefer: Prefer, pairs: Path, tmp_path: Path
) -> None:
    good = asdict(some_pairs()[0])
    bad = [
        "nonsense",
        json.dumps({**good, "rejected": good["chosen"]}),
        json.dumps({**good, "split": "zero_shot"}),
        json.dumps({**good, "id": "nobody"}),
        json.dumps({**good, "id": "broken"}),
        json.dumps({**good, "id": "acted20"}),  # of dev
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text(pairs.read_text() + "\n".join(bad) + "\n")
    done = prefer(tmp_path / "run", pairs=path, steps=1)
    assert done.code == 0, done.err
    assert f"left out: {path}:17: it is not JSON" in done.err
    assert "the same caption" in done.err
    assert "zero_shot" in done.err
    for name in ("nobody", "broken", "acted20"):
        assert f"left out: 1 pairs of {name}: it is no usable clip" in done.err
    assert "16 pairs to train on" in done.err
    path.write_text("\n".join(bad))
    done = prefer(tmp_path / "none", pairs=path)
    assert done.code == 1
    assert "no pair is about a usable clip" in done.err


def test_faults_of_the_user(prefer: Prefer, tmp_path: Path) -> None:
    for settings, message in [
        ({"pairs": tmp_path / "none.jsonl"}, "no pairs at"),
        ({"checkpoint": tmp_path}, "no aligned checkpoint in"),
        ({"loss": "dop"}, "choose one of dpo, ipo, hinge, simpo, kto"),
        ({"batch_size": 8, "micro_batch": 3}, "cannot be split"),
        ({"betta": 1}, "did you mean 'beta'"),
    ]:
        done = prefer(tmp_path / "run", **settings)
        assert done.code != 0
        assert message in done.err
        assert "Traceback" not in done.err
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_other_taps_than_the_checkpoints_are_refused(train: Train, finished: Path, pairs: Path, tmp_path: Path) -> None:
    overrides = [f"base={finished}", f"output={tmp_path}", f"prefer.pairs={pairs}", "model.taps=[1]"]
    done = train("prefer", *overrides)
    assert done.code == 2
    assert "are not those of" in done.err


@pytest.mark.parametrize("loss", ["dpo", "ipo", "hinge", "simpo", "kto"])
def test_every_loss_prefers_the_chosen_captions(loss: str) -> None:
    policy = torch.tensor([[-10.0, -12.0], [-11.0, -12.0]], dtype=torch.float64, requires_grad=True)
    counts = torch.tensor([[5, 6], [4, 6]])
    stage = PreferStage(loss=loss)
    losses, nll = pair_losses(stage, policy, policy.detach() * 1.01, counts, torch.tensor([0.5, 1.0]))
    losses.sum().backward()
    assert policy.grad is not None
    assert bool((policy.grad[0] < 0).all())
    assert bool((policy.grad[1] > 0).all())
    assert nll.tolist() == [2.0, 2.0]
    if loss != "kto":
        assert losses[1] > losses[0] or loss == "ipo", "a larger margin asks for more"


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(RecipeError, match="'dop'"):
        pair_losses(PreferStage(loss="dop"), *torch.ones(2, 2, 1), torch.ones(2, 1), torch.ones(1))


def test_every_pair_comes_once_an_epoch() -> None:
    order = PairOrder([3, 5, 8], 9, seed=1)
    epochs = [[order[number].pair for number in range(start, start + 3)] for start in (0, 3, 6)]
    assert [sorted(epoch) for epoch in epochs] == [[3, 5, 8]] * 3
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [order[number].pair for number in (7, 1)] == [epochs[2][1], epochs[0][1]]


def test_the_keys_of_the_other_stages_know_nothing_of_it(data: Path) -> None:
    recipe = load_recipe(data / "recipe.yaml")
    changed = replace(recipe, prefer=PreferStage(steps=7, loss="ipo"))
    for stage in ("warm_start", "teacher", "align"):
        key = stage_key(recipe, stage, "train")
        assert key == stage_key(changed, stage, "train")
        assert not any("prefer" in name for name in key)


def test_on_policy_rounds(train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round begins with what the one before made; the captions of random weights are no pairs: some are put in."""
    from aligncap.training import rounds

    begun: list[Path] = []

    def made(recipe: Recipe, split: str, checkpoint: Path, folder: Path, number: int) -> None:
        begun.append(checkpoint)
        write_pairs(some_pairs(), folder / "pairs.jsonl")

    monkeypatch.setattr(rounds, "_make_pairs", made)
    settings = [f"prefer.{name}={value}" for name, value in {**SETTINGS, "steps": 1, "rounds": 2}.items()]
    done = train("prefer", f"base={finished}", f"output={tmp_path}", *settings)
    assert done.code == 0, done.err
    assert begun == [finished / "checkpoint", tmp_path / "round-1" / "preferred"]
    last = load_file(tmp_path / "round-2" / "preferred" / "model.safetensors")
    assert all(torch.equal(t, last[n]) for n, t in load_file(tmp_path / "preferred" / "model.safetensors").items())
    assert train("prefer", f"base={finished}", f"output={tmp_path}", *settings).code == 0
    assert len(begun) == 2, "what is done is not done again"


def test_zero_shot_rows_cannot_be_preferred(data: Path, tmp_path: Path) -> None:
    from aligncap.errors import AlignCapError

    with pytest.raises(AlignCapError, match="evaluation only"):
        Run(load_recipe(data / "recipe.yaml", [f"output={tmp_path}"]), "zero_shot")
