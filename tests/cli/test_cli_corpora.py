"""``aligncap corpora`` as users see it."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from aligncap.cli.corpora import app
from aligncap.corpora.known import corpus_names
from aligncap.corpora.manifest import read_manifest
from aligncap.errors import AlignCapError


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and error; an error of ours counts as the top-level command line treats it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, AlignCapError):
        return result.exception.exit_code, result.stdout, f"{result.stderr}error: {result.exception}\n"
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def noise(seed: int) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(4000)
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return data.getvalue()


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """EmoDB with ten speakers, one clip each, in the layout of its download."""
    folder = tmp_path / "corpora" / "EmoDB ü"
    (folder / "wav").mkdir(parents=True)
    for number, speaker in enumerate(("03", "08", "09", *range(10, 17))):
        (folder / "wav" / f"{speaker}a01Wa.wav").write_bytes(noise(number))
    (folder / "erkennung.txt").write_text("Nr.\tSatz\n7 \t03a01Wa.wav\t85,00 \t90,00 \n", encoding="latin-1")
    return folder


# --------------------------------------------------------------------------------- list and show


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_list(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    header, *lines = out.splitlines()
    assert header.split() == ["name", "language", "clips", "speakers", "licence", "title"]
    assert [line.split()[0] for line in lines] == list(corpus_names())
    crema = next(line for line in lines if line.startswith("crema_d"))
    assert crema.split()[1:5] == ["en", "7,442", "91", "ODbL-1.0"]


@pytest.mark.parametrize("arguments", [("--json",), ("list", "--json")])
def test_the_list_as_json(arguments: tuple[str, ...]) -> None:
    code, out, _ = run(*arguments)
    assert code == 0
    records = {record["name"]: record for record in json.loads(out)}
    assert list(records) == list(corpus_names())
    assert records["esd"]["languages"] == ["zh", "en"]
    assert records["emodb"]["labels"]["Ärger"] == "angry"
    assert records["mer2023"]["clips"] is None


@pytest.mark.parametrize("name", corpus_names())
def test_show(name: str) -> None:
    code, out, _ = run("show", name)
    assert code == 0
    for title in ("licence", "homepage", "obtain", "cite", "files", "split"):
        assert f"\n{title} " in out
    assert f"aligncap corpora read {name} FOLDER -o {name}.jsonl" in out
    assert max(map(len, out.splitlines())) <= 110
    assert json.loads(run("show", name, "--json")[1])["name"] == name


def test_show_tells_what_labels_become() -> None:
    out = run("show", "tess")[1]
    assert "pleasant surprise → surprise" in out
    assert "high → no emotion of the taxonomy" in run("show", "baved")[1]
    assert "by its authors (--split corpus), or by speaker" in run("show", "meld")[1]


# --------------------------------------------------------------------------------- read


def test_read(emodb: Path, tmp_path: Path) -> None:
    out = tmp_path / "emodb.jsonl"
    code, stdout, err = run("read", "emodb", emodb, "-o", out)
    assert (code, stdout) == (0, "")
    assert err.splitlines()[-1] == f"emodb: 10 clips of 10 speakers (dev 2, train 8) in {out}"
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert records[0]["id"] == "emodb/03a01Wa"
    assert records[0]["audio"] == "corpora/EmoDB ü/wav/03a01Wa.wav"
    assert (records[0]["emotion"], records[0]["label"], records[0]["votes"]) == ("angry", "Ärger", {"angry": 0.85})
    rows = list(read_manifest(out))
    assert len(rows) == 10
    assert {row.gender for row in rows if row.split == "dev"} == {"male", "female"}
    assert all((tmp_path / row.audio).is_file() for row in rows)


def test_a_manifest_elsewhere_has_absolute_paths(emodb: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run("read", "emodb", emodb, "-o", tmp_path / "out" / "a.csv")[0] == 0
    assert {Path(row.audio).parent for row in read_manifest(tmp_path / "out" / "a.csv")} == {emodb / "wav"}


def test_damaged_recordings_are_named_and_skipped(emodb: Path, tmp_path: Path) -> None:
    whole = noise(0)
    (emodb / "wav" / "08a01Wa.wav").write_bytes(whole[: whole.index(b"data")])
    (emodb / "wav" / "unnamed.wav").write_bytes(whole)
    code, _, err = run("read", "emodb", emodb, "-o", tmp_path / "a.jsonl")
    assert code == 1
    named = [line for line in err.splitlines() if line.startswith("wav/")]
    assert [line.split(":")[0] for line in named] == ["wav/unnamed.wav", "wav/08a01Wa.wav"]
    assert err.splitlines()[-1].endswith("; 2 left out")
    assert len(list(read_manifest(tmp_path / "a.jsonl"))) == 9
    code, _, err = run("read", "emodb", emodb, "-o", tmp_path / "b.jsonl", "--no-decode")
    assert "08a01Wa" not in err
    assert len(list(read_manifest(tmp_path / "b.jsonl"))) == 10


def test_many_remarks_are_cut_short(emodb: Path, tmp_path: Path) -> None:
    for number in range(30):
        (emodb / "wav" / f"other {number:02}.wav").write_bytes(noise(number))
    code, _, err = run("read", "emodb", emodb, "-o", tmp_path / "a.jsonl")
    assert code == 1
    assert err.count("its name is none of") == 20
    assert "… and 10 more (--verbose names them all)" in err
    assert run("read", "emodb", emodb, "-o", tmp_path / "b.jsonl", "-v")[2].count("its name is none of") == 30


def test_nothing_that_can_be_decoded(emodb: Path, tmp_path: Path) -> None:
    for path in (emodb / "wav").iterdir():
        path.write_bytes(b"")
    code, _, err = run("read", "emodb", emodb, "-o", tmp_path / "a.jsonl")
    assert code == 1
    assert "nothing is written" in err
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "splits"),
    [
        (("--split", "none"), {""}),
        (("--split", "zero_shot"), {"zero_shot"}),
        (("--dev-share", "0"), {"train"}),
        (("--split", "speakers", "--dev-share", "0.5"), {"train", "dev"}),
    ],
)
def test_splits(options: tuple[str, ...], splits: set[str], emodb: Path, tmp_path: Path) -> None:
    assert run("read", "emodb", emodb, "-o", tmp_path / "a.jsonl", "--no-decode", *options)[0] == 0
    rows = list(read_manifest(tmp_path / "a.jsonl"))
    assert {row.split for row in rows} == splits
    if "0.5" in options:
        assert sum(row.split == "dev" for row in rows) == 5


def test_the_seed_chooses_the_speakers(emodb: Path, tmp_path: Path) -> None:
    for seed in range(4):
        run("read", "emodb", emodb, "-o", tmp_path / f"{seed}.jsonl", "--no-decode", "--seed", seed)
        run("read", "emodb", emodb, "-o", tmp_path / f"again {seed}.jsonl", "--no-decode", "--seed", seed)
        assert (tmp_path / f"{seed}.jsonl").read_bytes() == (tmp_path / f"again {seed}.jsonl").read_bytes()
    assert len({(tmp_path / f"{seed}.jsonl").read_bytes() for seed in range(4)}) > 1


# --------------------------------------------------------------------------------- wrong usage


def test_wrong_usage(emodb: Path, tmp_path: Path) -> None:
    good = tmp_path / "a.jsonl"
    (tmp_path / "old.jsonl").write_text("kept")
    for arguments, words in {
        ("read", "emodbb", emodb, "-o", good): "no such corpus is known",
        ("read", "emodb", tmp_path / "none", "-o", good): "there is no such folder",
        ("read", "ravdess", emodb, "-o", good): "there is no clip of ravdess in it",
        ("read", "emodb", emodb, "-o", tmp_path / "a.txt"): "does not tell the format",
        ("read", "emodb", emodb, "-o", tmp_path / "no" / "a.jsonl"): "make it first",
        ("read", "emodb", emodb, "-o", tmp_path / "old.jsonl"): "--overwrite",
        ("read", "emodb", emodb, "-o", good, "--split", "corpus"): "its authors did not split it",
        ("read", "emodb", emodb, "-o", good, "--split", "half"): "half",
        ("read", "emodb", emodb): "--output",
        ("show", "emo"): "known are aesdd",
    }.items():
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), arguments
        assert words in " ".join(err.replace("│", " ").split()), err
    assert not good.exists()
    assert (tmp_path / "old.jsonl").read_text() == "kept"
    assert run("read", "emodb", emodb, "-o", tmp_path / "old.jsonl", "--overwrite", "--no-decode")[0] == 0


def test_help_has_examples() -> None:
    assert "aligncap corpora read meld MELD.Raw/" in run("read", "--help")[1]
    assert "aligncap corpora show crema_d" in run("--help")[1]
