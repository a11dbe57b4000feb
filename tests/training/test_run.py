"""A whole run on tiny random base weights and synthetic recordings: it is the engine that is tested, not quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_data import Train

from aligncap.errors import AlignCapError
from aligncap.model import AlignCapForConditionalGeneration
from aligncap.training import networks, run
from aligncap.training.align import align, build_model
from aligncap.training.data import TrainingSet
from aligncap.training.recipe import Recipe, load_recipe
from aligncap.training.run import train as run_recipe

NO_DROPOUT = "model.bridge.dropout=0.0"


def test_the_checkpoint_loads_and_holds_our_tensors_alone(finished: Path) -> None:
    model = AlignCapForConditionalGeneration.from_pretrained(finished / "checkpoint")
    assert set(load_file(finished / "checkpoint" / "model.safetensors")) == set(model.own_state())
    assert not any("teacher" in name or name.startswith("speech_encoder") for name in model.own_state())


def test_what_is_left_of_a_run(finished: Path) -> None:
    accuracy = json.loads((finished / "teacher" / "accuracy.json").read_text())
    assert set(accuracy) == {"clips", "greedy", "sampled"}
    assert (finished / "left_out.csv").read_text().splitlines() == ["id,reason", "broken,the file is empty (0 bytes)"]
    for stage in ("teacher", "align"):
        assert (finished / stage / "losses.png").read_bytes().startswith(b"\x89PNG")
        assert len(list((finished / stage).glob("checkpoint-*"))) == 2
        assert not list((finished / stage).glob("*.part"))
    assert load_recipe(finished / "recipe.yaml").align.steps == 6


def test_finished_stages_are_not_repeated(train: Train, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    done = train("all", f"output={finished}", NO_DROPOUT)
    assert done.out == f"checkpoint: {finished / 'checkpoint'}\n"
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")} == before


def test_other_settings_are_refused_in_the_same_folder_and_named(train: Train, finished: Path) -> None:
    done = train("align", f"output={finished}", NO_DROPOUT, "align.lambda_ce=0")
    assert done.code == 1
    assert "align.lambda_ce 1.0 → 0" in done.err
    assert f"base={finished}" in done.err


def test_captions_without_labels_are_learnt(train: Train, data: Path, tmp_path: Path) -> None:
    """Of one corpus only captions are known, and some of them name no emotion."""
    header, *rows = (data / "manifest.csv").read_text().splitlines()
    told = {"angry": "A furious voice.", "sad": "A dejected voice.", "low": "It trails off.", "high": "Shouted words."}
    lines = [f"{header},captions"]
    for row in rows:
        cells = row.split(",")
        cells[1] = str(data / cells[1])
        lines.append(",".join([*cells[:2], "told", *cells[3:5], "", *cells[6:], told[cells[5]]]))
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    done = train("all", f"manifest={tmp_path / 'manifest.csv'}", f"output={tmp_path / 'run'}", NO_DROPOUT)
    assert done.code == 0, done.err
    log = json.loads((tmp_path / "run" / "align" / "log.json").read_text())
    assert all(0 < point["loss"] < 100 for point in log)


def test_a_run_without_a_teacher_has_none(train: Train, finished: Path, tmp_path: Path) -> None:
    done = train("align", f"output={tmp_path}", f"base={finished}", NO_DROPOUT, "align.lambda_kd=0")
    assert done.code == 0
    assert not (tmp_path / "teacher").exists()
    assert "teacher:" not in done.err
    log = json.loads((tmp_path / "align" / "log.json").read_text())
    assert all(point["kd"] == 0 for point in log)
    assert log[0]["loss"] == pytest.approx(log[0]["ce"] + 0.3 * log[0]["head"], rel=1e-5)


def test_a_student_may_hear_fewer_clips_than_its_teacher_has_read(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[set[str]] = []

    def align_and_note(recipe: Recipe, taught: TrainingSet, *others: Any) -> Any:
        heard.append({clip.id for clip in taught.clips})
        return align(recipe, taught, *others)

    monkeypatch.setattr(run, "align", align_and_note)
    for share in (1, 0.5):
        output = tmp_path / str(share)
        done = train("align", f"output={output}", f"base={finished}", NO_DROPOUT, f"align.clips={share}")
        assert done.code == 0, done.err
        assert f"teacher: done before, in {finished / 'teacher'}" in done.err
    everything, some = heard
    assert some < everything
    assert some


@pytest.mark.parametrize("cache", ["true", "false"])
def test_a_teacher_from_another_language_model(
    train: Train, finished: Path, data: Path, tmp_path: Path, cache: str
) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(data / "llm", hidden_size=24, head_dim=12, num_hidden_layers=3)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "larger")
    AutoTokenizer.from_pretrained(data / "llm").save_pretrained(tmp_path / "larger")
    done = train(
        "align",
        f"output={tmp_path / 'run'}",
        f"base={finished}",
        NO_DROPOUT,
        f"teacher.language_model={tmp_path / 'larger'}",
        f"align.cache={cache}",
        "align.steps=1",
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "align" / "log.json").read_text())[0]["kd"] > 0


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_the_clips(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = networks.Student.forward
    seen: list[int] = []

    def nan_in_the_third_step(self: networks.Student, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(1)
        sums = forward(self, **inputs)
        return {**sums, "ce": sums["ce"] * float("nan")} if len(seen) == 3 else sums

    monkeypatch.setattr(networks.Student, "forward", nan_in_the_third_step)
    done = train("align", f"output={tmp_path}", f"base={finished}", NO_DROPOUT)
    assert done.code == 1
    assert "the loss is nan in step 3" in done.err
    (listed,) = (tmp_path / "align").glob("bad_batch-*.json")
    clips = json.loads(listed.read_text())["clips"]
    assert len(clips) == 8
    assert all(clip.startswith("acted") for clip in clips)


def test_faults_of_the_user(train: Train, data: Path, tmp_path: Path) -> None:
    for overrides, message in [
        (["manifest=''"], "manifest=PATH"),
        (["align.micro_batch=3"], "cannot be split"),
        (["align.report_to=[tensorbord]"], "unknown 'tensorbord'"),
        (["align.lamda_kd=1"], "did you mean 'lambda_kd'"),
    ]:
        done = train("align", f"output={tmp_path}", "align.lambda_kd=0", *overrides)
        assert done.code != 0
        assert message in done.err
        assert "Traceback" not in done.err


def test_zero_shot_rows_cannot_be_trained_on(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AlignCapError, match="evaluation only"):
        run_recipe(load_recipe(data / "recipe.yaml", [f"output={tmp_path}"]), split="zero_shot")


@pytest.mark.parametrize(
    ("rules", "clues"),
    [({}, ["emotions", "voice"]), ({"hypotheses": False}, ["voice"]), ({"clue_share": 0.0}, [])],
)
def test_the_checkpoint_knows_which_clues_its_prompts_told(data: Path, rules: dict, clues: list[str]) -> None:
    recipe = load_recipe(data / "recipe.yaml", [f"captions.{name}={value}" for name, value in rules.items()])
    model, _ = build_model(recipe)
    assert model.config.clues == clues
