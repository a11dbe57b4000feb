"""``POST /v1/captions``: from uploads to captions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse

from aligncap.audio import Audio
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.sampling import Sampling
from aligncap.captions.instructions import INSTRUCTIONS
from aligncap.errors import PromptError
from aligncap.server import schemas
from aligncap.server.batching import Asked, Batcher, Closed, Full, Job, Streams
from aligncap.server.evidence import evidence as evidence_of
from aligncap.server.limits import Limits
from aligncap.server.metrics import Metrics
from aligncap.server.problems import Problem, status_of
from aligncap.server.recordings import Upload, read_uploads, shown_name

__all__ = ["Service", "router"]

router = APIRouter()

_DEFAULT = next(iter(INSTRUCTIONS))
_FIELDS = ("file", "prompt", "num_captions", "temperature", "top_p", "seed", "verify", "evidence")
_MAX_SEED = 2**31 - 1
_PROBLEMS = schemas.problems(
    _400="the body is no multipart/form-data",
    _401="the API key is missing or wrong",
    _408="the upload took too long",
    _413="too many bytes, files, seconds or channels",
    _415="not audio that can be decoded",
    _422="a field is missing, unknown or out of range; or a recording is empty, silent, too short or damaged",
    _429="too much is waiting: try again after Retry-After seconds",
    _500="captioning failed",
    _503="it took too long, or the server is shutting down",
)


@dataclass
class Service:
    """What the routes work with.

    Attributes:
        captioner: what writes the captions.
        limits: of what is accepted.
        metrics: told of every recording.
        decoders: bounds how many uploads are decoded at once.
        batcher: there from startup to shutdown.
    """

    captioner: Streams
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    batcher: Batcher | None = None

    @property
    def ready(self) -> bool:
        """Whether recordings are taken on."""
        return self.batcher is not None and self.batcher.ready

    def start(self) -> None:
        """Start the thread that owns the captioner."""
        limits = self.limits
        self.batcher = Batcher(
            self.captioner,
            max_batch=limits.max_batch,
            max_wait=limits.max_wait,
            max_seconds=limits.queue_seconds,
            metrics=self.metrics,
        )

    def submit(self, recordings: Sequence[Audio], asked: Asked) -> list[Job]:
        """Take on recordings, all or none.

        Raises:
            Problem: too much is waiting, or the server is shutting down.
        """
        try:
            if self.batcher is None:
                raise Closed
            return self.batcher.submit(recordings, asked)
        except Full:
            message = f"more than {self.limits.queue_seconds:g} s of recordings are waiting already: try again later"
            raise Problem(429, "QueueFull", message, retry_after=5) from None
        except Closed:
            message = "the server is shutting down: try again later"
            raise Problem(503, "ShuttingDown", message, retry_after=5) from None


@router.post(
    "/v1/captions",
    response_model=schemas.Captions,
    responses=_PROBLEMS,
    summary="Caption recordings",
    tags=["captions"],
)
async def captions(
    request: Request,
    file: Annotated[list[UploadFile], File(description="recordings in any common format; repeat it for several")],
    prompt: Annotated[
        str, Form(description="what to ask of the model", min_length=1, max_length=500, pattern=r"\S")
    ] = _DEFAULT,
    num_captions: Annotated[int, Form(description="of each stretch; above 1 they are sampled", ge=1, le=8)] = 1,
    temperature: Annotated[
        float | None, Form(description="sample; default 0.7; 0: the likeliest words", ge=0, le=10)
    ] = None,
    top_p: Annotated[float | None, Form(description="sample; default 0.9", gt=0, le=1)] = None,
    seed: Annotated[
        int | None, Form(description="sample; the same seed, the same captions; default 0", ge=0, le=_MAX_SEED)
    ] = None,
    verify: Annotated[bool, Form(description="write a caption again that says what nothing supports")] = True,
    evidence: Annotated[bool, Form(description="add claims, measurements and curves")] = False,
) -> Response:
    """Caption one recording or several.

    Long recordings are captioned in stretches. Where some recordings cannot be captioned they are told in `errors`,
    and the status is 200; where none can, the status is that of the first.
    """
    service: Service = request.app.state.service
    _check_fields(await request.form())
    if len(file) > service.limits.max_files:
        raise Problem(413, "TooManyFiles", f"{len(file)} recordings: send at most {service.limits.max_files} at once")
    given = {"temperature": temperature, "top_p": top_p, "seed": seed}
    drawn = {name: value for name, value in given.items() if value is not None}
    sampling = Sampling(**drawn) if drawn else None  # type: ignore[arg-type]
    if num_captions > 1 and temperature == 0:
        raise Problem(422, "InvalidRequest", "num_captions: at temperature 0 they would all be the same; ask for one")

    uploads = [Upload(item.file, shown_name(item.filename, place)) for place, item in enumerate(file)]
    read = await to_thread.run_sync(read_uploads, uploads, service.limits, limiter=service.decoders)
    for item in file:  # before the wait, not after it
        await item.close()
    recordings = [audio for audio in read if isinstance(audio, Audio)]
    jobs = service.submit(recordings, Asked(prompt, num_captions, sampling, verify))
    results = await _wait(request, jobs)
    answer = await to_thread.run_sync(_answer, read, results, evidence, limiter=service.decoders)
    _count(request, service.metrics, read, answer)
    if not answer["captions"]:
        first = answer["errors"][0]["error"]
        raise Problem(status_of(first["type"]), first["type"], first["message"], errors=answer["errors"])
    return JSONResponse({**answer, "model": service.captioner.name, "request_id": request.state.request_id})


def _check_fields(form: Any) -> None:
    """A misspelt option must not be ignored."""
    if unknown := sorted({name for name in form if name not in _FIELDS}):
        raise Problem(422, "InvalidRequest", f"no such field: {unknown[0][:50]!r}; there are {', '.join(_FIELDS)}")


async def _wait(request: Request, jobs: Sequence[Job]) -> list[list[Caption | Failure]]:
    """The results of all jobs; where the client goes away or time is up, they are cancelled."""
    pending = [asyncio.wrap_future(job.done) for job in jobs]
    try:
        waiting = set(pending)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=1)
            if waiting and await request.is_disconnected():
                raise Problem(499, "ClientGone", "the client has gone away")
        return [future.result() for future in pending]
    except PromptError as error:
        raise Problem(422, "PromptError", str(error)) from None
    finally:
        for future in pending:
            if not future.cancel() and not future.cancelled():
                future.exception()  # looked at, or asyncio would complain


def _answer(
    read: Sequence[Audio | Failure], results: Sequence[list[Caption | Failure]], with_evidence: bool
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"captions": [], "errors": []}
    coming = iter(results)
    for place, audio in enumerate(read):
        for result in [audio] if isinstance(audio, Failure) else next(coming):
            record = {"file": place, **result.to_dict()}
            if isinstance(result, Failure):
                found["errors"].append(record)
                continue
            if with_evidence and isinstance(audio, Audio):
                record["evidence"] = evidence_of(result, audio.samples)
            found["captions"].append(record)
    return found


def _count(request: Request, metrics: Metrics, read: Sequence[Audio | Failure], answer: dict[str, Any]) -> None:
    """Numbers for metrics and log; no names of files, which may be people's."""
    seconds = sum(audio.duration for audio in read if isinstance(audio, Audio))
    metrics.audio_seconds.inc(seconds)
    failed = {record["file"]: record["error"]["type"] for record in answer["errors"]}
    for place in range(len(read)):
        metrics.recordings.labels(failed.get(place, "captioned")).inc()
    request.state.data.update(
        recordings=len(read),
        audio_seconds=round(seconds, 2),
        captions=len(answer["captions"]),
        errors=sorted(failed.values()),
    )
