"""Answers to requests that cannot be served: a status, a type, and a sentence that says what to do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

__all__ = ["Problem", "add_handlers", "body", "status_of"]

_STATUS = {"AudioLimitError": 413, "AudioUnreadableError": 415}  # others of a recording: 422
_TYPES = {404: "NotFound", 405: "MethodNotAllowed"}


class Problem(HTTPException):
    """A request that is refused.

    Args:
        status: of HTTP.
        type: in one word, for programs.
        message: for people: what is wrong and what to do.
        retry_after: seconds after which to try again.
        errors: of single recordings.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        *,
        retry_after: int | None = None,
        errors: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        headers = dict(headers or {})
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        super().__init__(status, message, headers)
        self.type = type
        self.errors = errors


def status_of(kind: str) -> int:
    """The status that tells why a recording cannot be captioned.

    Args:
        kind: class of the error, as in `aligncap.captioner.Failure.type`.
    """
    if kind in _STATUS:
        return _STATUS[kind]
    return 422 if kind.startswith("Audio") or kind == "PromptError" else 500


def body(type: str, message: str, request_id: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The JSON of every answer that is no success."""
    found: dict[str, Any] = {"error": {"type": type, "message": message}, "request_id": request_id}
    if errors:
        found["errors"] = errors
    return found


def add_handlers(app: FastAPI) -> None:
    """Answer every error in the same form."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        problem = error if isinstance(error, Problem) else None
        kind = problem.type if problem else _TYPES.get(error.status_code, "InvalidRequest")
        message = problem.detail if problem else _said(request, error)
        content = body(kind, message, _id(request), problem.errors if problem else None)
        return JSONResponse(content, error.status_code, error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(body("InvalidRequest", _explained(error), _id(request)), 422)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _said(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"there is nothing at {request.url.path}: see /openapi.json for what there is"
    if error.status_code == 405:
        return f"{request.method} is not for {request.url.path}: see /openapi.json for what is"
    return str(error.detail)


def _explained(error: RequestValidationError) -> str:
    """Each fault with the field's name; what was sent is not repeated."""
    said = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"][1:]) or "the request"
        if fault["type"] == "missing":
            said.append(f"{where} is missing: send it as a field of multipart/form-data")
        elif where.split(".")[0] == "file":
            said.append("file must be a file with a name, as a form's file field or curl's -F file=@NAME sends it")
        else:
            said.append(f"{where}: {fault['msg']}")
    return "; ".join(dict.fromkeys(said))
