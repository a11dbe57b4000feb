"""The top of the command line."""

from __future__ import annotations

import subprocess
import sys

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
