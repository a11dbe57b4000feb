"""The HTTP application around a captioner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request, Response

from aligncap.captions.instructions import INSTRUCTIONS
from aligncap.server import captions, schemas
from aligncap.server.batching import Streams
from aligncap.server.captions import Service
from aligncap.server.gate import Gate
from aligncap.server.limits import Limits
from aligncap.server.pages import add_pages
from aligncap.server.problems import Problem, add_handlers

__all__ = ["create_app"]

_ABOUT = """Describes, in natural language, the emotion heard in recordings of speech.

Emotion recognition is uncertain and can do harm: captions say how a voice sounds to this model, not what a person
feels. Recordings are held in memory, or in temporary files without a name, until they are captioned, and are not kept.
"""
_PAGES = {
    "/": "index.html",
    "/static/page.js": "page.js",
    "/static/pictures.js": "pictures.js",
    "/static/recorder.js": "recorder.js",
    "/static/elements.js": "elements.js",
    "/static/style.css": "style.css",
    "/static/icon.svg": "icon.svg",
}
_KEY = schemas.problems(_401="the API key is missing or wrong")
_router = APIRouter()


def create_app(captioner: Streams, *, limits: Limits | None = None, api_key: str | None = None) -> FastAPI:
    """Make the application that `aligncap serve` runs.

    Args:
        captioner: what writes the captions, `aligncap.load()` for one; from startup to shutdown it is used by one
            thread of the application's, and by nobody else.
        limits: of what is accepted.
        api_key: that clients have to send; None: none.
    """
    from aligncap import __version__

    service = Service(captioner, limits or Limits())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        if service.batcher is not None:
            await to_thread.run_sync(service.batcher.close)

    app = FastAPI(
        title="AlignCap", version=__version__, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.service = service
    app.add_middleware(Gate, limits=service.limits, metrics=service.metrics, api_key=api_key)
    add_handlers(app)
    app.include_router(captions.router)
    app.include_router(_router)
    add_pages(app, _PAGES)
    return app


@_router.get("/v1/info", response_model=schemas.Info)
async def info(request: Request) -> dict[str, Any]:
    """What this server is and accepts."""
    service: Service = request.app.state.service
    return {
        "version": request.app.version,
        "model": service.captioner.name,
        "prompts": list(INSTRUCTIONS),
        "limits": vars(service.limits),
    }


@_router.get("/health", response_model=schemas.Status)
async def health() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "ok"}


@_router.get("/ready", response_model=schemas.Status, responses=schemas.problems(_503="shutting down, or broken"))
async def ready(request: Request) -> dict[str, str]:
    """Whether recordings are taken on."""
    if not request.app.state.service.ready:
        raise Problem(503, "NotReady", "the server is shutting down, or its model has stopped", retry_after=5)
    return {"status": "ready"}


@_router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **_KEY})
async def metrics(request: Request) -> Response:
    """Counts for Prometheus."""
    found = request.app.state.service.metrics
    return Response(found.text(), media_type=found.content_type)
