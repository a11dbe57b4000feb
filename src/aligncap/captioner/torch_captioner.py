"""Captions by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aligncap.captioner.calibration import Calibration
from aligncap.captioner.captioner import MAX_NEW_TOKENS, Captioner, Listened, Written
from aligncap.captioner.drawing import Draws
from aligncap.captioner.stretches import Clip, Source, as_sources, stretches
from aligncap.captioner.words import Words
from aligncap.captions import Facts, answer
from aligncap.captions.prompt import WORD_INSTRUCTION, speech_clues
from aligncap.errors import AlignCapError, PromptError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.decoding import drawn_by
from aligncap.model.hearing import hear
from aligncap.model.likelihood import distinguishing, label_probabilities
from aligncap.model.prefix import Prefix, pad_inside, run_prefix

if TYPE_CHECKING:
    from aligncap.captioner.sampling import Sampling
    from aligncap.model import SpeechEmbeddings

__all__ = ["TorchCaptioner"]


@dataclass(frozen=True, eq=False)
class _Listened:
    """What is known of a batch of clips before anything is written.

    Attributes:
        speech: speech embeddings.
        clues: clue prompts.
        inputs: prompts with the instruction that was given.
        prefix: state after what these and the prompts for one word (where they are asked) have in common.
        emotions: probabilities of each clip.
    """

    speech: SpeechEmbeddings
    clues: list[str]
    inputs: Any
    prefix: Prefix
    emotions: list[list[float]]

    def select(self, rows: list[int]) -> _Listened:
        """The same for some clips of the batch."""
        state = self.prefix.copy()
        state.batch_select_indices(torch.tensor(rows, device=self.speech.mask.device))
        return _Listened(
            self.speech.select(rows),
            [self.clues[row] for row in rows],
            {name: value[rows] for name, value in self.inputs.items()},
            Prefix(self.prefix.length, state),
            [self.emotions[row] for row in rows],
        )


class TorchCaptioner(Captioner):
    """Captions with a checkpoint.

    Args:
        model: in evaluation mode, on its device.
        processor: the model's.
        name: written into the results.
    """

    def __init__(self, model: AlignCapForConditionalGeneration, processor: AlignCapProcessor, name: str) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self.emotions = tuple(model.config.emotions)
        self.max_seconds = float(model.config.max_seconds)
        self._answers = distinguishing([processor.response_ids(_label_word(label)) for label in self.emotions])
        self._phrases = processor.phrases()
        self._calibration: Calibration | None = None

    @property
    def device(self) -> str:  # type: ignore[override]
        """That the model is on now."""
        return str(self.model.device.type)

    @property
    def number_format(self) -> str:  # type: ignore[override]
        """That of the model's language model."""
        return self.model.number_format

    @property
    def calibration(self) -> Calibration | None:
        """What is taken off every recording's states; None: nothing."""
        return self._calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        if calibration is not None:
            calibration.check(self.model)
        self._calibration = calibration

    def calibrate(self, sources: Source | Iterable[Source], *, batch_size: int = 8) -> Calibration:
        """See `Captioner.calibrate`."""
        found = stretches(as_sources(sources), self.max_seconds)
        clips = (item for item in found if isinstance(item, Clip))

        def heard() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            while batch := list(islice(clips, batch_size)):
                features = self.processor.features([clip.segment.samples for clip in batch]).to(self.model.device)
                yield features["features"], features["feature_lengths"]

        return Calibration.estimate(self.model, heard())

    @torch.inference_mode()
    def _listen(self, clips: Sequence[Clip], prompt: str) -> _Listened:
        device = self.model.device
        offset = None if self._calibration is None else self._calibration.offset
        speech = hear(self.model, self.processor, [clip.segment.samples for clip in clips], offset)
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
        return _Listened(speech, clues, inputs, prefix, emotions.tolist())

    @torch.inference_mode()
    def _write(
        self,
        listened: Listened,
        clips: Sequence[Clip],
        num_captions: int,
        sampling: Sampling,
    ) -> list[Written]:
        assert isinstance(listened, _Listened)
        inputs, speech, state = listened.inputs, listened.speech, listened.prefix.copy()
        width = inputs["input_ids"].shape[1]
        longest = self.model.language_model.config.get_text_config().max_position_embeddings - MAX_NEW_TOKENS
        if width > longest:
            raise PromptError(f"the prompt is too long: {width} tokens with the speech, and {longest} is the most")
        options: dict[str, Any] = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False}
        if sampling.temperature:
            rows = [row for row in range(len(clips)) for _ in range(num_captions)]
            inputs, speech = {key: value[rows] for key, value in inputs.items()}, speech.select(rows)
            state.batch_repeat_interleave(num_captions)
            samples = [clip.segment.samples for clip in clips]
            options["chooser"] = drawn_by(Draws(sampling, samples, num_captions))
        tokens = self.model.generate(**inputs, speech=speech, past_key_values=state, phrases=self._phrases, **options)
        texts = [" ".join(text.split()) for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        ends = torch.as_tensor(self.model.generation_config.eos_token_id, device=tokens.device)
        whole = torch.isin(tokens, ends).any(1).tolist()
        warning = f"a caption was cut off after {MAX_NEW_TOKENS} tokens"
        return [
            (texts[at : at + num_captions], [] if all(whole[at : at + num_captions]) else [warning])
            for at in range(0, len(texts), num_captions)
        ]

    @torch.inference_mode()
    def _shares(self, words: Sequence[str]) -> Callable[[Listened], list[list[float]]]:
        scored = Words(self.model, self.processor, words)

        def shares(listened: Listened) -> list[list[float]]:
            assert isinstance(listened, _Listened)
            with torch.inference_mode():
                found = scored.probabilities(listened.inputs, listened.speech, listened.prefix)
            return [list(map(float, row)) for row in found.tolist()]

        return shares


def _label_word(label: str) -> str:
    """The one word by which the model was taught to answer."""
    return answer(Facts(((label, 1.0),)), WORD_INSTRUCTION, np.random.default_rng(0))
