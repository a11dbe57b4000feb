"""From recordings to captions."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from aligncap.audio import RATE, Audio, AudioSource, Segment, read_audio, segments
from aligncap.captioner.calibration import Calibration
from aligncap.captioner.drawing import drawing
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.sampling import Sampling
from aligncap.captions import Facts, answer, clue_prompt
from aligncap.clues import clue_words, measure
from aligncap.errors import AlignCapError, PromptError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.likelihood import distinguishing, label_probabilities
from aligncap.model.prefix import Prefix, run_prefix
from aligncap.model.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION

if TYPE_CHECKING:
    from aligncap.model import SpeechEmbeddings

__all__ = ["Captioner", "Source"]

Source: TypeAlias = "AudioSource | Audio | Failure"
"""What can be captioned. A `Failure` stands for a recording known to be bad, and comes back in its place."""

_LOG = logging.getLogger(__name__)
_MAX_NEW_TOKENS = 64
_SILENCE = 2e-5  # peak to peak, as in aligncap.audio


@dataclass(frozen=True, eq=False)
class _Clip:
    """One stretch of a recording, with what was measured in it."""

    id: str
    audio: str
    segment: Segment
    voice: list[tuple[str, str]]
    warnings: tuple[str, ...]


class Captioner:
    """Describes the emotion in recordings. Make one with `aligncap.load`.

    Args:
        model: in evaluation mode, on its device.
        processor: the model's.
        name: written into the results.
    """

    def __init__(self, model: AlignCapForConditionalGeneration, processor: AlignCapProcessor, name: str) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self._labels: list[str] = list(model.config.emotions)
        self._answers = distinguishing([processor.response_ids(_label_word(label)) for label in self._labels])
        self._calibration: Calibration | None = None

    @property
    def calibration(self) -> Calibration | None:
        """What is taken off every recording's states; None: nothing.

        Raises:
            CheckpointError: on setting one that was made with another checkpoint.
        """
        return self._calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        if calibration is not None:
            calibration.check(self.model)
        self._calibration = calibration

    def calibrate(self, sources: Source | Iterable[Source], *, batch_size: int = 8) -> Calibration:
        """Learn from unlabelled recordings of one source what they have in common; see `Calibration`.

        It is returned, and used only once it is set: ``captioner.calibration = captioner.calibrate(sources)``.

        Args:
            sources: at least 5 recordings, better 20, of different emotions, made as those to be captioned.
                Those that cannot be used are passed over.
            batch_size: stretches run together.

        Raises:
            AlignCapError: too few recordings, or nearly all of one emotion.
        """
        clips = (item for item in self._stretches(_as_sources(sources)) if isinstance(item, _Clip))

        def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            while batch := list(islice(clips, batch_size)):
                features = self.processor.features([clip.segment.samples for clip in batch]).to(self.model.device)
                yield features["features"], features["feature_lengths"]

        return Calibration.estimate(self.model, batches())

    def caption(
        self,
        sources: Source | Iterable[Source],
        *,
        prompt: str = DEFAULT_INSTRUCTION,
        batch_size: int = 8,
        num_captions: int = 1,
        sampling: Sampling | None = None,
    ) -> list[Caption | Failure]:
        """Caption recordings.

        Args:
            sources: one recording or several: paths, bytes, binary file objects, ``(samples, rate)`` with a
                NumPy array or torch tensor as `read_audio` takes it, or `Audio`.
            prompt: the instruction to the model.
            batch_size: stretches run together; the captions do not depend on it (in float32).
            num_captions: captions of each stretch; above 1 they are sampled.
            sampling: how to sample (default: greedy, or `Sampling()` where several captions are asked for).

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
                _as_sources(sources),
                prompt=prompt,
                batch_size=batch_size,
                num_captions=num_captions,
                sampling=sampling,
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
    ) -> Iterator[Caption | Failure]:
        """Caption recordings as they come; see `caption`.

        While one batch is captioned, a second thread takes the next recordings from ``sources`` and reads
        them, up to one batch ahead.
        """
        if batch_size < 1 or num_captions < 1:
            raise ValueError(f"batch_size ({batch_size}) and num_captions ({num_captions}) must be at least 1")
        if not prompt.strip():
            raise PromptError("the prompt is empty: say what to describe, or leave it out to use the default")
        if num_captions > 1 and sampling is None:
            sampling = Sampling()
        return self._stream(sources, prompt, batch_size, num_captions, sampling)

    def _stream(
        self,
        sources: Iterable[Source],
        prompt: str,
        batch_size: int,
        num_captions: int,
        sampling: Sampling | None,
    ) -> Iterator[Caption | Failure]:
        stretches = self._stretches(sources)

        with ThreadPoolExecutor(1, "aligncap-read") as reader, ThreadPoolExecutor(2, "aligncap-clues") as measurers:

            def read() -> list[_Clip | Failure]:
                return list(measurers.map(_measured, islice(stretches, batch_size)))

            coming = reader.submit(read)
            while batch := coming.result():
                coming = reader.submit(read)
                clips = [item for item in batch if isinstance(item, _Clip)]
                captions = iter(self._caption_batch(clips, prompt, num_captions, sampling) if clips else ())
                for item in batch:
                    yield item if isinstance(item, Failure) else next(captions)

    def _stretches(self, sources: Iterable[Source]) -> Iterator[_Clip | Failure]:
        """Read one recording after the other, and cut it; nothing is measured yet."""
        for position, source in enumerate(sources):
            if isinstance(source, Failure):
                yield source
                continue
            name = _name(source, position)
            try:
                audio = _read(source, name)
                parts = segments(audio, self.model.config.max_seconds)
            except Exception as error:  # one bad recording must not stop the others
                yield _failure(error, name)
                continue
            for index, part in enumerate(parts):
                clip_id = name if len(parts) == 1 else f"{name}#{index}"
                yield _Clip(clip_id, name, part, [], (*audio.warnings, *_silence(part)))

    @torch.inference_mode()
    def _caption_batch(
        self, clips: Sequence[_Clip], prompt: str, num_captions: int, sampling: Sampling | None
    ) -> list[Caption]:
        device = self.model.device
        batch = self.processor.features([clip.segment.samples for clip in clips]).to(device)
        offset = None if self._calibration is None else self._calibration.offset
        speech = self.model.hear(batch["features"], batch["feature_lengths"], offset)
        heard = speech.emotion_logits.float().softmax(-1)
        clues = [
            clue_prompt(list(zip(self._labels, row, strict=True)), clip.voice)
            for clip, row in zip(clips, heard.tolist(), strict=True)
        ]
        counts = speech.mask.sum(1).tolist()
        asked = self.processor.prompts(counts, WORD_INSTRUCTION, clues).to(device)
        inputs = self.processor.prompts(counts, prompt, clues).to(device)
        prefix = run_prefix(self.model, asked, inputs, speech)
        # The language model alone is too sure of itself: the mean of both is right as often, with less surprise.
        likely = (label_probabilities(self.model, asked, speech, self._answers, prefix) + heard) / 2
        if not bool(likely.isfinite().all()):
            raise AlignCapError(f"the model's numbers overflow in {self.model.dtype}: load it with float32")
        written = self._write(inputs, speech, prefix, clips, num_captions, sampling)
        return [
            Caption(
                id=clip.id,
                audio=clip.audio,
                start=clip.segment.start,
                end=clip.segment.end,
                caption=texts[0],
                emotions=dict(sorted(zip(self._labels, row, strict=True), key=lambda pair: -pair[1])),
                clues=clue,
                model=self.name,
                calibrated=offset is not None,
                alternatives=tuple(texts[1:]),
                warnings=(*clip.warnings, *cut),
            )
            for clip, clue, row, (texts, cut) in zip(clips, clues, likely.tolist(), written, strict=True)
        ]

    def _write(
        self,
        inputs: Any,
        speech: SpeechEmbeddings,
        prefix: Prefix,
        clips: Sequence[_Clip],
        num_captions: int,
        sampling: Sampling | None,
    ) -> list[tuple[list[str], list[str]]]:
        """The captions of each clip, and warnings about them."""
        width = inputs["input_ids"].shape[1]
        longest = self.model.language_model.config.get_text_config().max_position_embeddings - _MAX_NEW_TOKENS
        if width > longest:
            raise PromptError(f"the prompt is too long: {width} tokens with the speech, and {longest} is the most")
        options: dict[str, Any] = {"max_new_tokens": _MAX_NEW_TOKENS, "do_sample": False}
        if sampling is None:
            options["past_key_values"] = prefix.cache
        else:
            rows = [row for row in range(len(clips)) for _ in range(num_captions)]
            inputs, speech = {key: value[rows] for key, value in inputs.items()}, speech.select(rows)
            samples = [clip.segment.samples for clip in clips]
            options["logits_processor"] = drawing(sampling, samples, num_captions)
        tokens = self.model.generate(**inputs, speech=speech, **options)
        texts = [" ".join(text.split()) for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        ends = torch.as_tensor(self.model.generation_config.eos_token_id, device=tokens.device)
        whole = torch.isin(tokens, ends).any(1).tolist()
        warning = f"a caption was cut off after {_MAX_NEW_TOKENS} tokens"
        return [
            (texts[at : at + num_captions], [] if all(whole[at : at + num_captions]) else [warning])
            for at in range(0, len(texts), num_captions)
        ]


def _as_sources(sources: Source | Iterable[Source]) -> Iterable[Any]:
    """Tell one recording from several; a pair is (samples, rate) where its second item is a number."""
    pair = isinstance(sources, tuple) and len(sources) == 2 and isinstance(sources[1], int | float | np.number)
    one = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, torch.Tensor, Audio, Failure)
    single = pair or isinstance(sources, one) or hasattr(sources, "read")
    return [sources] if single else sources  # type: ignore[return-value]


def _name(source: Any, position: int) -> str:
    """What to call a recording: its path as given (with forward slashes), or its place among the sources."""
    if isinstance(source, Audio):
        return source.source
    if not isinstance(source, str | os.PathLike):
        source = getattr(source, "name", None)  # of a file object; pipes have numbers there
    if isinstance(source, str | os.PathLike) and (path := os.fspath(source)):
        return str(path).replace(os.sep, "/")
    return f"<recording {position}>"


def _read(source: Any, name: str) -> Audio:
    if not isinstance(source, Audio):
        return read_audio(source, name=name)
    # anybody can make an Audio: check it as samples are
    checked = read_audio((source.samples, RATE), name=name, max_seconds=math.inf)
    return replace(checked, warnings=source.warnings)


def _measured(item: _Clip | Failure) -> _Clip | Failure:
    """The stretch with what is measured in its voice."""
    if isinstance(item, Failure):
        return item
    try:
        clues = measure(item.segment.samples, voice_quality=False)
    except Exception as error:
        return _failure(error, item.audio, item.id)
    return replace(item, voice=[(word.dimension, word.level) for word in clue_words(clues)])


def _failure(error: Exception, audio: str, clip_id: str | None = None) -> Failure:
    if not isinstance(error, AlignCapError):
        _LOG.debug("%s: unexpected error", audio, exc_info=error)
    return Failure.of(error, audio, clip_id)


def _silence(part: Segment) -> tuple[str, ...]:
    if np.ptp(part.samples) >= _SILENCE:
        return ()
    return (f"nothing is heard from {part.start:.1f} to {part.end:.1f} s: that caption has no ground",)


def _label_word(label: str) -> str:
    """The one word by which the model was taught to answer."""
    return answer(Facts(((label, 1.0),)), WORD_INSTRUCTION, np.random.default_rng(0))
