"""A language model of the Llama family as a GGUF file, for llama.cpp; used by `peers.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

Q8 = gguf.GGMLQuantizationType.Q8_0

_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(model: Any, vocabulary: dict[str, int], merges: list[str], path: Path, *, quantised: bool) -> None:
    """Write weights and as much of a tokenizer as llama.cpp asks for: it is given tokens, never text."""
    config = model.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_rope_dimension_count(config.hidden_size // heads)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    names = {place: token for token, place in vocabulary.items()}
    writer.add_token_list([names.get(place, f"[unused {place}]") for place in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(merges)
    for name, tensor in model.state_dict().items():
        array = tensor.float().numpy()
        if name == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif name == "model.norm.weight":
            target = "output_norm.weight"
        elif name.startswith("model.layers."):
            _, _, layer, part = name.split(".", 3)
            part = part.removesuffix(".weight")
            target = f"blk.{layer}.{_LAYER[part]}.weight"
            if part in ("self_attn.q_proj", "self_attn.k_proj"):
                array = _interleaved(array, heads if part.endswith("q_proj") else groups)
        else:
            continue
        array = np.ascontiguousarray(array)
        if quantised and array.ndim == 2:
            writer.add_tensor(target, gguf.quants.quantize(array, Q8), raw_dtype=Q8)
        else:
            writer.add_tensor(target, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head in the order in which llama.cpp turns them: neighbours, not halves."""
    width = weight.shape[1]
    return weight.reshape(heads, 2, -1, width).swapaxes(1, 2).reshape(-1, width)
