from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from recordings import sound
from typer.testing import CliRunner, Result

import aligncap.cli.evaluate as module
from aligncap.cli.scoring import TOLD
from aligncap.corpora import Row, write_manifest
from aligncap.errors import AlignCapError

ROWS = [
    Row("c/a", "a.wav", corpus="c", emotion="sad", split="dev", captions=("They sound sad.",)),
    Row("c/b", "b.wav", corpus="c", emotion="happy", split="dev", captions=("They sound glad.",)),
    Row("c/t", "t.wav", corpus="c", emotion="sad", split="train"),
]
FINE = [{"id": "c/a", "caption": "They sound sad."}, {"id": "b.wav", "caption": "They sound happy."}]
Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a manifest, references, and predictions of two systems."""
    monkeypatch.chdir(tmp_path)
    write_manifest(ROWS, tmp_path / "m.csv")
    lines(tmp_path / "fine.jsonl", FINE)
    lines(tmp_path / "poor.jsonl", [{"id": "c/a", "caption": "They sound angry."}, FINE[1]])
    lines(tmp_path / "refs.jsonl", [{"id": "c/a", "captions": ["They sound sad."]}])
    return tmp_path


def lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture
def run(folder: Path) -> Run:
    app = typer.Typer()
    app.command()(module.evaluate)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--resamples", "20"])


def test_scores_are_printed_and_every_output_is_written(run: Run, folder: Path) -> None:
    names = {"json": "s.json", "html": "r.html", "markdown": "t.md", "latex": "t.tex", "csv": "s.csv"}
    outputs = [part for option, name in names.items() for part in (f"--{option}", name)]
    result = run("fine.jsonl", "--manifest", "m.csv", "--split", "dev", *outputs)
    assert result.exit_code == 0, result.output
    assert "UAR, lexicon ↑ 1.000 [1.000, 1.000]" in " ".join(result.stdout.split())
    assert "2 of 2" in result.stdout
    data = json.loads((folder / "s.json").read_text())
    assert [row["splits"] for row in data["rows"]] == [["dev"]]
    assert all((folder / name).stat().st_size > 100 for name in names.values())


def test_json_is_the_same_byte_for_byte(run: Run, folder: Path) -> None:
    for name in ("1.json", "2.json"):
        run("fine.jsonl", "poor.jsonl", "--manifest", "m.csv", "--split", "dev", "--json", name)
    text = (folder / "1.json").read_bytes().decode()
    assert text.encode() == (folder / "2.json").read_bytes()
    assert text == json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def test_further_systems_are_compared_with_the_first(run: Run, folder: Path) -> None:
    (folder / "other").mkdir()
    lines(folder / "other/fine.jsonl", FINE)
    options = ("--manifest", "m.csv", "--split", "dev", "--json", "s.json")
    result = run("best=fine.jsonl", "--systems", "poor.jsonl", "other/fine.jsonl", *options)
    assert result.exit_code == 0, result.output
    data = json.loads((folder / "s.json").read_text())
    assert [system["name"] for system in data["systems"]] == ["best", "poor", "fine"]
    assert {(one["first"], one["other"]) for one in data["comparisons"]} == {("best", "poor"), ("best", "fine")}


def test_files_of_one_name_are_told_apart_by_their_folders(run: Run, folder: Path) -> None:
    (folder / "other").mkdir()
    lines(folder / "other/fine.jsonl", FINE)
    run("fine.jsonl", "other/fine.jsonl", "--manifest", "m.csv", "--split", "dev", "--json", "s.json")
    names = [system["name"] for system in json.loads((folder / "s.json").read_text())["systems"]]
    assert names == [f"{folder.name}/fine", "other/fine"]


def test_what_could_not_be_scored_is_named_and_the_code_is_1(run: Run, folder: Path) -> None:
    result = run("fine.jsonl", "--manifest", "m.csv")
    assert result.exit_code == 1
    assert "fine.jsonl: c/t: missing: there is no prediction for it; not scored" in result.stderr
    assert "2 of 3" in result.stdout
    assert run("fine.jsonl", "--manifest", "m.csv", "--missing", "empty").exit_code == 1
    lines(folder / "more.jsonl", [*FINE, {"id": "zz", "caption": "Sad."}])
    result = run("more.jsonl", "--manifest", "m.csv", "--split", "dev")
    assert result.exit_code == 0
    assert "note: more.jsonl: zz: extra" in result.stderr


def test_many_problems_are_counted(run: Run, folder: Path) -> None:
    lines(folder / "many.jsonl", [*FINE, *({"id": f"x{i}", "caption": None} for i in range(30))])
    result = run("many.jsonl", "--manifest", "m.csv", "--split", "dev")
    assert result.stderr.count("extra") == TOLD + 1
    assert "and 20 more" in result.stderr


def test_references_alone_and_with_a_manifest(run: Run, folder: Path) -> None:
    result = run("fine.jsonl", "--references", "refs.jsonl", "--json", "s.json")
    assert result.exit_code == 0, result.output
    assert "BLEU-1" in result.stdout
    both = ("--references", "refs.jsonl", "--manifest", "m.csv", "--split", "dev")
    run("fine.jsonl", *both, "--json", "b.json")
    captions = json.loads((folder / "b.json").read_text())["captions"]
    assert [one["references"] for one in captions] == [["They sound sad."], ["They sound glad."]]


def test_captions_of_aligncap_itself_are_read(run: Run, folder: Path) -> None:
    record = {"start": 0.0, "end": 2.0, "emotions": {"sad": 0.9, "happy": 0.1}, "clues": "Feeling: sad.", "model": "m"}
    names = ["/data/a.wav", "/data/b.wav"]
    own = [{**record, "id": name, "audio": name, "caption": "They sound sad."} for name in names]
    lines(folder / "own.jsonl", own)
    result = run("own.jsonl", "--manifest", "m.csv", "--split", "dev")
    assert result.exit_code == 0, result.output
    assert "UAR, likelihood ↑" in result.stdout


def test_voices_are_measured_once_and_judged(run: Run, folder: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(sound(0.6, 3))
    arguments = ("fine.jsonl", "--manifest", "m.csv", "--split", "dev", "--measure", "v.jsonl", "--json", "s.json")
    result = run(*arguments, "--html", "r.html")
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "s.json").read_text())["systems"][0]["voice_judged"] == 2
    assert '"seconds":0.6' in (folder / "r.html").read_text(encoding="utf-8")
    measured = (folder / "v.jsonl").read_bytes()
    (folder / "a.wav").unlink()
    assert run(*arguments, "--overwrite").exit_code == 0
    assert (folder / "v.jsonl").read_bytes() == measured


def test_a_recording_that_cannot_be_measured_is_named(run: Run, folder: Path) -> None:
    result = run("fine.jsonl", "--manifest", "m.csv", "--split", "dev", "--measure", "v.jsonl")
    assert result.exit_code == 1
    assert "c/a: not measured" in result.stderr
    assert "2 of 2" in result.stdout


WRONG = {
    "measuring without a manifest": (
        ("fine.jsonl", "--references", "refs.jsonl", "--measure", "v.jsonl"),
        "--manifest",
    ),
    "measuring into an output": (
        ("fine.jsonl", "--manifest", "m.csv", "--measure", "s.jsonl", "--csv", "s.jsonl"),
        "named twice",
    ),
    "measuring into an input": (("fine.jsonl", "--manifest", "m.csv", "--measure", "fine.jsonl"), "the very file"),
    "needs something to compare with": (("fine.jsonl",), "give --manifest, --references or both"),
    "no such file": (("nine.jsonl", "--manifest", "m.csv"), "there is no such file"),
    "no such split": (("fine.jsonl", "--manifest", "m.csv", "--split", "test"), "no rows of split test"),
    "no such corpus": (("fine.jsonl", "--manifest", "m.csv", "--corpus", "z"), "no rows of corpus z"),
    "a name twice": (("x=fine.jsonl", "x=poor.jsonl", "--manifest", "m.csv"), "two systems are called 'x'"),
    "an empty name": (("=fine.jsonl", "--manifest", "m.csv"), "the name is empty"),
    "a bad encoding": (("fine.jsonl", "--manifest", "m.csv", "--encoding", "q"), "there is no encoding 'q'"),
    "a bad tokenizer": (("fine.jsonl", "--manifest", "m.csv", "--tokenizer", "q"), "use one of auto, ptb"),
    "a bad choice": (("fine.jsonl", "--manifest", "m.csv", "--missing", "no"), "leave-out or empty"),
    "an output that is an input": (("fine.jsonl", "--manifest", "m.csv", "--csv", "fine.jsonl"), "the very file"),
    "an output twice": (("fine.jsonl", "--manifest", "m.csv", "--csv", "o", "--json", "o"), "named twice"),
    "no folder": (("fine.jsonl", "--manifest", "m.csv", "--json", "no/s.json"), "there is no directory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told_in_a_line(run: Run, folder: Path, case: str) -> None:
    arguments, message = WRONG[case]
    before = sorted(folder.iterdir())
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert sorted(folder.iterdir()) == before


def test_files_are_replaced_only_when_asked(run: Run, folder: Path) -> None:
    (folder / "s.json").write_text("mine")
    arguments = ("fine.jsonl", "--manifest", "m.csv", "--split", "dev", "--json", "s.json")
    assert run(*arguments).exit_code == 2
    assert (folder / "s.json").read_text() == "mine"
    assert run(*arguments, "--overwrite").exit_code == 0
    assert json.loads((folder / "s.json").read_text())["format"] == "aligncap-report/1"


def test_predictions_that_fit_nothing(run: Run, folder: Path) -> None:
    lines(folder / "none.jsonl", [{"id": "q", "caption": "Sad."}])
    result = run("none.jsonl", "--manifest", "m.csv", "--json", "s.json")
    assert result.exit_code == 1
    assert "compare the ids" in result.stderr
    assert not (folder / "s.json").exists()
    lines(folder / "none.jsonl", [{"id": "c/a", "caption": None}])
    result = run("none.jsonl", "--manifest", "m.csv")
    assert (result.exit_code, "compare the ids" in result.stderr) == (1, False)
    assert "no prediction can be scored; what is wrong is told above" in result.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_one_file_may_be_in_another_encoding_than_the_others(run: Run, folder: Path, encoding: str) -> None:
    text = "".join(json.dumps({**one, "caption": "Trés sad."}, ensure_ascii=False) + "\n" for one in FINE)
    (folder / "other.jsonl").write_bytes(text.encode(encoding))
    (folder / "refs.jsonl").write_text('{"id": "c/a", "captions": ["Trés sad."]}\n', encoding="utf-8")
    options = ("--references", "refs.jsonl", "--encoding", encoding, "--json", "s.json")
    result = run("other.jsonl", *options)
    assert result.exit_code == 0, result.output
    [caption] = json.loads((folder / "s.json").read_text(encoding="utf-8"))["captions"]
    assert caption["references"] == [caption["systems"]["other"]["caption"]] == ["Trés sad."]


def test_systems_of_one_family_make_a_learning_curve(run: Run, folder: Path) -> None:
    options = ("--manifest", "m.csv", "--split", "dev", "--amount", "steps", "--json", "s.json", "--html", "r.html")
    result = run("ours@400=fine.jsonl", "--systems", "ours@100=poor.jsonl", *options)
    assert result.exit_code == 0, result.output
    [curve] = json.loads((folder / "s.json").read_text())["curves"]
    points = [{"amount": 100.0, "system": "ours@100"}, {"amount": 400.0, "system": "ours@400"}]
    assert curve == {"family": "ours", "points": points}
    assert '"amount":"steps"' in (folder / "r.html").read_text(encoding="utf-8")


def test_unreadable_files_are_errors_of_ours(run: Run, folder: Path) -> None:
    (folder / "bytes.jsonl").write_bytes(b"\x00\x01\xff\xfe\x00rubbish")
    assert isinstance(run("bytes.jsonl", "--manifest", "m.csv").exception, AlignCapError)


def test_quiet_prints_nothing(run: Run) -> None:
    result = run("fine.jsonl", "--manifest", "m.csv", "--split", "dev", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
