"""Cache of what the frozen parts make of each clip: tapped states of the speech encoder, and measured clues.

The cache is a folder of shards. A shard is written aside and renamed, so that an interrupted extraction goes on
where it stopped; the folder's name is a hash of everything that the features depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from aligncap.audio import read_audio
from aligncap.clues import clue_words, measure
from aligncap.errors import AudioError
from aligncap.training.augment import augment
from aligncap.training.data import Clip
from aligncap.training.recipe import ModelRecipe

__all__ = ["Features", "extract", "progress_bar"]

_SHARD = 256
_VERSION = 1


@dataclass
class Features:
    """Features of a list of clips, memory-mapped.

    Attributes:
        states: one (frames, taps, width) float16 array per clip; None where the recording cannot be used.
        voice: the clip's measured clues in words, (dimension, level) each.
        failures: id → why the recording cannot be used.
    """

    states: list[NDArray[np.float16] | None]
    voice: list[list[tuple[str, str]]]
    failures: dict[str, str]


def progress_bar() -> Progress:
    """A progress bar with elapsed and remaining time, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def extract(
    clips: Sequence[Clip],
    model: ModelRecipe,
    folder: Path,
    *,
    augmented: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> Features:
    """Features of clips, from the cache where they are there.

    Args:
        clips: in the order in which the features are returned.
        model: names the encoder, the taps and the stride.
        folder: cache; a subfolder is made for each combination of what the features depend on.
        augmented: of a randomly changed copy of each recording (`augment`) instead of the recording itself.
        seed: of the augmentation.
        workers: processes of one thread each.
    """
    key = {
        "version": _VERSION,
        "encoder": model.speech_encoder,
        "taps": model.taps,
        "stride": model.frame_stride,
        "augmented": seed if augmented else None,
        "clips": [clip.id for clip in clips],
    }
    place = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    (place / "key.json").write_text(json.dumps({k: v for k, v in key.items() if k != "clips"}, indent=2) + "\n")
    starts = range(0, len(clips), _SHARD)
    todo = [start for start in starts if not (place / f"{start:06d}.json").exists()]
    if todo:
        jobs = [(model, list(clips[start : start + _SHARD]), place / f"{start:06d}", augmented, seed) for start in todo]
        with progress_bar() as bar, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            task = bar.add_task(
                f"features{' (augmented)' if augmented else ''}",
                total=len(starts),
                completed=len(starts) - len(todo),
            )
            for _ in pool.map(_extract_shard, jobs):
                bar.advance(task)
    features = Features([], [], {})
    for start in starts:
        info = json.loads((place / f"{start:06d}.json").read_text())
        states = np.load(place / f"{start:06d}.npy", mmap_mode="r")
        offset = 0
        for length in info["lengths"]:
            features.states.append(states[offset : offset + length] if length else None)
            offset += length
        features.voice += [[(dimension, level) for dimension, level in words] for words in info["voice"]]
        features.failures.update(info["failures"])
    return features


def _extract_shard(job: tuple[ModelRecipe, list[Clip], Path, bool, int]) -> None:
    import torch

    from aligncap.model.base import load_feature_extractor, load_speech_encoder
    from aligncap.model.configuration import AlignCapConfig
    from aligncap.model.processing import AlignCapProcessor
    from aligncap.model.speech_encoder import SpeechEncoder

    model, clips, place, augmented, seed = job
    torch.set_num_threads(1)
    encoder = SpeechEncoder(load_speech_encoder(model.speech_encoder), model.taps, model.frame_stride).eval()
    config = AlignCapConfig(encoder.encoder.config.to_dict())
    processor = AlignCapProcessor(load_feature_extractor(model.speech_encoder), None, config)
    states: list[NDArray[np.float16]] = []
    lengths: list[int] = []
    voice: list[list[tuple[str, str]]] = []
    failures: dict[str, str] = {}
    for clip in clips:
        try:
            samples = read_audio(clip.audio).samples[: int(config.max_seconds * 16_000)]
        except AudioError as error:
            failures[clip.id] = error.reason
            lengths.append(0)
            voice.append([])
            continue
        if augmented:
            digest = hashlib.sha256(f"{seed}/{clip.id}".encode()).digest()
            samples = augment(samples, np.random.default_rng(int.from_bytes(digest[:8], "big")))
        batch = processor.features([samples])
        with torch.inference_mode():
            heard = encoder(batch["features"], batch["feature_lengths"]).states[0]
        states.append(heard.to(torch.float16).numpy())
        lengths.append(len(heard))
        voice.append([(word.dimension, word.level) for word in clue_words(measure(samples))])
    partial = place.with_suffix(".part.npy")
    np.save(partial, np.concatenate(states) if states else np.zeros((0, len(model.taps), encoder.width), np.float16))
    partial.replace(place.with_suffix(".npy"))
    info = {"lengths": lengths, "voice": voice, "failures": failures}
    partial = place.with_suffix(".part")
    partial.write_text(json.dumps(info))
    partial.replace(place.with_suffix(".json"))
