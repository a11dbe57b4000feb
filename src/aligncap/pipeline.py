"""AlignCap as a ``transformers`` pipeline. Importing this module registers the task.

from transformers import pipeline

import aligncap.pipeline

describe = pipeline("speech-emotion-captioning")  # or model="FOLDER", a checkpoint's or a Hub name
print(describe("one.wav")["caption"])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from transformers import AutoModel, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from aligncap.audio import RATE
from aligncap.captioner.clips import Clip, failure, recording_name
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.stretches import as_sources, stretches
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.checkpoints import EMBEDDED
from aligncap.errors import AudioError, AudioInvalidError

__all__ = ["TASK", "SpeechEmotionCaptioningPipeline"]

TASK = "speech-emotion-captioning"
"""The name of the task, for ``transformers.pipeline``."""

_OPTIONS = {"prompt", "num_captions", "sampling", "verify"}
_Described: TypeAlias = "dict[str, Any]"


class SpeechEmotionCaptioningPipeline(Pipeline):  # type: ignore[misc]  # transformers is not typed
    """Describes the emotion in recordings. Made by ``transformers.pipeline("speech-emotion-captioning")``.

    It is called with one recording, or with several (a list, a generator, a column of a dataset), and with options:
    ``batch_size`` (stretches run together; 8) and ``prompt``, ``num_captions``, ``sampling`` and ``verify`` of
    `Captioner.caption`. They may be given to ``transformers.pipeline`` too, for every call.

    A recording is whatever `aligncap.read_audio` takes (paths, bytes, samples at 16 kHz, ``(samples, rate)``), or a
    dict as ``datasets`` makes it: ``array`` (or ``raw``) with ``sampling_rate``, or ``bytes`` or ``path``; or its
    ``AudioDecoder``. Addresses of the web are not fetched.

    Each recording gives a dict: ``caption`` (of a long recording, those of its stretches, one after the other),
    ``emotions`` (label → probability, the likeliest first; of a long recording, their mean over the time described)
    and ``chunks``: for each stretch ``timestamp`` (start and end in seconds) and the fields of
    docs/caption-format.md. One recording gives the dict, a list a list, everything else an iterator.

    Raises:
        AudioError: the recording cannot be used. Of several, a bad one gives a dict with ``caption`` None, no
            ``emotions``, no ``chunks``, and ``error`` (``type`` and ``message``) in its place.
        ValueError, PromptError: as `Captioner.caption`.

    The adapters of the model are folded into its language model, as `aligncap.load` does: it can neither be trained
    nor saved afterwards.
    """

    _load_processor = True
    _load_tokenizer = _load_feature_extractor = _load_image_processor = _load_video_processor = False

    def __init__(self, model: Any, processor: Any, **options: Any) -> None:
        super().__init__(model=model, processor=processor, **options)
        if not model.merged:
            model.merge_adapters()
        self.captioner = TorchCaptioner(model.eval(), processor, Path(model.config.name_or_path).name or TASK)

    def __call__(
        self, inputs: Any, *, batch_size: int | None = None, num_workers: int | None = None, **options: Any
    ) -> _Described | list[_Described] | Iterator[_Described]:
        """Describe one recording or several; see the class. ``num_workers`` is for other pipelines: it does nothing."""
        _, chosen, _ = self._sanitize_parameters(**options)
        size = self._batch_size or 8 if batch_size is None else batch_size
        told = {"batch_size": size, **self._forward_params, **chosen}
        if _is_one(inputs):
            [results] = self._forward([self.preprocess(inputs)], **told)
            if isinstance(results[0], Failure):
                raise AudioError(recording_name(_named(inputs), 0), results[0].message)
            return self.postprocess(results)
        described = map(self.postprocess, self._forward(map(self.preprocess, _items(inputs)), **told))
        return list(described) if isinstance(inputs, list) else described

    def _sanitize_parameters(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise TypeError(f"unknown option {unknown[0]!r}: choose of batch_size, {', '.join(sorted(_OPTIONS))}")
        return {}, options, {}

    def preprocess(self, recording: Any) -> Any:
        """What `Captioner` takes for a recording; a `Failure` for a dict that holds none."""
        if hasattr(recording, "get_all_samples"):  # torchcodec's AudioDecoder
            decoded = recording.get_all_samples()
            return decoded.data, decoded.sample_rate
        if not isinstance(recording, Mapping):
            return (recording, RATE) if isinstance(recording, np.ndarray | torch.Tensor) else recording
        try:
            return _of_dict(recording)
        except AudioError as error:
            return failure(error, recording_name(_named(recording), 0))

    def _forward(self, sources: Iterable[Any], **options: Any) -> Iterator[list[Caption | Failure]]:
        """The results of each recording: one or more captions, and failures."""
        results = self.captioner.stream(self._numbered(sources), **options)
        return (list(group) for _, group in groupby(results, key=lambda result: result.audio))

    def _numbered(self, sources: Iterable[Any]) -> Iterator[Clip | Failure]:
        """Stretches that are called after their recording's place, as several recordings may have one name."""
        for place, source in enumerate(sources):
            for part in stretches([source], self.model.config.max_seconds):
                yield replace(part, audio=str(place))

    def postprocess(self, results: list[Caption | Failure]) -> _Described:
        """The dict of a recording."""
        captions = [result for result in results if isinstance(result, Caption)]
        failures = [result for result in results if isinstance(result, Failure)]
        described: _Described = {
            "caption": " ".join(caption.caption for caption in captions) or None,
            "emotions": _mean(captions),
            "chunks": [_chunk(caption) for caption in captions],
        }
        return {**described, "error": failures[0].to_dict()["error"]} if failures else described


def _is_one(inputs: Any) -> bool:
    """Whether this is one recording, not several."""
    several = hasattr(inputs, "__iter__") or hasattr(inputs, "__getitem__")
    one = isinstance(inputs, Mapping) or hasattr(inputs, "get_all_samples")
    return one or not several or as_sources(inputs) is not inputs


def _items(inputs: Any) -> Iterator[Any]:
    """The recordings; a PyTorch dataset has a length and items, but no iterator that ends."""
    if hasattr(inputs, "__iter__"):
        return iter(inputs)
    return (inputs[place] for place in range(len(inputs)))


def _named(recording: Any) -> Any:
    """What may tell a recording's name."""
    return recording.get("path") if isinstance(recording, Mapping) else recording


def _of_dict(recording: Mapping[str, Any]) -> Any:
    for key in ("raw", "array"):
        if recording.get(key) is not None and recording.get("sampling_rate") is not None:
            return recording[key], recording["sampling_rate"]
    for key in ("bytes", "path"):
        if recording.get(key) is not None:
            return recording[key]
    keys = ", ".join(map(repr, recording)) or "nothing"
    reason = f"a dict needs 'array' (or 'raw') with 'sampling_rate', or 'bytes', or 'path'; this one has {keys}"
    raise AudioInvalidError(recording_name(_named(recording), 0), reason)


def _mean(captions: list[Caption]) -> dict[str, float]:
    """Mean probabilities over the time of several captions, the likeliest first."""
    seconds = sum(caption.end - caption.start for caption in captions)
    total: dict[str, float] = {}
    for caption in captions:
        for label, value in caption.emotions.items():
            total[label] = total.get(label, 0.0) + value * (caption.end - caption.start) / seconds
    return dict(sorted(total.items(), key=lambda pair: -pair[1]))


def _chunk(caption: Caption) -> dict[str, Any]:
    record = caption.to_dict()
    times = record["start"], record["end"]
    return {"timestamp": times, **{key: record[key] for key in record if key not in {"id", "audio", "start", "end"}}}


PIPELINE_REGISTRY.register_pipeline(
    TASK,
    pipeline_class=SpeechEmotionCaptioningPipeline,
    pt_model=AutoModel,
    default={"model": (str(EMBEDDED), "main")},
    type="audio",
)
