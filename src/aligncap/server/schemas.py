"""What answers look like, for the OpenAPI description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CaptionRecord", "Captions", "ErrorBody", "Info", "Status", "problems"]


class _Model(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class ClaimRecord(_Model):
    """One thing that a caption claims or denies; see docs/claims.md."""

    text: str = Field(description="the words that claim it")
    kind: str = Field(description="emotion, acoustic or other")
    target: str = Field(description='an emotion, or "dimension:level" of the voice')
    strength: float = Field(description="1, or less after a hedge")
    negated: bool
    start: int = Field(description="first character")
    end: int = Field(description="the character after the last")
    supported: bool = Field(description="whether the model's probabilities or the measurements bear it out")
    reason: str | None = Field(None, description="why it is not supported")


class Curves(_Model):
    """Pitch and level over the stretch."""

    hop: float = Field(description="seconds between values")
    f0_hz: list[float | None] = Field(description="null where there is no pitch")
    level_db: list[float] = Field(description="relative to the loudest frame")


class Wave(_Model):
    """Outline of the waveform, in columns of equal width."""

    low: list[float]
    high: list[float]


class EvidenceRecord(_Model):
    """What a caption rests on."""

    claims: list[ClaimRecord]
    measured: dict[str, Any] = Field(description="measured clues with their units; null where one cannot be measured")
    words: list[str] = Field(description="what is out of the ordinary in the voice, with numbers")
    curves: Curves
    wave: Wave


class CaptionRecord(_Model):
    """The caption of one stretch: as `aligncap caption -f jsonl` writes it, and ``file``."""

    file: int = Field(description="place of the recording in the request, from 0")
    id: str = Field(description="the recording's name; with #0, #1, … where it was cut into stretches")
    audio: str = Field(description="the recording's name")
    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    caption: str
    emotions: dict[str, float] = Field(description="label → probability, the likeliest first")
    clues: str = Field(description="what the model was told of the voice")
    model: str
    calibrated: bool | None = None
    alternatives: list[str] | None = None
    doubts: list[str] | None = Field(None, description="what the caption says that nothing supports")
    claims: list[dict[str, Any]] | None = Field(None, description="what the caption claims, with its support")
    warnings: list[str] | None = None
    evidence: EvidenceRecord | None = Field(None, description="where it was asked for")


class ErrorDetail(_Model):
    """What is wrong."""

    type: str = Field(description="for programs")
    message: str = Field(description="for people: what is wrong and what to do")


class RecordingError(_Model):
    """A recording that could not be captioned."""

    file: int
    id: str
    audio: str
    error: ErrorDetail


class Captions(_Model):
    """The captions of a request."""

    captions: list[CaptionRecord] = Field(description="in the order of the files and of their stretches")
    errors: list[RecordingError] = Field(description="recordings, or stretches, that could not be captioned")
    model: str
    request_id: str

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "captions": [
                    {
                        "file": 0,
                        "id": "call.wav",
                        "audio": "call.wav",
                        "start": 0.0,
                        "end": 3.2,
                        "caption": "The speaker sounds afraid, in a high, fast voice.",
                        "emotions": {"fear": 0.71, "sad": 0.17, "surprise": 0.12},
                        "clues": "Feeling: afraid. Voice: high-pitched, fast.",
                        "model": "embedded",
                    }
                ],
                "errors": [],
                "model": "embedded",
                "request_id": "0b1d3f4c8e5a4a6fb1a3b7d1c2e9f001",
            }
        },
    )


class ErrorBody(_Model):
    """Every answer that is no success."""

    error: ErrorDetail
    request_id: str
    errors: list[RecordingError] | None = Field(None, description="of each recording, where that is the reason")


class Status(_Model):
    """Whether the server is well."""

    status: str


class Info(_Model):
    """What this server is and accepts."""

    version: str
    model: str
    prompts: list[str] = Field(description="that the model was trained on; others may be tried")
    limits: dict[str, float]


def problems(**said: str) -> dict[int | str, dict[str, Any]]:
    """Error answers for a route: ``problems(_413="…")``."""
    return {int(code[1:]): {"model": ErrorBody, "description": text} for code, text in said.items()}
