from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aligncap.captions import Facts
from aligncap.captions.rewrite import API_KEY_VARIABLE, EndpointRewriter
from aligncap.errors import AlignCapError

FACTS = Facts((("sad", 1.0),))
CAPTION = "The speaker sounds sad, as if nothing mattered."
GOOD = "Sadness is what one hears in this voice."
KEY = "sk-secret-123"


def reply(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


class Endpoint(ThreadingHTTPServer):
    """Answers with what was put into `answers`: (status, body), the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes]] = [(200, reply(GOOD))]
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, answer = self.server.answers[0] if len(self.server.answers) == 1 else self.server.answers.pop(0)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def rewriter(endpoint: Endpoint, waits: list[float] | None = None) -> EndpointRewriter:
    return EndpointRewriter(endpoint.url, "some-model", seed=3, sleep=[].append if waits is None else waits.append)


def test_it_asks_for_another_wording_of_the_caption_alone(endpoint: Endpoint) -> None:
    assert rewriter(endpoint)(CAPTION, FACTS) == GOOD
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/chat/completions"
    assert body["model"] == "some-model"
    assert body["seed"] == 3
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == CAPTION
    assert "Authorization" not in headers


def test_the_key_comes_from_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY_VARIABLE, f" {KEY}\n")
    rewriter(endpoint)(CAPTION, FACTS)
    assert endpoint.requests[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f'  "{GOOD}"\n', GOOD),
        ("Sadness is what\none hears in this voice.", GOOD),
        ("", None),
        (None, None),
        ("Sad.", None),  # too short
        (CAPTION, None),  # the same
        ("sadness is what one hears in this voice.", None),
        ("Here is the new description: sadness is heard in the voice", None),
        (" ".join(["Sad"] * 40) + ".", None),
    ],
)
def test_only_captions_are_taken(endpoint: Endpoint, content: Any, expected: str | None) -> None:
    endpoint.answers = [(200, reply(content))]
    assert rewriter(endpoint)(CAPTION, FACTS) == expected


def test_a_busy_endpoint_is_asked_again_later(endpoint: Endpoint) -> None:
    endpoint.answers = [(429, b""), (503, b""), (200, reply(GOOD))]
    waits: list[float] = []
    assert rewriter(endpoint, waits)(CAPTION, FACTS) == GOOD
    assert waits == [2.0, 4.0]


@pytest.mark.parametrize(
    ("answer", "requests", "message"),
    [
        ((401, b"wrong key"), 1, "status 401 .is ALIGNCAP_API_KEY set"),
        ((404, b""), 1, "status 404"),
        ((302, b""), 1, "status 302"),
        ((500, b""), 4, "status 500"),
        ((200, b"<html>"), 1, "not JSON"),
        ((200, b"[]"), 1, "holds no choices"),
        ((200, b'{"choices": []}'), 1, "holds no choices"),
        ((200, b" " * 1_100_000), 1, "longer than"),
    ],
)
def test_endpoints_that_do_not_answer(
    endpoint: Endpoint, answer: tuple[int, bytes], requests: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY_VARIABLE, KEY)
    endpoint.answers = [answer]
    with pytest.raises(AlignCapError, match=message) as raised:
        rewriter(endpoint)(CAPTION, FACTS)
    assert KEY not in str(raised.value)
    assert len(endpoint.requests) == requests


def test_nobody_there() -> None:
    with pytest.raises(AlignCapError, match="no answer: ConnectionError"):
        EndpointRewriter("http://127.0.0.1:9", "m", sleep=[].append)(CAPTION, FACTS)


def test_not_a_url() -> None:
    with pytest.raises(AlignCapError, match="not the URL"):
        EndpointRewriter("localhost:8000", "m")
