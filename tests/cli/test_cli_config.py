"""The file of defaults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from aligncap.cli.config import ConfigError, apply_config, config_path, defaults, read_config

_seen: list[object] = []


def _app() -> typer.Typer:
    """A command line with options of every kind."""
    app, group = typer.Typer(), typer.Typer()

    @app.callback()
    def options(context: typer.Context) -> None:
        apply_config(context)

    @app.command()
    def caption(
        audio: str,
        batch_size: Annotated[int, typer.Option(min=1)] = 8,
        temperature: float | None = None,
        device: Literal["auto", "cpu"] = "auto",
        prompt: str = "",
        tier: list[str] | None = None,
        out: Annotated[Path | None, typer.Option("--json")] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q")] = False,
    ) -> None:
        _seen.append((audio, batch_size, temperature, device, prompt, tier, out, quiet))

    @app.command()
    def info() -> None:
        _seen.append("info")

    @group.callback(invoke_without_command=True)
    def top(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
        _seen.append(("group", as_json))

    @group.command()
    def check(warnings: int = 10) -> None:
        _seen.append(("check", warnings))

    app.add_typer(group, name="manifest")
    return app


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """``run(toml, *arguments)``: what the command got, or the error."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("ALIGNCAP_CONFIG", str(path))
    monkeypatch.setenv("HOME", "/home/someone")

    def go(toml: str | bytes, *arguments: str) -> object:
        path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        _seen.clear()
        done = CliRunner().invoke(_app(), arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return _seen[-1] if _seen else done.output

    return go


def test_the_file_gives_the_defaults_and_the_command_line_goes_first(run) -> None:
    toml = """
        [caption]
        batch-size = 16
        temperature = 1
        device = "cpu"
        tier = ["a", "b"]
        json = "~/out.json"
        quiet = true
    """
    assert run(toml, "caption", "x") == ("x", 16, 1.0, "cpu", "", ["a", "b"], Path("/home/someone/out.json"), True)
    given = run(toml, "caption", "x", "--batch-size", "4", "--tier", "c", "--device", "auto")
    assert given == ("x", 4, 1.0, "auto", "", ["c"], Path("/home/someone/out.json"), True)
    assert run("", "caption", "x") == ("x", 8, None, "auto", "", None, None, False)


def test_groups_of_commands(run) -> None:
    assert run("[manifest.check]\nwarnings = 3\n", "manifest", "check") == ("check", 3)
    assert run("[manifest]\njson = true\n", "manifest") == ("group", True)


def test_help_shows_what_the_file_says(run) -> None:
    assert "default: 16" in str(run("[caption]\nbatch_size = 16\n", "caption", "--help"))


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[captoin]\nbatch_size = 1", "[captoin]: there is no such command: did you mean caption?"),
        ("[other]\n", "[other]: there is no such command; there are caption, info, manifest"),
        ("[manifest.chek]\n", "[manifest.chek]: there is no such command: did you mean check?"),
        ("[caption]\nbatchsize = 1", "[caption] batchsize: there is no such option: did you mean batch_size?"),
        ("[caption]\nhelp = true", "[caption] help: there is no such option"),
        ("[caption]\naudio = 'x'", "[caption] audio: there is no such option"),
        ("[caption]\nbatch_size = 1\nbatch-size = 2", "[caption] batch-size: it is set twice"),
        ("[caption]\nbatch_size = 'many'", "[caption] batch_size: 'many': "),
        ("[caption]\nbatch_size = 0", "[caption] batch_size: 0: "),
        ("[caption]\nbatch_size = true", "[caption] batch_size: it takes no true or false"),
        ("[caption]\nbatch_size = [1]", "[caption] batch_size: it takes one value"),
        ("[caption.batch_size]\nx = 1", "[caption] batch_size: it takes one value"),
        ("[caption]\ntier = 'x'", "[caption] tier: it takes a list"),
        ("[caption]\nquiet = 'yes'", "[caption] quiet: it takes true or false"),
        ("[caption]\ndevice = 'gpu'", "[caption] device: 'gpu': "),
        ("batch_size = 1", "batch_size: a default belongs to a command"),
        ("caption = 1", "[caption]: it is a command"),
        ("[caption", "it is not TOML: "),
        (b"[caption]\nprompt = '\xff'", "the file is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(run, tmp_path: Path, toml: str | bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(toml, "caption", "x")
    assert str(caught.value).startswith(f"{tmp_path / 'config.toml'}: ")
    assert told in str(caught.value)
    assert caught.value.exit_code == 2
    assert not _seen


def test_info_runs_with_a_broken_file(run) -> None:
    assert run("[caption", "info") == "info"


def test_byte_order_mark(run) -> None:
    assert run(b"\xef\xbb\xbf[caption]\nbatch_size = 3\n", "caption", "x")[1] == 3


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALIGNCAP_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = config_path()
    assert found is not None
    assert found.name == "config.toml"
    assert found.parent.name == "aligncap"
    assert read_config(tmp_path / "none.toml") is None
    monkeypatch.setenv("ALIGNCAP_CONFIG", "")
    assert config_path() is None
    monkeypatch.setenv("ALIGNCAP_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="ALIGNCAP_CONFIG names it"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)


def test_the_example_in_the_documentation_fits_the_real_commands() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    from aligncap.cli import app

    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    context = get_command(app).make_context("aligncap", [], resilient_parsing=True)
    found = defaults(context, example, "example")
    assert found["caption"]["batch_size"] == 16
    assert found["manifest"]["check"] == {"warnings": 3}
    assert found["evaluate"]["resamples"] == 2000


def test_completion_in_bash_stays_light() -> None:
    script = """
import atexit, os, sys
os.environ.update(_ALIGNCAP_COMPLETE="complete_bash", COMP_WORDS="aligncap caption --batch", COMP_CWORD="2")
sys.argv = ["aligncap"]
import aligncap.cli as cli
cli.app._add_completion = True
heavy = {"torch", "transformers", "numpy"}
atexit.register(lambda: print("heavy" if heavy & set(sys.modules) else "light"))
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["--batch-size", "light"]
