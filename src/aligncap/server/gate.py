"""Stands before the application: request ids, keys, limits, time-outs, logs and counts.

It works on the raw ASGI messages, so that a request is refused before its body is read, or while it comes in.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
from starlette.responses import JSONResponse

from aligncap.server.limits import Limits
from aligncap.server.metrics import Metrics
from aligncap.server.problems import Problem, body

__all__ = ["SECURITY_HEADERS", "Gate"]

_LOG = logging.getLogger("aligncap.server")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPEN = ("/health", "/ready")
_KEYED = ("/v1/captions", "/metrics")
_COUNTED = {"/v1/captions", "/v1/info", "/metrics", "/health", "/ready", "/openapi.json", "/"}

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-store",
}

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class _Seen:
    """What has happened to a request so far."""

    taken: int = 0
    whole: bool = False
    status: int = 0


class Gate:
    """The outermost layer.

    Args:
        app: what lies behind.
        limits: of requests that bring something.
        metrics: told of every request.
        bounded: the path to which these are posted.
        api_key: without which there are neither captions nor ``/metrics``; None: everybody may.
    """

    def __init__(
        self, app: App, *, limits: Limits, metrics: Metrics, bounded: str = "/v1/captions", api_key: str | None = None
    ) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._bounded = bounded
        self._key = None if api_key is None else _digest(api_key)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        data: dict[str, Any] = {}
        scope["state"] = {**scope.get("state", {}), "request_id": request_id, "data": data}
        started, seen = time.monotonic(), _Seen()

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                own = {"x-request-id": request_id, **SECURITY_HEADERS}
                message["headers"] = [
                    *((name, value) for name, value in message.get("headers", []) if name.decode().lower() not in own),
                    *((name.encode(), value.encode()) for name, value in own.items()),
                ]
            await send(message)

        try:
            self._check_key(scope["path"], headers)
            if scope["path"] == self._bounded and scope["method"] == "POST":
                await self._let_in(scope, receive, answering, headers, seen)
            else:
                await self._app(scope, receive, answering)
        except Problem as problem:
            await _refuse(problem, request_id, scope, receive, answering, seen)
        except Exception:
            _LOG.exception("a request failed", extra={"data": {"request_id": request_id}})
            failed = Problem(500, "InternalError", "something went wrong here: the server's log has the request's id")
            await _refuse(failed, request_id, scope, receive, answering, seen)
        finally:
            self._tell(scope, seen, time.monotonic() - started, {"request_id": request_id, **data})

    def _check_key(self, path: str, headers: dict[str, str]) -> None:
        if self._key is None or not path.startswith(_KEYED):
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if not hmac.compare_digest(_digest(given), self._key):
            raise Problem(
                401,
                "Unauthorized",
                "this server wants its API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str], seen: _Seen) -> None:
        """Let a request in, if there is room, for as long as it may take."""
        limits = self._limits
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > limits.max_bytes:
            raise _too_large(limits)
        if self._in_flight >= limits.queue:
            raise Problem(
                429, "QueueFull", f"{limits.queue} requests are being served already: try again later", retry_after=2
            )

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                seen.taken += len(message.get("body", b""))
                seen.whole = not message.get("more_body", False)
                if seen.taken > limits.max_bytes:
                    raise _too_large(limits)
            return message

        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            with anyio.fail_after(limits.timeout):
                await self._app(scope, counted, send)
        except TimeoutError:
            raise _late(limits, seen) from None
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            self._metrics.uploaded.inc(seen.taken)

    def _tell(self, scope: Scope, seen: _Seen, seconds: float, data: dict[str, Any]) -> None:
        endpoint = scope["path"] if scope["path"] in _COUNTED else "other"
        self._metrics.requests.labels(endpoint, str(seen.status)).inc()
        self._metrics.request_seconds.labels(endpoint).observe(seconds)
        line = {
            "method": scope["method"],
            "path": scope["path"],
            "status": seen.status,
            "seconds": round(seconds, 4),
            "bytes": seen.taken,
            **data,
        }
        level = logging.DEBUG if endpoint in (*_OPEN, "/metrics") else logging.INFO
        _LOG.log(level, "request", extra={"data": line})


async def _refuse(problem: Problem, request_id: str, scope: Scope, receive: Receive, send: Send, seen: _Seen) -> None:
    if seen.status:  # the answer has begun: it can only be broken off
        return
    content = body(problem.type, problem.detail, request_id, problem.errors)
    await JSONResponse(content, problem.status_code, problem.headers)(scope, receive, send)


def _too_large(limits: Limits) -> Problem:
    most = f"{limits.max_bytes / 2**20:g} MiB" if limits.max_bytes >= 1 << 20 else f"{limits.max_bytes} bytes"
    return Problem(
        413,
        "RequestTooLarge",
        f"the request is larger than {most}: send fewer recordings, or compressed ones (FLAC, MP3)",
    )


def _late(limits: Limits, seen: _Seen) -> Problem:
    if not seen.whole:
        return Problem(408, "UploadTimeout", f"the upload took longer than {limits.timeout:g} s")
    message = f"the captions took longer than {limits.timeout:g} s: try again later, or send less at once"
    return Problem(503, "Timeout", message, retry_after=5)


def _digest(key: str) -> bytes:
    """Of equal length for all keys, so that comparing tells nothing about the length either."""
    return hashlib.sha256(key.encode()).digest()
