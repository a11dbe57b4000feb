"""Inference without the cost of a general-purpose loop, for language models of the Llama family on the CPU.

`transformers` spends, for each token of a small model, about as long around the matrix products as in them, and it
runs padding like text. Here keys and values lie in buffers of their final size, the projections of one input are one
product, padding is not run, rows that have ended are left out, and a token costs little more than reading the weights.
The tokens are those that `transformers` would choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.cache_utils import DynamicCache

from aligncap.model.int8 import Int8Linear
from aligncap.model.lora import has_any_adapter
from aligncap.model.responses import positions

__all__ = ["LlamaDecoder"]

Chooser = Callable[[Tensor, Tensor], Tensor]
"""Changes (rows, vocabulary) scores, given the (rows, tokens) written so far: a `LogitsProcessorList`."""


Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Layer:
    """Weights of one layer, those of one input side by side."""

    attention_norm: Tensor
    queries_keys_values: Linear
    attention_out: Linear
    feed_norm: Tensor
    gate_up: Linear
    down: Linear


class LlamaDecoder:
    """Reads and writes with the weights of a language model, which stay where they are: nothing is copied for long.

    Args:
        model: for which `supports` holds; its projections become views of joined tensors.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        self._model = model
        self._heads: int = config.num_attention_heads
        self._groups: int = config.num_key_value_heads
        self._sharing = self._heads // self._groups
        self._epsilon: float = config.rms_norm_eps
        self._layers = [
            _Layer(
                layer.input_layernorm.weight,
                _join([layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj]),
                _join([layer.self_attn.o_proj]),
                layer.post_attention_layernorm.weight,
                _join([layer.mlp.gate_proj, layer.mlp.up_proj]),
                _join([layer.mlp.down_proj]),
            )
            for layer in model.model.layers
        ]
        self._first = model.model.layers[0].self_attn.q_proj.weight.data_ptr()
        self._beginning: tuple[list[int], Any] = ([], None)

    @staticmethod
    def supports(model: Any) -> bool:
        """Whether a language model can be decoded here: Llama, no biases, no adapters, on the CPU."""
        config = model.config
        return (
            config.model_type == "llama"
            and not config.attention_bias
            and not config.mlp_bias
            and config.hidden_act == "silu"
            and model.device.type == "cpu"
            and not has_any_adapter(model)
        )

    def attached(self) -> bool:
        """Whether the language model still has the weights that it had: it was not moved or cast since."""
        first = self._model.model.layers[0].self_attn.q_proj.weight
        return first.data_ptr() == self._first and first.device.type == "cpu"

    def beginning(self, tokens: list[int]) -> Any:
        """State of one row after tokens with which prompts begin; that of the tokens asked for last is kept."""
        if self._beginning[0] != tokens:
            embeddings = self._model.model.embed_tokens.weight[tokens].unsqueeze(0)
            _, state = self.read(embeddings, torch.ones(1, len(tokens), dtype=torch.long))
            self._beginning = (tokens, state)
        return self._beginning[1]

    def read(self, embeddings: Tensor, mask: Tensor, past_key_values: Any = None) -> tuple[Tensor, Any]:
        """Run prompts, or what follows on their beginning.

        Args:
            embeddings: (batch, T, width) of the last T tokens.
            mask: (batch, tokens) of all tokens; padding may be anywhere, and is not run.
            past_key_values: state after the tokens before these, of every row, or of one for all; stays as it is.

        Returns:
            final hidden states (batch, T, width), zero at padding, and the state after all tokens, as
            `transformers` keeps it.
        """
        keys, values = self._buffers(past_key_values, len(mask), embeddings.shape[1])
        hidden = self._read(embeddings, mask, keys, values)
        return hidden, DynamicCache(list(zip(keys, values, strict=True)))

    def generate(
        self,
        embeddings: Tensor,
        mask: Tensor,
        max_new_tokens: int,
        past_key_values: Any = None,
        logits_processor: Chooser | None = None,
    ) -> Tensor:
        """Write responses, greedily.

        Args:
            embeddings: (batch, prompt tokens, width); where ``past_key_values`` hold a beginning, its embeddings
                are not looked at.
            mask: (batch, prompt tokens); the last token of each prompt stands in the last column.
            max_new_tokens: at most so many.
            past_key_values: state after a beginning of the prompts, as in `read`.
            logits_processor: changes the scores before the largest is taken.

        Returns:
            (batch, new tokens): after its end-of-turn token each row holds padding.
        """
        batch, length = mask.shape
        known = 0 if past_key_values is None else past_key_values.get_seq_length()
        keys, values = self._buffers(past_key_values, batch, length - known + max_new_tokens)
        scores = self._model.lm_head(self._read(embeddings[:, known:], mask, keys, values)[:, -1])
        ends, padding = self._ends_and_padding()
        rotation = self._rotation(positions(mask)[:, -1:] + 1 + torch.arange(max_new_tokens))
        seen = functional.pad(mask, (0, max_new_tokens), value=1)
        bias = None if bool(mask.all()) else self._bias(seen[:, None, None])
        written = mask.new_zeros((batch, 0))
        ended = torch.zeros(batch, dtype=torch.bool)
        rows = torch.arange(batch)  # those that are run
        for step in range(max_new_tokens):
            if logits_processor is not None:
                of_all = scores.new_zeros(batch, scores.shape[1]).index_copy_(0, rows, scores)
                scores = logits_processor(written, of_all)[rows]
            token = mask.new_full((batch,), padding).index_copy_(0, rows, scores.argmax(-1))
            token = token.masked_fill(ended, padding)
            written = torch.cat([written, token[:, None]], 1)
            ended |= torch.isin(token, ends)
            if step + 1 == max_new_tokens or bool(ended.all()):
                break
            going = ~ended[rows]
            if 2 * int(going.sum()) <= len(rows):  # more often would cost more than it saves
                rows, rotation = rows[going], [part[going] for part in rotation]
                keys, values = [key[going] for key in keys], [value[going] for value in values]
                bias = None if bias is None else bias[going]
            at = length + step
            hidden = self._run(
                self._model.model.embed_tokens.weight[token[rows]],
                [part[:, step : step + 1] for part in rotation],
                None if bias is None else bias[..., : at + 1],
                [key[:, :, : at + 1] for key in keys],
                [value[:, :, : at + 1] for value in values],
            )
            scores = self._model.lm_head(hidden)
        return written

    def _read(self, embeddings: Tensor, mask: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        """Final hidden states of the last tokens, zero at padding; their keys and values go into the buffers."""
        batch, new, width = embeddings.shape
        total = mask.shape[1]
        real = mask[:, total - new :].flatten().nonzero().squeeze(1)
        causal = torch.ones(new, total, dtype=torch.bool).tril(total - new)
        seen = mask[:, None, None].bool() & causal
        hidden = self._run(
            embeddings.reshape(-1, width)[real],
            self._rotation(positions(mask)[:, total - new :]),
            self._bias(seen).repeat(1, 1, self._sharing, 1),
            [key[:, :, :total] for key in keys],
            [value[:, :, :total] for value in values],
            real,
        )
        return hidden.new_zeros(batch * new, width).index_copy_(0, real, hidden).view(batch, new, width)

    def _run(
        self,
        x: Tensor,
        rotation: Sequence[Tensor],
        bias: Tensor | None,
        keys: list[Tensor],
        values: list[Tensor],
        real: Tensor | None = None,
    ) -> Tensor:
        """Final hidden states of the last tokens of each row.

        Args:
            x: (tokens, width) of the tokens that are no padding, row by row.
            rotation: cosines and sines, (rows, new tokens, 1, head width).
            bias: added to attention scores: (rows, 1, heads that share keys * new tokens, all tokens).
            keys: of every layer, (rows, groups, all tokens, head width); those of the new tokens are written.
            values: likewise.
            real: places of ``x`` among rows * new tokens; None: there is no padding.
        """
        rows, new = rotation[0].shape[:2]
        turned = self._heads + self._groups
        for layer, key, value in zip(self._layers, keys, values, strict=True):
            joined = layer.queries_keys_values(self._norm(x, layer.attention_norm))
            if real is not None:
                joined = joined.new_zeros(rows * new, joined.shape[1]).index_copy_(0, real, joined)
            joined = joined.view(rows, new, turned + self._groups, -1)
            turning = _rotate(joined[:, :, :turned], *rotation)
            key[:, :, -new:] = turning[:, :, self._heads :].transpose(1, 2)
            value[:, :, -new:] = joined[:, :, turned:].transpose(1, 2)
            # the heads that share keys stand in the place of several queries
            query = turning[:, :, : self._heads].transpose(1, 2).reshape(rows, self._groups, self._sharing * new, -1)
            mixed = functional.scaled_dot_product_attention(query, key, value, bias)
            mixed = mixed.reshape(rows, self._heads, new, -1).transpose(1, 2).reshape(rows * new, -1)
            x = x + layer.attention_out(mixed if real is None else mixed[real])
            gate, up = layer.gate_up(self._norm(x, layer.feed_norm)).chunk(2, -1)
            x = x + layer.down(functional.silu(gate) * up)
        return self._norm(x, self._model.model.norm.weight)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, weight.shape, weight, self._epsilon)

    def _rotation(self, places: Tensor) -> list[Tensor]:
        """Cosines and sines of the rotary embedding, (rows, tokens, 1, head width) each."""
        parts = self._model.model.rotary_emb(self._model.model.embed_tokens.weight[:1], places)
        return [part.unsqueeze(2) for part in parts]

    def _buffers(self, state: Any, rows: int, more: int) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values of every layer after ``state`` (see `read`), with room for more tokens."""
        if state is None:
            width = self._model.model.layers[0].self_attn.head_dim
            empty = torch.zeros(rows, self._groups, 0, width, dtype=self._model.dtype)
            parts = [(empty, empty) for _ in self._layers]
        else:
            parts = [(layer.keys, layer.values) for layer in state.layers]
        grown = [[functional.pad(part.expand(rows, -1, -1, -1), (0, 0, 0, more)) for part in pair] for pair in parts]
        return [pair[0] for pair in grown], [pair[1] for pair in grown]

    def _bias(self, seen: Tensor) -> Tensor:
        """Added to attention scores: minus infinity where a token is not seen."""
        return torch.zeros(seen.shape, dtype=self._model.dtype).masked_fill(seen == 0, -torch.inf)

    def _ends_and_padding(self) -> tuple[Tensor, int]:
        settings = self._model.generation_config
        ends = settings.eos_token_id
        ends = torch.tensor(list(ends) if isinstance(ends, Sequence) else [ends])
        padding = settings.pad_token_id
        return ends, int(ends[0]) if padding is None else int(padding)


def _join(layers: Sequence[nn.Linear | Int8Linear]) -> Linear:
    """Layers with one input as one, whose weight theirs become views of.

    The weight lies in memory column by column: for few rows, MKL multiplies by that up to twice as fast.
    """
    sizes = [layer.out_features for layer in layers]
    joined: nn.Linear | Int8Linear
    if all(isinstance(layer, Int8Linear) for layer in layers):
        joined = Int8Linear.joined([layer for layer in layers if isinstance(layer, Int8Linear)])
    else:
        joined = nn.Linear(layers[0].in_features, sum(sizes), bias=False, device="meta")
        weights = [layer.weight.data for layer in layers]
        weight = torch.cat(weights) if len(weights) > 1 else weights[0]
        joined.weight = nn.Parameter(_by_columns(weight), requires_grad=False)
    for layer, part in zip(layers, joined.weight.split(sizes), strict=True):
        layer.weight.data = part.data
    return joined


def _by_columns(weight: Tensor) -> Tensor:
    """The same matrix, column by column in the same memory: a second copy of all layers would cost peak memory."""
    columns = weight.t().contiguous()
    return weight.view(-1).copy_(columns.view(-1)).view(columns.shape).t()


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary embedding of (rows, tokens, heads, width)."""
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat([-second, first], -1) * sines
