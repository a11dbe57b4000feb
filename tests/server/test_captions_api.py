"""``POST /v1/captions``: what is answered, and to what."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from fake import Fake, said, sound

from aligncap.audio import read_audio
from aligncap.captioner.sampling import Sampling
from aligncap.server import schemas
from aligncap.server.recordings import shown_name


def caption_of(data: bytes) -> str:
    return said(read_audio(data).samples)


def test_one(served, post) -> None:
    data = sound(1.5, 3)
    answer = post(served(), data)
    assert answer.status_code == 200
    assert answer.json() == {
        "captions": [
            {
                "file": 0,
                "id": "0.wav",
                "audio": "0.wav",
                "start": 0.0,
                "end": 1.5,
                "caption": caption_of(data),
                "emotions": {"sad": 0.9, "fear": 0.1},
                "clues": "Feeling: sad.",
                "model": "fake",
            }
        ],
        "errors": [],
        "model": "fake",
        "request_id": answer.headers["x-request-id"],
    }
    schemas.Captions.model_validate(answer.json(), extra="forbid")


def test_several_long_and_bad(served, post) -> None:
    files = [sound(25, 1), b"no audio", sound(1, 2), sound(0.05)]
    answer = post(served(), *files).json()
    assert [(one["file"], one["id"], one["start"]) for one in answer["captions"]] == [
        (0, "0.wav#0", 0.0),
        (0, "0.wav#1", pytest.approx(8.333, abs=0.001)),
        (0, "0.wav#2", pytest.approx(16.667, abs=0.001)),
        (2, "2.wav", 0.0),
    ]
    assert answer["captions"][-1]["caption"] == caption_of(files[2])
    assert [(one["file"], one["audio"], one["error"]["type"]) for one in answer["errors"]] == [
        (1, "1.wav", "AudioUnreadableError"),
        (3, "3.wav", "AudioTooShortError"),
    ]


def test_options_reach_the_captioner(served, post) -> None:
    fake = Fake()
    client = served(fake)
    answer = post(client, prompt="How loud?", num_captions=3, seed=5, verify="false").json()
    assert answer["captions"][0]["alternatives"] == ["b", "b"]
    assert answer["captions"][0]["caption"].endswith("How loud?")
    post(client)
    post(client, temperature=0.5, top_p=0.8)
    default = {"prompt": "Describe the emotion in the voice.", "num_captions": 1, "verify": True}
    assert fake.asked == [
        {"prompt": "How loud?", "num_captions": 3, "sampling": Sampling(seed=5), "verify": False},
        {**default, "sampling": None},
        {**default, "sampling": Sampling(0.5, 0.8)},
    ]


def test_evidence(served, post) -> None:
    time = np.arange(24_000) / 16_000
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sign(np.sin(2 * np.pi * 150 * time)), 16_000, format="WAV")
    (caption,) = post(served(), file.getvalue(), evidence="true").json()["captions"]
    schemas.CaptionRecord.model_validate(caption, extra="forbid")
    found = caption["evidence"]
    assert [(claim["text"], claim["target"], claim["supported"]) for claim in found["claims"]] == [("sad", "sad", True)]
    assert found["measured"]["f0_median_hz"] == pytest.approx(150, abs=2)
    assert found["curves"]["hop"] * len(found["curves"]["f0_hz"]) == pytest.approx(1.5, abs=0.02)
    assert max(value for value in found["curves"]["f0_hz"] if value) == pytest.approx(150, abs=5)
    assert len(found["wave"]["low"]) == len(found["wave"]["high"]) == 400
    assert max(found["wave"]["high"]) == pytest.approx(0.3, abs=0.01)


def test_evidence_says_what_is_not_supported(served, post) -> None:
    answer = post(served(), evidence="true", prompt="He is angry").json()
    claims = {claim["text"]: claim for claim in answer["captions"][0]["evidence"]["claims"]}
    assert claims["sad"]["supported"]
    assert not claims["angry"]["supported"]
    assert "angry" in claims["angry"]["reason"]


@pytest.mark.parametrize(
    ("files", "fields", "status", "kind", "said"),
    [
        ({"file": ("a.wav", b"")}, {}, 422, "AudioEmptyError", "the file is empty (0 bytes)"),
        ({"file": ("a.wav", b"x" * 999)}, {}, 415, "AudioUnreadableError", "no decoder"),
        ({"file": ("a.wav", sound(3))}, {}, 413, "AudioLimitError", "2"),
        ({"file": ("a.wav", sound(1, channels=3))}, {}, 413, "AudioLimitError", "channels"),
        ({"file": ("a.wav", sound(1)[:-9000])}, {}, 422, "AudioTruncatedError", "cut off"),
        ({"audio": ("a.wav", sound())}, {}, 422, "InvalidRequest", "file is missing"),
        ({"file": ("", sound())}, {}, 422, "InvalidRequest", "file must be a file"),
        ({"file": ("a.wav", sound())}, {"promt": "x"}, 422, "InvalidRequest", "no such field: 'promt'; there are file"),
        ({"file": ("a.wav", sound())}, {"prompt": " "}, 422, "InvalidRequest", "prompt"),
        ({"file": ("a.wav", sound())}, {"prompt": "x" * 501}, 422, "InvalidRequest", "500"),
        ({"file": ("a.wav", sound())}, {"prompt": "too long"}, 422, "PromptError", "900 tokens"),
        ({"file": ("a.wav", sound())}, {"num_captions": "9"}, 422, "InvalidRequest", "num_captions"),
        ({"file": ("a.wav", sound())}, {"temperature": "nan"}, 422, "InvalidRequest", "temperature"),
        ({"file": ("a.wav", sound())}, {"seed": "-1"}, 422, "InvalidRequest", "seed"),
        ({"file": ("a.wav", sound(0.92))}, {}, 500, "InternalError", "log"),
    ],
)
def test_refused(served, files, fields, status: int, kind: str, said: str) -> None:
    answer = served(max_seconds=2, max_channels=2).post("/v1/captions", files=files, data=fields)
    record = answer.json()
    assert (answer.status_code, record["error"]["type"]) == (status, kind)
    assert said in record["error"]["message"]
    assert record["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    schemas.ErrorBody.model_validate(record, extra="forbid")


@pytest.mark.parametrize("content", [b"", b"no form at all", b"--x\r\nContent-Disposition: nonsense\r\n\r\n"])
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=x"])
def test_bodies_that_are_no_form(served, content: bytes, kind: str) -> None:
    answer = served().post("/v1/captions", content=content, headers={"content-type": kind})
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["message"]


def test_too_many_files_and_too_long_together(served, post) -> None:
    client = served(max_files=2, max_seconds=3)
    assert post(client, *[sound()] * 3).json()["error"]["type"] == "TooManyFiles"
    answer = post(client, *[sound(2)] * 2)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "RecordingsTooLong")
    assert post(client, *[sound(1.4)] * 2).status_code == 200


def test_a_bad_recording_fails_alone(served, post) -> None:
    """What breaks the model for one recording does not break it for those captioned with it."""
    fake = Fake()
    client = served(fake, max_wait=0.5, max_batch=4)
    lengths = [1.0, 0.92, 1.1, 1.2]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda seconds: post(client, sound(seconds)), lengths))
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200]
    assert sorted(map(len, fake.batches)) == [1, 1, 1, 1, 4]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.wav", "a.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\sad.wav", "sad.wav"),
        ("a\r\nb\x00.wav", "a��b�.wav"),
        ("", "recording 3"),
        (None, "recording 3"),
        ("..", ".."),
        ("ä 音.wav", "ä 音.wav"),
        ("\ud800.wav", "?.wav"),
        ("x" * 999, "x" * 200),
    ],
)
def test_names(given: str | None, shown: str) -> None:
    assert shown_name(given, 3) == shown


def test_names_are_shown_as_they_came(served) -> None:
    name = "<img src=x onerror=alert(1)>.wav"
    answer = served().post("/v1/captions", files={"file": (name, sound())})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["captions"][0]["audio"] == name


def test_openapi(served) -> None:
    described = served().get("/openapi.json").json()
    route = described["paths"]["/v1/captions"]["post"]
    assert {"200", "400", "401", "408", "413", "415", "422", "429", "500", "503"} == set(route["responses"])
    errors = {json.dumps(route["responses"][code]["content"]) for code in route["responses"] if code != "200"}
    assert len(errors) == 1
    assert "ErrorBody" in errors.pop()
    schemas.Captions.model_validate(described["components"]["schemas"]["Captions"]["example"], extra="forbid")
    assert set(described["paths"]) == {"/v1/captions", "/v1/info", "/health", "/ready", "/metrics"}


def test_only_those_of_which_the_same_is_asked_go_together(served, post) -> None:
    fake = Fake()
    client = served(fake, max_wait=0.3)
    prompts = ["How loud?", "How fast?"] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda prompt: post(client, prompt=prompt), prompts))
    assert [answer.json()["captions"][0]["caption"].rpartition("). ")[2] for answer in answers] == prompts
    assert {asked["prompt"] for asked in fake.asked} == set(prompts)
    assert max(map(len, fake.batches)) <= 3
