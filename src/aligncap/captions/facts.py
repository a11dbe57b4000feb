"""Facts: what is known about one recording, and all that its captions may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from aligncap.captions.taxonomy import EMOTIONS, categories
from aligncap.errors import AlignCapError

if TYPE_CHECKING:
    from aligncap.corpora.row import Row

__all__ = [
    "MIXTURE_MIN",
    "SECOND_MIN",
    "VOICE_LEVELS",
    "Certainty",
    "Facts",
    "check_emotions",
    "check_voice",
    "facts_of",
    "label_of",
]

Certainty: TypeAlias = Literal["sure", "mostly", "unsure"]
_Intensity: TypeAlias = Literal["mild", "normal", "strong"]

VOICE_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pace": ("fast", "slow"),
        "pauses": ("halting",),
        "pitch": ("high", "low"),
        "melody": ("lively", "flat"),
        "contour": ("rising", "falling"),
        "dynamics": ("even", "strong"),
        "loudness": ("loud", "quiet"),
        "effort": ("forceful", "soft"),
        "quality": ("rough", "breathy"),
        "steadiness": ("trembling",),
    }
)
"""Dimension of the voice → its levels that are worth a word; in the order in which a caption names them."""

SECOND_MIN, MIXTURE_MIN = 0.1, 0.3
_SURE_MIN, _MOSTLY_MIN, _TIE = 0.7, 0.5, 0.8


@dataclass(frozen=True)
class Facts:
    """What is known about one recording, and all that its captions may say.

    Attributes:
        emotions: (label of `EMOTIONS`, share in [0, 1]), the main one first. A main share below 0.7 is told with
            doubt. The second one is told where its share is at least 0.1: as a trace, from 0.3 on as a mixture, and
            as an alternative where it comes within four fifths of the main one. Further ones are not told.
        intensity: of the main emotion; None where unknown (told like "normal", and never named).
        voice: measured (dimension, level) pairs of `VOICE_LEVELS`, at most one for each dimension.
        gender: of the speaker; None where unknown, which gives "the speaker" and "they".

    Raises:
        AlignCapError: an emotion, intensity, dimension, level or gender that is not one of these; a dimension
            with two levels.
    """

    emotions: tuple[tuple[str, float], ...] = ()
    intensity: _Intensity | None = None
    voice: tuple[tuple[str, str], ...] = ()
    gender: Literal["female", "male"] | None = None

    def __post_init__(self) -> None:
        check_emotions(self.emotions)
        check_voice(self.voice)
        _check_one_of("intensity", self.intensity, ("mild", "normal", "strong", None))
        _check_one_of("gender", self.gender, ("female", "male", None))

    @property
    def second(self) -> tuple[str, float] | None:
        """The second emotion and its share, where it is told."""
        if len(self.emotions) < 2:
            return None
        (main, _), (label, share) = self.emotions[:2]
        return (label, share) if label != main and share >= SECOND_MIN else None

    @property
    def tied(self) -> bool:
        """Whether the second emotion is nearly as good as the main one."""
        return self.second is not None and self.second[1] >= max(MIXTURE_MIN, _TIE * self.emotions[0][1])

    @property
    def certainty(self) -> Certainty:
        """How sure the main emotion is."""
        share = self.emotions[0][1] if self.emotions else 1.0
        if self.tied or share < _MOSTLY_MIN:
            return "unsure"
        return "sure" if share >= _SURE_MIN else "mostly"


def facts_of(row: Row, voice: Sequence[tuple[str, str]] | None = None, *, with_gender: bool = False) -> Facts:
    """The facts of a manifest's row.

    Listeners' votes come before the corpus's label: a caption tells what is heard, not what was meant. Votes for
    several categories of one label of `EMOTIONS` are added up; shares below 0.1 are left out, and so are votes for
    what is no label. The intensity, being that of the label, is left out where the votes chose another one.

    Args:
        row: a clip. An emotion that is none of `EMOTIONS`, nor a category of one, gives no emotion.
        voice: measured (dimension, level) pairs; None reads them from ``row.clues["words"]``, a list of such pairs or
            of "dimension:level".
        with_gender: whether captions may tell the speaker's sex.

    Raises:
        AlignCapError: a voice fact that is not one of `VOICE_LEVELS`, or a share of votes outside [0, 1].
    """
    label = label_of(row.emotion)
    shares: dict[str, float] = {}
    for emotion, share in row.votes.items():
        if not 0.0 <= share <= 1.0:
            raise AlignCapError(f"{row.id}: {share} of the listeners voted for {emotion!r}: shares are from 0 to 1")
        if voted := label_of(emotion):
            shares[voted] = shares.get(voted, 0.0) + share
    ranked = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0] != label, pair[0]))
    emotions = tuple((name, min(share, 1.0)) for name, share in ranked if share >= SECOND_MIN)
    if not emotions and label:
        emotions = ((label, 1.0),)
    intensity = row.intensity if row.intensity in {"mild", "normal", "strong"} else None
    gender = row.gender if with_gender and row.gender in {"female", "male"} else None
    return Facts(
        emotions,
        cast("_Intensity | None", intensity if emotions and emotions[0][0] == label else None),
        tuple(voice) if voice is not None else _voice_of(row),
        cast("Literal['female', 'male'] | None", gender),
    )


def label_of(emotion: str) -> str | None:
    """The label of `EMOTIONS` to which an emotion of the taxonomy belongs; None where there is none."""
    if emotion in EMOTIONS:
        return emotion
    category = categories().get(emotion)
    return category.emotion if category else None


def _voice_of(row: Row) -> tuple[tuple[str, str], ...]:
    words = row.clues.get("words") or ()
    pairs = [tuple(word.split(":")) if isinstance(word, str) else tuple(word) for word in words]
    if any(len(pair) != 2 for pair in pairs):
        raise AlignCapError(f"{row.id}: clue words {words!r} are no (dimension, level) pairs")
    return cast("tuple[tuple[str, str], ...]", tuple(pairs))


def check_emotions(emotions: Sequence[tuple[str, float]]) -> None:
    """Refuse labels that are none of `EMOTIONS`."""
    for label, _ in emotions:
        _check_one_of("emotion", label, EMOTIONS)


def check_voice(voice: Sequence[tuple[str, str]]) -> None:
    """Refuse what is not in `VOICE_LEVELS`, and two levels of one dimension."""
    if len({dimension for dimension, _ in voice}) < len(voice):
        raise AlignCapError(f"two levels for one dimension of the voice in {list(voice)}: give one")
    for dimension, level in voice:
        _check_one_of("dimension of the voice", dimension, tuple(VOICE_LEVELS))
        _check_one_of(f"level of {dimension}", level, VOICE_LEVELS[dimension])


def _check_one_of(what: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        raise AlignCapError(f"unknown {what} {value!r}: use one of {', '.join(str(k) for k in known)}")
