"""From recordings to captions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from aligncap.audio import Audio, AudioSource, Segment, read_audio, segments
from aligncap.captioner.results import Caption, Failure
from aligncap.captions import clue_prompt
from aligncap.clues import clue_words, measure
from aligncap.errors import AlignCapError, AudioError, PromptError
from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor
from aligncap.model.likelihood import label_probabilities
from aligncap.model.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION

__all__ = ["Captioner", "Sampling", "load"]

# How the one-word answers that the model was trained on are spelled.
LABEL_WORDS = {
    "angry": "angry",
    "boredom": "bored",
    "calm": "calm",
    "disgust": "disgusted",
    "fear": "afraid",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
_MAX_NEW_TOKENS = 64


@dataclass(frozen=True)
class Sampling:
    """How captions are drawn; the default of `Captioner.caption` is greedy decoding, which is deterministic.

    Attributes:
        temperature: above 0; higher is more varied.
        top_p: nucleus, in (0, 1].
        seed: the same seed gives the same captions of the same batch.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    seed: int = 0


@dataclass(frozen=True)
class _Clip:
    id: str
    audio: Audio
    segment: Segment


def load(
    checkpoint: str | os.PathLike[str] = "embedded",
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
) -> Captioner:
    """Load a captioner.

    Args:
        checkpoint: ``embedded`` (comes with the package), a folder, or a Hub name.
        device: ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: ``auto`` (float32 on the CPU and MPS, bfloat16 on CUDA), ``float32``, ``bfloat16`` or ``float16``.
        threads: CPU threads (default: as PyTorch chooses).

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        WeightsError: the base weights cannot be had.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    device = pick_device(device)
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    source = str(checkpoint)
    name = Path(source).name
    with (
        resources.as_file(resources.files("aligncap.checkpoints") / source)
        if source == "embedded"
        else nullcontext(source) as path
    ):
        processor = AlignCapProcessor.from_pretrained(str(path))
        model = AlignCapForConditionalGeneration.from_pretrained(
            str(path), dtype=dtype, device_map=device, config=processor.config
        )
    model.merge_adapters()
    return Captioner(model, processor, name)


def pick_device(device: str) -> str:
    """Resolve ``auto`` and check the rest.

    Raises:
        AlignCapError: no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = device.split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in there:
        raise AlignCapError(f"unknown device {device!r}: choose auto, cpu, cuda or mps")
    if not there[kind]:
        raise AlignCapError(f"there is no {kind} device here: use --device auto or cpu")
    return device


class Captioner:
    """Describes the emotion in recordings. Make one with `aligncap.load`.

    Args:
        model: in evaluation mode, on its device.
        processor: the model's.
        name: written into the results.
    """

    def __init__(
        self, model: AlignCapForConditionalGeneration, processor: AlignCapProcessor, name: str
    ) -> None:
        self.model = model
        self.processor = processor
        self.name = name

    def caption(
        self, sources: AudioSource | Iterable[AudioSource], **options: Any
    ) -> list[Caption | Failure]:
        """Caption recordings; see `stream` for the options.

        Args:
            sources: one recording or several: paths, bytes, file objects, ``(samples, rate)``, `Audio`.

        Returns:
            In the order of the recordings: a `Caption` for each stretch of at most ``max_seconds`` (10 s), or a
            `Failure` for a recording that cannot be used.
        """
        return list(self.stream(_as_sources(sources), **options))

    def stream(
        self,
        sources: Iterable[AudioSource],
        *,
        prompt: str = DEFAULT_INSTRUCTION,
        batch_size: int = 8,
        num_captions: int = 1,
        sampling: Sampling | None = None,
        on_source: Callable[[], None] | None = None,
    ) -> Iterator[Caption | Failure]:
        """Caption recordings as they come.

        Args:
            sources: see `caption`.
            prompt: the instruction.
            batch_size: stretches run together; the captions do not depend on it (greedy, float32).
            num_captions: captions a stretch; above 1 they are sampled.
            sampling: how to sample (default: greedy, or `Sampling()` where several captions are asked for).
            on_source: called when a recording has been read, for a progress bar.

        Raises:
            PromptError: the prompt is empty, or a number is out of range.
        """
        if batch_size < 1 or num_captions < 1:
            raise PromptError("batch_size and num_captions must be at least 1")
        if not prompt.strip():
            raise PromptError("the prompt is empty: say what to describe, or leave it out to use the default")
        if num_captions > 1 and sampling is None:
            sampling = Sampling()
        pending: list[_Clip | Failure] = []
        for source in sources:
            pending += self._read(source)
            if on_source is not None:
                on_source()
            while sum(isinstance(item, _Clip) for item in pending) >= batch_size:
                done, pending = _take(pending, batch_size)
                yield from self._run(done, prompt, num_captions, sampling)
        yield from self._run(pending, prompt, num_captions, sampling)

    def _read(self, source: AudioSource) -> list[_Clip | Failure]:
        try:
            audio = source if isinstance(source, Audio) else read_audio(source)
        except AudioError as error:
            return [Failure(error.source, error.source, type(error).__name__, error.reason)]
        parts = segments(audio, self.model.config.max_seconds)
        if len(parts) == 1:
            return [_Clip(audio.source, audio, parts[0])]
        return [_Clip(f"{audio.source}#{index}", audio, part) for index, part in enumerate(parts)]

    def _run(
        self, items: Sequence[_Clip | Failure], prompt: str, num_captions: int, sampling: Sampling | None
    ) -> Iterator[Caption | Failure]:
        clips = [item for item in items if isinstance(item, _Clip)]
        captions = iter(self._caption_batch(clips, prompt, num_captions, sampling) if clips else [])
        for item in items:
            yield item if isinstance(item, Failure) else next(captions)

    @torch.inference_mode()
    def _caption_batch(
        self, clips: Sequence[_Clip], prompt: str, num_captions: int, sampling: Sampling | None
    ) -> list[Caption]:
        device = self.model.device
        batch = self.processor.features([clip.segment.samples for clip in clips]).to(device)
        speech = self.model.hear(batch["features"], batch["feature_lengths"])
        heard = speech.emotion_logits.float().softmax(-1).tolist()
        clues = []
        for clip, row in zip(clips, heard, strict=True):
            voice = [(word.dimension, word.level) for word in clue_words(measure(clip.segment.samples))]
            clues.append(clue_prompt(list(zip(self.model.config.emotions, row, strict=True)), voice))
        counts = speech.mask.sum(1).tolist()
        labels = self.model.config.emotions
        words = [LABEL_WORDS.get(label, label) for label in labels]
        asked = self.processor.prompts(counts, WORD_INSTRUCTION, clues).to(device)
        likely = label_probabilities(
            self.model, asked, speech, [self.processor.response_ids(w) for w in words]
        )
        texts = self._write(
            self.processor.prompts(counts, prompt, clues).to(device), speech, num_captions, sampling
        )
        results = []
        for clip, clue, row, written in zip(clips, clues, likely.tolist(), texts, strict=True):
            ranked = sorted(zip(labels, row, strict=True), key=lambda pair: -pair[1])
            results.append(
                Caption(
                    clip.id,
                    clip.audio.source,
                    clip.segment.start,
                    clip.segment.end,
                    written[0],
                    dict(ranked),
                    clue,
                    self.name,
                    tuple(written[1:]),
                    clip.audio.warnings,
                )
            )
        return results

    def _write(
        self, inputs: Any, speech: Any, num_captions: int, sampling: Sampling | None
    ) -> list[list[str]]:
        options: dict[str, Any] = {"max_new_tokens": _MAX_NEW_TOKENS, "do_sample": False}
        if sampling is not None:
            options.update(
                do_sample=True,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                num_return_sequences=num_captions,
            )
        with _seeded(sampling):
            tokens = self.model.generate(**inputs, speech=speech, **options)
        texts = [text.strip() for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        return [texts[at : at + num_captions] for at in range(0, len(texts), num_captions)]


@contextmanager
def _seeded(sampling: Sampling | None) -> Iterator[None]:
    """Sample from the given seed and leave the caller's random state as it was."""
    if sampling is None:
        yield
        return
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices):
        torch.manual_seed(sampling.seed)
        yield


def _as_sources(sources: AudioSource | Iterable[AudioSource]) -> Iterable[AudioSource]:
    single = isinstance(sources, str | bytes | os.PathLike | tuple | Audio) or hasattr(sources, "read")
    return [sources] if single else sources  # type: ignore[list-item, return-value]


def _take(items: list[_Clip | Failure], clips: int) -> tuple[list[_Clip | Failure], list[_Clip | Failure]]:
    """Split after the given number of clips."""
    seen = 0
    for index, item in enumerate(items):
        seen += isinstance(item, _Clip)
        if seen == clips:
            return items[: index + 1], items[index + 1 :]
    return items, []
