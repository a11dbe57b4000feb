from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from doc_pages import (
    PAGES,
    ROOT,
    Snippet,
    aligncap_arguments,
    code_spans,
    imported_names,
    programs,
    prose,
    snippets,
)
from typer.testing import CliRunner

from aligncap.cli import app

_SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
_PYTHON = [snippet for snippet in _SNIPPETS if snippet.language == "python"]
_SHELL = [snippet for snippet in _SNIPPETS if programs(snippet)]
# Pages whose Python needs nothing that is not in it: it is run, and what its comments promise is compared.
_RUN = {"claims.md", "concepts.md", "hallucination.md", "metrics.md", "taxonomy.md"}
_DEFAULT_COMMANDS = {"aligncap judge": "page"}  # what is run where no command of the group is named


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def _command(arguments: list[str]) -> tuple[Any, str, list[str]]:
    """The command that arguments name, its name, and the arguments that are left."""
    command, names, left = _program(), ["aligncap"], list(arguments)
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        default = _DEFAULT_COMMANDS.get(" ".join(names))
        names.append(default if default and left[0] not in command.commands else left.pop(0))
        assert names[-1] in command.commands, f"there is no command {' '.join(names)!r}"
        command = command.commands[names[-1]]
    return command, " ".join(names), left


def _options(command: Any) -> set[str]:
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}


def _parse(arguments: list[str]) -> None:
    """Parse as the command line would, without running anything."""
    command, name, left = _command(arguments)
    if hasattr(command, "commands"):  # its options act while they are parsed: --version, --install-completion
        assert {*left} <= _options(command), f"{name} has not all of these: {shlex.join(left)}"
        return
    with contextlib.suppress(typer.Exit):  # --help
        command.make_context(name, [*left])  # it empties the list
    if name == "aligncap train":
        from aligncap.training.recipe import load_recipe

        config = left[left.index("--config") + 1] if "--config" in left else "configs/embedded.yaml"
        load_recipe(ROOT / config, [one for one in left if re.match(r"[a-z_.]+=", one)])


@pytest.fixture(autouse=True)
def no_defaults_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNCAP_CONFIG", "")


@pytest.mark.parametrize("snippet", _SHELL, ids=str)
def test_commands_parse(snippet: Snippet, capsys: pytest.CaptureFixture[str]) -> None:
    for words in programs(snippet):
        if words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            assert {word for word in words[1:] if "=" not in word} <= set(targets)
        arguments = aligncap_arguments(words)
        if arguments is not None:
            try:
                _parse(arguments)
            except Exception as error:
                pytest.fail(f"{shlex.join(words)}: {getattr(error, 'message', error)}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_text_exist(page: Path) -> None:
    for span in code_spans(prose(page)):
        words = span.split()
        if words[0] != "aligncap" or len(words) < 2 or words[1] == "COMMAND":
            continue
        command, name, left = _command(words[1:])
        asked = {word.partition("=")[0] for word in left if re.match(r"--?[a-z]", word)}
        missing = asked - _options(command)
        assert not missing, f"`{span}`: {name} has no {', '.join(sorted(missing))}"


@pytest.mark.parametrize("snippet", _PYTHON, ids=str)
def test_python_compiles_and_its_names_exist(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text, filename=str(snippet))
    for module, name in imported_names(tree):
        found = importlib.import_module(module)
        assert name is None or hasattr(found, name), f"{module} has no {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = _owner(node.value.id)
            assert owner is None or hasattr(owner, node.attr), f"{node.value.id} has no {node.attr}"


def _owner(name: str) -> Any:
    import aligncap

    return {"aligncap": aligncap, "captioner": aligncap.Captioner}.get(name)


@pytest.mark.parametrize("snippet", [one for one in _PYTHON if one.page.name in _RUN], ids=str)
def test_python_does_what_its_comments_say(snippet: Snippet) -> None:
    names: dict[str, Any] = {}
    printed = io.StringIO()
    lines = snippet.text.splitlines()
    with contextlib.redirect_stdout(printed):
        for statement in ast.parse(snippet.text).body:
            if not isinstance(statement, ast.Expr):
                exec(compile(ast.Module([statement], []), str(snippet), "exec"), names)
                continue
            value = eval(compile(ast.Expression(statement.value), str(snippet), "eval"), names)
            comment = lines[(statement.end_lineno or 0) - 1][statement.end_col_offset or 0 :].strip()
            for promised in _literal(comment.removeprefix("#").strip()):
                assert value == promised, f"{snippet}: {ast.unparse(statement)}"
    promised_output = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    assert printed.getvalue().splitlines() == promised_output


def _literal(comment: str) -> Iterator[Any]:
    """The Python value that a comment begins with, if it does: ``"rage"``, ``0.3, 0.6``, ``True: both are anger``."""
    for end in [len(comment), *(match.start() for match in reversed(list(re.finditer("[:;,]", comment))))]:
        with contextlib.suppress(SyntaxError, ValueError):
            yield ast.literal_eval(comment[:end])
            return


def test_own_data_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands that need no model, on a folder as it describes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("train/ann/angry_01", "train/ben/sad_07", "train/ben/afraid_01", "dev/gus/angry_01"):
        path = Path("mine", name).with_suffix(".wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 16000)
    prediction = {"id": "mine/dev/gus/angry_01", "caption": "The speaker sounds angry."}
    codes = []
    for snippet in snippets(ROOT / "docs" / "own-data.md"):
        for words in programs(snippet):
            if words[:2] == ["aligncap", "caption"] and "-o" in words:
                Path(words[words.index("-o") + 1]).write_text(json.dumps(prediction) + "\n", encoding="utf-8")
            if words[:2] in (["aligncap", "manifest"], ["aligncap", "evaluate"]):
                codes.append(CliRunner().invoke(app, words[1:]).exit_code)
    assert codes == [0, 1, 0, 0]  # the first check repairs "afraid", as the page says
    rows = [json.loads(line) for line in Path("mine/good.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["emotion"] for row in rows} == {"angry", "fear", "sad"}
    assert Path("report.html").is_file()
