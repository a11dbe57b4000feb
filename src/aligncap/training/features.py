"""Cache of what the frozen parts make of each clip: tapped states of the speech encoder, and measured clues.

The cache is a folder of shards of clips. A shard's name is a hash of its clips and the content of their files, its
folder's name a hash of all else that the states depend on; the clues, which are cheap, stand beside them under a hash
of the code that measures. A file is written aside and renamed, so that an interrupted extraction goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.audio import read_audio
from aligncap.audio.speed import at_speed
from aligncap.clues import clue_words, measure
from aligncap.errors import AudioError, AudioTooShortError
from aligncap.hashing import code_version, text_hash
from aligncap.training.augment import augment
from aligncap.training.data import Clip
from aligncap.training.progress import is_main_process, progress_bar, say
from aligncap.training.recipe import ModelRecipe

__all__ = ["Features", "extract", "progress_bar"]

_SHARD = 256
_VERSION = 2
_SHORTEST = 1600  # samples


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


@dataclass(frozen=True)
class _Shard:
    """Some clips and where their features are; without ending, so that each file adds its own."""

    clips: list[Clip]
    place: Path
    seed: int | None  # of the augmentation
    speed: float

    @property
    def states(self) -> Path:
        return self.place.with_suffix(".npy")

    @property
    def facts(self) -> Path:
        return self.place.with_suffix(".json")

    @property
    def clues(self) -> Path:
        return self.place.with_suffix(f".clues-{code_version('aligncap.clues')}.json")

    @property
    def done(self) -> bool:
        return all(path.exists() for path in (self.states, self.facts, *([] if self.means else [self.clues])))

    @property
    def means(self) -> bool:
        """Whether only the states' means are kept: those of a copy at another speed."""
        return self.speed != 1


def extract(
    clips: Sequence[Clip],
    model: ModelRecipe,
    folder: Path,
    *,
    augmented: bool = False,
    seed: int = 0,
    speed: float = 1.0,
    workers: int = 2,
    base: Path | None = None,
) -> Features:
    """Features of clips, from the cache where they are there.

    Args:
        clips: in the order in which the features are returned.
        model: names the encoder, the taps and the stride.
        folder: cache.
        augmented: of a randomly changed copy of each recording (`augment`) instead of the recording itself.
        seed: of the augmentation.
        speed: other than 1: of a copy played at this speed (`at_speed`), and no more than the mean of its states, as a
            single frame; its voice is not measured.
        workers: processes of one thread each; 0: in this process.
        base: another cache, which is only read.
    """
    name, settings = _settings(model, seed if augmented else None, speed)
    found = _digests(clips, folder, base)
    shards = []
    for start in range(0, len(clips), _SHARD):
        part = list(clips[start : start + _SHARD])
        digest = text_hash(f"{clip.id} {found[clip.audio]} {clip.row.start} {clip.row.end}" for clip in part)
        places = [root / name / digest for root in (folder, base) if root is not None]
        options = [_Shard(part, place, seed if augmented else None, speed) for place in places]
        shards.append(next((shard for shard in options if shard.done), options[0]))
    todo = [shard for shard in shards if not shard.done]
    if todo and is_main_process():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "key.json").write_text(json.dumps(settings, indent=2) + "\n")
        _compute(todo, model, workers, "features (augmented)" if augmented else "features")
    while not all(shard.done for shard in shards):
        time.sleep(0.5)
    features = Features([], [], {})
    for shard in shards:
        facts = json.loads(shard.facts.read_text())
        states = np.load(shard.states, mmap_mode="r")
        offset = 0
        for length in facts["lengths"]:
            features.states.append(states[offset : offset + length] if length else None)
            offset += length
        features.failures.update(facts["failures"])
        voice = [[]] * len(shard.clips) if shard.means else json.loads(shard.clues.read_text())
        features.voice += [[(word[0], word[1]) for word in words] for words in voice]
    return features


def _compute(shards: Sequence[_Shard], model: ModelRecipe, workers: int, label: str) -> None:
    if shards[0].means:
        label = f"features at speed {shards[0].speed:g}"
    say(f"{label}: {sum(len(shard.clips) for shard in shards)} clips")
    jobs = [(model, shard) for shard in shards]
    with progress_bar() as bar, ExitStack() as stack:
        task = bar.add_task(label, total=len(shards))
        run = map
        if workers:
            pool = ProcessPoolExecutor(workers, get_context("spawn"), _one_thread)
            run = stack.enter_context(pool).map  # type: ignore[assignment]
        for _ in run(_extract_shard, jobs):
            bar.advance(task)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _extract_shard(job: tuple[ModelRecipe, _Shard]) -> None:
    model, shard = job
    encode = None if shard.states.exists() and shard.facts.exists() else _Encoder(model)
    states: list[NDArray[np.float16]] = []
    lengths: list[int] = []
    voice: list[list[tuple[str, str]]] = []
    failures: dict[str, str] = {}
    for clip in shard.clips:
        try:
            samples = _cut(read_audio(clip.audio).samples, clip)
        except AudioError as error:
            failures[clip.id] = error.reason
            lengths.append(0)
            voice.append([])
            continue
        if shard.seed is not None:
            digest = hashlib.sha256(f"{shard.seed}/{clip.id}".encode()).digest()
            samples = augment(samples, np.random.default_rng(int.from_bytes(digest[:8], "big")))
        if not shard.means:
            voice.append([(word.dimension, word.level) for word in clue_words(measure(samples, voice_quality=False))])
        if encode is not None:
            heard = encode(at_speed(samples, shard.speed))
            states.append(heard.mean(0, keepdims=True, dtype=np.float32).astype(np.float16) if shard.means else heard)
            lengths.append(len(states[-1]))
    if encode is not None:
        empty = np.zeros((0, len(model.taps), encode.width), np.float16)
        partial = shard.place.with_suffix(".part.npy")
        np.save(partial, np.concatenate([empty, *states]))
        partial.replace(shard.states)
        _write(shard.facts, {"lengths": lengths, "failures": failures})
    if not shard.means:
        _write(shard.clues, voice)


class _Encoder:
    """Samples → tapped states (frames, taps, width)."""

    def __init__(self, model: ModelRecipe) -> None:
        from aligncap.model.base import load_feature_extractor, load_speech_encoder
        from aligncap.model.configuration import AlignCapConfig
        from aligncap.model.processing import AlignCapProcessor
        from aligncap.model.speech_encoder import SpeechEncoder

        self._encoder = SpeechEncoder(load_speech_encoder(model.speech_encoder), model.taps, model.frame_stride).eval()
        config = AlignCapConfig(self._encoder.encoder.config.to_dict())
        self._processor = AlignCapProcessor(load_feature_extractor(model.speech_encoder), None, config)
        self.width = self._encoder.width

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float16]:
        import torch

        batch = self._processor.features([samples])
        with torch.inference_mode():
            heard = self._encoder(batch["features"], batch["feature_lengths"]).states[0]
        return np.asarray(heard.to(torch.float16).numpy())


def _settings(model: ModelRecipe, seed: int | None, speed: float) -> tuple[str, dict[str, Any]]:
    """All that the states depend on besides the recordings, and a folder name for it."""
    from aligncap.model.configuration import AlignCapConfig

    defaults = AlignCapConfig()
    content = {
        "version": _VERSION,
        "encoder": _fingerprint(model.speech_encoder),
        "taps": model.taps,
        "stride": model.frame_stride,
        "level_dbfs": defaults.level_dbfs,
        "max_seconds": defaults.max_seconds,
        "augmented": seed,
        **({} if speed == 1 else {"speed": speed}),
    }
    return text_hash([json.dumps(content)]), content


def _cut(samples: NDArray[np.float32], clip: Clip) -> NDArray[np.float32]:
    """The clip's part of its recording, and of that at most what the model hears at once."""
    start, end = (None if at is None else round(at * 16_000) for at in (clip.row.start, clip.row.end))
    part = samples[start:end][: _max_samples()]
    if len(part) < _SHORTEST:
        raise AudioTooShortError(clip.id, "less than 0.1 s between start and end")
    return part


@cache
def _fingerprint(encoder: str) -> str:
    from aligncap.model.base import fingerprint, load_speech_encoder

    return fingerprint(load_speech_encoder(encoder))


def _max_samples() -> int:
    from aligncap.model.configuration import AlignCapConfig

    return int(AlignCapConfig().max_seconds * 16_000)


def _digests(clips: Iterable[Clip], folder: Path, base: Path | None) -> dict[Path, str]:
    """Hash of the content of each recording; read again only where size or time of change differ."""
    known: dict[str, list[Any]] = {}
    for root in (base, folder):
        if root is not None and (root / "digests.json").exists():
            known.update(json.loads((root / "digests.json").read_text()))
    before = dict(known)
    out: dict[Path, str] = {}
    for clip in clips:
        try:
            status = clip.audio.stat()
            stamp = [status.st_size, status.st_mtime_ns]
            name = str(clip.audio)
            if name not in known or known[name][:2] != stamp:
                known[name] = [*stamp, hashlib.blake2b(clip.audio.read_bytes(), digest_size=16).hexdigest()]
            out[clip.audio] = known[name][2]
        except OSError:
            out[clip.audio] = "unreadable"
    if known != before and is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "digests.json", known)
    return out


def _write(path: Path, content: Any) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(content))
    partial.replace(path)
