"""From waveforms and text to model inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BatchFeature, ProcessorMixin
from transformers.utils import cached_file

from aligncap.audio.level import level
from aligncap.captions.habits import Phrases
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, neutralise
from aligncap.errors import PromptError
from aligncap.model.base import load_feature_extractor, load_tokenizer
from aligncap.model.bridge import embedding_count
from aligncap.model.configuration import SPEECH_TOKEN, AlignCapConfig, load_config
from aligncap.model.prompt import markup_of, render_prompt
from aligncap.model.speech_encoder import encoder_frames

__all__ = ["HABITS_FILE", "AlignCapProcessor"]

HABITS_FILE = "habits.txt"
"""In a checkpoint: captions that the model is likely to write, a line each."""

_FILE = "processor_config.json"


class AlignCapProcessor(ProcessorMixin):
    """Feature extractor, tokenizer and prompt in one.

    Args:
        feature_extractor: the speech encoder's.
        tokenizer: the language model's, with the speech placeholder added (see `load_tokenizer`).
        config: the model's configuration; gives the level, the system prompt and the bridge's shape.
        habits: captions that the model is likely to write, by which decoding guesses ahead (see `Phrases`); they
            change nothing but the time that it takes.
    """

    def __init__(
        self,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        config: AlignCapConfig | None = None,
        habits: Sequence[str] = (),
    ) -> None:
        self.feature_extractor = feature_extractor
        self.tokenizer = tokenizer
        self.config = config or AlignCapConfig()
        self.habits = tuple(habits)
        self.chat_template = getattr(tokenizer, "chat_template", None)
        self.speech_token_id = None if tokenizer is None else tokenizer.convert_tokens_to_ids(SPEECH_TOKEN)

    def features(self, clips: Sequence[NDArray[np.float32]]) -> BatchFeature:
        """Features of each clip on its own length, padded with zeros to the longest.

        Args:
            clips: mono waveforms at 16 kHz, float32, (T,) each.

        Returns:
            ``features`` (batch, …) as `SpeechEncoder` takes them, ``feature_lengths`` (batch,).
        """
        rows = [self._features(level(clip, self.config.level_dbfs)) for clip in clips]
        time_last = self.config.speech_config is None or self.config.speech_config.model_type != "wav2vec2-bert"
        rows = [row.transpose(0, -1) if time_last else row for row in rows]  # time first, for padding
        lengths = torch.tensor([len(row) for row in rows])
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        if time_last and padded.dim() == 3:
            padded = padded.transpose(1, 2)
        return BatchFeature({"features": padded, "feature_lengths": lengths})

    def _features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        kwargs: dict[str, Any] = {"sampling_rate": 16_000, "return_tensors": "pt", "padding": False}
        kind = type(self.feature_extractor).__name__
        if kind.startswith("Whisper"):
            kwargs.update(padding="do_not_pad", truncation=False)
        if kind.startswith("SeamlessM4T"):  # Wav2Vec2-BERT's; it averages pairs of frames
            kwargs.update(padding=True)
        out = self.feature_extractor(samples, **kwargs)
        return torch.as_tensor(out[self.feature_extractor.model_input_names[0]][0])

    def prompts(
        self,
        counts: Sequence[int],
        instruction: str | Sequence[str] = DEFAULT_INSTRUCTION,
        clues: Sequence[str] | None = None,
        responses: Sequence[str] | None = None,
    ) -> BatchFeature:
        """Tokenised prompts, padded on the left; with responses also labels.

        Args:
            counts: number of speech embeddings of each clip (0: text only).
            instruction: one for all clips, or one each.
            clues: clue prompt of each clip ("" for none).
            responses: captions to learn; appended with the end-of-turn token and labelled. Prompt and padding
                have the label -100.

        Returns:
            ``input_ids``, ``attention_mask`` and, with responses, ``labels``; (batch, tokens) each.
        """
        instructions = [instruction] * len(counts) if isinstance(instruction, str) else list(instruction)
        clue_texts = list(clues) if clues is not None else [""] * len(counts)
        for given in (instructions, clue_texts, *([] if responses is None else [responses])):
            if len(given) != len(counts):
                raise PromptError(f"{len(given)} texts for {len(counts)} clips: give one for each")
        rows, labels = [], []
        for row, count in enumerate(counts):
            text = render_prompt(self.tokenizer, count, instructions[row], clue_texts[row], self.config.system_prompt)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            if ids.count(self.speech_token_id) != count:
                raise PromptError(f"{ids.count(self.speech_token_id)} placeholders for {count} speech embeddings")
            response = [] if responses is None else self.response_ids(responses[row])
            rows.append(ids + response)
            labels.append([-100] * len(ids) + response)
        width = max(map(len, rows))
        batch = {
            "input_ids": [[self.tokenizer.pad_token_id] * (width - len(r)) + r for r in rows],
            "attention_mask": [[0] * (width - len(r)) + [1] * len(r) for r in rows],
        }
        if responses is not None:
            batch["labels"] = [[-100] * (width - len(r)) + r for r in labels]
        return BatchFeature({key: torch.tensor(value) for key, value in batch.items()})

    def response_ids(self, caption: str) -> list[int]:
        """Tokens of a caption as the model is to write it, with the end-of-turn token."""
        ids = self.tokenizer(neutralise(caption, markup_of(self.tokenizer)), add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id]

    def __call__(
        self,
        audio: Sequence[NDArray[np.float32]] | None = None,
        text: str | Sequence[str] = DEFAULT_INSTRUCTION,
        clues: Sequence[str] | None = None,
    ) -> BatchFeature:
        """Model inputs of a batch of clips: features and prompts with exactly K placeholders each.

        Args:
            audio: mono waveforms at 16 kHz.
            text: instruction, one for all or one each.
            clues: clue prompt of each clip.
        """
        if audio is None:
            texts = [text] if isinstance(text, str) else list(text)
            return self.prompts([0] * len(texts), texts, clues)
        batch = self.features(audio)
        counts = [self.embedding_count(int(length)) for length in batch["feature_lengths"]]
        batch.update(self.prompts(counts, text, clues))
        return batch

    def embedding_count(self, feature_length: int) -> int:
        """Number of speech embeddings K of a clip, from the length of its features."""
        frames = encoder_frames(self.config.speech_config, feature_length)
        return embedding_count(self.config.bridge_config, -(-frames // self.config.frame_stride))

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The tokenizer's ``batch_decode``."""
        return list(self.tokenizer.batch_decode(*args, **kwargs))

    def decode(self, *args: Any, **kwargs: Any) -> str:
        """The tokenizer's ``decode``."""
        return str(self.tokenizer.decode(*args, **kwargs))

    def phrases(self) -> Phrases | None:
        """What decoding may guess by; None where nothing is known of the model's habits."""
        return Phrases(map(self.response_ids, self.habits)) if self.habits else None

    @classmethod
    def from_config(cls, config: AlignCapConfig, habits: Sequence[str] = ()) -> AlignCapProcessor:
        """Build from the base weights that a configuration names."""
        encoder, llm = (config.base_weights[part]["name"] for part in ("speech_encoder", "language_model"))
        return cls(load_feature_extractor(encoder), load_tokenizer(llm), config, habits)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> AlignCapProcessor:
        """Build the processor of a checkpoint (a folder or a Hub name)."""
        source = str(pretrained_model_name_or_path)
        config = load_config(source, **kwargs)
        return cls.from_config(config, _habits(source, kwargs))

    def save_pretrained(self, save_directory: Any, **_: Any) -> list[str]:
        """Write what `from_pretrained` needs; tokenizer and feature extractor stay with the base weights."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.save_pretrained(folder)
        (folder / _FILE).write_text(json.dumps({"processor_class": type(self).__name__}, indent=2) + "\n")
        if self.habits:
            (folder / HABITS_FILE).write_text("".join(f"{caption}\n" for caption in self.habits), encoding="utf-8")
        return [str(folder / _FILE)]


def _habits(source: str, kwargs: dict[str, Any]) -> tuple[str, ...]:
    options = {key: kwargs[key] for key in ("revision", "token", "cache_dir", "local_files_only") if key in kwargs}
    found = cached_file(source, HABITS_FILE, _raise_exceptions_for_missing_entries=False, **options)
    return tuple(Path(found).read_text(encoding="utf-8").splitlines()) if found else ()
