from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import aligncap.cli.annotate as module
from aligncap.corpora import Row, read_manifest, write_manifest
from aligncap.errors import AlignCapError

ROWS = [
    Row("a", "a.wav", emotion="sad", gender="female", transcript="We lost the match.", corpus="mine"),
    Row("b", "b.wav", emotion="angry", votes={"angry": 0.6, "disgust": 0.3}, clues={"words": ["pace:fast"]}),
    Row("c", "c.wav", emotion="neutral", clues={"words": []}),
]


def sound() -> bytes:
    """1.5 s of a buzz at 150 Hz."""
    samples = 0.1 * np.sign(np.sin(2 * np.pi * 150 * np.arange(24000) / 16000))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.wav").write_bytes(sound())
    write_manifest(ROWS, tmp_path / "in.jsonl")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[..., Result]:
    """``run(…)``: annotate in.jsonl to out.jsonl with these options."""
    import typer

    app = typer.Typer()
    app.command()(module.annotate)

    def invoke(*options: object, source: str = "in.jsonl", out: str = "out.jsonl") -> Result:
        arguments = [str(folder / source), "-o", str(folder / out), *map(str, options)]
        return CliRunner().invoke(app, arguments)

    return invoke


def written(folder: Path, name: str = "out.jsonl") -> list[Row]:
    return list(read_manifest(folder / name))


def test_captions_clues_and_statistics(run: Callable[..., Result], folder: Path) -> None:
    done = run("--captions", 2)
    assert done.exit_code == 0, done.output
    rows = written(folder)
    assert [row.id for row in rows] == ["a", "b", "c"]
    assert [len(row.captions) for row in rows] == [2, 2, 2]
    assert "f0_median_hz" in rows[0].clues
    assert rows[1].clues == ROWS[1].clues  # known: not measured, and its recording need not be there
    assert not any("match" in text or "she" in text.lower().split() for text in rows[0].captions)
    assert "captions:          6" in done.stdout
    assert "contradictions:    0" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "in.jsonl", "out.jsonl"]


def test_the_same_seed_the_same_file(run: Callable[..., Result], folder: Path) -> None:
    run("--no-measure", out="1.jsonl")
    run("--no-measure", out="2.jsonl")
    run("--no-measure", "--seed", 1, out="3.jsonl")
    texts = [(folder / f"{i}.jsonl").read_bytes() for i in (1, 2, 3)]
    assert texts[0] == texts[1] != texts[2]


def test_other_formats_and_answers(run: Callable[..., Result], folder: Path) -> None:
    assert run("--no-measure", "--answers", 2, out="out.csv").exit_code == 0
    rows = written(folder, "out.csv")
    assert [len(row.captions) for row in rows] == [3, 3, 3]
    answers = rows[0].extra["answers"]
    answers = json.loads(answers) if isinstance(answers, str) else answers
    assert {"instruction", "form", "answer"} == set(answers[0])


def test_an_interrupted_run_goes_on(run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--no-measure", out="whole.jsonl")
    real = module._annotated

    def breaking(row: Row, *rest: Any) -> Row:
        if row.id == "c":
            raise KeyboardInterrupt
        return real(row, *rest)

    monkeypatch.setattr(module, "_annotated", breaking)
    assert run("--no-measure").exit_code != 0
    assert not (folder / "out.jsonl").exists()
    partial = folder / ".out.jsonl.annotating"
    partial.write_text(partial.read_text() + '{"id": "c", "aud')  # broken off in the middle of a line
    seen = []
    monkeypatch.setattr(module, "_annotated", lambda row, *rest: seen.append(row.id) or real(row, *rest))
    assert run("--no-measure").exit_code == 0
    assert seen == ["c"]
    assert (folder / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    assert not partial.exists()


def test_what_other_options_or_rows_left_is_not_gone_on_with(run: Callable[..., Result], folder: Path) -> None:
    partial = folder / ".out.jsonl.annotating"
    partial.write_text('{"seed": 5}\n')
    result = run("--no-measure")
    assert isinstance(result.exception, AlignCapError)
    assert "other options" in str(result.exception)
    assert run("--no-measure", "--overwrite").exit_code == 0


def test_rows_that_cannot_be_used_are_named_and_the_rest_is_done(run: Callable[..., Result], folder: Path) -> None:
    rows = [
        Row("gone", "gone.wav", emotion="sad"),
        Row("odd", "a.wav", emotion="high", clues={"words": []}),
        Row("words", "a.wav", emotion="sad", clues={"words": ["shrill"]}),
    ]
    write_manifest([*rows, *ROWS], folder / "bad.jsonl")
    with (folder / "bad.jsonl").open("a") as file:
        file.write("{not JSON\n")
    result = run(source="bad.jsonl")
    assert result.exit_code == 1
    assert "gone: not measured: " in result.stderr
    assert "'high' is no emotion of the taxonomy: 1 rows have no captions" in result.stderr
    assert "words: no captions: words: clue words" in result.stderr
    assert "row 7" in result.stderr
    got = {row.id: len(row.captions) for row in written(folder)}
    assert got == {"gone": 3, "odd": 0, "words": 0, "a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize(
    ("options", "names", "message"),
    [
        (["--rewriter", "http://localhost"], {}, "belong together"),
        ([], {"source": "none.csv"}, "no such file"),
        ([], {"out": "out.txt"}, "does not tell the format"),
        ([], {"out": "no/out.csv"}, "there is no directory"),
        ([], {"out": "in.jsonl"}, "the very file"),
        ([], {"out": "old.csv"}, "--overwrite"),
        (["--captions", "0"], {}, "captions"),
    ],
)
def test_wrong_usage(
    run: Callable[..., Result], folder: Path, options: list[str], names: dict[str, str], message: str
) -> None:
    (folder / "old.csv").write_text("")
    result = run(*options, **names)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_help_teaches(run: Callable[..., Result]) -> None:
    text = run("--help").output
    assert "captioned.jsonl" in text
    assert "Exit codes" in text
