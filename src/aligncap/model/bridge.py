"""Bridges: from a speech encoder's hidden states to a short sequence of speech embeddings in LLM space.

Every bridge maps ``(states, mask, summary)`` to ``(embeddings, mask)``:

* states: (batch, frames, width), mask: (batch, frames) bool; frames outside the mask are never read.
* summary: (batch, summary width), one vector for the whole clip (see `UtteranceSummary`).
* embeddings: (batch, K, llm_width), mask: (batch, K) bool; each clip's own embeddings come first.

K depends on the clip's number of frames alone (`embedding_count`), so that a processor can write the
placeholders before any audio is encoded.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aligncap.model.configuration import BridgeConfig

__all__ = ["Bridge", "ConvBridge", "WindowQFormer", "build_bridge", "embedding_count", "layer_mix"]


def layer_mix(states: Tensor, weights: Tensor) -> Tensor:
    """Softmax-weighted sum over the tapped layers, each brought to unit scale first.

    Args:
        states: (batch, frames, taps, width).
        weights: (taps,) unnormalised weights.

    Returns:
        (batch, frames, width)
    """
    normed = nn.functional.layer_norm(states, states.shape[-1:])
    return torch.einsum("btlw,l->btw", normed, weights.softmax(0))


class Bridge(nn.Module):
    """Common part of all bridges: projection in, embeddings of the whole clip, projection to LLM scale."""

    def __init__(self, config: BridgeConfig, speech_width: int, llm_width: int, summary_width: int) -> None:
        super().__init__()
        self.config = config
        self.project_in = nn.Linear(speech_width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.utterance = nn.Linear(summary_width, config.utterance_embeddings * config.width)
        self.norm_out = nn.LayerNorm(config.width)
        self.project_out = nn.Linear(config.width, llm_width)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def local(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden vectors (batch, k, bridge width) of stretches of time, and their mask (batch, k)."""
        raise TypeError("Bridge is abstract: use WindowQFormer or ConvBridge")

    def forward(self, states: Tensor, mask: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """See the module's docstring."""
        hidden, hidden_mask = self.local(self.dropout(self.project_in(states)), mask)
        summary = self.utterance(self.dropout(summary))
        summary = summary.view(len(states), self.config.utterance_embeddings, self.config.width)
        hidden = torch.cat([summary, hidden], 1)
        ones = hidden_mask.new_ones(len(states), self.config.utterance_embeddings)
        embeddings = self.project_out(self.dropout(self.norm_out(hidden))) * self.scale
        return embeddings, torch.cat([ones, hidden_mask], 1)

    def match_scale(self, embedding_std: float) -> None:
        """Initialise the output so that speech embeddings are as large as the LLM's token embeddings."""
        with torch.no_grad():
            self.scale.fill_(embedding_std)
            nn.init.normal_(self.project_out.weight, std=1 / math.sqrt(self.config.width))
            nn.init.zeros_(self.project_out.bias)


class WindowQFormer(Bridge):
    """Window-level Q-Former: N learned queries read each window of frames by cross-attention.

    After SALMONN (Tang et al. 2024) and Granite Speech, with the padding mask applied to the cross-attention.
    """

    def __init__(self, config: BridgeConfig, speech_width: int, llm_width: int, summary_width: int) -> None:
        super().__init__(config, speech_width, llm_width, summary_width)
        self.queries = nn.Parameter(torch.randn(config.queries, config.width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                config.width,
                config.heads,
                2 * config.width,
                config.dropout,
                nn.functional.gelu,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.layers)
        )
        self.norm_in = nn.LayerNorm(config.width)

    def local(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Cut into windows, run the queries over each, and lay the results in a row."""
        batch, frames, width = states.shape
        window, queries = self.config.window, self.config.queries
        short = -frames % window
        states = nn.functional.pad(self.norm_in(states), (0, 0, 0, short)).view(-1, window, width)
        mask = nn.functional.pad(mask, (0, short)).view(-1, window)
        alive = mask.any(1)
        memory_mask = ~mask
        memory_mask[~alive] = False  # a window of padding alone would give NaN; its output is masked anyway
        hidden = self.queries.expand(states.shape[0], -1, -1)  # not len, which an export would fix
        for layer in self.layers:
            hidden = layer(hidden, states, memory_key_padding_mask=memory_mask)
        hidden_mask = alive.view(batch, -1).repeat_interleave(queries, 1)
        return hidden.reshape(batch, -1, width), hidden_mask


class ConvBridge(Bridge):
    """Light bridge: frames of a window are stacked by a strided convolution, then an MLP."""

    def __init__(self, config: BridgeConfig, speech_width: int, llm_width: int, summary_width: int) -> None:
        super().__init__(config, speech_width, llm_width, summary_width)
        stride = conv_stride(config)
        self.norm_in = nn.LayerNorm(config.width)
        self.conv = nn.Conv1d(config.width, config.width, stride, stride)
        self.mlp = nn.Sequential(
            nn.GELU(),
            nn.Linear(config.width, 2 * config.width),
            nn.GELU(),
            nn.Linear(2 * config.width, config.width),
        )

    def local(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Strided convolution over the clip's own frames (what lies beyond counts as zero)."""
        stride = self.conv.stride[0]
        short = -states.shape[1] % stride
        states = nn.functional.pad(self.norm_in(states) * mask.unsqueeze(-1), (0, 0, 0, short))
        hidden = self.mlp(self.conv(states.transpose(1, 2)).transpose(1, 2))
        return hidden, nn.functional.pad(mask, (0, short)).view(len(mask), -1, stride).any(-1)


def conv_stride(config: BridgeConfig) -> int:
    """Frames that a conv bridge turns into one embedding: about as many embeddings as the Q-Former makes."""
    return max(config.window // config.queries, 1)


def embedding_count(config: BridgeConfig, frames: int) -> int:
    """Number of speech embeddings K of a clip of ``frames`` pooled encoder frames."""
    if config.kind == "conv":
        return config.utterance_embeddings - (-frames // conv_stride(config))
    return config.utterance_embeddings + config.queries * -(-frames // config.window)


def build_bridge(config: BridgeConfig, speech_width: int, llm_width: int, summary_width: int) -> Bridge:
    """The bridge that ``config.kind`` names."""
    kinds: dict[str, type[Bridge]] = {"qformer": WindowQFormer, "conv": ConvBridge}
    if config.kind not in kinds:
        raise ValueError(f"unknown bridge {config.kind!r}; choose one of {', '.join(kinds)}")
    return kinds[config.kind](config, speech_width, llm_width, summary_width)
