"""``aligncap classify`` with a tiny model: labels, formats, bad recordings, exit codes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from recordings import sound
from transformers.utils import logging
from typer.testing import CliRunner, Result

import aligncap.cli.classify as module
from aligncap.captioner.results import Failure

Run = Callable[..., Result]
LABELS = ("--labels", "sad,happy, ANGER")


@pytest.fixture
def run(checkpoint: Path, folder: Path) -> Iterator[Run]:
    app = typer.Typer()
    app.command()(module.classify)
    fixed = ("--checkpoint", str(checkpoint), "--device", "cpu", "--threads", "1")
    logging.disable_progress_bar()
    yield lambda *arguments, stdin=None: CliRunner().invoke(app, [*map(str, arguments), *fixed], input=stdin)
    logging.enable_progress_bar()


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading it would be wrong."""
    monkeypatch.setattr(module, "load_captioner", None)


def test_text(run: Run) -> None:
    done = run("two.wav", "long.wav", *LABELS)
    assert done.exit_code == 0, done.output
    names, shares = zip(*(line.split(": ") for line in done.stdout.splitlines()), strict=True)
    assert names == ("two.wav", "long.wav [0.0–6.0 s]", "long.wav [6.0–12.0 s]")  # noqa: RUF001
    for share in shares:
        assert {part.rsplit(" ", 1)[0] for part in share.split(", ")} == {"sad", "happy", "ANGER"}
        assert abs(sum(int(part.rsplit(" ", 1)[1][:-1]) for part in share.split(", ")) - 100) <= 1
    warning, summary = done.stderr.splitlines()
    assert warning == "warning: long.wav: no speech was found in it: what is said of it may have no ground"
    assert summary.startswith("classified 2 of 2 recordings in ")


def test_bad_recordings_are_records_and_the_others_go_on(run: Run) -> None:
    done = run("none", "short.wav", "calls", "no.wav", "two.wav", *LABELS, "--json", "--batch-size", 2)
    assert done.exit_code == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["id"] for record in records] == [
        *("none", "short.wav", "calls/b.wav", "calls/sub/ä 音.wav", "no.wav", "two.wav")
    ]
    errors = {record["id"]: record["error"]["type"] for record in records if "error" in record}
    assert errors == {
        "none": "AudioNotFoundError",
        "short.wav": "AudioTooShortError",
        "no.wav": "AudioNotFoundError",
    }
    good = records[-1]
    assert list(good) == ["id", "audio", "start", "end", "label", "probabilities", "model"]
    assert good["probabilities"].keys() == {"sad", "happy", "ANGER"}
    assert good["label"] == next(iter(good["probabilities"]))
    assert done.stderr.endswith("; 3 failed\n")
    assert "classified 3 of 6 recordings" in done.stderr


def test_csv_file_of_any_words(run: Run) -> None:
    labels = ("-l", "proud,in high spirits,angry,annoyed")
    done = run("two.wav", "no.wav", *labels, "-o", "out.csv", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "")
    good, bad = csv.DictReader(io.StringIO(Path("out.csv").read_text()))
    shares = [float(good[f"p({label})"]) for label in ("proud", "in high spirits", "angry", "annoyed")]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert bad["error"] == "AudioNotFoundError: there is no such file"
    again = run("two.wav", *labels, "-o", "out.csv")
    assert again.exit_code == 2
    assert "it exists" in again.stderr
    assert run("two.wav", *labels, "-o", "out.csv", "--overwrite").exit_code == 0
    assert len(Path("out.csv").read_text().splitlines()) == 2


def test_standard_input(run: Run) -> None:
    done = run("-", *LABELS, stdin=sound(0.5, 1))
    assert done.exit_code == 0
    assert done.stdout.startswith("<stdin>: ")


def test_an_error_and_a_warning_are_told(run: Run) -> None:
    Path("long.mp3").write_bytes(Path("long.wav").read_bytes())
    done = run("long.mp3", "text.wav", *LABELS)
    told, _, error, summary = done.stderr.splitlines()
    assert told == "warning: long.mp3: it is named .mp3, but its content is wav and was read as that"
    assert error.startswith("error: text.wav: ")
    assert summary.endswith("1 failed")


@pytest.mark.usefixtures("no_model")
def test_nothing_usable_needs_no_model(run: Run) -> None:
    done = run("no.wav", *LABELS)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: no.wav: there is no such file\n")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["two.wav"], "--labels"),
        (["two.wav", "--labels", "sad"], "at least two"),
        (["two.wav", "--labels", "sad,,happy"], "a label is empty"),
        (["two.wav", "--labels", "sad,Sad"], "given twice"),
        (["two.wav", *LABELS, "--json", "-f", "csv"], "not both"),
        (["two.wav", *LABELS, "-o", "out.xls"], "does not tell the format"),
        (["two.wav", *LABELS, "-o", "two.wav", "-f", "csv"], "one of the recordings"),
        (["", *LABELS], "a name is empty"),
        (["two.wav", *LABELS, "--batch-size", "0"], "--batch-size"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split()), done.stderr


def test_calibration(run: Run) -> None:
    done = run("two.wav", *LABELS, "--calibration", "no.calib")
    assert "there is no such calibration" in str(done.exception)


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def classify_stream(self, *_: object, **__: object) -> Iterator[Failure]:
            yield Failure("a", "a", "E", "m")
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "load_captioner", lambda *_: Interrupted())
    done = run("two.wav", "one.wav", *LABELS, "-o", "out.jsonl")
    assert done.exit_code != 0
    assert "interrupted: classified 0 of 2 recordings" in done.stderr
    assert len(Path("out.jsonl").read_text().splitlines()) == 1
