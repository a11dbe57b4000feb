"""``aligncap info``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aligncap.cli import info as module
from aligncap.cli.info import extras, gather, info, private
from aligncap.weights import Store
from aligncap.weights.catalog import load_catalog

_METADATA = [
    "numpy>=1.26",
    'torch>=2.6; extra == "torch"',
    "Absent-Thing>=1; python_version < '3.99' and extra == 'plots'",
    "aligncap[torch,plots]; extra == 'train'",
    "aligncap[train]; extra == 'dev'",
]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of our own, without a file of defaults."""
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    monkeypatch.setenv("ALIGNCAP_CACHE", str(tmp_path / "ann" / "cache"))
    monkeypatch.setenv("ALIGNCAP_CONFIG", str(tmp_path / "ann" / "config.toml"))
    (tmp_path / "ann").mkdir()
    return tmp_path / "ann"


def run(*arguments: str, store: Store | None = None) -> str:
    app = typer.Typer()
    app.command()(info)
    done = CliRunner().invoke(app, arguments, obj=store)
    assert done.exit_code == 0, done.output
    return done.output


def test_json_and_text_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = json.loads(run("--json"))
    text = run()
    assert found["packages"]["numpy"] in text
    assert found["python"] in text
    assert found["variables"]["OMP_NUM_THREADS"] == "3"
    assert found["checkpoint"]["licence"] == "cc-by-nc-sa-4.0"
    assert found["checkpoint"]["name"].startswith("AlignCap embedded")
    assert found["checkpoint"]["sha256"][:12] in text
    assert 1 <= found["cpu"]["usable"] <= found["cpu"]["count"]
    assert "numpy" in found["packages"]
    assert "no-such-package" not in found["packages"]


def test_weights(surroundings: Path) -> None:
    found = gather()["weights"]
    assert found["cache"] == "~/cache/weights"
    assert {entry["state"] for entry in found["entries"].values()} == {"absent"}
    assert [name for name, entry in found["entries"].items() if entry["needed"]] == [
        "whisper-base",
        "smollm2-135m-instruct",
    ]


def test_a_cache_that_cannot_be_used_does_not_end_it(surroundings: Path) -> None:
    (surroundings / "cache").write_text("a file")
    (surroundings / "other").mkdir()
    broken = Store(load_catalog(), surroundings / "cache" / "weights")
    text = run(store=broken)
    assert "weights in" in text
    assert str(surroundings) not in text


def test_nothing_private(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNCAP_API_KEY", "secret-secret-secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://user:secret@mirror.example")
    (surroundings / "config.toml").write_text("[broken")
    text = run() + run("--json")
    assert "it is not TOML" in text
    assert "secret" not in text
    assert "mirror.example" not in text
    assert str(surroundings) not in text
    assert "/ann/" not in text


def test_private(surroundings: Path) -> None:
    assert private(f"{surroundings}/x: no") == "~/x: no"
    assert private(f"{surroundings}x/y") == f"{surroundings}x/y"
    assert private("/data/ann/cache") == "/data/~/cache"
    assert private("/data/annals/cache") == "/data/annals/cache"


def test_extras() -> None:
    assert extras(_METADATA) == {"plots": ["absent-thing"], "torch": ["torch"], "train": ["absent-thing", "torch"]}
    assert extras(["aligncap[b]; extra == 'a'", "aligncap[a]; extra == 'b'"]) == {"a": [], "b": []}


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "extras", lambda: extras(_METADATA))
    assert gather()["extras"]["train"] == {"missing": ["absent-thing"]}
    text = run()
    assert "  torch  " in text
    assert "missing absent-thing" in text


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'NVIDIA H100, 570.1, 81559 MiB'", ["NVIDIA H100, 570.1, 81559 MiB"]),
        ("exit 9", ["nvidia-smi fails: the driver does not work"]),
    ],
)
def test_graphics_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: list[str]) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = gather()
    assert found["gpu"] == told
    assert found["java"] is False


def test_it_imports_no_torch() -> None:
    script = "import sys; from aligncap.cli.info import gather; gather(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "False\n"


def test_a_misspelt_default_is_told(surroundings: Path) -> None:
    (surroundings / "config.toml").write_text("[captoin]\n")
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command("caption")(lambda: None)
    app.command()(info)
    done = CliRunner().invoke(app, ["info"])
    assert done.exit_code == 0, done.output
    assert "[captoin]: there is no such command: did you mean caption?" in done.output
