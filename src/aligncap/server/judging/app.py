"""The HTTP application of the judging page. It needs no model."""

from __future__ import annotations

import io
import wave
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aligncap.audio import RATE, read_audio
from aligncap.errors import AlignCapError
from aligncap.server.gate import Gate
from aligncap.server.judging.questions import Question, order, swapped
from aligncap.server.judging.store import Store
from aligncap.server.limits import Limits
from aligncap.server.metrics import Metrics
from aligncap.server.pages import add_pages
from aligncap.server.problems import Problem, add_handlers

__all__ = ["create_app"]

_PAGES = {
    "/": "judge.html",
    "/static/judge.js": "judge.js",
    "/static/elements.js": "elements.js",
    "/static/style.css": "style.css",
    "/static/icon.svg": "icon.svg",
}
_LIMITS = Limits(max_bytes=16 << 10, queue=256, timeout=30)
_router = APIRouter()


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name or not name.isprintable() or name.lower().startswith("llm:"):
        raise ValueError("a name has letters, and does not begin with llm:")
    return name


Name = Annotated[str, Query(min_length=1, max_length=60), AfterValidator(_name)]


class Vote(BaseModel):
    """What a listener chose."""

    model_config = ConfigDict(extra="forbid")

    rater: Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_name)]
    key: Annotated[str, Field(max_length=64)]
    choice: Literal["left", "right", "tie", "both_wrong"]
    seconds: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


def create_app(store: Store, seed: int) -> FastAPI:
    """Make the application that `aligncap judge` runs.

    Args:
        store: questions and votes.
        seed: of orders and sides.
    """
    app = FastAPI(title="AlignCap: judging", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store, app.state.seed, app.state.questions = store, seed, store.questions()
    app.add_middleware(Gate, limits=_LIMITS, metrics=Metrics(), bounded="/api/votes")
    add_handlers(app)
    app.include_router(_router)
    add_pages(app, _PAGES)
    return app


def _question(request: Request, key: str) -> Question:
    found: Question | None = request.app.state.questions.get(key)
    if found is None:
        raise Problem(404, "NotFound", "there is no such question: load the page again")
    return found


def _shown(choice: str | None, left: str) -> str | None:
    """A choice as the listener saw it."""
    if choice not in ("a", "b"):
        return choice
    return "left" if choice == left else "right"


@_router.get("/health")
def health() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "ok"}


@_router.get("/api/session")
def session(request: Request, rater: Name) -> dict[str, Any]:
    """All questions in a rater's order, with what was chosen."""
    state = request.app.state
    voted = state.store.voted(rater)
    listed = []
    for key in order(state.questions, rater, state.seed):
        left = "b" if swapped(key, rater, state.seed) else "a"
        listed.append({"key": key, "choice": _shown(voted.get(key), left)})
    return {"rater": rater, "questions": listed}


@_router.get("/api/questions/{key}")
def question(request: Request, key: str, rater: Name) -> dict[str, str]:
    """What to show: nothing tells where the captions come from, nor which clip it is."""
    asked = _question(request, key)
    left, right = (asked.b, asked.a) if swapped(key, rater, request.app.state.seed) else (asked.a, asked.b)
    return {"key": key, "instruction": asked.instruction, "left": left, "right": right}


@_router.get("/api/audio/{key}")
def audio(request: Request, key: str) -> Response:
    """The clip as WAV, whatever it was: every browser plays it, and no name or tag tells about it."""
    asked = _question(request, key)
    try:
        heard = read_audio(asked.audio, name="the recording").samples
    except AlignCapError as error:
        raise Problem(500, type(error).__name__, f"the recording of this question cannot be played: {error}") from None
    first = round((asked.start or 0.0) * RATE)
    part = heard[first : None if asked.end is None else round(asked.end * RATE)]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(part, -1, 1) * 32767).astype("<i2").tobytes())
    return Response(file.getvalue(), media_type="audio/wav")


@_router.post("/api/votes")
def vote(request: Request, given: Vote) -> dict[str, bool]:
    """Keep a vote; it is on the disk before this answers."""
    _question(request, given.key)
    left = "b" if swapped(given.key, given.rater, request.app.state.seed) else "a"
    right = "a" if left == "b" else "b"
    choice = {"left": left, "right": right}.get(given.choice, given.choice)
    try:
        request.app.state.store.vote(given.key, given.rater, choice, left, given.seconds)
    except AlignCapError as error:
        raise Problem(503, "NotSaved", f"the vote could not be saved: {error}", retry_after=2) from error
    return {"saved": True}
