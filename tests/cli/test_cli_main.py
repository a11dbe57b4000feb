"""The top of the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aligncap


def test_version(cli) -> None:
    done = cli("--version")
    assert (done.code, done.out) == (0, f"aligncap {aligncap.__version__}\n")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(cli, option: str) -> None:
    done = cli(option)
    assert done.code == 0
    for command in ("caption", "train", "weights"):
        assert f"\n  {command} " in done.out


def test_no_command_shows_the_help(cli) -> None:
    done = cli()
    assert done.code == 2
    assert "Commands:" in done.out + done.err


def test_no_such_command(cli) -> None:
    done = cli("captoin")
    assert (done.code, done.out) == (2, "")
    assert "captoin" in done.err


def test_weights_command(cli) -> None:
    assert "fetch" in cli("weights", "--help").out


def test_errors_of_ours_are_one_line(cli) -> None:
    done = cli("weights", "verify", "no-such-weights")
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def test_missing_packages() -> None:
    script = "import sys; sys.modules['torch'] = None; from aligncap.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "caption", __file__], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: captioning needs extra packages: pip install 'aligncap[torch]'\n"


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "aligncap", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == f"aligncap {aligncap.__version__}\n"


def test_training_without_torch_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 1\n")
    script = "import sys; sys.modules['torch'] = None; from aligncap.cli import main; main()"
    command = [sys.executable, "-c", script, "train", "all", "--config", str(tmp_path / "recipe.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == "error: training needs extra packages: pip install 'aligncap[train]'\n"


def test_a_missing_checkpoint_has_the_documented_exit_code(cli, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    done = cli("caption", str(tmp_path / "a.wav"), "--checkpoint", str(tmp_path / "none"))
    assert done.code == 3
    assert "there is no such checkpoint" in done.err


def test_exit_codes_are_those_of_the_help() -> None:
    assert (aligncap.CheckpointError.exit_code, aligncap.PromptError.exit_code) == (3, 2)
