"""A language model of the Llama family as an ONNX graph, made of ONNX Runtime's fused operators.

What the graph takes and gives, for one row: embeddings in, scores out, keys and values in buffers of their final size
that are written in place. So a runtime can forget tokens by counting fewer of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["BLOCK", "llama_graph", "quantised", "restored"]

BLOCK = 32
"""Weights that share a scale."""

_FUSED = "com.microsoft"
_INTEGERS = 4  # accuracy level: inputs are brought to 8 bits too, by blocks, or it would be slow


def quantised(weight: NDArray[np.float32], bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights in integers, a scale for each `BLOCK` of inputs; symmetric, half the range standing for zero.

    Args:
        weight: (outputs, inputs), inputs a multiple of `BLOCK`.
        bits: 8 or 4 (two to a byte, the first in the lower half).

    Returns:
        (outputs, blocks, BLOCK * bits / 8) and (outputs, blocks), as `MatMulNBits` takes them.
    """
    half = 2 ** (bits - 1)
    blocks = weight.reshape(len(weight), -1, BLOCK)
    scale = np.abs(blocks).max(-1, keepdims=True) / (half - 1)
    scale = np.maximum(scale, np.float32(1e-12))
    whole = (np.clip(np.rint(blocks / scale), -half, half - 1) + half).astype(np.uint8)
    if bits == 4:
        whole = whole[..., ::2] | (whole[..., 1::2] << 4)
    return whole, scale[..., 0].astype(np.float32)


def restored(whole: NDArray[np.uint8], scale: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """The weights (outputs, inputs) that `quantised` ones stand for."""
    if bits == 4:
        whole = np.stack([whole & 15, whole >> 4], -1).reshape(*whole.shape[:-1], -1)
    shifted = whole.astype(np.float32) - np.float32(2 ** (bits - 1))
    return np.asarray((shifted * scale[..., None]).reshape(len(whole), -1))


def llama_graph(model: Any, bits: int | None) -> onnx.ModelProto:
    """The graph of a language model with merged adapters.

    Inputs: ``embeddings`` (1, T, width) of the next T tokens; ``last`` int32 (1,), the place of the last of them;
    ``total`` int32 (), the places in use; ``scored`` int64 (1,), the first of the T whose scores are wanted; ``keys.i``
    and ``values.i`` (1, groups, room, head width) of each layer. Outputs: ``scores`` (1, wanted, vocabulary);
    ``keys_out.i`` and ``values_out.i``, which must be bound to the same buffers.

    Args:
        model: a ``LlamaForCausalLM`` without biases.
        bits: 8 or 4: weights in integers; None: in float32.
    """
    return _Builder(model, bits).build()


class _Builder:
    def __init__(self, model: Any, bits: int | None) -> None:
        self._model = model
        self._bits = bits
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        model, config = self._model, self._model.config
        layers = model.model.layers
        head_width = layers[0].self_attn.head_dim
        places = torch.arange(config.max_position_embeddings)[None]
        cosines, sines = model.model.rotary_emb(model.model.embed_tokens.weight[:1].float(), places)
        self._constant("cosines", _array(cosines[0, :, : head_width // 2]))
        self._constant("sines", _array(sines[0, :, : head_width // 2]))
        added, x = "", "embeddings"
        for i, layer in enumerate(layers):
            attention, feed = layer.self_attn, layer.mlp
            normed, x = self._norm(f"{i}.attention_norm", x, added, layer.input_layernorm.weight)
            joined = [attention.q_proj, attention.k_proj, attention.v_proj]
            projected = self._product(f"{i}.queries_keys_values", normed, joined)
            mixed = f"{i}.mixed"
            self._node(
                "GroupQueryAttention",
                [projected, "", "", f"keys.{i}", f"values.{i}", "last", "total", "cosines", "sines"],
                [mixed, f"keys_out.{i}", f"values_out.{i}"],
                _FUSED,
                num_heads=config.num_attention_heads,
                kv_num_heads=config.num_key_value_heads,
                do_rotary=1,
            )
            added = self._product(f"{i}.attention_out", mixed, [attention.o_proj])
            normed, x = self._norm(f"{i}.feed_norm", x, added, layer.post_attention_layernorm.weight)
            gate = self._product(f"{i}.gate", normed, [feed.gate_proj])
            up = self._product(f"{i}.up", normed, [feed.up_proj])
            self._node("Sigmoid", [gate], [f"{i}.open"])
            self._node("Mul", [gate, f"{i}.open"], [f"{i}.silu"])
            self._node("Mul", [f"{i}.silu", up], [f"{i}.gated"])
            added = self._product(f"{i}.down", f"{i}.gated", [feed.down_proj])
        normed, _ = self._norm("norm", x, added, model.model.norm.weight)
        self._constant("end", np.array([np.iinfo(np.int64).max]))
        self._constant("axis", np.array([1]))
        self._node("Slice", [normed, "scored", "end", "axis"], ["wanted"])
        self._node("Identity", [self._product("head", "wanted", [model.lm_head])], ["scores"])
        state = ["1", config.num_key_value_heads, "room", head_width]
        names = [f"{kind}{{}}.{i}" for i in range(len(layers)) for kind in ("keys", "values")]
        graph = helper.make_graph(
            self._nodes,
            "language_model",
            [
                _tensor("embeddings", [1, "tokens", config.hidden_size]),
                _tensor("last", [1], TensorProto.INT32),
                _tensor("total", [], TensorProto.INT32),
                _tensor("scored", [1], TensorProto.INT64),
                *(_tensor(name.format(""), [1, *state[1:]]) for name in names),
            ],
            [
                _tensor("scores", [1, "wanted", config.vocab_size]),
                *(_tensor(name.format("_out"), [1, *state[1:]]) for name in names),
            ],
            self._weights,
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="aligncap")

    def _norm(self, name: str, x: str, added: str, weight: torch.Tensor) -> tuple[str, str]:
        """Normed x + added, and x + added itself."""
        self._constant(f"{name}.weight", _array(weight))
        epsilon = self._model.config.rms_norm_eps
        if not added:
            inputs, total = [x, f"{name}.weight"], x
            self._node("SimplifiedLayerNormalization", inputs, [name], axis=-1, epsilon=epsilon, stash_type=1)
        else:
            inputs, total = [x, added, f"{name}.weight"], f"{name}.total"
            self._node("SkipSimplifiedLayerNormalization", inputs, [name, "", "", total], _FUSED, epsilon=epsilon)
        return name, total

    def _product(self, name: str, x: str, layers: Sequence[torch.nn.Linear]) -> str:
        """X by the weights of layers, side by side."""
        weight = np.concatenate([_array(layer.weight) for layer in layers])
        if self._bits is None:
            self._constant(f"{name}.weight", weight)
            self._node("FusedMatMul", [x, f"{name}.weight"], [name], _FUSED, transB=1)
            return name
        whole, scale = quantised(weight, self._bits)
        self._constant(f"{name}.weight", whole)
        self._constant(f"{name}.scale", scale)
        outputs, inputs = weight.shape
        self._node(
            "MatMulNBits",
            [x, f"{name}.weight", f"{name}.scale"],
            [name],
            _FUSED,
            K=inputs,
            N=outputs,
            bits=self._bits,
            block_size=BLOCK,
            accuracy_level=_INTEGERS,
        )
        return name

    def _constant(self, name: str, array: NDArray[Any]) -> None:
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))

    def _node(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, name=f"{outputs[0]}", **attributes))


def _tensor(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy())
