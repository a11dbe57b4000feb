"""Inference without the cost of a general-purpose loop, for language models of the Llama family on the CPU.

`transformers` spends, for each token of a small model, about as long around the matrix products as in them, and it
runs padding like text. Here keys and values lie in buffers of their final size, the projections of one input are one
product, padding is not run, rows that have ended are left out, and a token costs little more than reading the weights;
several tokens of a row cost hardly more than one, so what probably follows is read along. The tokens are those that
`transformers` would choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicCache

from aligncap.captions.habits import Phrases, agreed
from aligncap.model.int8 import Int8Linear, is_quantised
from aligncap.model.lora import has_any_adapter
from aligncap.model.responses import positions

__all__ = ["Chooser", "LlamaDecoder", "chosen_by", "drawn_by", "likeliest"]

Chooser = Callable[[Tensor, Sequence[int], Sequence[int]], Tensor]
"""Chooses N tokens by their (N, vocabulary) scores; told of each its row of the batch and its place in the response.

It must depend on nothing else: it is also asked about tokens that come to nothing.
"""


def likeliest(scores: Tensor, rows: Sequence[int], places: Sequence[int]) -> Tensor:
    """The tokens with the largest scores: greedy decoding."""
    return scores.argmax(-1)


def drawn_by(draws: Callable[..., Any]) -> Chooser:
    """A chooser that is given the scores as an array: `aligncap.captioner.drawing.Draws`, say."""

    def choose(scores: Tensor, rows: Sequence[int], places: Sequence[int]) -> Tensor:
        return torch.from_numpy(draws(scores.float().cpu().numpy(), rows, places)).to(scores.device)

    return choose


Linear = Callable[[Tensor], Tensor]


class _ChosenBy(LogitsProcessor):
    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows, place = range(len(scores)), input_ids.shape[1]
        chosen = self._chooser(scores, rows, [place] * len(rows))
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)


def chosen_by(chooser: Chooser) -> LogitsProcessorList:
    """Makes ``generate`` of `transformers`, given embeddings of the prompts, take the tokens of a chooser."""
    return LogitsProcessorList([_ChosenBy(chooser)])


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
        self._attention_dtype = torch.float64 if is_quantised(model) else model.dtype  # see `aligncap.model.int8`
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
        chooser: Chooser = likeliest,
        phrases: Phrases | None = None,
    ) -> Tensor:
        """Write responses.

        Args:
            embeddings: (batch, prompt tokens, width); where ``past_key_values`` hold a beginning, its embeddings
                are not looked at.
            mask: (batch, prompt tokens); the last token of each prompt stands in the last column.
            max_new_tokens: at most so many.
            past_key_values: state after a beginning of the prompts, as in `read`.
            chooser: of tokens, by their scores.
            phrases: guesses what comes next. Guesses are read along with the token before them; those that the
                chooser would not have chosen are forgotten, so that they change nothing but the time it takes.

        Returns:
            (batch, new tokens): after its end-of-turn token each row holds padding.
        """
        batch, length = mask.shape
        known = 0 if past_key_values is None else past_key_values.get_seq_length()
        keys, values = self._buffers(past_key_values, batch, length - known + max_new_tokens)
        scores = self._model.lm_head(self._read(embeddings[:, known:], mask, keys, values)[:, -1])
        ends, padding = self._ends_and_padding()
        rotation = self._rotation(positions(mask)[:, -1:] + 1 + torch.arange(max_new_tokens))
        seen = functional.pad(mask, (0, max_new_tokens), value=1).bool()
        written: list[list[int]] = [[] for _ in range(batch)]
        kept = running = list(range(batch))  # those in the buffers, and those that have not ended
        guesses: list[list[int]] = [[] for _ in running]
        while True:
            rows = [row for row, guess in zip(running, guesses, strict=True) for _ in range(len(guess) + 1)]
            places = [
                len(written[row]) + ahead
                for row, guess in zip(running, guesses, strict=True)
                for ahead in range(len(guess) + 1)
            ]
            chosen = iter(chooser(scores, rows, places).tolist())
            for row, guess in zip(running, guesses, strict=True):
                written[row] += agreed([next(chosen) for _ in range(len(guess) + 1)], guess, ends)
            running = [r for r in running if written[r][-1] not in ends and len(written[r]) < max_new_tokens]
            if not running:
                break
            if 2 * len(running) <= len(kept):  # more often would cost more than it saves
                going = torch.tensor([kept.index(row) for row in running])
                keys, values = [key[going] for key in keys], [value[going] for value in values]
                rotation, seen, kept = [part[going] for part in rotation], seen[going], running
            guesses = [
                [] if phrases is None else phrases.ahead(written[row])[: max_new_tokens - len(written[row]) - 1]
                for row in running
            ]
            feed = dict(
                zip(running, ([written[r][-1], *g] for r, g in zip(running, guesses, strict=True)), strict=True)
            )
            scores = self._model.lm_head(
                self._go_on(
                    [feed.get(row, []) for row in kept],
                    [len(written[row]) - 1 for row in kept],
                    rotation,
                    seen,
                    keys,
                    values,
                )
            )
        longest = max(map(len, written))
        return mask.new_tensor([row + [padding] * (longest - len(row)) for row in written])

    def _go_on(
        self,
        feed: Sequence[Sequence[int]],
        starts: Sequence[int],
        rotation: Sequence[Tensor],
        seen: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
    ) -> Tensor:
        """Final hidden states (tokens, width) of tokens of responses, row by row.

        Args:
            feed: tokens of each row; a row may have none.
            starts: the place of each row's first one in its response.
            rotation: of the places of responses.
            seen: (rows, all tokens): what is not padding of the prompts.
            keys: of every layer; those of the new tokens are written.
            values: likewise.
        """
        new = max(map(len, feed))
        prompt = seen.shape[1] - rotation[0].shape[1]
        last = rotation[0].shape[1] - 1  # no response goes on from there: the place of what is no token
        ahead = (torch.tensor(starts)[:, None] + torch.arange(new)).clamp(max=last)
        real = torch.tensor([row * new + at for row, tokens in enumerate(feed) for at in range(len(tokens))])
        tokens = torch.tensor([token for row in feed for token in row])
        visible = torch.arange(seen.shape[1]) <= prompt + ahead[..., None]
        total = prompt + int(ahead.max()) + 1
        visible = (visible & seen[:, None])[..., :total]
        rows = torch.arange(len(feed))[:, None]
        return self._run(
            self._model.model.embed_tokens.weight[tokens],
            [part[rows, ahead] for part in rotation],
            None if bool(visible.all()) else self._bias(visible[:, None]).repeat(1, 1, self._sharing, 1),
            [key[:, :, :total] for key in keys],
            [value[:, :, :total] for value in values],
            None if len(real) == len(feed) * new else real,
            prompt + ahead,
        )

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
            torch.arange(total - new, total).expand(batch, -1),
        )
        return hidden.new_zeros(batch * new, width).index_copy_(0, real, hidden).view(batch, new, width)

    def _run(
        self,
        x: Tensor,
        rotation: Sequence[Tensor],
        bias: Tensor | None,
        keys: list[Tensor],
        values: list[Tensor],
        real: Tensor | None,
        places: Tensor,
    ) -> Tensor:
        """Final hidden states of new tokens of each row.

        Args:
            x: (tokens, width) of the new tokens that are no padding, row by row.
            rotation: cosines and sines, (rows, new tokens, 1, head width).
            bias: added to attention scores: (rows, 1, heads that share keys * new tokens, all tokens).
            keys: of every layer, (rows, groups, all tokens, head width); those of the new tokens are written.
            values: likewise.
            real: places of ``x`` among rows * new tokens; None: there is no padding.
            places: of the new tokens among all tokens, (rows, new tokens).
        """
        rows, new = rotation[0].shape[:2]
        row = torch.arange(rows)[:, None]
        turned = self._heads + self._groups
        for layer, key, value in zip(self._layers, keys, values, strict=True):
            joined = layer.queries_keys_values(self._norm(x, layer.attention_norm))
            if real is not None:
                joined = joined.new_zeros(rows * new, joined.shape[1]).index_copy_(0, real, joined)
            joined = joined.view(rows, new, turned + self._groups, -1)
            turning = _rotate(joined[:, :, :turned], *rotation)
            key[row, :, places] = turning[:, :, self._heads :]
            value[row, :, places] = joined[:, :, turned:]
            # the heads that share keys stand in the place of several queries
            query = turning[:, :, : self._heads].transpose(1, 2).reshape(rows, self._groups, self._sharing * new, -1)
            mixed = self._attend(query, key, value, bias)
            mixed = mixed.reshape(rows, self._heads, new, -1).transpose(1, 2).reshape(rows * new, -1)
            x = x + layer.attention_out(mixed if real is None else mixed[real])
            gate, up = layer.gate_up(self._norm(x, layer.feed_norm)).chunk(2, -1)
            x = x + layer.down(functional.silu(gate) * up)
        return self._norm(x, self._model.model.norm.weight)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        queries, keys, values = (part.to(self._attention_dtype) for part in (query, key, value))
        bias = None if bias is None else bias.to(self._attention_dtype)
        return functional.scaled_dot_product_attention(queries, keys, values, bias).to(query.dtype)

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

    def _ends_and_padding(self) -> tuple[list[int], int]:
        settings = self._model.generation_config
        ends = settings.eos_token_id
        ends = list(ends) if isinstance(ends, Sequence) else [ends]
        padding = settings.pad_token_id
        return ends, ends[0] if padding is None else padding


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
