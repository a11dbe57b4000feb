"""Runs an application: a socket that is bound before anything slow happens, and a shutdown that finishes its work."""

from __future__ import annotations

import ipaddress
import socket
from importlib import import_module
from typing import TYPE_CHECKING

from aligncap.errors import AlignCapError, MissingExtraError

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["address_of", "bind", "check_available", "is_loopback", "run"]

_PACKAGES = {
    "fastapi",
    "uvicorn",
    "python_multipart",
    "multipart",
    "prometheus_client",
    "anyio",
    "starlette",
    "pydantic",
}


def check_available() -> None:
    """Make sure that the packages of the extra ``serve`` are there.

    Raises:
        MissingExtraError: they are not.
    """
    try:
        for package in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):
            import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise MissingExtraError("serving", "serve") from error


def bind(host: str, port: int) -> socket.socket:
    """Take an address, so that one that cannot be had is known before a model is loaded. Nobody can connect yet.

    Args:
        host: name or number.
        port: 0: any that is free.

    Raises:
        AlignCapError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
        except OSError:
            taken.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AlignCapError(
            f"cannot serve on {host}:{port}: {reason.lower()}: choose another --host or --port"
        ) from None
    return taken


def is_loopback(taken: socket.socket) -> bool:
    """Whether only this machine can reach a socket."""
    return ipaddress.ip_address(taken.getsockname()[0].partition("%")[0]).is_loopback


def address_of(taken: socket.socket) -> str:
    """Where to point a browser."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, taken: socket.socket, *, patience: float) -> None:
    """Serve until the process is told to end (SIGINT or SIGTERM); requests that have begun are finished.

    Args:
        app: the application.
        taken: from `bind`.
        patience: seconds that requests have at the end.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=round(patience) + 1,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[taken])
    if not server.started:
        raise AlignCapError("the server could not start: see the log above")
