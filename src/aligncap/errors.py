"""Every error that AlignCap raises on purpose. Each message says what went wrong and what to do.

The command line prints the message alone, without a traceback, and exits with the class's ``exit_code``.
"""

from __future__ import annotations

__all__ = [
    "AlignCapError",
    "AudioEmptyError",
    "AudioError",
    "AudioInvalidError",
    "AudioLimitError",
    "AudioNotFoundError",
    "AudioSilentError",
    "AudioTooShortError",
    "AudioTruncatedError",
    "AudioUnreadableError",
    "CheckpointError",
    "DeviceError",
    "MissingExtraError",
    "PromptError",
    "RecipeError",
    "WeightsDiskError",
    "WeightsError",
    "WeightsHashError",
    "WeightsUnavailableError",
]


class AlignCapError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class AudioError(AlignCapError):
    """A recording cannot be used.

    Args:
        source: the recording's name, as the user would recognise it.
        reason: why, and where it helps, what to do.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str]]:
        return type(self), (self.source, self.reason)


class AudioNotFoundError(AudioError):
    """There is no such file."""


class AudioUnreadableError(AudioError):
    """The bytes are not audio that any decoder here understands (or the file may not be read)."""


class AudioEmptyError(AudioError):
    """The recording has no samples."""


class AudioTooShortError(AudioError):
    """The recording is shorter than 0.1 s."""


class AudioSilentError(AudioError):
    """The recording is digital silence."""


class AudioInvalidError(AudioError):
    """The samples or their description make no sense: NaN or infinity, wrong shape, impossible rate."""


class AudioTruncatedError(AudioError):
    """The file promises more audio than it holds."""


class AudioLimitError(AudioError):
    """The recording is beyond a limit: too many seconds, too many channels."""


class WeightsError(AlignCapError):
    """Base weights cannot be used."""

    exit_code = 3


class WeightsHashError(WeightsError):
    """A downloaded or cached file is not the file that was asked for."""


class WeightsUnavailableError(WeightsError):
    """No source of the weights could be reached."""


class WeightsDiskError(WeightsError):
    """The cache cannot be written (disk full, no permission)."""


class CheckpointError(AlignCapError):
    """A checkpoint is missing, damaged, or does not fit the base weights."""

    exit_code = 3


class RecipeError(AlignCapError):
    """A training recipe is missing, malformed, or asks for what cannot be done."""

    exit_code = 2


class DeviceError(AlignCapError):
    """There is no such device here, or the model does not run on it."""


class PromptError(AlignCapError):
    """A prompt cannot be rendered, or its speech placeholders do not match the speech embeddings."""

    exit_code = 2


class MissingExtraError(AlignCapError):
    """An optional dependency is not installed."""

    exit_code = 3

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs extra packages: pip install 'aligncap[{extra}]'")
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.feature, self.extra)
