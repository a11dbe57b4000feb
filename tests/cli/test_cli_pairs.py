from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Done
from recordings import sound

from aligncap.preferences.candidates import Candidate, CandidateFile, Candidates
from aligncap.preferences.pairs import read_pairs

Cli = Callable[..., Done]
DEFAULT = "Describe the emotion in the voice."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: recordings, ``manifest.jsonl``, and ``candidates.jsonl`` about these."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for number, emotion in enumerate(["sad", "angry", "sad", "happy"]):
        (tmp_path / f"{number}.wav").write_bytes(sound(0.4, number) if number else b"not audio")
        split = "zero_shot" if number == 3 else "train"
        fields = {"id": f"c/{number}", "audio": f"{number}.wav", "corpus": "c", "emotion": emotion, "split": split}
        rows.append({**fields, "transcript": "Where have you been all day?"})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with CandidateFile(tmp_path / "candidates.jsonl", {"seed": 0}) as file:
        for row in rows:
            texts = [f"The speaker sounds {word}, and speaks slowly." for word in ("sad", "furious", "sad in Paris")]
            captions = tuple(Candidate(DEFAULT, text, -4.0, 9, 1.0, True) for text in texts)
            file.write(Candidates(row["id"], "Voice: slow.", (("pace", "slow"),), captions))
    return tmp_path


def sample(cli: Cli, checkpoint: Path, *options: object) -> Done:
    fixed = ("--checkpoint", checkpoint, "--device", "cpu", "--threads", 1, "-o", "out.jsonl", "--captions", 2)
    return cli("pairs", "sample", "manifest.jsonl", *fixed, *options)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aligncap.preferences.sampler._MAX_NEW_TOKENS", 6)


def lines(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.usefixtures("here", "short")
def test_sampling_names_bad_recordings_and_goes_on(cli: Cli, checkpoint: Path) -> None:
    done = sample(cli, checkpoint, "--clips", 2, "--instruction", DEFAULT, "--temperature", 0.7, "--temperature", 1.5)
    assert done.code in (0, 1), done.err
    first = lines("out.jsonl")
    assert len(first) == 3
    done = sample(cli, checkpoint, "--instruction", DEFAULT, "--temperature", 0.7, "--temperature", 1.5)
    assert done.code == 1
    found = lines("out.jsonl")
    assert found[:3] == first
    assert "error: c/0: 0.wav" in done.err
    assert "2 were there" in done.out
    clips = {line["id"]: line for line in found[1:]}
    assert clips.keys() == {"c/0", "c/1", "c/2"}, "nothing of zero_shot"
    assert clips["c/0"]["error"]
    for clip in (clips["c/1"], clips["c/2"]):
        assert 1 < len(clip["captions"]) <= 5
        assert {caption["temperature"] for caption in clip["captions"]} <= {0.0, 0.7, 1.5}
        assert all(caption["log_prob"] < 0 < caption["tokens"] for caption in clip["captions"])
    refused = sample(cli, checkpoint, "--seed", 1)
    assert refused.code == 1
    assert "other options" in refused.err
    assert cli("pairs", "sample", "manifest.jsonl", "-o", "x.jsonl", "--split", "zero_shot").code == 2


@pytest.mark.usefixtures("here", "short")
def test_a_clip_has_the_same_candidates_alone_and_in_a_batch(cli: Cli, checkpoint: Path) -> None:
    assert sample(cli, checkpoint, "--batch-size", 1).code == 1
    alone = lines("out.jsonl")
    Path("out.jsonl").unlink()
    assert sample(cli, checkpoint, "--batch-size", 3).code == 1
    for one, other in zip(alone, lines("out.jsonl"), strict=True):
        for a, b in zip(one.get("captions", ()), other.get("captions", ()), strict=True):
            assert a["log_prob"] == pytest.approx(b["log_prob"], abs=2e-3)
            assert {**a, "log_prob": 0} == {**b, "log_prob": 0}


@pytest.mark.usefixtures("here")
def test_log_probabilities_are_those_of_the_model(checkpoint: Path, here: Path) -> None:
    from aligncap.captioner.loading import load
    from aligncap.corpora import read_manifest
    from aligncap.preferences.sampler import SamplePlan, Sampler

    loaded = load(checkpoint, device="cpu", dtype="float32")
    rows = [row for row in read_manifest(here / "manifest.jsonl") if row.id == "c/1"]
    (clip,) = Sampler(loaded.model, loaded.processor, SamplePlan((DEFAULT,), 2)).sample(rows, here)
    from aligncap.audio import read_audio

    features = loaded.processor.features([read_audio(here / "1.wav").samples])
    speech = loaded.model.hear(features["features"], features["feature_lengths"])
    for candidate in clip.captions:
        batch = loaded.processor.prompts([int(speech.mask.sum())], DEFAULT, [clip.clues], [candidate.caption])
        loss = loaded.model(**batch, speech=speech).loss
        assert candidate.tokens == int((batch["labels"] != -100).sum())
        assert candidate.log_prob == pytest.approx(-loss.item() * candidate.tokens, abs=2e-3)


@pytest.mark.usefixtures("here")
def test_building_and_showing_pairs(cli: Cli) -> None:
    free = ("--balance", 0, "--no-match-lengths", "--no-match-content")
    done = cli("pairs", "build", "candidates.jsonl", "manifest.jsonl", "-o", "pairs.jsonl", "--negatives", "all", *free)
    assert done.code == 1, "the clip of zero_shot is named"
    assert "error: c/3: of the split zero_shot" in done.err
    pairs = list(read_pairs(Path("pairs.jsonl")))
    assert {pair.id for pair in pairs} == {"c/0", "c/1", "c/2"}
    assert {"emotion", "place", "label_swapped", "transcript_leaked", "form_broken"} <= {pair.kind for pair in pairs}
    assert f"pairs: {len(pairs)} of 3 clips" in done.out
    assert "label_swapped, margin 1.00, by judges" in done.out
    assert cli("pairs", "build", "candidates.jsonl", "manifest.jsonl", "-o", "pairs.jsonl").code == 2
    shown = cli("pairs", "show", "pairs.jsonl", "--kind", "emotion", "-n", 1)
    assert shown.code == 0
    assert shown.out.count("\n  + ") == 1
    assert "kind: emotion" in shown.out
    with Path("pairs.jsonl").open("a") as file:
        file.write('{"id": "c/1"}\n')
    broken = cli("pairs", "show", "pairs.jsonl")
    assert broken.code == 1
    assert "instruction is missing" in broken.err
    none = cli("pairs", "show", "pairs.jsonl", "--kind", "typos")
    assert "no pairs of kind 'typos'; there are" in none.err


@pytest.mark.usefixtures("here")
def test_votes_of_people_and_confusions_are_used(cli: Cli) -> None:
    captions = ["The speaker sounds sad, and speaks slowly.", "The speaker sounds furious, and speaks slowly."]
    vote = {"id": "c/2", "a": captions[1], "b": captions[0], "choice": "b", "rater": "ann"}
    Path("votes.jsonl").write_text(json.dumps(vote) + "\n" + json.dumps({**vote, "choice": "c"}) + "\n")
    heard = {"id": "v", "audio": "v.wav", "emotion": "sad", "votes": {"sad": 0.5, "angry": 0.5}}
    Path("heard.jsonl").write_text(json.dumps(heard) + "\n")
    fixed = ("pairs", "build", "candidates.jsonl", "manifest.jsonl", "-o", "pairs.jsonl", "--overwrite", "--balance", 0)
    done = cli(*fixed, "--votes", "votes.jsonl", "--no-match-lengths", "--no-match-content")
    assert "votes.jsonl:2: choice is 'c'" in done.err
    judged = {
        pair.judge: pair for pair in read_pairs(Path("pairs.jsonl")) if pair.kind == "emotion" and pair.id == "c/2"
    }
    assert judged["human"].margin == 1
    done = cli(*fixed, "--listeners", "heard.jsonl", "--no-match-lengths", "--no-match-content", "--trust", 0.2)
    margins = {pair.id: pair.margin for pair in read_pairs(Path("pairs.jsonl")) if "furious" in pair.rejected}
    assert margins["c/2"] < 0.5, "two in five would hear anger"


@pytest.mark.usefixtures("here")
def test_faults_of_the_user(cli: Cli) -> None:
    for arguments, message, code in [
        (("build", "candidates.jsonl", "manifest.jsonl", "-o", "p.jsonl", "--negatives", "typos"), "unknown kind", 2),
        (("build", "candidates.jsonl", "manifest.jsonl", "-o", "p.jsonl", "--judges", "taste"), "unknown judge", 2),
        (("build", "candidates.jsonl", "manifest.jsonl", "-o", "p.txt"), "does not tell the format", 2),
        (("build", "none.jsonl", "manifest.jsonl", "-o", "p.jsonl"), "cannot be read", 1),
        (("build", "manifest.jsonl", "manifest.jsonl", "-o", "p.jsonl"), "no pairs came of", 1),
        (("build", "candidates.jsonl", "manifest.jsonl", "-o", "manifest.jsonl", "--overwrite"), "very file", 2),
        (("sample", "manifest.jsonl", "-o", "p.jsonl", "--temperature", 0), "temperature", 2),
        (("sample", "manifest.jsonl", "-o", "p.jsonl", "--split", "test"), "no row of split 'test'", 1),
        (("show", "candidates.jsonl"), "no pairs", 1),
        (("judge", "candidates.jsonl", "manifest.jsonl", "-o", "v.jsonl", "--endpoint", "x", "--model", "m"), "URL", 1),
    ]:
        done = cli("pairs", *arguments)
        assert done.code == code, (arguments, done.err)
        assert message in done.err, (arguments, done.err)
        assert "Traceback" not in done.err
    assert not Path("p.jsonl").exists()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Chooses what is sad; every third answer is a web page."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][1]["content"]
            asked.append(text)
            side = "A" if "sad, and" in text.split("Description B")[0] else "B"
            answer = json.dumps({"choices": [{"message": {"content": json.dumps({"choice": side})}}]})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>busy</html>" if len(asked) == 3 else answer.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("here")
def test_a_language_model_judges_and_goes_on(cli: Cli, endpoint: str) -> None:
    command = ("pairs", "judge", "candidates.jsonl", "manifest.jsonl", "-o", "votes.jsonl", "--endpoint", endpoint)
    done = cli(*command, "--model", "m")
    assert done.code == 1
    assert "without an answer: html 1" in done.out
    assert "c/3" in done.err, "nothing of zero_shot is judged"
    assert len(lines("votes.jsonl")) == 2
    assert {vote["rater"] for vote in lines("votes.jsonl")} == {"llm:m"}
    again = cli(*command, "--model", "m")
    assert "1 questions answered (" in again.out
    assert "2 were there" in again.out
    votes = lines("votes.jsonl")
    assert {vote["id"] for vote in votes} == {"c/0", "c/1", "c/2"}
    assert all("sad, and" in vote[vote["choice"]] for vote in votes if vote["choice"] != "tie")
