from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import aligncap.cli.baseline as module
from aligncap.errors import RecipeError
from aligncap.training.stage import Stopped

CONFIGS = Path(__file__).parents[2] / "configs"


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(module.baseline)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_baseline_is_trained_by_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def train(kind: str, recipe: Any) -> Path:
        asked.append((kind, recipe.manifest, recipe.align.steps))
        return Path(recipe.output) / kind

    monkeypatch.setattr("aligncap.baselines.train.train_baseline", train)
    config = CONFIGS / "baselines" / "encoder_decoder.yaml"
    result = run("encoder-decoder", "manifest=m.csv", f"output={tmp_path}", "align.steps=7", "--config", config)
    assert result.exit_code == 0, result.output
    assert asked == [("encoder-decoder", "m.csv", 7)]
    assert result.stdout.strip() == f"baseline: {tmp_path / 'encoder-decoder'}"


def test_an_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Path:
        raise Stopped("give the same command again", 2)

    monkeypatch.setattr("aligncap.baselines.train.train_baseline", stopped)
    result = run("probe", "--config", CONFIGS / "embedded.yaml")
    assert result.exit_code == 130
    assert "give the same command again" in result.stderr


def test_wrong_usage_is_told() -> None:
    assert run("oracle").exit_code == 2
    assert isinstance(run("probe", "no.such=1", "--config", CONFIGS / "embedded.yaml").exception, RecipeError)


def test_the_secap_like_recipe_is_cross_entropy_on_a_frozen_language_model() -> None:
    from aligncap.training.recipe import load_recipe

    recipe, embedded = (load_recipe(CONFIGS / name) for name in ("baselines/secap_like.yaml", "embedded.yaml"))
    assert recipe.model.lora is None
    assert (recipe.align.lambda_kd, recipe.align.lambda_ce, recipe.align.lambda_aux) == (0, 1, 0)
    assert (recipe.captions.clue_share, recipe.captions.hypotheses) == (0, False)
    assert recipe.corpora == embedded.corpora
    assert recipe.model.speech_encoder == embedded.model.speech_encoder
