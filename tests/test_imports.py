"""Importing stays light, and the public names are there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import aligncap
from aligncap.errors import MissingExtraError

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "numpy",
    "av",
    "soundfile",
    "soxr",
    "huggingface_hub",
    "requests",
)


def imported(script: str) -> set[str]:
    """The top-level modules that a fresh interpreter has imported after a script."""
    script = f"import json, sys\n{script}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_is_light() -> None:
    modules = imported("import aligncap; aligncap.AudioError; aligncap.Caption; aligncap.Failure; aligncap.Sampling")
    assert "aligncap" in modules
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["caption", "--help"], ["weights", "--help"], ["train", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    modules = imported(
        f"sys.argv = ['aligncap', *{arguments}]\nfrom aligncap.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "typer" in modules
    assert modules.isdisjoint(HEAVY)


def test_reading_audio_needs_no_torch() -> None:
    modules = imported("import aligncap; aligncap.read_audio; aligncap.Audio")
    assert "soundfile" in modules
    assert modules.isdisjoint({"torch", "transformers"})


def test_public_names() -> None:
    assert all(getattr(aligncap, name) is not None for name in aligncap.__all__)
    assert set(aligncap.__all__) <= set(dir(aligncap))
    errors = {name for name, value in vars(aligncap.errors).items() if isinstance(value, type)}
    assert errors <= set(aligncap.__all__)
    namespace: dict[str, object] = {}
    exec("from aligncap import *", namespace)
    assert set(aligncap.__all__) <= set(namespace)


def test_names_that_are_not_there() -> None:
    assert not hasattr(aligncap, "no_such_name")
    with pytest.raises(ImportError, match="no_such_name"):
        exec("from aligncap import no_such_name")


def forget_captioner(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("aligncap.captioner.")]:
        monkeypatch.delitem(sys.modules, name)


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    forget_captioner(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"pip install 'aligncap\[torch\]'"):
        aligncap.load()


def test_other_missing_modules_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aligncap.clues", None)
    forget_captioner(monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"aligncap\.clues"):
        aligncap.load()
