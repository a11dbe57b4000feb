"""Sampling candidates from a model."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from aligncap.captioner.sampling import Sampling
from aligncap.captions.facts import label_of
from aligncap.errors import AlignCapError
from aligncap.preferences.candidates import Candidate, Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from aligncap.corpora import Row
    from aligncap.model import AlignCapForConditionalGeneration, AlignCapProcessor, SpeechEmbeddings

__all__ = ["SamplePlan", "Sampler", "draw_rows", "model_hash"]

_MAX_NEW_TOKENS = 64
_RATE = 16_000
_ROWS = 32  # prompts of which log-probabilities are computed at a time


@dataclass(frozen=True)
class SamplePlan:
    """What is sampled of each clip.

    Attributes:
        instructions: to answer.
        captions: drawn for each instruction at each temperature; equal ones are kept once.
        temperatures: above 0 each.
        top_p: nucleus, in (0, 1].
        greedy: take the likeliest caption too.
        seed: the same seed draws the same captions of the same recording.

    Raises:
        ValueError: a number is out of range, or there is nothing to sample.
    """

    instructions: tuple[str, ...] = (
        "Describe the emotion in the voice.",
        "Describe the speaker's emotion in one sentence.",
        "What does the speaker feel? Answer with one word.",
    )
    captions: int = 4
    temperatures: tuple[float, ...] = (1.0,)
    top_p: float = 1.0
    greedy: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.instructions or not all(text.strip() for text in self.instructions):
            raise ValueError("an instruction is empty")
        if self.captions < 1:
            raise ValueError(f"captions must be at least 1, not {self.captions}")
        for temperature in self.temperatures:
            if Sampling(temperature, self.top_p).temperature == 0:
                raise ValueError("temperature must be above 0: the likeliest caption is taken besides")

    def settings(self) -> dict[str, Any]:
        """As plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class Sampler:
    """Samples captions of clips.

    Args:
        model: in evaluation mode, on its device.
        processor: the model's.
        plan: what to sample.
    """

    def __init__(self, model: AlignCapForConditionalGeneration, processor: AlignCapProcessor, plan: SamplePlan) -> None:
        self.model = model
        self.processor = processor
        self.plan = plan
        self._phrases = processor.phrases()

    def sample(self, rows: Iterable[Row], folder: Path, batch_size: int = 8) -> Iterator[Candidates]:
        """Candidates of each row, in order; of a recording that cannot be used, why.

        Args:
            rows: clips; of a clip longer than the model hears at once, its beginning is heard, as in training.
            folder: to which their paths are relative.
            batch_size: clips at a time.
        """
        rows = iter(rows)
        while batch := list(islice(rows, batch_size)):
            heard: list[tuple[Row, NDArray[np.float32]]] = []
            failed: dict[str, str] = {}
            for row in batch:
                try:
                    heard.append((row, self._read(row, folder)))
                except AlignCapError as error:
                    failed[row.id] = str(error)
            done = {clip.id: clip for clip in (self._of_batch(heard) if heard else ())}
            for row in batch:
                yield done.get(row.id) or Candidates(row.id, error=failed[row.id])

    def _read(self, row: Row, folder: Path) -> NDArray[np.float32]:
        from aligncap.audio import read_audio
        from aligncap.corpora import audio_path
        from aligncap.errors import AudioTooShortError

        samples = read_audio(audio_path(row.audio, folder), name=row.audio).samples
        start, end = (None if at is None else round(at * _RATE) for at in (row.start, row.end))
        part = samples[start:end][: int(self.model.config.max_seconds * _RATE)]
        if len(part) < _RATE // 10:
            raise AudioTooShortError(row.id, "less than 0.1 s between start and end")
        return part

    def _of_batch(self, clips: Sequence[tuple[Row, NDArray[np.float32]]]) -> list[Candidates]:
        import torch

        from aligncap.captions.prompt import speech_clues
        from aligncap.clues import DIMENSIONS, clue_words, measure
        from aligncap.clues.words import BASIC_DIMENSIONS
        from aligncap.model.hearing import hear

        samples = [part for _, part in clips]
        words = [clue_words(measure(part), dimensions=DIMENSIONS) for part in samples]
        voices = [tuple((word.dimension, word.level) for word in found) for found in words]
        with torch.inference_mode():
            speech = hear(self.model, self.processor, samples)
            likely = speech.emotion_logits.float().softmax(-1).tolist()
            told = [[pair for pair in voice if pair[0] in BASIC_DIMENSIONS] for voice in voices]
            clues = [speech_clues(self.model.config, row, voice) for row, voice in zip(likely, told, strict=True)]
            found = self._write(samples, speech, clues)
            found = self._with_log_probs(found, speech, clues)
        captions: list[list[Candidate]] = [[] for _ in clips]
        for index, candidate in found:
            captions[index].append(candidate)
        return [
            Candidates(row.id, clue, voice, tuple(texts))
            for (row, _), clue, voice, texts in zip(clips, clues, voices, captions, strict=True)
        ]

    def _write(
        self, samples: Sequence[NDArray[np.float32]], speech: SpeechEmbeddings, clues: Sequence[str]
    ) -> list[tuple[int, Candidate]]:
        """(clip, caption), each caption of a clip and an instruction once; still without log-probabilities."""
        from aligncap.captioner.drawing import Draws
        from aligncap.model.decoding import drawn_by
        from aligncap.model.prefix import pad_inside, run_prefix

        plan = self.plan
        out: dict[tuple[int, str, str], tuple[int, Candidate]] = {}
        ways: list[tuple[float, int]] = [(0.0, 1)] if plan.greedy else []
        ways += [(temperature, plan.captions) for temperature in plan.temperatures]
        counts = speech.mask.sum(1).tolist()
        for instruction in plan.instructions:
            prompts = self.processor.prompts(counts, instruction, clues).to(self.model.device)
            prompts = pad_inside(self.model, prompts)
            prefix = run_prefix(self.model, prompts, prompts, speech)
            for temperature, copies in ways:
                rows = [clip for clip in range(len(samples)) for _ in range(copies)]
                options: dict[str, Any] = {"past_key_values": prefix.copy(), "phrases": self._phrases}
                options["past_key_values"].batch_repeat_interleave(copies)
                if temperature:
                    seed = crc32(f"{plan.seed}/{instruction}/{temperature}".encode())
                    draws = Draws(Sampling(temperature, plan.top_p, seed), samples, copies)
                    options["chooser"] = drawn_by(draws)
                tokens = self.model.generate(
                    **{name: value[rows] for name, value in prompts.items()},
                    speech=speech.select(rows),
                    max_new_tokens=_MAX_NEW_TOKENS,
                    do_sample=False,
                    **options,
                )
                for clip, text, ended in zip(rows, *self._texts(tokens), strict=True):
                    if text:
                        candidate = Candidate(instruction, text, 0.0, 0, temperature, ended)
                        out.setdefault((clip, instruction, text), (clip, candidate))
        return list(out.values())

    def _texts(self, tokens: Tensor) -> tuple[list[str], list[bool]]:
        import torch

        ends = torch.as_tensor(self.model.generation_config.eos_token_id, device=tokens.device)
        texts = [" ".join(text.split()) for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        return texts, torch.isin(tokens, ends).any(1).tolist()

    def _with_log_probs(
        self, found: Sequence[tuple[int, Candidate]], speech: SpeechEmbeddings, clues: Sequence[str]
    ) -> list[tuple[int, Candidate]]:
        """Log-probabilities of the texts as training cuts them into tokens."""
        from aligncap.model.responses import response_states
        from aligncap.objectives import per_response, token_log_probs

        out = []
        for start in range(0, len(found), _ROWS):
            part = found[start : start + _ROWS]
            rows = [clip for clip, _ in part]
            batch = self.processor.prompts(
                speech.mask.sum(1)[rows].tolist(),
                [candidate.instruction for _, candidate in part],
                [clues[clip] for clip in rows],
                [candidate.caption for _, candidate in part],
            ).to(self.model.device)
            embedded = self.model.embed(batch["input_ids"], speech.select(rows))
            hidden, wanted = response_states(
                self.model.language_model, embedded, batch["attention_mask"], batch["labels"]
            )
            head = self.model.language_model.get_output_embeddings().weight
            sums, counts = per_response(token_log_probs(hidden, head, wanted), batch["labels"])
            for (clip, candidate), total, count in zip(part, sums.tolist(), counts.tolist(), strict=True):
                out.append((clip, replace(candidate, log_prob=round(total, 4), tokens=count)))
        return out


def model_hash(model: Any) -> str:
    """Hash of all of a model's parameters: of what it says, wherever it lies."""
    digest = hashlib.blake2b(digest_size=16)
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def draw_rows(
    rows: Iterable[Row], split: str, count: int | None, seed: int, leave_out: Collection[str] = ()
) -> list[Row]:
    """Clips to sample from: as many of each emotion of each corpus as there are, the others filled up.

    Args:
        rows: of a manifest; those without an emotion that judges know are passed over.
        split: of the rows.
        count: how many; None: all. With a larger count the same clips come first.
        seed: of the choice.
        leave_out: corpora whose labels are no emotions that captions should name.

    Raises:
        AlignCapError: the split is ``zero_shot``.
    """
    if split == "zero_shot":
        raise AlignCapError("rows of the split zero_shot are for evaluation only: no pairs are made of them")
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        known = label_of(row.emotion) or next((label for vote in row.votes if (label := label_of(vote))), None)
        if row.split == split and known and row.corpus not in leave_out:
            cells.setdefault((row.corpus, known), []).append(row)
    turns = []
    for name, cell in sorted(cells.items()):
        cell.sort(key=lambda row: crc32(f"{seed}/{row.id}".encode("utf-8", "surrogatepass")))
        turns += [(turn, name, row) for turn, row in enumerate(cell)]
    turns.sort(key=lambda item: item[:2])
    return [row for _, _, row in turns[:count]]
