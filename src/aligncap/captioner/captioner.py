"""From recordings to captions, whatever runs the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from aligncap.captioner.labels import LabelSet
from aligncap.captioner.results import Caption, Classification, Failure
from aligncap.captioner.sampling import CAREFUL, VARIED, Sampling
from aligncap.captioner.stretches import Clip, Source, as_sources, batches
from aligncap.captioner.verify import UNSURE, abstention, can_verify, clumsy, doubts, supports, without_doubts
from aligncap.captions.prompt import DEFAULT_INSTRUCTION
from aligncap.errors import AlignCapError, PromptError

if TYPE_CHECKING:
    from typing_extensions import Self

    from aligncap.captioner.calibration import Calibration

__all__ = ["MAX_NEW_TOKENS", "PRIOR", "TEMPLATES", "Captioner", "Listened", "Source", "Verify", "Written"]

Verify: TypeAlias = 'bool | Literal["strict"]'
"""Whether captions are verified; strict: what nothing supports is dropped, and an unsure emotion not told."""

Written: TypeAlias = tuple[list[str], list[str]]
"""The captions of a clip, and warnings about them."""

MAX_NEW_TOKENS = 64

TEMPLATES = ("The speaker sounds", "The speaker seems", "The tone is")
"""Beginnings of captions, after which each word is scored when it is no emotion of the model: the prompt ensemble."""

PRIOR = 0.5
"""How much of a word's likelihood without speech is taken off its score.

The score of a word w given speech s is the mean over the templates of log p(w | s) - 0.5 log p(w). The second is the
likelihood where no speech is given, so that a word is not favoured for being common or short. Taken off whole, that
would be domain-conditional mutual information (Holtzman et al. 2021, "Surface Form Competition"), by which words that
the model would never use win; by half, words are told apart as well (docs/classify.md).
"""

_Result = TypeVar("_Result")
_NOT_HERE = "an exported model cannot be calibrated: calibrate its checkpoint, and export it with the calibration"
_DRAWN = 4  # captions drawn, one after the other, where the first is doubted or clumsy


class Listened(Protocol):
    """What is known of a batch of clips before anything is written."""

    @property
    def clues(self) -> Sequence[str]:
        """Clue prompts."""

    @property
    def emotions(self) -> Sequence[Sequence[float]]:
        """Probabilities of each clip, in the order of the captioner's emotions."""

    def select(self, rows: list[int]) -> Self:
        """The same for some clips of the batch."""


@dataclass(frozen=True)
class _Checked:
    """A caption as it is returned, and what is doubtful in it."""

    caption: str
    doubts: tuple[str, ...] = ()
    abstained: bool = False


class Captioner(ABC):
    """Describes the emotion in recordings. Make one with `aligncap.load`.

    Attributes:
        name: of the model, written into the results.
        emotions: that it tells apart.
        max_seconds: the longest stretch that it hears at once.
        device: that it runs on.
        number_format: what the language model computes in: ``float32``, ``bfloat16``, ``float16``, ``int8``, ….
    """

    name: str
    emotions: tuple[str, ...]
    max_seconds: float
    device: str
    number_format: str

    @property
    def calibration(self) -> Calibration | None:
        """What is taken off every recording's states; None: nothing.

        Raises:
            AlignCapError: on setting one where the model cannot be calibrated.
            CheckpointError: on setting one that was made with another checkpoint.
        """
        return None

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        if calibration is not None:
            raise AlignCapError(_NOT_HERE)

    @property
    def calibrated(self) -> bool:
        """Whether something is taken off every recording's states."""
        return self.calibration is not None

    def calibrate(self, sources: Source | Iterable[Source], *, batch_size: int = 8) -> Calibration:
        """Learn from unlabelled recordings of one source what they have in common; see `Calibration`.

        It is returned, and used only once it is set: ``captioner.calibration = captioner.calibrate(sources)``.

        Args:
            sources: at least 5 recordings, better 20, of different emotions, made as those to be captioned.
                Those that cannot be used are passed over.
            batch_size: stretches run together.

        Raises:
            AlignCapError: too few recordings, or nearly all of one emotion; or the model cannot be calibrated.
        """
        raise AlignCapError(_NOT_HERE)

    @abstractmethod
    def _listen(self, clips: Sequence[Clip], prompt: str) -> Listened:
        """What captions and labels both begin with: hear the clips, and know their prompts.

        Raises:
            PromptError: the prompt cannot be run.
        """

    @abstractmethod
    def _write(self, listened: Listened, clips: Sequence[Clip], num_captions: int, sampling: Sampling) -> list[Written]:
        """Captions of each clip."""

    @abstractmethod
    def _shares(self, words: Sequence[str]) -> Callable[[Listened], list[list[float]]]:
        """How well any words fit each clip, in shares of 1: by their scores after `TEMPLATES`, less the `PRIOR`."""

    def caption(
        self,
        sources: Source | Iterable[Source],
        *,
        prompt: str = DEFAULT_INSTRUCTION,
        batch_size: int = 8,
        num_captions: int = 1,
        sampling: Sampling | None = None,
        verify: Verify = True,
    ) -> list[Caption | Failure]:
        """Caption recordings.

        Args:
            sources: one recording or several: paths, bytes, binary file objects, ``(samples, rate)`` with a
                NumPy array or torch tensor as `read_audio` takes it, or `Audio`.
            prompt: the instruction to the model.
            batch_size: stretches run together; the captions do not depend on it (float32, int8).
            num_captions: captions of each stretch; above 1 they are drawn independently.
            sampling: how to draw (default: `VARIED`; `CAREFUL` of what is not verified, `Sampling()` of several
                captions). The same recording has the same captions, alone and among others.
            verify: draw a caption that was not asked to be sampled again where it says what neither the model's own
                probabilities nor the measurements support, or says the same twice (see `aligncap.captioner.verify`);
                what nothing supports in the end is told in ``doubts``, and every claim with its support in ``claims``.
                ``"strict"``: sentences that remain doubtful are dropped; where nothing is left, or no emotion has a
                probability of 0.5, it is "The emotion is unclear." with what was measured (``abstained``). Only
                prompts that ask for emotion and voice can be verified.

        Returns:
            In the order of the recordings: a `Caption` for each stretch of at most ``max_seconds`` (10 s), or
            a `Failure` for a recording that cannot be used. Recordings without a path are called
            ``<recording 0>``, ``<recording 1>``, … by their place among the sources.

        Raises:
            ValueError: a number is out of range.
            PromptError: the prompt is empty or too long.
        """
        return list(
            self.stream(
                as_sources(sources),
                prompt=prompt,
                batch_size=batch_size,
                num_captions=num_captions,
                sampling=sampling,
                verify=verify,
            )
        )

    def stream(
        self,
        sources: Iterable[Source],
        *,
        prompt: str = DEFAULT_INSTRUCTION,
        batch_size: int = 8,
        num_captions: int = 1,
        sampling: Sampling | None = None,
        verify: Verify = True,
    ) -> Iterator[Caption | Failure]:
        """Caption recordings as they come; see `caption`.

        While one batch is captioned, a second thread takes the next recordings from ``sources`` and reads
        them, up to one batch ahead.
        """
        if batch_size < 1 or num_captions < 1:
            raise ValueError(f"batch_size ({batch_size}) and num_captions ({num_captions}) must be at least 1")
        if not prompt.strip():
            raise PromptError("the prompt is empty: say what to describe, or leave it out to use the default")
        if num_captions > 1 and sampling is not None and sampling.temperature == 0:
            raise ValueError(f"{num_captions} captions at temperature 0 would all be the same: ask for one")
        return self._results(
            sources, batch_size, lambda clips: self._caption_batch(clips, prompt, num_captions, sampling, verify)
        )

    def classify(
        self, sources: Source | Iterable[Source], labels: Sequence[str], *, batch_size: int = 8
    ) -> list[Classification | Failure]:
        """Tell which of any given labels fits each recording: zero-shot classification.

        Labels that count as emotions of the model (see `aligncap.captions.taxonomy`) are told apart by the
        probabilities that captions carry as ``emotions``; other words by the language model's likelihood of using
        them (see `TEMPLATES`), which is much weaker.

        Args:
            sources: as for `caption`.
            labels: two or more different words or short phrases.
            batch_size: stretches run together.

        Returns:
            In the order of the recordings: a `Classification` for each stretch, or a `Failure`.

        Raises:
            ValueError: fewer than two labels, an empty one, the same twice; or a number is out of range.
        """
        return list(self.classify_stream(as_sources(sources), labels, batch_size=batch_size))

    def classify_stream(
        self, sources: Iterable[Source], labels: Sequence[str], *, batch_size: int = 8
    ) -> Iterator[Classification | Failure]:
        """Classify recordings as they come; see `classify`."""
        if batch_size < 1:
            raise ValueError(f"batch_size ({batch_size}) must be at least 1")
        wanted = LabelSet.of(labels, self.emotions)
        shares = None if wanted.by_emotions_alone else self._shares(wanted.words)
        return self._results(sources, batch_size, lambda clips: self._classify_batch(clips, wanted, shares))

    def _results(
        self, sources: Iterable[Source], batch_size: int, work: Callable[[list[Clip]], list[_Result]]
    ) -> Iterator[_Result | Failure]:
        """What ``work`` makes of the stretches of each batch, with the failures in their places."""
        with closing(batches(sources, self.max_seconds, batch_size)) as read:
            for batch in read:
                clips = [item for item in batch if isinstance(item, Clip)]
                results = iter(work(clips) if clips else ())
                for item in batch:
                    yield item if isinstance(item, Failure) else next(results)

    def _caption_batch(
        self, clips: Sequence[Clip], prompt: str, num_captions: int, sampling: Sampling | None, verify: Verify
    ) -> list[Caption]:
        listened = self._listen(clips, prompt)
        emotions = [dict(zip(self.emotions, row, strict=True)) for row in listened.emotions]
        judged = verify if can_verify(prompt) else False
        usual = Sampling() if num_captions > 1 else VARIED if judged else CAREFUL
        written = self._write(listened, clips, num_captions, sampling or usual)
        if judged and num_captions == 1 and (sampling is None or sampling.temperature == 0):
            self._write_again(clips, prompt, listened, emotions, written)
        captions = []
        for clip, clue, heard, (texts, cut) in zip(clips, listened.clues, emotions, written, strict=True):
            text, *others = [_checked(text, prompt, heard, clip, judged) for text in texts]
            captions.append(
                Caption(
                    id=clip.id,
                    audio=clip.audio,
                    start=clip.segment.start,
                    end=clip.segment.end,
                    caption=text.caption,
                    emotions=dict(sorted(heard.items(), key=lambda pair: -pair[1])),
                    clues=clue,
                    model=self.name,
                    calibrated=self.calibrated,
                    alternatives=tuple(other.caption for other in others if not other.abstained),
                    warnings=(*clip.warnings, *cut),
                    doubts=text.doubts,
                    claims=supports(text.caption, heard, clip.voice) if verify else (),
                    abstained=text.abstained,
                )
            )
        return captions

    def _write_again(
        self,
        clips: Sequence[Clip],
        prompt: str,
        listened: Listened,
        emotions: Sequence[dict[str, float]],
        written: list[tuple[list[str], list[str]]],
    ) -> None:
        """Draw doubted captions, and clumsy ones, a few times more, and keep the best of each."""

        def flaw(place: int, text: str) -> int:
            return 2 if doubts(text, prompt, emotions[place], clips[place].voice) else int(bool(clumsy(text)))

        again = {place: worse for place, (texts, _) in enumerate(written) if (worse := flaw(place, texts[0]))}
        for seed in range(1, _DRAWN + 1):
            if not again:
                break
            places = list(again)
            drawn = self._write(
                listened.select(places), [clips[place] for place in places], 1, replace(VARIED, seed=seed)
            )
            for place, (texts, cut) in zip(places, drawn, strict=True):
                found = flaw(place, texts[0])
                if found < again[place]:
                    written[place], again[place] = (texts, cut), found
                if not found:
                    del again[place]

    def _classify_batch(
        self, clips: Sequence[Clip], labels: LabelSet, shares: Callable[[Listened], list[list[float]]] | None
    ) -> list[Classification]:
        listened = self._listen(clips, DEFAULT_INSTRUCTION)
        even = [[1 / len(labels.words)] * len(labels.words)] * len(clips)
        return [
            Classification(
                id=clip.id,
                audio=clip.audio,
                start=clip.segment.start,
                end=clip.segment.end,
                probabilities=labels.probabilities(dict(zip(self.emotions, row, strict=True)), share),
                model=self.name,
                warnings=clip.warnings,
                calibrated=self.calibrated,
            )
            for clip, row, share in zip(
                clips, listened.emotions, even if shares is None else shares(listened), strict=True
            )
        ]


def _checked(text: str, prompt: str, emotions: dict[str, float], clip: Clip, verify: Verify) -> _Checked:
    found = doubts(text, prompt, emotions, clip.voice) if verify else ()
    if verify != "strict":
        return _Checked(text, found)
    shorter = without_doubts(text, prompt, emotions, clip.voice) if found else text
    if shorter is None or max(emotions.values()) < UNSURE:
        return _Checked(abstention(clip.voice), abstained=True)
    return _Checked(shorter)
