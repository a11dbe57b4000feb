"""Limits, keys, time-outs, logs and counts."""

from __future__ import annotations

import io
import json
import logging
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from fake import Fake, sound
from starlette.datastructures import UploadFile

from aligncap.server.app import create_app
from aligncap.server.limits import Limits
from aligncap.server.logs import JsonLines

KEY = "0123456789abcdef"


def form(data: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n"


def raw(port: int, head: str, *parts: bytes) -> bytes:
    """Send bytes as they are, and read till the end; what was answered too, where the server ends it while we send."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        lines = f"POST /v1/captions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n{head}\r\n"
        connection.sendall(lines.encode() + b"\r\n")
        received = b""
        with suppress(ConnectionError, TimeoutError):
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionError, TimeoutError):
            while block := connection.recv(65536):
                received += block
        return received


def test_a_declared_length_is_refused_before_a_byte_is_read(live) -> None:
    _, port, _ = live(create_app(Fake(), limits=Limits(max_bytes=1000)))
    answer = raw(port, "Content-Length: 9999999999\r\nConnection: close")
    assert b"413" in answer.splitlines()[0]
    assert b"the request is larger than 1000 bytes" in answer


def test_bytes_are_counted_while_they_come(live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks without a declared length: what is held never exceeds the limit."""
    held = []
    write = UploadFile.write

    async def counted(self: UploadFile, data: bytes) -> None:
        held.append(len(data))
        await write(self, data)

    monkeypatch.setattr(UploadFile, "write", counted)
    _, port, _ = live(create_app(Fake(), limits=Limits(max_bytes=200_000)))
    body = form(b"x" * 1_000_000)
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[at : at + 9000] for at in range(0, 900_000, 9000))]
    answer = raw(port, "Transfer-Encoding: chunked\r\nConnection: close", *chunks, b"0\r\n\r\n")
    assert b"413" in answer.splitlines()[0]
    assert sum(held) <= 200_000


def test_a_lying_length(live) -> None:
    """A shorter body than declared leaves the server waiting, till the time is up; a longer one is not read as more."""
    app = create_app(Fake(), limits=Limits(timeout=0.5))
    _, port, _ = live(app)
    body = form(sound())
    answer = raw(port, f"Content-Length: {len(body) + 100}\r\nConnection: close", body)
    assert b"408" in answer.splitlines()[0]
    assert b"the upload took longer than 0.5 s" in answer
    answer = raw(port, f"Content-Length: {len(body)}\r\nConnection: close", body + b"GET / HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"200" in answer.splitlines()[0]
    assert raw(port, "Content-Length: -5\r\nConnection: close", body).startswith(b"HTTP/1.1 400")


def test_100_at_once(served, post) -> None:
    """All are answered, each with its own caption, by one thread, in few batches."""
    fake = Fake(seconds=0.005)
    client = served(fake, queue=100, max_batch=8)
    recordings = [sound(0.2 + place / 500, place) for place in range(100)]
    with ThreadPoolExecutor(100) as pool:
        together = [answer.json()["captions"][0] for answer in pool.map(lambda data: post(client, data), recordings)]
    alone = [post(client, data).json()["captions"][0] for data in recordings[:10]]
    assert len({one["caption"] for one in together}) == 100
    assert together[:10] == alone
    assert len(fake.threads) == 1
    assert max(map(len, fake.batches)) <= 8
    assert len(fake.batches) < 90


def test_the_queue_is_bounded(served, post) -> None:
    gate = threading.Event()
    client = served(Fake(gate=gate), queue=2)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(post, client) for _ in range(2)]
        while b"aligncap_requests_in_flight 2.0" not in client.get("/metrics").content:
            time.sleep(0.01)
        answer = post(client)
        assert client.get("/health").status_code == 200
        gate.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "QueueFull")
    assert int(answer.headers["retry-after"]) > 0
    assert post(client).status_code == 200


def test_waiting_seconds_are_bounded(served, post) -> None:
    gate = threading.Event()
    client = served(Fake(gate=gate), max_seconds=5, queue_seconds=6)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client, sound(4))
        while b"aligncap_requests_in_flight 1.0" not in client.get("/metrics").content:
            time.sleep(0.01)
        time.sleep(0.1)
        answer = post(client, sound(3))
        gate.set()
        assert first.result().status_code == 200
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "QueueFull")
    assert post(client, sound(5)).status_code == 200


def test_time_is_bounded_and_work_is_dropped(served, post) -> None:
    gate = threading.Event()
    fake = Fake(gate=gate)
    client = served(fake, timeout=0.3)
    answer = post(client, sound(30))
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "Timeout")
    assert answer.headers["retry-after"]
    gate.set()
    assert post(client).status_code == 200
    assert fake.results == 1 + 1  # it stopped at the first of three stretches


def test_a_client_that_goes_away(live) -> None:
    gate = threading.Event()
    fake = Fake(gate=gate)
    app = create_app(fake)
    _, port, _ = live(app)
    body = form(sound(30))
    kind = "Content-Type: multipart/form-data; boundary=x"
    head = f"POST /v1/captions HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + body)
        while not fake.batches:
            time.sleep(0.01)
    service = app.state.service
    deadline = time.monotonic() + 5
    while service.metrics.in_flight._value.get() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert service.metrics.in_flight._value.get() == 0
    gate.set()


def test_shutdown_finishes_what_was_accepted(live) -> None:
    gate = threading.Event()
    app = create_app(Fake(gate=gate))
    server, port, thread = live(app)
    body = form(sound())
    with ThreadPoolExecutor(3) as pool:
        head = f"Content-Length: {len(body)}\r\nConnection: close"
        waiting = [pool.submit(raw, port, head, body) for _ in range(3)]
        while app.state.service.metrics.in_flight._value.get() < 3:
            time.sleep(0.01)
        server.should_exit = True
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)
        gate.set()
        assert all(b"200" in one.result().splitlines()[0] for one in waiting)
    thread.join(10)
    assert not app.state.service.ready


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"X-API-Key": KEY}, 200),
        ({"X-API-Key": KEY + "x"}, 401),
        ({"X-API-Key": KEY[:-1]}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"X-API-Key": "é" * 16}, 401),
    ],
)
def test_api_key(served, post, headers: dict[str, str], status: int) -> None:
    fake = Fake()
    client = served(fake, api_key=KEY)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert post(client, headers=encoded).status_code == status
    assert client.get("/metrics", headers=encoded).status_code == status
    assert {client.get(path).status_code for path in ("/health", "/ready", "/", "/v1/info")} == {200}
    assert len(fake.batches) == (status == 200)


def test_keys_are_compared_in_constant_time(served, post, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    compare = __import__("hmac").compare_digest

    def compared(a: bytes, b: bytes) -> bool:
        seen.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr("aligncap.server.gate.hmac.compare_digest", compared)
    post(served(api_key=KEY), headers={"X-API-Key": "x"})
    assert seen == [(32, 32)]


def test_request_ids(served, post) -> None:
    client = served()
    assert post(client, headers={"X-Request-ID": "job-7.a_b"}).json()["request_id"] == "job-7.a_b"
    for bad in ("x" * 65, "a b", "{}", ""):
        given = post(client, headers={"X-Request-ID": bad}).json()["request_id"]
        assert given != bad
        assert len(given) == 32


def test_logs_have_no_names(served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aligncap")
    served().post("/v1/captions", files={"file": ("ann-private.wav", sound())}, headers={"X-Request-ID": "seven"})
    (record,) = [one for one in caplog.records if one.name == "aligncap.server"]
    line = JsonLines().format(record)
    assert "private" not in line
    found = json.loads(line)
    assert (found["event"], found["request_id"], found["status"], found["path"]) == (
        "request",
        "seven",
        200,
        "/v1/captions",
    )
    assert (found["recordings"], found["audio_seconds"], found["captions"]) == (1, 1.0, 1)
    assert found["time"].endswith("Z")


def test_metrics(served, post) -> None:
    client = served()
    post(client, sound(2))
    post(client, b"bad")
    client.get("/no/such/page")
    text = client.get("/metrics").text
    for line in (
        'aligncap_requests_total{endpoint="/v1/captions",status="200"} 1.0',
        'aligncap_requests_total{endpoint="/v1/captions",status="415"} 1.0',
        'aligncap_requests_total{endpoint="other",status="404"} 1.0',
        'aligncap_recordings_total{outcome="captioned"} 1.0',
        'aligncap_recordings_total{outcome="AudioUnreadableError"} 1.0',
        "aligncap_audio_seconds_total 2.0",
        "aligncap_batch_recordings_count 1.0",
        "aligncap_requests_in_flight 0.0",
    ):
        assert line in text.splitlines()


def test_nothing_is_kept(served, post, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads that do not fit into memory go to files without a name, and are gone after the answer."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: list[list[str]] = []

    class Looking(Fake):
        def stream(self, sources, **options):
            names.append([path.name for path in tmp_path.rglob("*")])
            return super().stream(sources, **options)

    assert post(served(Looking()), sound(60)).status_code == 200
    assert names == [[]]
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_not_fetched(served) -> None:
    answer = served().post("/v1/captions", files={"file": ("http://example.com/a.wav", io.BytesIO(b"http://x/a.wav"))})
    assert answer.status_code == 415


def test_security_headers(served) -> None:
    client = served()
    for path in ("/", "/v1/info", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"queue": -1}, {"timeout": float("nan")}, {"max_seconds": 9999}])
def test_limits_out_of_range(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limits(**limits)
