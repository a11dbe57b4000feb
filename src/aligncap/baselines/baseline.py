"""Baselines that are ready to caption, and their folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from aligncap.baselines.classifier import LinearClassifier
from aligncap.baselines.encoder_decoder import EncoderDecoder, Shape, Written
from aligncap.baselines.functionals import functionals
from aligncap.baselines.vocabulary import Vocabulary
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.stretches import Clip, Source, stretches
from aligncap.captions import INSTRUCTIONS, Facts, answer
from aligncap.clues import clue_record, clue_words, measure
from aligncap.errors import CheckpointError

__all__ = ["Baseline", "Classified", "Encoder", "Templates", "load_baseline"]

INSTRUCTION = next(iter(INSTRUCTIONS))
"""The one that baselines answer."""

_SECONDS = 10.0


class Baseline(Protocol):
    """A system that captions recordings."""

    @property
    def emotions(self) -> tuple[str, ...]:
        """The labels that its captions carry probabilities of; empty: none."""

    def stream(self, sources: Iterable[Source], batch_size: int = 8) -> Iterator[Caption | Failure]:
        """Caption recordings as they come, in stretches of at most 10 s: see `Captioner.stream`."""


class Classified(Protocol):
    """Emotion probabilities of a clip."""

    def __call__(self, samples: NDArray[np.float32], clues: dict[str, Any]) -> Sequence[float]:
        """Samples (T,) at 16 kHz, and `clue_record` of what was measured in them → a probability an emotion."""


class Templates:
    """A classifier's label and the measured clues, written down by the caption grammar.

    Args:
        emotions: labels of the classifier.
        classify: see `Classified`.
        name: written into the results.
    """

    def __init__(self, emotions: Sequence[str], classify: Classified, name: str) -> None:
        self.emotions = tuple(emotions)
        self._classify = classify
        self._name = name

    def stream(self, sources: Iterable[Source], batch_size: int = 8) -> Iterator[Caption | Failure]:
        """Caption recordings as they come; each alone, whatever the batch size."""
        for item in stretches(sources, _SECONDS):
            if isinstance(item, Failure):
                yield item
                continue
            try:
                yield self._caption(item)
            except Exception as error:  # one bad recording must not stop the others
                yield Failure.of(error, item.audio, item.id)

    def _caption(self, clip: Clip) -> Caption:
        measured = measure(clip.segment.samples)
        words = clue_words(measured)
        shares = self._classify(clip.segment.samples, clue_record(measured, words))
        ranked = sorted(zip(self.emotions, shares, strict=True), key=lambda pair: -pair[1])
        voice = tuple((word.dimension, word.level) for word in words)
        # the same clip, the same words, whatever else is captioned
        rng = np.random.default_rng(crc32(clip.id.encode("utf-8", "surrogateescape")))
        text = answer(Facts(((ranked[0][0], 1.0),), voice=voice), INSTRUCTION, rng)
        segment = clip.segment
        return Caption(
            clip.id, clip.audio, segment.start, segment.end, text, dict(ranked), "", self._name, warnings=clip.warnings
        )


class Encoder:
    """The mean of each tapped layer of a frozen speech encoder over a clip.

    Args:
        name: of the encoder, as recipes name it.
        taps: layers.
        frame_stride: frames averaged into one.
        expected: fingerprint of its weights; empty: any.
    """

    def __init__(self, name: str, taps: Sequence[int], frame_stride: int, expected: str = "") -> None:
        from aligncap.model import AlignCapConfig, AlignCapProcessor
        from aligncap.model.base import fingerprint, load_feature_extractor, load_speech_encoder
        from aligncap.model.speech_encoder import SpeechEncoder

        encoder = load_speech_encoder(name)
        self.fingerprint = fingerprint(encoder)
        if expected and self.fingerprint != expected:
            raise CheckpointError(f"{name}: these are not the base weights that the baseline was trained on")
        self._encoder = SpeechEncoder(encoder, taps, frame_stride).eval()
        config = AlignCapConfig(self._encoder.encoder.config.to_dict())
        self._processor = AlignCapProcessor(load_feature_extractor(name), None, config)

    @torch.inference_mode()
    def __call__(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Samples (T,) at 16 kHz → (taps * width,)."""
        from aligncap.model.utterance import tap_means

        batch = self._processor.features([samples])
        heard = self._encoder(batch["features"], batch["feature_lengths"])
        return tap_means(heard.states, heard.mask)[0]


def load_baseline(folder: Path, *, threads: int | None = None) -> Baseline:
    """Load a baseline that `aligncap baseline` trained.

    Args:
        folder: with its ``baseline.json`` and ``model.safetensors``.
        threads: CPU threads, for the whole process (default: as PyTorch chooses).

    Raises:
        CheckpointError: it is damaged.
        WeightsError: base weights cannot be had.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        about = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
        kind, settings, emotions = about["kind"], about["settings"], about["emotions"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: no baseline, or a damaged one ({error}): train it again") from error
    if kind == "functionals":
        model = LinearClassifier(tensors, quadratic=True)
        return Templates(emotions, lambda _, clues: _row(model, torch.from_numpy(functionals(clues))), kind)
    if kind == "probe":
        model = LinearClassifier(tensors, quadratic=False)
        base = about["base_weights"]["speech_encoder"]
        encoder = Encoder(base["name"], settings["taps"], settings["frame_stride"], base["fingerprint"])
        return Templates(emotions, lambda samples, _: _row(model, encoder(samples)), kind)
    if kind == "encoder-decoder":
        network = EncoderDecoder(Shape(**settings["shape"]))
        network.load_state_dict(tensors)
        return Written(network, Vocabulary(settings["vocabulary"]), kind)
    raise CheckpointError(f"{folder}: {kind!r} is no kind of baseline that this version knows")


def _row(model: LinearClassifier, vector: torch.Tensor) -> list[float]:
    found: list[float] = model.probabilities(vector[None])[0].tolist()
    return found
