"""From recordings to captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch

from aligncap.captioner.calibration import Calibration
from aligncap.captioner.drawing import Draws
from aligncap.captioner.labels import LabelSet
from aligncap.captioner.results import Caption, Classification, Failure
from aligncap.captioner.sampling import VARIED, Sampling
from aligncap.captioner.stretches import Clip, Source, as_sources, batches, stretches
from aligncap.captioner.verify import UNSURE, abstention, can_verify, doubts, supports, without_doubts
from aligncap.captioner.words import Words
from aligncap.captions import Facts, answer
from aligncap.errors import AlignCapError, PromptError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.likelihood import distinguishing, label_probabilities
from aligncap.model.prefix import Prefix, pad_inside, run_prefix
from aligncap.model.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION, speech_clues

if TYPE_CHECKING:
    from aligncap.model import SpeechEmbeddings

__all__ = ["Captioner", "Source", "Verify"]

Verify: TypeAlias = 'bool | Literal["strict"]'
"""Whether captions are verified; strict: what nothing supports is dropped, and an unsure emotion not told."""

_Result = TypeVar("_Result")
_MAX_NEW_TOKENS = 64
_DRAWN = 4  # captions drawn, one after the other, where the first is doubted


@dataclass(frozen=True, eq=False)
class _Listened:
    """What is known of a batch of clips before anything is written.

    Attributes:
        speech: speech embeddings.
        clues: clue prompts.
        inputs: prompts with the instruction that was given.
        prefix: state after what these and the prompts for one word (where they are asked) have in common.
        emotions: (clips, emotions), rows summing to 1.
    """

    speech: SpeechEmbeddings
    clues: list[str]
    inputs: Any
    prefix: Prefix
    emotions: torch.Tensor

    def select(self, rows: list[int]) -> _Listened:
        """The same for some clips of the batch."""
        state = self.prefix.copy()
        state.batch_select_indices(torch.tensor(rows, device=self.emotions.device))
        return _Listened(
            self.speech.select(rows),
            [self.clues[row] for row in rows],
            {name: value[rows] for name, value in self.inputs.items()},
            Prefix(self.prefix.length, state),
            self.emotions[rows],
        )


@dataclass(frozen=True)
class _Checked:
    """A caption as it is returned, and what is doubtful in it."""

    caption: str
    doubts: tuple[str, ...] = ()
    abstained: bool = False


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
        self._phrases = processor.phrases()
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
        found = stretches(as_sources(sources), self.model.config.max_seconds)
        clips = (item for item in found if isinstance(item, Clip))

        def heard() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            while batch := list(islice(clips, batch_size)):
                features = self.processor.features([clip.segment.samples for clip in batch]).to(self.model.device)
                yield features["features"], features["feature_lengths"]

        return Calibration.estimate(self.model, heard())

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
            sampling: how to draw (default: `VARIED`, or `Sampling()` where several captions are asked for). The same
                recording has the same captions, alone and among others.
            verify: write a caption that was not asked to be sampled again where it says what neither the model's own
                probabilities nor the measurements support (see `aligncap.captioner.verify`); what remains is told in
                ``doubts``, and every claim with its support in ``claims``. ``"strict"``: sentences that remain doubtful
                are dropped; where nothing is left, or no emotion has a probability of 0.5, the caption is "The emotion
                is unclear." with what was measured (``abstained``). Only prompts that ask for emotion and voice can be
                verified.

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
        them (see `aligncap.captioner.words.Words`), which is much weaker.

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
        wanted = LabelSet.of(labels, self._labels)
        words = None if wanted.by_emotions_alone else Words(self.model, self.processor, wanted.words)
        return self._results(sources, batch_size, lambda clips: self._classify_batch(clips, wanted, words))

    def _results(
        self, sources: Iterable[Source], batch_size: int, work: Callable[[list[Clip]], list[_Result]]
    ) -> Iterator[_Result | Failure]:
        """What ``work`` makes of the stretches of each batch, with the failures in their places."""
        with closing(batches(sources, self.model.config.max_seconds, batch_size)) as read:
            for batch in read:
                clips = [item for item in batch if isinstance(item, Clip)]
                results = iter(work(clips) if clips else ())
                for item in batch:
                    yield item if isinstance(item, Failure) else next(results)

    @torch.inference_mode()
    def _caption_batch(
        self, clips: Sequence[Clip], prompt: str, num_captions: int, sampling: Sampling | None, verify: Verify
    ) -> list[Caption]:
        listened = self._listen(clips, prompt)
        emotions = [dict(zip(self._labels, row, strict=True)) for row in listened.emotions.tolist()]
        chosen = sampling or (VARIED if num_captions == 1 else Sampling())
        written = self._write(listened, clips, num_captions, chosen)
        judged = verify if can_verify(prompt) else False
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
                    calibrated=self._calibration is not None,
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
        listened: _Listened,
        emotions: Sequence[dict[str, float]],
        written: list[tuple[list[str], list[str]]],
    ) -> None:
        """Replace doubted captions by the first drawn one without doubts, of a few."""
        again = [
            place
            for place, ((texts, _), heard, clip) in enumerate(zip(written, emotions, clips, strict=True))
            if doubts(texts[0], prompt, heard, clip.voice)
        ]
        for seed in range(1, _DRAWN + 1):
            if not again:
                break
            some = [clips[place] for place in again]
            drawn = self._write(listened.select(again), some, 1, replace(VARIED, seed=seed))
            for place, (texts, cut) in zip(tuple(again), drawn, strict=True):
                if not doubts(texts[0], prompt, emotions[place], clips[place].voice):
                    written[place] = (texts, cut)
                    again.remove(place)

    @torch.inference_mode()
    def _classify_batch(self, clips: Sequence[Clip], labels: LabelSet, words: Words | None) -> list[Classification]:
        listened = self._listen(clips, DEFAULT_INSTRUCTION)
        if words is None:
            shares = [[1 / len(labels.words)] * len(labels.words)] * len(clips)
        else:
            shares = words.probabilities(listened.inputs, listened.speech, listened.prefix).tolist()
        return [
            Classification(
                id=clip.id,
                audio=clip.audio,
                start=clip.segment.start,
                end=clip.segment.end,
                probabilities=labels.probabilities(dict(zip(self._labels, row, strict=True)), share),
                model=self.name,
                warnings=clip.warnings,
                calibrated=self._calibration is not None,
            )
            for clip, row, share in zip(clips, listened.emotions.tolist(), shares, strict=True)
        ]

    def _listen(self, clips: Sequence[Clip], prompt: str) -> _Listened:
        """What captions and labels both begin with: hear the clips, read their prompts, ask for the emotion."""
        device = self.model.device
        batch = self.processor.features([clip.segment.samples for clip in clips]).to(device)
        offset = None if self._calibration is None else self._calibration.offset
        speech = self.model.hear(batch["features"], batch["feature_lengths"], offset)
        heard = speech.emotion_logits.float().softmax(-1)
        config = self.model.config
        clues = [speech_clues(config, row, clip.voice) for clip, row in zip(clips, heard.tolist(), strict=True)]
        counts = speech.mask.sum(1).tolist()
        share = config.answer_share
        inputs, *others = (
            pad_inside(self.model, self.processor.prompts(counts, instruction, clues).to(device))
            for instruction in ((prompt, WORD_INSTRUCTION) if share else (prompt,))
        )
        asked = others[0] if others else inputs
        prefix = run_prefix(self.model, asked, inputs, speech)
        emotions = heard
        if share:
            answered = label_probabilities(self.model, asked, speech, self._answers, prefix)
            emotions = share * answered + (1 - share) * heard
        if not bool(emotions.isfinite().all()):
            raise AlignCapError(f"the model's numbers overflow in {self.model.dtype}: load it with float32")
        return _Listened(speech, clues, inputs, prefix, emotions)

    def _write(
        self,
        listened: _Listened,
        clips: Sequence[Clip],
        num_captions: int,
        sampling: Sampling,
    ) -> list[tuple[list[str], list[str]]]:
        """The captions of each clip, and warnings about them."""
        inputs, speech, state = listened.inputs, listened.speech, listened.prefix.copy()
        width = inputs["input_ids"].shape[1]
        longest = self.model.language_model.config.get_text_config().max_position_embeddings - _MAX_NEW_TOKENS
        if width > longest:
            raise PromptError(f"the prompt is too long: {width} tokens with the speech, and {longest} is the most")
        options: dict[str, Any] = {"max_new_tokens": _MAX_NEW_TOKENS, "do_sample": False}
        if sampling.temperature:
            rows = [row for row in range(len(clips)) for _ in range(num_captions)]
            inputs, speech = {key: value[rows] for key, value in inputs.items()}, speech.select(rows)
            state.batch_repeat_interleave(num_captions)
            samples = [clip.segment.samples for clip in clips]
            options["chooser"] = Draws(sampling, samples, num_captions)
        tokens = self.model.generate(**inputs, speech=speech, past_key_values=state, phrases=self._phrases, **options)
        texts = [" ".join(text.split()) for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        ends = torch.as_tensor(self.model.generation_config.eos_token_id, device=tokens.device)
        whole = torch.isin(tokens, ends).any(1).tolist()
        warning = f"a caption was cut off after {_MAX_NEW_TOKENS} tokens"
        return [
            (texts[at : at + num_captions], [] if all(whole[at : at + num_captions]) else [warning])
            for at in range(0, len(texts), num_captions)
        ]


def _checked(text: str, prompt: str, emotions: dict[str, float], clip: Clip, verify: Verify) -> _Checked:
    found = doubts(text, prompt, emotions, clip.voice) if verify else ()
    if verify != "strict":
        return _Checked(text, found)
    shorter = without_doubts(text, prompt, emotions, clip.voice) if found else text
    if shorter is None or max(emotions.values()) < UNSURE:
        return _Checked(abstention(clip.voice), abstained=True)
    return _Checked(shorter)


def _label_word(label: str) -> str:
    """The one word by which the model was taught to answer."""
    return answer(Facts(((label, 1.0),)), WORD_INSTRUCTION, np.random.default_rng(0))
