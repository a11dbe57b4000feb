"""AlignCap listens to speech and describes, in natural language, the emotion it hears.

    import aligncap

    captioner = aligncap.load()
    for result in captioner.caption(["one.wav", "two.mp3"]):
        print(result)

Importing the package is quick: PyTorch and the rest are imported with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aligncap.errors import (
    AlignCapError,
    AudioEmptyError,
    AudioError,
    AudioInvalidError,
    AudioLimitError,
    AudioNotFoundError,
    AudioSilentError,
    AudioTooShortError,
    AudioTruncatedError,
    AudioUnreadableError,
    CheckpointError,
    DeviceError,
    MissingExtraError,
    PromptError,
    RecipeError,
    WeightsDiskError,
    WeightsError,
    WeightsHashError,
    WeightsUnavailableError,
)

if TYPE_CHECKING:
    from aligncap.audio import Audio, read_audio
    from aligncap.captioner import Caption, Captioner, Failure, Sampling, load

    __version__: str

__all__ = [
    "AlignCapError",
    "Audio",
    "AudioEmptyError",
    "AudioError",
    "AudioInvalidError",
    "AudioLimitError",
    "AudioNotFoundError",
    "AudioSilentError",
    "AudioTooShortError",
    "AudioTruncatedError",
    "AudioUnreadableError",
    "Caption",
    "Captioner",
    "CheckpointError",
    "DeviceError",
    "Failure",
    "MissingExtraError",
    "PromptError",
    "RecipeError",
    "Sampling",
    "WeightsDiskError",
    "WeightsError",
    "WeightsHashError",
    "WeightsUnavailableError",
    "__version__",
    "load",
    "read_audio",
]

_LAZY = {
    "Audio": "aligncap.audio",
    "read_audio": "aligncap.audio",
    "Caption": "aligncap.captioner",
    "Captioner": "aligncap.captioner",
    "Failure": "aligncap.captioner",
    "Sampling": "aligncap.captioner",
    "load": "aligncap.captioner",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("aligncap")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "unknown"
