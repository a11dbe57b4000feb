from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from recordings import sound
from typer.testing import CliRunner, Result

import aligncap.cli.benchmark as module
from aligncap.benchmarking.systems import Loading, Runner, SystemSpec
from aligncap.captioner.results import Caption, Classification, Failure
from aligncap.corpora import Row, write_manifest

ROWS = [
    Row("c/a", "one.wav", corpus="c", emotion="sad", split="dev", speaker="1"),
    Row("c/b", "two.wav", corpus="c", emotion="happy", split="dev", speaker="2"),
    Row("c/part", "two.wav", start=0.2, end=0.7, corpus="c", emotion="sad", split="dev", speaker="2"),
    Row("p/x", "one.wav", corpus="p", emotion="sad", split="dev"),
    Row("p/y", "two.wav", corpus="p", emotion="pride", split="dev"),
    Row("c/t", "one.wav", corpus="c", emotion="sad", split="train"),
]
Run = Callable[..., Result]


@dataclass
class Fake:
    """Stands in for a model: says that everybody is sad, and remembers what it heard."""

    heard: list[tuple[str, int]] = field(default_factory=list)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    stop_after: int = 1000
    dtype: str = "float32"

    def caption(self, sources: Iterable[Any]) -> Iterator[Caption | Failure]:
        for source in sources:
            if len(self.heard) == self.stop_after:
                raise KeyboardInterrupt
            if isinstance(source, Failure):
                yield source
                continue
            self.heard.append((source.source, len(source.samples)))
            emotions = {"sad": 0.6, "happy": 0.4}
            for name in (source.source,) if source.source != "c/b" else ("c/b#0", "c/b#1"):
                yield Caption(name, source.source, 0.0, 1.0, "They sound sad, in a fast way.", emotions, "", "fake")

    def classify(self, sources: Iterable[Any], *, labels: Sequence[str]) -> Iterator[Classification | Failure]:
        for source in sources:
            if isinstance(source, Failure):
                yield source
                continue
            self.asked.append((source.source, tuple(labels)))
            yield Classification(source.source, source.source, 0.0, 1.0, {"pride": 0.7, "sad": 0.3}, "fake")

    def load(self, spec: SystemSpec, loading: Loading) -> Runner:
        self.loaded.append(spec.name)
        self.verified.append(loading.verify)
        return Runner(self.caption, self.classify, ("sad", "happy"), {"device": "cpu", "dtype": self.dtype})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr("aligncap.benchmarking.run.load_runner", fake.load)
    return fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: recordings, a manifest, a checkpoint's folder, and predictions of a peer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.wav").write_bytes(sound(0.6, 1))
    (tmp_path / "two.wav").write_bytes(sound(0.8, 2))
    write_manifest(ROWS, tmp_path / "m.csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("{}")
    (tmp_path / "mine/model.safetensors").write_bytes(b"weights")
    (tmp_path / "peer.jsonl").write_text('{"id": "c/a", "caption": "They sound glad.", "label": "happy"}\n')
    return tmp_path


@pytest.fixture
def run(fake: Fake, folder: Path) -> Run:
    app = typer.Typer()
    app.command()(module.benchmark)

    def run(*arguments: object, system: str = "mine") -> Result:
        fixed = ("m.csv", "-o", "out", "--split", "dev", "--resamples", "20")
        return CliRunner().invoke(app, [*fixed, "--system", system, *map(str, arguments)])

    return run


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_everything_is_made_in_one_command(run: Run, fake: Fake) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "5 of 5" in result.stdout
    written = {path.name for path in Path("out").iterdir() if path.is_file()}
    assert written == {
        "report.html",
        "scores.json",
        "scores.csv",
        "tables.md",
        "tables.tex",
        "run.json",
        "voices.jsonl",
    }
    said = records("out/systems/mine/captions.jsonl")
    assert sorted(one["id"] for one in said) == ["c/a", "c/b#0", "c/b#1", "c/part", "p/x", "p/y"]
    assert dict(fake.heard)["c/part"] == 8000  # from 0.2 to 0.7 s
    data = json.loads(Path("out/scores.json").read_text())
    assert {one["id"] for one in data["captions"]} == {row.id for row in ROWS if row.split == "dev"}
    assert data["systems"][0]["voice_judged"] == 5
    assert '"pitch"' in Path("out/report.html").read_text(encoding="utf-8")


def test_a_second_run_makes_the_same_scores_without_a_model(run: Run, fake: Fake, folder: Path) -> None:
    run()
    before = {name: (folder / "out" / name).read_bytes() for name in ("scores.json", "report.html", "tables.md")}
    fake.loaded.clear()
    (folder / "one.wav").unlink()  # not even the recordings are needed
    result = run()
    assert result.exit_code == 0, result.output
    assert fake.loaded == []
    assert before == {name: (folder / "out" / name).read_bytes() for name in before}


def test_an_interrupted_run_goes_on(run: Run, fake: Fake) -> None:
    fake.stop_after = 3
    assert run().exit_code != 0
    kept = [one["audio"] for one in records("out/systems/mine/captions.jsonl")]
    assert 0 < len(set(kept)) < 5
    with Path("out/systems/mine/captions.jsonl").open("a") as file:
        file.write('{"id": "broken o')
    fake.stop_after = 1000
    fake.heard.clear()
    assert run().exit_code == 0
    assert not set(kept) & {name for name, _ in fake.heard}
    assert {one["audio"] for one in records("out/systems/mine/captions.jsonl")} == {
        "c/a",
        "c/b",
        "c/part",
        "p/x",
        "p/y",
    }


def test_labels_are_told_apart_by_emotions_or_else_by_words(run: Run, fake: Fake) -> None:
    run()
    assert sorted(fake.asked) == [("p/x", ("pride", "sad")), ("p/y", ("pride", "sad"))]
    labels = {
        one["id"]: one["systems"]["mine"]["labels"]["stated"]
        for one in json.loads(Path("out/scores.json").read_text())["captions"]
    }
    assert labels == {"c/a": "sad", "c/b": "sad", "c/part": "sad", "p/x": "pride", "p/y": "pride"}
    fake.asked.clear()
    run()
    assert fake.asked == []


def test_all_that_it_takes_to_make_it_again_is_written_down(run: Run, folder: Path) -> None:
    run("--seed", 3)
    record = json.loads(Path("out/run.json").read_text())
    [system] = record["systems"]
    assert record["format"] == "aligncap-benchmark/1"
    assert (record["seed"], record["split"], record["rows"]) == (3, "dev", {"c": 3, "p": 2})
    assert (record["prompt"], record["verify"]) == ("Describe the emotion in the voice.", "on")
    assert len(record["manifest"]["sha256"]) == 64
    assert set(system["sha256"]) == {"config.json", "model.safetensors"}
    assert system["label_map"]["c"] == {"happy": {"happy": 1.0}, "sad": {"sad": 1.0}}
    assert system["label_map"]["p"]["pride"] == {}
    assert (system["scored"], system["not_scored"], system["failed"]) == (5, 0, 0)
    assert [one["rows"] for one in system["sessions"]] == [5, 2]
    assert {"date", "machine", "versions"} <= record["scored_on"].keys()
    assert str(folder) not in Path("out/run.json").read_text()


def test_systems_stand_side_by_side(run: Run, fake: Fake, folder: Path) -> None:
    result = run("--system", "again=mine", "--system", "peer.jsonl")
    assert result.exit_code == 1  # the peer said nothing of most rows
    assert fake.loaded == ["mine", "again"]
    data = json.loads(Path("out/scores.json").read_text())
    assert [(one["name"], one["scored"]) for one in data["systems"]] == [("mine", 5), ("again", 5), ("peer", 1)]
    assert data["settings"]["instruction"] == ""  # what the peer was asked is not known
    [first] = [one for one in data["captions"] if one["id"] == "c/a"]
    assert first["systems"]["peer"]["labels"]["stated"] == "happy"
    assert not (folder / "out/systems/peer").exists()


def test_systems_of_one_family_make_a_learning_curve(run: Run, fake: Fake) -> None:
    result = run("--system", "ours@400=mine", "--system", "ours@100=mine", "--amount", "steps")
    assert result.exit_code == 0, result.output
    data = json.loads(Path("out/scores.json").read_text())
    assert [(one["family"], len(one["points"])) for one in data["curves"]] == [("ours", 2)]
    assert "| family | steps |" in Path("out/tables.md").read_text(encoding="utf-8")


def test_captions_of_another_checkpoint_are_not_taken_for_this_ones(run: Run, fake: Fake, folder: Path) -> None:
    run()
    (folder / "mine/model.safetensors").write_bytes(b"others")
    result = run()
    assert "its sha256 differ" in str(result.exception)
    assert "holds the captions of another system (its prompt, sha256" in str(run("--prompt", "Say more.").exception)
    assert run(system="other=mine").exit_code == 0


def test_captions_are_verified_as_asked(run: Run, fake: Fake) -> None:
    run("--verify", "off", "--limit", 1)
    assert fake.verified == ["off"]
    assert "its verify differ" in str(run().exception)
    assert run("--verify", "off").exit_code == 0


def test_numbers_of_two_types_are_not_mixed(run: Run, fake: Fake) -> None:
    run("--limit", 1)
    fake.dtype = "bfloat16"
    assert "computed in cpu, float32, not cpu, bfloat16" in str(run().exception)


def test_rows_that_failed_are_named_and_tried_again_when_asked(run: Run, fake: Fake, folder: Path) -> None:
    one = (folder / "one.wav").read_bytes()
    (folder / "one.wav").unlink()
    result = run()
    assert result.exit_code == 1
    assert "c/a: failed: there is no such file" in result.stderr
    assert "c/a: not measured" in result.stderr
    record = json.loads(Path("out/run.json").read_text())["systems"][0]
    assert (record["scored"], record["failed"]) == (3, 2)
    (folder / "one.wav").write_bytes(one)
    assert run().exit_code == 1  # it is not tried again by itself
    fake.heard.clear()
    result = run("--retry")
    assert result.exit_code == 0, result.output
    assert [name for name, _ in fake.heard] == ["c/a", "p/x"]


def test_a_limit_is_for_each_corpus_and_a_larger_one_adds_to_it(run: Run, fake: Fake) -> None:
    run("--limit", 1)
    assert len(fake.heard) == 2
    few = set(fake.heard)
    run("--limit", 2)
    assert few < set(fake.heard)
    assert len(set(fake.heard)) == len(fake.heard) == 4


def test_corpora_are_chosen(run: Run, fake: Fake) -> None:
    assert run("--corpora", "p").exit_code == 0
    assert sorted(name for name, _ in fake.heard) == ["p/x", "p/y"]


WRONG = {
    "no such corpus": (("--corpora", "p,z"), "no row is of z; there are c, p"),
    "no corpus": (("--corpora", ","), "no corpus is named"),
    "no such split": (("--split", "test"), "no rows of split test"),
    "an empty prompt": (("--prompt", " "), "it is empty"),
    "no such predictions": (("--system", "x=nine.jsonl"), "there is no such file of predictions"),
    "a name twice": (("--system", "Mine=peer.jsonl"), "two systems are called 'mine'"),
    "a name that is no folder's": (("--system", "a/b=mine"), "call it NAME="),
    "a folder of other things": (("-o", "mine"), "it holds other things"),
    "a file for a folder": (("-o", "m.csv"), "it is a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told_in_a_line(run: Run, fake: Fake, folder: Path, case: str) -> None:
    arguments, message = WRONG[case]
    before = sorted(folder.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert (sorted(folder.rglob("*")), fake.loaded) == (before, [])


def test_the_usual_prompt_is_the_models(run: Run) -> None:
    from aligncap.benchmarking.run import DEFAULT_PROMPT
    from aligncap.captions.prompt import DEFAULT_INSTRUCTION

    assert DEFAULT_PROMPT == DEFAULT_INSTRUCTION
