"""Pages that come with the package, read once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath

from fastapi import FastAPI, Response

__all__ = ["add_pages"]

_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def add_pages(app: FastAPI, pages: Mapping[str, str]) -> None:
    """Serve files of ``static/``.

    Args:
        app: that is to serve them.
        pages: path of the address → name of the file.
    """
    folder = files("aligncap.server") / "static"
    for path, name in pages.items():
        content = (folder / name).read_bytes()
        _add_page(app, path, content, _KINDS[PurePosixPath(name).suffix])


def _add_page(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    async def page() -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    app.add_api_route(path, page, include_in_schema=False)
