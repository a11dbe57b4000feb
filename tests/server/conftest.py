from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fake import Fake, sound
from fastapi import FastAPI
from fastapi.testclient import TestClient

from aligncap.server.app import create_app
from aligncap.server.limits import Limits
from aligncap.server.run import bind


@pytest.fixture
def served() -> Iterator[Callable[..., TestClient]]:
    """``served(captioner, api_key=…, max_bytes=…)``: a client of an application in this process."""
    with contextlib.ExitStack() as stack:

        def start(captioner: Any = None, api_key: str | None = None, **limits: float) -> TestClient:
            app = create_app(captioner or Fake(), limits=Limits(**limits), api_key=api_key)
            return stack.enter_context(TestClient(app))

        yield start


@pytest.fixture
def post() -> Callable[..., Any]:
    """``post(client, data, …, **fields)``: ask for captions of files (or of a second of noise)."""

    def post(client: TestClient, *files: bytes, headers: dict[str, str] | None = None, **fields: object) -> Any:
        parts = [("file", (f"{place}.wav", data)) for place, data in enumerate(files or (sound(),))]
        return client.post("/v1/captions", files=parts, data={k: str(v) for k, v in fields.items()}, headers=headers)

    return post


@pytest.fixture
def live() -> Iterator[Callable[[FastAPI], tuple[uvicorn.Server, int, threading.Thread]]]:
    """``live(app)``: serve on a real socket, in a thread; the server, its port and the thread."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(app: FastAPI) -> tuple[uvicorn.Server, int, threading.Thread]:
        taken = bind("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, http="h11", log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        running.append((server, thread, taken))
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        return server, taken.getsockname()[1], thread

    yield start
    for server, thread, taken in running:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
        taken.close()
