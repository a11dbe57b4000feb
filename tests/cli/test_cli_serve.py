"""``aligncap serve`` and ``aligncap judge``: options, errors, and processes that end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import typer
from recordings import sound
from typer.testing import CliRunner

from aligncap.cli import judge, serve
from aligncap.errors import AlignCapError
from aligncap.preferences.votes import read_votes
from aligncap.server.judging.store import Store

SERVE = """
import sys, typer
from aligncap.captioner.results import Caption
from aligncap.cli import serve
import time

class StandIn:
    name = "stand-in"

    def stream(self, sources, **_):
        for audio in sources:
            time.sleep(1)
            yield Caption(audio.source, audio.source, 0.0, 1.0, "Sounds sad.", {"sad": 1.0}, "", self.name)

serve.load_captioner = lambda *_: StandIn()
typer.run(serve.serve)
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """``run("serve", …)``: exit code, standard output, standard error; nothing is ever loaded."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(serve.serve)
    app.add_typer(judge.app, name="judge")
    monkeypatch.delenv("ALIGNCAP_API_KEY", raising=False)
    monkeypatch.setattr(serve, "load_captioner", lambda *_: pytest.fail("the model was loaded"))

    def run(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(one) for one in arguments])
        if isinstance(done.exception, AlignCapError):
            return done.exception.exit_code, done.stdout, str(done.exception)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


def test_help_teaches(run) -> None:
    for command, words in (
        (["serve"], ["curl -F file=@call.wav", "/metrics", "Exit codes", "127.0.0.1"]),
        (["judge"], ["aligncap judge export votes.sqlite", "page", "export"]),
        (["judge", "page"], ["aligncap judge pairs.jsonl data/manifest.csv", "Exit codes"]),
        (["judge", "export"], ["--min-checks", "both_wrong"]),
    ):
        code, out, _ = run(*command, "--help")
        assert code == 0
        assert all(word in out for word in words)


def test_an_address_that_is_taken(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--port", port)
    assert code == 1
    assert err == f"cannot serve on 127.0.0.1:{port}: address already in use: choose another --host or --port"


def test_an_address_that_there_is_not(run) -> None:
    code, _, err = run("serve", "--host", "no such host")
    assert code == 1
    assert err.startswith("cannot serve on no such host:8000: ")


@pytest.mark.parametrize("key", ["", "short", "with spaces in the middle", "é" * 20, "x" * 20 + "\n" + "y" * 20])
def test_bad_keys(run, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(key, encoding="utf-8")
    code, _, err = run("serve", "--api-key-file", tmp_path / "key")
    assert code == 2
    assert "openssl rand -hex 32" in " ".join(err.split())
    monkeypatch.setenv("ALIGNCAP_API_KEY", key)
    assert run("serve")[0] == 2


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    assert serve.read_key(tmp_path / "key") == "0123456789abcdef"
    monkeypatch.setenv("ALIGNCAP_API_KEY", "fedcba9876543210")
    assert serve.read_key(None) == "fedcba9876543210"
    monkeypatch.delenv("ALIGNCAP_API_KEY")
    assert serve.read_key(None) is None
    with pytest.raises(AlignCapError, match="none: the API key cannot be read: no such file"):
        serve.read_key(tmp_path / "none")


@pytest.mark.parametrize("command", [["serve"], ["judge", "a.jsonl", "m.csv"]])
def test_without_the_extra(run, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = run(*command)
    assert code == 3
    assert "pip install 'aligncap[serve]'" in err


def test_ending_a_server_finishes_its_work(tmp_path: Path) -> None:
    """A process of its own, told to end while it captions."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "startup complete" in line:
            break
    address = re.search(r"serving stand-in on (http\S+) ", "".join(lines))
    assert address, lines
    broken = {"content-type": "multipart/form-data; boundary=y"}  # the library that reads forms has a warning for it
    assert httpx.post(f"{address[1]}/v1/captions", content=b"x", headers=broken).status_code == 400
    answers: list[httpx.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(
            httpx.post(f"{address[1]}/v1/captions", files={"file": ("a.wav", sound(1.0))}, timeout=60)
        )
    )
    ask.start()
    while "aligncap_requests_in_flight 1.0" not in httpx.get(f"{address[1]}/metrics").text:
        pass
    process.send_signal(signal.SIGTERM)
    ask.join()
    rest = process.stderr.read()
    assert process.wait(30) in {0, -signal.SIGTERM}
    process.stderr.close()
    assert [answer.status_code for answer in answers] == [200]
    logged = [json.loads(line) for line in rest.splitlines()]
    assert [line["status"] for line in logged if line["event"] == "request"] == [400, 200]
    assert "python_multipart.multipart" in {line["logger"] for line in logged}
    assert "Traceback" not in rest


def test_judging(run, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(sound(0.5))
    (tmp_path / "m.csv").write_text("id,audio\nc/1,a.wav\nc/2,gone.wav\n")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"id": "c/9", "a": "A.", "b": "B."}\nno json\n')
    code, _, err = run("judge", pairs, tmp_path / "m.csv", "--db", tmp_path / "v.sqlite")
    assert (code, "no question comes of it" in err) == (1, True)
    pairs.write_text('{"id": "c/2", "a": "A.", "b": "B."}\n')
    code, _, err = run("judge", pairs, tmp_path / "m.csv", "--db", tmp_path / "v.sqlite")
    assert (code, "gone.wav: there is no such recording (1 are missing)" in err) == (1, True)
    assert not (tmp_path / "v.sqlite").exists()


def test_export(run, tmp_path: Path) -> None:
    from aligncap.server.judging.questions import Question

    store = Store(tmp_path / "v.sqlite")
    asked = Question("c/1", "Describe the emotion in the voice.", "Cross.", "Sad.", "a.wav")
    store.add([asked], 0)
    for rater, choice in (("ann", "b"), ("bob", "both_wrong"), ("cleo", "b")):
        store.vote(asked.key, rater, choice, "a", 1.0)
    code, _, err = run("judge", "export", tmp_path / "v.sqlite", "-o", tmp_path / "votes.jsonl")
    assert code == 0
    assert "ann: 1 votes, 0% of the choices on the first caption" in err
    assert "3 votes: 0 ties, 1 both wrong; Krippendorff's alpha" in err
    votes = list(read_votes(tmp_path / "votes.jsonl", pytest.fail))
    assert [(vote.rater, vote.choice) for vote in votes] == [("ann", "b"), ("bob", "tie"), ("cleo", "b")]
    assert run("judge", "export", tmp_path / "v.sqlite", "-o", tmp_path / "votes.jsonl")[0] == 2
    code, out, _ = run("judge", "export", tmp_path / "v.sqlite")
    assert [json.loads(line)["rater"] for line in out.splitlines() if line.startswith("{")] == ["ann", "bob", "cleo"]
    code, _, err = run("judge", "export", tmp_path / "none.sqlite")
    assert (code, "there is no such file" in err) == (1, True)
