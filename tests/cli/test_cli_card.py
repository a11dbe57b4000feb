"""``aligncap card``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from aligncap.cards.counts import count_rows, hub_languages, hub_licence
from aligncap.cards.dataset import dataset_card
from aligncap.cards.markdown import cell, front_matter, read_front_matter, table
from aligncap.cards.model import read_checkpoint
from aligncap.cli.card import app
from aligncap.corpora import Row
from aligncap.errors import CheckpointError

ROWS: list[dict[str, Any]] = [
    {"id": "a1", "corpus": "ravdess", "language": "en-US", "speaker": "s1", "gender": "female", "emotion": "angry"},
    {"id": "a2", "corpus": "ravdess", "language": "en-US", "speaker": "s1", "emotion": "sad", "split": "dev"},
    {"id": "b1", "corpus": "mine", "language": "pl", "speaker": "s1", "label": "low", "licence": "CC-BY-4.0"},
    {"id": "b2", "corpus": "mine", "start": 1.0, "end": 3.0, "captions": ["One.", "Two."], "votes": {"sad": 1.0}},
]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.jsonl"
    base = {"audio": "x.wav", "licence": "CC-BY-NC-SA-4.0", "split": "train", "duration_s": 1798.0}
    path.write_text("".join(json.dumps({**base, **row}) + "\n" for row in ROWS))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def test_dataset_card(manifest: Path) -> None:
    done = run("dataset", manifest, "--title", "Two corpora")
    assert done.exit_code == 0
    card = done.stdout
    head = read_front_matter(card)
    assert head["pretty_name"] == "Two corpora"
    assert head["language"] == ["en", "pl"]
    assert head["license"] == "other"
    assert head["license_name"] == "cc-by-4.0-and-cc-by-nc-sa-4.0"
    assert head["size_categories"] == ["n<1K"]
    assert "speech emotion captioning" in head["tags"]
    assert "\n* 4 clips, 1.5 hours, of 2 corpora\n" in card
    assert "\n* captions: 2, of 1 clip\n" in card
    assert "| mine | (not told), pl | 2 | 1 | 0.5 | CC-BY-4.0, CC-BY-NC-SA-4.0 |" in section(card, "Corpora")
    assert "| ravdess | en-US | 2 | 1 | 1.0 | CC-BY-NC-SA-4.0 |" in section(card, "Corpora")
    assert "| (not told) | 1 | 1 | 0 |" in section(card, "Labels")
    assert "| low | 1 | 1 | 0 |" in section(card, "Labels")
    assert "**1 speaker in two splits or more**" in section(card, "Splits")
    assert section(card, "Speakers").strip().startswith("2 speakers; clips by gender")
    assert "Livingstone" in section(card, "Sources and licences")
    assert "Art. 5(1)(f)" in section(card, "Use")
    assert "$" not in card


def test_one_split_and_one_licence(manifest: Path) -> None:
    card = run("dataset", manifest, "--split", "dev").stdout
    assert read_front_matter(card)["license"] == "cc-by-nc-sa-4.0"
    assert "\n* 1 clip, 0.5 hours, of 1 corpus\n" in card
    assert "No speaker that is named is in two splits." in card
    assert read_front_matter(run("dataset", manifest, "--licence", "MIT").stdout)["license"] == "mit"


def test_files(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "README.md"
    assert run("dataset", manifest, "-o", out).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("---\npretty_name: manifest\n")
    again = run("dataset", manifest, "-o", out)
    assert again.exit_code == 2
    assert "it exists" in again.output
    assert run("dataset", manifest, "-o", out, "--overwrite").exit_code == 0
    assert run("dataset", manifest, "-o", tmp_path / "card.txt").exit_code == 2
    for arguments in (["dataset", tmp_path / "none.csv"], ["dataset", manifest, "--split", "test"]):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "MANIFEST" in done.output


def test_bad_rows_are_named_and_the_card_is_written(manifest: Path) -> None:
    with manifest.open("a") as file:
        file.write("{broken\n" * 12)
    done = run("dataset", manifest)
    assert done.exit_code == 1
    assert "\n* 4 clips" in done.stdout
    assert done.stderr.count("error: ") == 11
    assert "2 more rows left out" in done.stderr


def test_text_from_outside_stays_text() -> None:
    rows = [Row("1", "x.wav", corpus="<script>|", emotion="a|b\nc", licence="[x](y)", language="xx")]
    card = dataset_card(count_rows(rows), "# --- \n<b>")
    assert "<script>" not in card
    assert "<b>" not in card.split("---\n", 2)[2]
    assert "a\\|b c" in card
    assert "[x](y)" not in card.split("---\n", 2)[2]
    assert read_front_matter(card)["pretty_name"] == "# --- \n<b>"


def test_model_card(manifest: Path, tmp_path: Path) -> None:
    done = run("model", "embedded", "--manifest", manifest, "--split", "train", "--licence", "CC-BY-NC-SA-4.0")
    assert done.exit_code == 0, done.output
    card = done.stdout
    head = read_front_matter(card)
    assert head["license"] == "cc-by-nc-sa-4.0"
    assert head["pipeline_tag"] == "audio-text-to-text"
    assert len(head["base_model"]) == 2
    assert "# AlignCap embedded" in card
    assert "3 clips of 2 speakers" in section(card, "Training data")
    assert "LoRA of rank 16 on q\\_proj" in section(card, "What it is")
    assert "10 s at a time" in section(card, "What it is")
    assert "The weights: CC-BY-NC-SA-4.0." in section(card, "Licence")
    assert "*Not given" in section(card, "How good it is")
    assert "Art. 5(1)(f)" in section(card, "Use")
    trained = section(run("model", "embedded", "--manifest", manifest).stdout, "Licence")
    assert "trained on data under CC-BY-4.0, CC-BY-NC-SA-4.0" in trained
    assert "license" not in read_front_matter(run("model", "embedded").stdout)


def test_counts_of_a_checkpoint(checkpoint: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(checkpoint / "model.safetensors")
    assert read_checkpoint(checkpoint).parameters == sum(tensor.numel() for tensor in tensors.values())
    done = run("model", checkpoint)
    assert done.exit_code == 0, done.exception
    card = done.stdout
    assert "a model from a local folder" in card
    assert str(checkpoint.parent) not in card
    assert "base_model" not in read_front_matter(card)


def test_what_is_no_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    cases = {
        "none": None,
        "empty": ["config.json"],
        "other": ["config.json", "model.safetensors"],
        "damaged": ["model.safetensors"],
        "config": ["config.json"],
    }
    for name, files in cases.items():
        folder = tmp_path / name
        if files is not None:
            folder.mkdir()
            for file in ("config.json", "model.safetensors"):
                (folder / file).write_bytes((checkpoint / file).read_bytes())
    (tmp_path / "empty" / "model.safetensors").unlink()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "config" / "config.json").write_text('{"model_type": "aligncap", "bridge": "none"}')
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"\x10")
    for name in cases:
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / name)


def test_scores(tmp_path: Path, manifest: Path) -> None:
    from aligncap.evaluation.measures import Settings
    from aligncap.evaluation.predictions import read_system
    from aligncap.evaluation.scores import evaluate

    predictions = tmp_path / "p.jsonl"
    predictions.write_text('{"id": "a1", "caption": "She sounds angry."}\n{"id": "a2", "caption": "He sounds sad."}\n')
    rows = [Row("a1", "x", corpus="c", emotion="angry"), Row("a2", "x", corpus="c", emotion="sad")]
    system = read_system(predictions, rows, name="ours", others=[])
    data = evaluate(rows, [system], Settings("auto", "en", "", None, False, None), resamples=10)
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps(data, default=str))
    card = run("model", "embedded", "--scores", scores).stdout
    assert "\n### Summary\n" in card
    assert "| ours |" in section(card, "How good it is")
    scores.write_text("{}")
    assert run("model", "embedded", "--scores", scores).exit_code == 2
    assert run("model", "embedded", "--scores", tmp_path / "none.json").exit_code == 2
    assert run("model", "embedded", "--split", "train").exit_code == 2


def test_front_matter() -> None:
    text = front_matter({"a": "x: y", "b": [], "c": None, "d": ["1", "é"]})
    assert read_front_matter(text + "# Title\n---\nno\n---\n") == {"a": "x: y", "d": ["1", "é"]}
    assert yaml.safe_load(text.split("---\n")[1]) == {"a": "x: y", "d": ["1", "é"]}
    for broken in ("", "# no", "---\na: 1\n", "---\n[\n---\n", "x\n---\na: 1\n---\n"):
        assert read_front_matter(broken) == {}


def test_pieces() -> None:
    assert table(("a", "b"), [("x", 1234), ("y", 2.0)]) == "| a | b |\n|---|--:|\n| x | 1,234 |\n| y | 2.0 |\n"
    assert cell("a_b\n*c*") == "a\\_b \\*c\\*"
    assert hub_languages(["en-IN/hi", "EN", "", "x1"]) == ["en", "hi"]
    assert hub_licence([]) == {}
    assert hub_licence(["", "CC0-1.0"]) == {"license": "cc0-1.0"}
    assert hub_licence(["My licence"]) == {"license": "other", "license_name": "my-licence"}
