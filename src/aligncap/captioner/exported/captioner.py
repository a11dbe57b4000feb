"""Captions by ONNX Runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from aligncap.audio.level import level
from aligncap.audio.speed import at_speed
from aligncap.captioner.captioner import MAX_NEW_TOKENS, PRIOR, TEMPLATES, Captioner, Listened, Written
from aligncap.captioner.drawing import Draws
from aligncap.captioner.exported.features import log_mel
from aligncap.captioner.exported.folder import ARRAYS_FILE, HABITS_FILE, HEARING_FILE, TOKENIZER_FILE, Exported
from aligncap.captioner.exported.language_model import LanguageModel, Row, session
from aligncap.captioner.sampling import Sampling
from aligncap.captioner.stretches import Clip
from aligncap.captions.habits import Phrases
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, neutralise, speech_clues, user_turn
from aligncap.errors import AlignCapError, CheckpointError, DeviceError, PromptError

__all__ = ["ExportedCaptioner"]

_LEAST_SHARE = 1e-30  # whose logarithm is still a number

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class _Prompt:
    """A prompt.

    Attributes:
        tokens: of the text.
        embeddings: (tokens, width), those of the speech in their places.
        shared: tokens before the speech.
    """

    tokens: list[int]
    embeddings: NDArray[np.float32]
    shared: int


@dataclass(frozen=True)
class _Listened:
    """What is known of clips before anything is written."""

    clues: list[str]
    emotions: list[list[float]]
    prompts: list[_Prompt]

    def select(self, rows: list[int]) -> _Listened:
        """The same for some clips."""
        return _Listened(
            [self.clues[row] for row in rows],
            [self.emotions[row] for row in rows],
            [self.prompts[row] for row in rows],
        )


class ExportedCaptioner(Captioner):
    """Captions with what `aligncap export` wrote; each clip by itself, so that a batch changes nothing, some at a time.

    Args:
        folder: of the exported model.
        name: written into the results.
        threads: of the CPU (default: as ONNX Runtime chooses).

    Raises:
        CheckpointError: a file is missing or damaged.
    """

    device = "cpu"

    def __init__(self, folder: Path, name: str, threads: int | None = None) -> None:
        self.settings = Exported.load(folder)
        self.name = name
        self.emotions = self.settings.emotions
        self.max_seconds = self.settings.max_seconds
        self.number_format = self.settings.number_format
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            arrays = np.load(folder / ARRAYS_FILE)
            self._filters, self._offset = arrays["filters"], arrays["offset"]
            self._hearing = session(folder / HEARING_FILE, threads)
            self._language_model = LanguageModel(folder, self.settings, threads)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{folder}: it is damaged ({reason}); export the model again") from error
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, "aligncap-onnx")
        self._rows = threading.local()
        self._speech = self._tokenizer.token_to_id(self.settings.prompt.speech)
        habits = folder / HABITS_FILE
        lines = habits.read_text(encoding="utf-8").splitlines() if habits.is_file() else []
        self._phrases = Phrases(map(self._response, lines)) if lines else None

    @classmethod
    def load(cls, folder: Path, name: str, *, device: str, dtype: str, threads: int | None) -> ExportedCaptioner:
        """Load an exported model; see `aligncap.load`.

        Raises:
            DeviceError: not the CPU.
            AlignCapError: a dtype other than that of the export.
            CheckpointError: a file is missing or damaged.
        """
        if device not in ("auto", "cpu"):
            raise DeviceError(f"an exported model runs on the CPU, not on {device}: choose auto or cpu")
        captioner = cls(folder, name, threads)
        if dtype not in ("auto", captioner.number_format):
            raise AlignCapError(f"{name} was exported in {captioner.number_format}, not in {dtype}: export it again")
        return captioner

    @property
    def calibrated(self) -> bool:
        """Whether a calibration was exported with the model."""
        return self.settings.calibrated

    def _listen(self, clips: Sequence[Clip], prompt: str) -> _Listened:
        def listen(clip: Clip) -> tuple[str, list[float], _Prompt]:
            emotions, embeddings = self._hear(clip.segment.samples)
            clues = speech_clues(self.settings, emotions, clip.voice)
            return clues, emotions, self._prompt(embeddings, prompt, clues)

        found = list(self._each(listen, clips))
        return _Listened([one[0] for one in found], [one[1] for one in found], [one[2] for one in found])

    def _each(self, work: Callable[[_Item], _Found], items: Sequence[_Item]) -> Iterable[_Found]:
        """In threads, where there is more than one: ONNX Runtime runs well side by side."""
        return map(work, items) if len(items) == 1 else self._pool.map(work, items)

    @property
    def _row(self) -> Row:
        """This thread's."""
        if not hasattr(self._rows, "row"):
            self._rows.row = Row(self._language_model)
        row: Row = self._rows.row
        return row

    def _hear(self, samples: NDArray[np.float32]) -> tuple[list[float], NDArray[np.float32]]:
        """Probabilities of emotions (see `aligncap.model.hearing.hear`), and speech embeddings (K, width)."""
        emotions, embeddings = self._hear_once(samples)
        if self.settings.speeds:
            copies = [self._hear_once(at_speed(samples, speed))[0] for speed in self.settings.speeds]
            logits = [np.log(np.maximum(shares, _LEAST_SHARE)) for shares in (emotions, *copies)]
            emotions = np.exp(_log_softmax(np.mean(logits, axis=0)))
        return [float(share) for share in emotions], embeddings

    def _hear_once(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        settings = self.settings
        features = log_mel(level(samples, settings.level_dbfs), self._filters, settings.window, settings.hop)
        given = {"features": features[None], "offset": self._offset}
        emotions, embeddings = self._hearing.run(["emotions", "embeddings"], given)
        return emotions[0], embeddings[0]

    def _prompt(self, speech: NDArray[np.float32] | None, instruction: str, clues: str) -> _Prompt:
        layout, count = self.settings.prompt, 0 if speech is None else len(speech)
        user = user_turn(layout.speech * count, instruction, clues, layout.markup)
        tokens = np.array(self._encode(f"{layout.before}{user}{layout.after}"))
        longest = self.settings.positions - MAX_NEW_TOKENS
        if len(tokens) > longest:
            raise PromptError(
                f"the prompt is too long: {len(tokens)} tokens with the speech, and {longest} is the most"
            )
        places = np.flatnonzero(tokens == self._speech)
        if len(places) != count:
            raise PromptError(f"{len(places)} placeholders for {count} speech embeddings")
        embeddings = self._language_model.embed(np.where(tokens == self._speech, 0, tokens).tolist())
        if speech is not None:
            embeddings[places] = speech
        return _Prompt(tokens.tolist(), embeddings, int(places[0]) if count else 0)

    def _write(self, listened: Listened, clips: Sequence[Clip], num_captions: int, sampling: Sampling) -> list[Written]:
        assert isinstance(listened, _Listened)
        pairs = list(zip(listened.prompts, clips, strict=True))
        return list(self._each(lambda pair: self._write_one(*pair, num_captions, sampling), pairs))

    def _write_one(self, prompt: _Prompt, clip: Clip, num_captions: int, sampling: Sampling) -> Written:
        draws = Draws(sampling, [clip.segment.samples], num_captions) if sampling.temperature else None
        row = self._row
        first = row.read_prompt(prompt.tokens, prompt.embeddings, prompt.shared)
        captions, warnings = [], []
        for copy in range(num_captions):

            def choose(scores: NDArray[np.float32], places: Sequence[int], copy: int = copy) -> list[int]:
                if draws is None:
                    return [int(token) for token in scores.argmax(-1)]
                return [int(token) for token in draws(scores, [copy] * len(scores), places)]

            tokens = row.write(first, len(prompt.tokens), MAX_NEW_TOKENS, choose, self._phrases)
            captions.append(" ".join(self._tokenizer.decode(tokens, skip_special_tokens=True).split()))
            if tokens[-1] not in self.settings.ends:
                warnings = [f"a caption was cut off after {MAX_NEW_TOKENS} tokens"]
        return captions, warnings

    def _shares(self, words: Sequence[str]) -> Callable[[Listened], list[list[float]]]:
        stems = [self._response(stem)[:-1] for stem in TEMPLATES]
        answers = [self._response(f" {word}")[:-1] for word in words]
        without = self._word_scores(self._prompt(None, DEFAULT_INSTRUCTION, ""), stems, answers)

        def share(prompt: _Prompt) -> list[float]:
            scores = self._word_scores(prompt, stems, answers) - PRIOR * without
            parts = np.exp(scores - scores.max())
            return [float(part) for part in parts / parts.sum()]

        def shares(listened: Listened) -> list[list[float]]:
            assert isinstance(listened, _Listened)
            return list(self._each(share, listened.prompts))

        return shares

    def _word_scores(
        self, prompt: _Prompt, stems: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """Mean log-likelihood of each answer over the stems."""
        row, embed, length = self._row, self._language_model.embed, len(prompt.tokens)
        row.read_prompt(prompt.tokens, prompt.embeddings, prompt.shared)
        total = np.zeros(len(answers))
        for stem in stems:
            first = _log_softmax(row.read(embed(stem), length))[0]
            for index, answer in enumerate(answers):
                total[index] += first[answer[0]]
                if len(answer) > 1:
                    later = _log_softmax(row.read(embed(answer[:-1]), length + len(stem), len(answer) - 1))
                    total[index] += later[np.arange(len(answer) - 1), list(answer[1:])].sum()
        return total / len(stems)

    def _response(self, text: str) -> list[int]:
        """Tokens of a response, with that which ends it."""
        return [*self._encode(neutralise(text, self.settings.prompt.markup)), self.settings.ends[0]]

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _log_softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
