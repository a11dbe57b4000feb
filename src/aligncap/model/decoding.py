"""Greedy decoding without the cost of a general-purpose loop, for language models of the Llama family on the CPU.

`transformers` spends, for each token of a small model, about as long around the matrix products as in them. Here
keys and values lie in buffers of their final size, the projections of one input are one product, and a token costs
little more than reading the weights. The tokens are those that `transformers` would choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aligncap.model.int8 import Int8Linear
from aligncap.model.lora import has_any_adapter

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
    """Decodes with the weights of a language model, which stay where they are: nothing is copied for long.

    Args:
        model: for which `supports` holds; its projections become views of joined tensors.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        self._model = model
        self._heads: int = config.num_attention_heads
        self._groups: int = config.num_key_value_heads
        self._epsilon: float = config.rms_norm_eps
        self._layers = [
            _Layer(
                layer.input_layernorm.weight,
                _join([layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj]),
                layer.self_attn.o_proj,
                layer.post_attention_layernorm.weight,
                _join([layer.mlp.gate_proj, layer.mlp.up_proj]),
                layer.mlp.down_proj,
            )
            for layer in model.model.layers
        ]
        self._first = model.model.layers[0].self_attn.q_proj.weight.data_ptr()

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
            mask: (batch, prompt tokens), padding on the left.
            max_new_tokens: at most so many.
            past_key_values: state after a beginning of the prompts; is used up.
            logits_processor: changes the scores before the largest is taken.

        Returns:
            (batch, new tokens): after its end-of-turn token each row holds padding.
        """
        known = 0 if past_key_values is None else past_key_values.get_seq_length()
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        out = self._model(
            inputs_embeds=embeddings[:, known:],
            attention_mask=mask,
            position_ids=positions[:, known:],
            past_key_values=past_key_values,
            use_cache=True,
            logits_to_keep=1,
        )
        ends, padding = self._ends_and_padding()
        keys, values = self._buffers(out.past_key_values, max_new_tokens)
        length = mask.shape[1]
        hidden_keys = None if bool(mask.all()) else self._hidden(mask, max_new_tokens)
        rotation = [part.unsqueeze(2) for part in self._rotation(positions[:, -1:] + 1, max_new_tokens)]
        written = mask.new_zeros((len(mask), 0))
        ended = torch.zeros(len(mask), dtype=torch.bool)
        scores = out.logits[:, -1]
        for step in range(max_new_tokens):
            if logits_processor is not None:
                scores = logits_processor(written, scores)
            token = scores.argmax(-1).masked_fill(ended, padding)
            written = torch.cat([written, token[:, None]], 1)
            ended |= torch.isin(token, ends)
            if step + 1 == max_new_tokens or bool(ended.all()):
                break
            at = length + step
            bias = None if hidden_keys is None else hidden_keys[..., : at + 1]
            scores = self._step(token, at, [part[:, step] for part in rotation], bias, keys, values)
        return written

    def _step(
        self,
        token: Tensor,
        at: int,
        rotation: list[Tensor],
        bias: Tensor | None,
        keys: list[Tensor],
        values: list[Tensor],
    ) -> Tensor:
        """Scores after one more token of each row, whose keys and values go to place ``at``."""
        x = self._model.model.embed_tokens.weight[token]
        rows, turned = len(x), self._heads + self._groups
        for layer, key, value in zip(self._layers, keys, values, strict=True):
            joined = layer.queries_keys_values(self._norm(x, layer.attention_norm))
            joined = joined.view(rows, turned + self._groups, -1)
            turning = _rotate(joined[:, :turned], *rotation)
            key[:, :, at], value[:, :, at] = turning[:, self._heads :], joined[:, turned:]
            # the heads that share keys stand in the place of several queries
            query = turning[:, : self._heads].reshape(rows, self._groups, self._heads // self._groups, -1)
            mixed = functional.scaled_dot_product_attention(query, key[:, :, : at + 1], value[:, :, : at + 1], bias)
            x = x + layer.attention_out(mixed.reshape(rows, -1))
            gate, up = layer.gate_up(self._norm(x, layer.feed_norm)).chunk(2, -1)
            x = x + layer.down(functional.silu(gate) * up)
        return self._model.lm_head(self._norm(x, self._model.model.norm.weight))

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, weight.shape, weight, self._epsilon)

    def _rotation(self, first: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotary embedding, (batch, count, head width) each."""
        positions = first + torch.arange(count)
        cosines, sines = self._model.model.rotary_emb(self._model.model.embed_tokens.weight[:1], positions)
        return cosines, sines

    def _buffers(self, cache: Any, more: int) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values of every layer, with room for more tokens."""
        grown = [
            [functional.pad(part, (0, 0, 0, more)) for part in (layer.keys, layer.values)] for layer in cache.layers
        ]
        return [layer[0] for layer in grown], [layer[1] for layer in grown]

    def _hidden(self, mask: Tensor, more: int) -> Tensor:
        """Added to attention scores, (batch, 1, 1, tokens): minus infinity at the padding."""
        bias = functional.pad((mask == 0), (0, more))[:, None, None]
        return torch.zeros(bias.shape, dtype=self._model.dtype).masked_fill(bias, -torch.inf)

    def _ends_and_padding(self) -> tuple[Tensor, int]:
        settings = self._model.generation_config
        ends = settings.eos_token_id
        ends = torch.tensor(list(ends) if isinstance(ends, Sequence) else [ends])
        padding = settings.pad_token_id
        return ends, int(ends[0]) if padding is None else int(padding)


def _join(layers: Sequence[nn.Linear | Int8Linear]) -> Linear:
    """Layers with one input as one, whose weight theirs become views of."""
    sizes = [layer.out_features for layer in layers]
    joined: nn.Linear | Int8Linear
    if all(isinstance(layer, Int8Linear) for layer in layers):
        joined = Int8Linear.joined([layer for layer in layers if isinstance(layer, Int8Linear)])
    else:
        joined = nn.Linear(layers[0].in_features, sum(sizes), bias=False, device="meta")
        joined.weight = nn.Parameter(torch.cat([layer.weight.data for layer in layers]), requires_grad=False)
    for layer, part in zip(layers, joined.weight.split(sizes), strict=True):
        layer.weight.data = part.data
    return joined


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary embedding of (rows, heads, width)."""
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat([-second, first], -1) * sines
