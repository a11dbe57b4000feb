"""The Dockerfile names what is there (it is not built here)."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = [line[1:] for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"]
    copied = [
        name for line in LINES if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert "src" in copied
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / name).exists() for name in copied)


def test_its_extras_exist() -> None:
    wanted = re.search(r"'\.\[([\w,]+)\]'", TEXT)
    assert wanted is not None
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{name} = \[", project, re.MULTILINE) for name in wanted[1].split(","))


def test_it_does_not_run_as_root_and_asks_for_health() -> None:
    last = TEXT[TEXT.rindex("\nFROM ") :]
    assert re.findall(r"^USER (\w+)", last, re.MULTILINE) == ["aligncap"]
    assert "HEALTHCHECK" in last
    assert "/ready" in last


def test_its_command_is_one_of_ours() -> None:
    import shlex

    from typer.main import get_command

    from aligncap.cli import app

    assert 'ENTRYPOINT ["aligncap"]' in LINES
    command = next(line for line in LINES if line.startswith("CMD "))
    name, *arguments = shlex.split(command.removeprefix("CMD ").strip("[]").replace(",", " "))
    serve = get_command(app).commands[name]
    assert serve.make_context(name, arguments).params["host"] == "0.0.0.0"
