"""A small transformer from log-mel frames to words: the shape of audio captioners such as HTSAT-BART, from scratch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aligncap.baselines.mel import BANDS, MAX_SECONDS, log_mel
from aligncap.baselines.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.stretches import Source, stretches

__all__ = ["EncoderDecoder", "Shape", "Written"]

_MAX_WORDS = 48


@dataclass(frozen=True)
class Shape:
    """Of the network.

    Attributes:
        vocabulary: words, the special ones among them.
        width: of all layers.
        heads: of the attention.
        encoder_layers: above a convolution that halves the frames.
        decoder_layers: that read the encoder's output.
        dropout: probability.
    """

    vocabulary: int
    width: int = 192
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 3
    dropout: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        """As keyword arguments."""
        return asdict(self)


class EncoderDecoder(nn.Module):
    """Frames → words, with one table of word vectors for input and output."""

    positions: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        layer: dict[str, Any] = {"dim_feedforward": 4 * width, "dropout": shape.dropout, "batch_first": True}
        layer |= {"norm_first": True, "activation": "gelu"}
        self.stem = nn.Conv1d(BANDS, width, 3, stride=2, padding=1)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, shape.heads, **layer),
            shape.encoder_layers,
            nn.LayerNorm(width),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(width, shape.heads, **layer), shape.decoder_layers, nn.LayerNorm(width)
        )
        self.words = nn.Embedding(shape.vocabulary, width, padding_idx=PAD)
        nn.init.normal_(self.words.weight, std=width**-0.5)
        self.dropout = nn.Dropout(shape.dropout)
        self.register_buffer("positions", _sinusoids(1024, width), persistent=False)

    def is_own(self, name: str) -> bool:
        """Every parameter is trained here."""
        return True

    def hear(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (batch, frames, 64) and their numbers (batch,) → states (batch, k, width), True where padded."""
        there = torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None]
        x = nn.functional.gelu(self.stem((frames * there[..., None]).transpose(1, 2))).transpose(1, 2)
        counts = (lengths + 1) // 2
        padded = torch.arange(x.shape[1], device=x.device)[None] >= counts[:, None]
        x = self.dropout(x + self.positions[: x.shape[1]])
        return self.encoder(x, src_key_padding_mask=padded), padded

    def write(self, states: Tensor, padded: Tensor, ids: Tensor) -> Tensor:
        """Logits (batch, words, vocabulary) of the word after each of ``ids`` (batch, words)."""
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], device=ids.device)
        x = self.dropout(self.words(ids) * self.shape.width**0.5 + self.positions[: ids.shape[1]])
        x = self.decoder(x, states, tgt_mask=mask, tgt_is_causal=True, memory_key_padding_mask=padded)
        return nn.functional.linear(x, self.words.weight)

    def forward(self, frames: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Sum of the negative log-likelihoods of the words: ``ce``.

        Args:
            frames: (batch, frames, 64).
            lengths: (batch,).
            labels: (batch, words), each row ended by `END`, then -100.
        """
        states, padded = self.hear(frames, lengths)
        before = torch.cat([torch.full_like(labels[:, :1], START), labels[:, :-1]], 1).clamp(min=PAD)
        logits = self.write(states, padded, before)
        return {"ce": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")}

    @torch.inference_mode()
    def greedy(self, frames: Tensor) -> list[int]:
        """Numbers of the likeliest words of one clip (frames, 64), one after the other."""
        states, padded = self.hear(frames[None], torch.tensor([len(frames)]))
        ids = [START]
        for _ in range(_MAX_WORDS):
            logits = self.write(states, padded, torch.tensor([ids]))[0, -1]
            logits[[PAD, START, UNKNOWN]] = float("-inf")
            ids.append(int(logits.argmax()))
            if ids[-1] == END:
                break
        return ids[1:]


class Written:
    """Captions by a trained network; a baseline."""

    emotions: tuple[str, ...] = ()

    def __init__(self, network: EncoderDecoder, vocabulary: Vocabulary, name: str) -> None:
        self._network = network.eval()
        self._vocabulary = vocabulary
        self._name = name

    def stream(self, sources: Iterable[Source], batch_size: int = 8) -> Iterator[Caption | Failure]:
        """Caption recordings as they come; each alone, whatever the batch size."""
        for clip in stretches(sources, MAX_SECONDS):
            if isinstance(clip, Failure):
                yield clip
                continue
            part = clip.segment
            frames = torch.from_numpy(log_mel(part.samples)).float()
            text = self._vocabulary.text(self._network.greedy(frames))
            yield Caption(clip.id, clip.audio, part.start, part.end, text, {}, "", self._name, warnings=clip.warnings)


def _sinusoids(length: int, width: int) -> Tensor:
    place = torch.arange(length)[:, None] * torch.exp(-math.log(10000.0) * torch.arange(0, width, 2) / width)
    return torch.stack([place.sin(), place.cos()], -1).flatten(1)
