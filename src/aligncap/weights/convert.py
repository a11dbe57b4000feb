"""One-time conversion of downloaded base weights into plain safetensors folders that load in seconds."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncap.errors import WeightsHashError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["convert_gguf_llm", "convert_whisper_encoder", "read_ctranslate2"]

_CT2_VERSION = 6
_CT2_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read_ctranslate2(path: Path, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Read the tensors of a CTranslate2 ``model.bin`` (binary version 6) whose names begin with ``prefix``.

    Raises:
        WeightsHashError: the file is of another version.
    """
    with path.open("rb") as file:

        def unpack(fmt: str) -> tuple[Any, ...]:
            return struct.unpack("<" + fmt, file.read(struct.calcsize("<" + fmt)))

        def string() -> str:
            return file.read(unpack("H")[0]).rstrip(b"\0").decode()

        (version,) = unpack("I")
        if version != _CT2_VERSION:
            raise WeightsHashError(f"{path.name}: CTranslate2 format {version}, expected {_CT2_VERSION}")
        string()  # the name of the specification
        _revision, count = unpack("II")
        for _ in range(count):
            name = string()
            (rank,) = unpack("B")
            shape = unpack("I" * rank)
            dtype, size = unpack("BI")
            if name.startswith(prefix):
                yield name, np.frombuffer(file.read(size), _CT2_DTYPES[dtype]).reshape(shape)
            else:
                file.seek(size, 1)


def whisper_encoder_tensors(model_bin: Path) -> dict[str, NDArray[Any]]:
    """Rename a CTranslate2 Whisper encoder's tensors to those of ``transformers``' ``WhisperEncoder``.

    CTranslate2 fuses query, key and value into one matrix; Whisper's key projection has no bias, so the
    middle third of the fused bias is zero and is dropped.
    """
    out: dict[str, NDArray[Any]] = {}
    for name, tensor in read_ctranslate2(model_bin, "encoder/"):
        parts = name.split("/")[1:]
        kind = {"gamma": "weight", "beta": "bias"}.get(parts[-1], parts[-1])
        if parts[0] in ("conv1", "conv2"):
            out[f"{parts[0]}.{kind}"] = tensor
        elif parts[0] == "position_encodings":
            out["embed_positions.weight"] = tensor
        elif parts[0] == "layer_norm":
            out[f"layer_norm.{kind}"] = tensor
        elif parts[0].startswith("layer_") and kind in ("weight", "bias"):
            layer = f"layers.{parts[0].removeprefix('layer_')}"
            block, module = parts[1], parts[2]
            if block == "self_attention" and module == "linear_0":
                for part, third in zip(("q_proj", "k_proj", "v_proj"), np.split(tensor, 3), strict=True):
                    if (part, kind) != ("k_proj", "bias"):
                        out[f"{layer}.self_attn.{part}.{kind}"] = third
                continue
            target = {
                ("self_attention", "linear_1"): "self_attn.out_proj",
                ("self_attention", "layer_norm"): "self_attn_layer_norm",
                ("ffn", "linear_0"): "fc1",
                ("ffn", "linear_1"): "fc2",
                ("ffn", "layer_norm"): "final_layer_norm",
            }[block, module]
            out[f"{layer}.{target}.{kind}"] = tensor
    return out


def convert_whisper_encoder(model_bin: Path, out_dir: Path) -> None:
    """Write the encoder of a CTranslate2 Whisper as a ``transformers`` folder.

    Args:
        model_bin: CTranslate2's ``model.bin``.
        out_dir: an existing empty folder; gets ``config.json``, ``preprocessor_config.json`` and
            ``model.safetensors`` (float16, the precision of the source).
    """
    from safetensors.numpy import save_file

    tensors = {k: np.ascontiguousarray(v, np.float16) for k, v in whisper_encoder_tensors(model_bin).items()}
    width, mels = tensors["conv1.weight"].shape[:2]
    layers = 1 + max(int(k.split(".")[1]) for k in tensors if k.startswith("layers."))
    config = {
        "model_type": "whisper",
        "architectures": ["WhisperEncoder"],
        "d_model": int(width),
        "encoder_layers": layers,
        "encoder_attention_heads": int(width) // 64,
        "encoder_ffn_dim": int(tensors["layers.0.fc1.weight"].shape[0]),
        "num_mel_bins": int(mels),
        "max_source_positions": int(tensors["embed_positions.weight"].shape[0]),
    }
    features = {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": int(mels),
        "sampling_rate": 16000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "padding_value": 0.0,
        "return_attention_mask": False,
    }
    save_file(tensors, out_dir / "model.safetensors", metadata={"format": "pt"})
    (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out_dir / "preprocessor_config.json").write_text(json.dumps(features, indent=2) + "\n")


def convert_gguf_llm(gguf: Path, out_dir: Path) -> None:
    """Write a GGUF language model (dequantised to float16) and its tokenizer as a ``transformers`` folder.

    Args:
        gguf: the model file, with tokenizer and chat template inside.
        out_dir: an existing empty folder; gets ``config.json``, ``generation_config.json``, the tokenizer's
            files and ``model.safetensors``.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # transformers refuses to save an object loaded from GGUF: move its tensors into a fresh one.
    fresh = type(loaded)(type(loaded.config).from_dict(_plain_config(loaded.config.to_dict())))
    fresh.load_state_dict(loaded.state_dict())
    fresh.to(torch.float16).save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)


def _plain_config(config: dict[str, Any]) -> dict[str, Any]:
    drop = ("quantization_config", "_name_or_path", "dtype", "torch_dtype", "gguf_file")
    return {key: value for key, value in config.items() if key not in drop}
