"""``aligncap caption`` with a tiny model: inputs, formats, outputs, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.usefixtures("folder")


def ids(done) -> list[str]:
    return [json.loads(line)["id"] for line in done.lines]


# ---------------------------------------------------------------------------------- inputs


def test_text(caption) -> None:
    done = caption("two.wav", "one.wav", "long.wav")
    assert done.code == 0
    lines = done.out.split("\n")  # random models write odd characters
    assert [line.partition(": ")[0] for line in lines] == [
        *("two.wav", "one.wav", "long.wav [0.0–6.0 s]", "long.wav [6.0–12.0 s]", "")  # noqa: RUF001
    ]
    assert done.err.splitlines()[-1].startswith("captioned 3 of 3 recordings (4 stretches) in ")


def test_warnings(caption) -> None:
    Path("long.mp3").write_bytes(Path("long.wav").read_bytes())
    done = caption("one.wav", "long.mp3")
    lines = [line for line in done.err.splitlines() if "cut off" not in line and not line.startswith("doubtful: ")]
    assert lines[:-1] == [
        "warning: long.mp3: it is named .mp3, but its content is wav and was read as that",
        "warning: long.mp3: no speech was found in it: what is said of it may have no ground",
    ]
    assert caption("one.wav", "long.mp3", "-q").err == ""


def test_a_process_of_its_own_is_quiet(checkpoint: Path) -> None:
    command = [sys.executable, "-m", "aligncap", "caption", "two.wav", "--checkpoint", checkpoint, "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0
    *warnings, summary = done.stderr.splitlines()
    assert all(line.startswith(("warning: two.wav: a caption was cut off", "doubtful: two.wav: ")) for line in warnings)
    assert summary.startswith("captioned 1 of 1 recording in ")


def test_directories(caption) -> None:
    done = caption("calls", "one.wav", "-f", "jsonl")
    assert done.code == 0
    assert ids(done) == ["calls/b.wav", "calls/sub/ä 音.wav", "one.wav"]


def test_each_recording_once(caption, folder: Path) -> None:
    Path("link.wav").symlink_to("one.wav")
    done = caption(
        "./one.wav", "one.wav", folder / "one.wav", "calls/b.wav", "calls", "./calls/", "link.wav", "-f", "jsonl"
    )
    assert ids(done) == ["./one.wav", "calls/b.wav", "calls/sub/ä 音.wav", "link.wav"]
    assert "captioned 4 of 4 recordings in" in done.err


def test_standard_input(caption, folder: Path) -> None:
    done = caption("-", "one.wav", "-", "-f", "jsonl", stdin=(folder / "one.wav").read_bytes())
    assert done.code == 0
    assert ids(done) == ["<stdin>", "one.wav"]
    piped, file = map(json.loads, done.lines)
    assert piped["caption"] == file["caption"]


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "the file is empty (0 bytes)"), (b"no audio", "no decoder here recognises it as audio")]
)
def test_bad_standard_input(caption, data: bytes, message: str) -> None:
    done = caption("-", stdin=data)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == f"error: <stdin>: {message}"


def test_any_container(caption) -> None:
    import soundfile

    samples, rate = soundfile.read("one.wav")
    soundfile.write("stereo 44.flac", samples[:, None].repeat(2, 1), 44_100)
    soundfile.write("o.ogg", samples, rate)
    shutil.copy("o.ogg", "wrong name.mp3")
    done = caption("stereo 44.flac", "o.ogg", "wrong name.mp3", "-f", "jsonl")
    assert done.code == 0
    flac, ogg, misnamed = map(json.loads, done.lines)
    assert flac["end"] == pytest.approx(16_000 / 44_100, abs=1e-3)
    assert ogg["caption"] == misnamed["caption"]
    assert "it is named .mp3, but its content is ogg and was read as that" in misnamed["warnings"]


# ---------------------------------------------------------------------------------- failures


def test_failures_as_text(caption) -> None:
    done = caption("gone.wav", "one.wav", "short.wav", "text.wav", "none", "calls/notes.txt")
    assert done.code == 1
    assert done.out.split("\n")[0].startswith("one.wav: ")
    assert done.out.count("\n") == 1
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: gone.wav: there is no such file",
        "error: short.wav: it is 50 ms long; at least 0.1 s is needed",
        "error: text.wav: no decoder here recognises it as audio",
        "error: none: there are no recordings in this directory",
        "error: calls/notes.txt: no decoder here recognises it as audio",
    ]
    assert done.err.splitlines()[-1].endswith("s; 5 failed")


def test_failures_as_records(caption) -> None:
    done = caption("gone.wav", "one.wav", "none", "short.wav", "-f", "jsonl", "--batch-size", "1")
    assert done.code == 1
    records = [json.loads(line) for line in done.lines]
    assert [record["id"] for record in records] == ["gone.wav", "one.wav", "none", "short.wav"]
    assert [record.get("error", {}).get("type") for record in records] == [
        *("AudioNotFoundError", None, "AudioNotFoundError", "AudioTooShortError")
    ]
    assert not [line for line in done.err.splitlines() if line.startswith("error")]


def test_nothing_usable_loads_no_model(cli) -> None:
    done = cli("caption", "gone.wav", "none", "--checkpoint", "there/is/none", "-f", "csv")
    assert done.code == 1
    first, second = csv.DictReader(io.StringIO(done.out))
    assert first["error"] == "AudioNotFoundError: there is no such file"
    assert second["error"] == "AudioNotFoundError: there are no recordings in this directory"
    assert done.err.startswith("captioned 0 of 2 recordings in ")


def test_a_directory_that_may_not_be_listed(caption, monkeypatch) -> None:
    real = os.scandir

    def scandir(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = caption("calls", "-f", "jsonl")
    assert done.code == 1
    assert [json.loads(line).get("error", {}).get("message") for line in done.lines] == [
        *(None, "this directory may not be listed")
    ]


# ---------------------------------------------------------------------------------- formats and outputs


def test_jsonl(caption, checkpoint: Path) -> None:
    [record] = map(json.loads, caption("one.wav", "-f", "jsonl").lines)
    names = ["id", "audio", "start", "end", "caption", "emotions", "clues", "model", "doubts", "warnings"]
    assert list(record) == names  # what random weights write is always doubted
    [unverified] = map(json.loads, caption("one.wav", "-f", "jsonl", "--verify", "off").lines)
    assert list(unverified) == [name for name in names if name != "doubts"]
    words = {"caption", "doubts"}  # only what is verified is drawn to the last word
    assert {k: v for k, v in unverified.items() if k not in words} == {
        k: v for k, v in record.items() if k not in words
    }
    assert (record["id"], record["audio"], record["start"], record["end"]) == ("one.wav", "one.wav", 0.0, 1.0)
    assert sum(record["emotions"].values()) == pytest.approx(1, abs=1e-3)
    assert record["model"] == checkpoint.name


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.txt", "OUT.CSV"])
def test_output_file(caption, name: str) -> None:
    form = {"jsonl": "jsonl", "csv": "csv", "txt": "text"}[name.lower().rpartition(".")[2]]
    done = caption("one.wav", "gone.wav", "-o", name)
    assert (done.code, done.out) == (1, "")
    assert ("error: gone.wav" in done.err) == (form == "text")
    printed = caption("one.wav", "gone.wav", "--format", form)
    assert Path(name).read_bytes().decode() == printed.out


def test_format_wins_over_the_suffix(caption) -> None:
    caption("one.wav", "-o", "out.txt", "--format", "jsonl")
    assert json.loads(Path("out.txt").read_text())["id"] == "one.wav"


def test_an_existing_file_is_kept(caption) -> None:
    Path("out.csv").write_text("precious")
    done = caption("one.wav", "-o", "out.csv")
    assert done.code == 2
    assert "out.csv: it exists: choose another name, or add --overwrite" in " ".join(done.err.split())
    assert Path("out.csv").read_text() == "precious"
    assert caption("one.wav", "-o", "out.csv", "--overwrite").code == 0
    assert Path("out.csv").read_text().startswith("id,audio,")


def test_an_existing_file_is_kept_when_the_model_cannot_be_loaded(cli) -> None:
    Path("out.csv").write_text("precious")
    done = cli("caption", "one.wav", "-o", "out.csv", "--overwrite", "--checkpoint", "nowhere")
    assert done.code != 0
    assert done.err == "error: nowhere: there is no such checkpoint; give a folder or a Hub name (owner/name)\n"
    assert Path("out.csv").read_text() == "precious"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("calls", "does not tell the format"),
        ("out.json", "does not tell the format"),
        ("gone/out.csv", "there is no directory gone"),
        ("made.csv", "it is a directory"),
        ("recording.txt", "it is one of the recordings"),
    ],
)
def test_outputs_that_cannot_be(cli, output: str, problem: str) -> None:
    Path("made.csv").mkdir()
    shutil.copy("one.wav", "recording.txt")
    done = cli("caption", "one.wav", "./recording.txt", "-o", output, "--overwrite")
    assert (done.code, done.out) == (2, "")
    assert problem in " ".join(done.err.split())
    assert Path("recording.txt").read_bytes() == Path("one.wav").read_bytes()


def test_no_permission_to_write(cli, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != ".")
    done = cli("caption", "one.wav", "-o", "out.csv")
    assert done.code == 2
    assert "it may not be written" in " ".join(done.err.split())


def test_quiet(caption) -> None:
    done = caption("one.wav", "gone.wav", "--quiet")
    assert done.err == "error: gone.wav: there is no such file\n"


# ---------------------------------------------------------------------------------- options


def test_sampling(caption) -> None:
    def run(*options: object) -> list[dict]:
        return [json.loads(line) for line in caption("one.wav", "two.wav", "-f", "jsonl", *options).lines]

    default = run("--verify", "off")
    assert run("--verify", "off") == default
    greedy = run("--temperature", 0, "--verify", "off")
    assert greedy != default
    assert run("--seed", 1) == run("--seed", 1) != run("--seed", 2)
    assert run("--temperature", 0.001, "--verify", "off") == greedy
    assert run("--temperature", 9, "--top-p", 1e-6, "--verify", "off") == greedy
    three = run("--num-captions", 3, "--seed", 1)
    assert [len(record["alternatives"]) for record in three] == [2, 2]
    assert three[0]["caption"] == run("--seed", 1)[0]["caption"]


def test_prompt_and_batch_size(caption) -> None:
    plain = caption("one.wav", "two.wav", "-f", "jsonl").out
    assert caption("one.wav", "two.wav", "-f", "jsonl", "--batch-size", "1").out == plain
    assert caption("one.wav", "two.wav", "-f", "jsonl", "--prompt", "Describe only the voice.").out != plain


def test_dtype(caption) -> None:
    assert caption("one.wav", "--dtype", "bfloat16").code == 0


@pytest.mark.parametrize(
    "options",
    [
        *(["--prompt", " "], ["--batch-size", "0"], ["--num-captions", "0"], ["--temperature", "-1"]),
        *(["--top-p", "1.5"], ["--device", "tpu"], ["--dtype", "int4"], ["--threads", "0"], ["--format", "xml"]),
        *(["--nonsense"], ["--seed", "x"], ["--num-captions", "2", "--temperature", "0"]),
    ],
)
def test_wrong_usage(cli, options: list[str]) -> None:
    done = cli("caption", "one.wav", *options)
    assert (done.code, done.out) == (2, "")
    assert options[0].removeprefix("--").replace("-", "_") in done.err.replace("-", "_")


def test_no_recordings(cli) -> None:
    assert cli("caption").code == 2


def test_an_empty_name(cli) -> None:
    done = cli("caption", "one.wav", "")
    assert (done.code, done.out) == (2, "")
    assert "a name is empty" in done.err


def test_no_such_device(cli, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = cli("caption", "one.wav", "--device", "cuda")
    assert done.code == 2
    assert "there is no cuda device here" in done.err


def test_help_teaches(cli) -> None:
    done = cli("caption", "--help")
    assert done.code == 0
    assert max(map(len, done.lines)) <= 80
    for words in ("Exit codes: 0 every recording was captioned", "- for one from standard input"):
        assert words in " ".join(done.out.split())


def test_examples_of_the_help_are_valid(cli, checkpoint: Path, caption, monkeypatch) -> None:
    """The commands that the help shows run as they are (with recordings of the names that they use)."""
    text = cli("caption", "--help").out
    shown = [line.strip() for line in text.splitlines() if "aligncap caption " in line and "Usage" not in line]
    shown = [line for line in shown if "--engine ray" not in line]  # tests/cli/test_cli_ray.py
    assert len(shown) == 5
    shutil.copy("one.wav", "interview.wav")
    shutil.copy("one.wav", "x.mp3")
    for line in shown:
        command = line.rpartition("| ")[2].partition(" > ")[0].removeprefix("aligncap caption ")
        arguments = subprocess.run(
            ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
        )
        done = caption(*arguments.stdout.split("\n")[:-1], stdin=Path("one.wav").read_bytes())
        assert done.code == 0, (line, done.err)
