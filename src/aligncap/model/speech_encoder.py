"""Hidden states of several layers of any Hugging Face speech encoder, on the clip's own length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

__all__ = ["SpeechEncoder", "SpeechStates", "encoder_frames"]


@dataclass
class SpeechStates:
    """Tapped hidden states of a batch of clips.

    Attributes:
        states: (batch, frames, taps, width); rows beyond a clip's own frames are zero.
        mask: (batch, frames) bool, true on the clip's own frames.
    """

    states: Tensor
    mask: Tensor


def encoder_frames(config: Any, feature_length: int) -> int:
    """Number of frames that an encoder makes of features of a given length, from its configuration alone."""
    if config.model_type == "whisper":
        return (feature_length - 1) // 2 + 1
    if config.model_type == "wav2vec2-bert":
        return feature_length
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        feature_length = (feature_length - kernel) // stride + 1
    return feature_length


class SpeechEncoder(nn.Module):
    """Wraps an encoder: cuts off the layers above the last tap and averages runs of ``frame_stride`` frames.

    Clips are never run with padding: those of equal length share a pass, the others run alone. Whisper has no
    attention mask and several HuBERT-like encoders normalise over time, so this is the one way in which a
    clip's states are the same alone and in any batch, for every encoder.

    Args:
        encoder: a Whisper encoder, or an encoder of the wav2vec 2.0 family (HuBERT, WavLM, Wav2Vec2-BERT, …).
        taps: layers to read; 0 is the input of the first layer, k the output of layer k.
        frame_stride: encoder frames (20 ms each, as a rule) averaged into one.

    Raises:
        ValueError: a tap lies outside the encoder, or the architecture is not known.
    """

    def __init__(self, encoder: PreTrainedModel, taps: Sequence[int], frame_stride: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.taps = tuple(taps)
        self.frame_stride = frame_stride
        self.is_whisper = encoder.config.model_type == "whisper"
        stack = encoder if self.is_whisper else getattr(encoder, "encoder", None)
        if stack is None or not isinstance(getattr(stack, "layers", None), nn.ModuleList):
            raise ValueError(f"speech encoders of type {encoder.config.model_type!r} are not supported")
        if not self.taps or min(self.taps) < 0 or max(self.taps) > len(stack.layers):
            raise ValueError(f"taps {self.taps} lie outside 0..{len(stack.layers)}")
        # at least one: the wav2vec 2.0 family reports tap 0 as the input of a layer that it runs
        stack.layers = stack.layers[: max(*self.taps, 0 if self.is_whisper else 1)]
        if self.is_whisper or getattr(encoder.config, "do_stable_layer_norm", False):
            # Belongs to the output of the full stack, which is not read. Some versions of transformers report
            # the last hidden state after it, some before.
            stack.layer_norm = nn.Identity()
        self.eval()

    def train(self, mode: bool = True) -> SpeechEncoder:
        """Stay in evaluation mode: frozen, so no dropout, no dropped layers, no masked frames."""
        return super().train(False)

    @property
    def width(self) -> int:
        """Width of one tapped state."""
        config = self.encoder.config
        return int(config.d_model if self.is_whisper else config.hidden_size)

    def forward(self, features: Tensor, lengths: Tensor) -> SpeechStates:
        """Encode a padded batch.

        Args:
            features: the feature extractor's output, padded: (batch, mels, frames) for Whisper,
                (batch, samples) for raw-waveform encoders, (batch, frames, mels) for Wav2Vec2-BERT.
            lengths: (batch,) the unpadded length of each clip along the time axis.
        """
        groups: dict[int, list[int]] = defaultdict(list)
        for row, length in enumerate(lengths.tolist()):
            groups[int(length)].append(row)
        encoded: dict[int, Tensor] = {}
        for length, rows in groups.items():
            clips = features[rows]
            clips = clips[..., :length] if self._time_is_last else clips[:, :length]
            for row, states in zip(rows, self.encode(clips), strict=True):
                encoded[row] = states
        ordered = [encoded[row] for row in range(len(lengths))]
        counts = torch.tensor([len(states) for states in ordered], device=features.device)
        mask = torch.arange(int(counts.max()), device=features.device)[None] < counts[:, None]
        return SpeechStates(nn.utils.rnn.pad_sequence(ordered, batch_first=True), mask)

    def encode(self, clips: Tensor) -> Tensor:
        """Tapped states (batch, frames, taps, width) of clips of one length; features as in `forward`."""
        return self._pool(self._run(clips))

    @property
    def _time_is_last(self) -> bool:
        return self.encoder.config.model_type != "wav2vec2-bert"

    def _run(self, clips: Tensor) -> Tensor:
        """(batch, …, time) of equal lengths -> (batch, frames, taps, width)."""
        if self.is_whisper:
            hidden = self._whisper_layers(clips)
        elif self._time_is_last:
            hidden = self.encoder(clips, output_hidden_states=True).hidden_states
        else:
            hidden = self.encoder(input_features=clips, output_hidden_states=True).hidden_states
        return torch.stack([hidden[tap] for tap in self.taps], dim=2)

    def _whisper_layers(self, mel: Tensor) -> list[Tensor]:
        # transformers insists on 30 s windows; positions are simply truncated to the clip here.
        encoder = self.encoder
        x = nn.functional.gelu(encoder.conv1(mel))
        x = nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)
        if x.shape[1] > encoder.config.max_source_positions:
            seconds = encoder.config.max_source_positions / 50
            raise ValueError(f"this encoder hears at most {seconds:.0f} s at once: segment the recording")
        hidden = [x + encoder.embed_positions.weight[: x.shape[1]]]
        for layer in encoder.layers:
            hidden.append(layer(hidden[-1], None))
        return hidden

    def _pool(self, states: Tensor) -> Tensor:
        """Means of runs of frames; the last run is averaged over the frames that it has."""
        batch, frames, taps, width = states.shape
        stride = self.frame_stride
        padding = (0, 0, 0, 0, 0, -frames % stride)
        sums = nn.functional.pad(states, padding).reshape(batch, -1, stride, taps, width).sum(2)
        ones = nn.functional.pad(torch.ones_like(states[:1, :, :1, :1]), padding)
        return sums / ones.reshape(1, -1, stride, 1, 1).sum(2)
