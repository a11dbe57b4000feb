"""Size, memory and time of the recipes, calculated from the shapes of their base weights. Nothing is downloaded or run.

    python benchmarks/recipes.py --markdown FILE

The models are built on the meta device (shapes without numbers). Memory of a training step on one device:

* weights of encoder (up to its last tapped layer) and language model in the recipe's type;
* what is trained, in float32: weights, gradients and AdamW's two moments (16 bytes a parameter);
* activations: about 34 numbers of the hidden width for each token and layer (Korthikanti et al. 2022, without the
  attention matrix, which flash or memory-efficient attention does not keep), or the layer's input alone with gradient
  checkpointing; and the logits of the response tokens, student's and teacher's, in float32.

Time: 2 floating-point operations a parameter and token forward, 2 backward (frozen weights need no gradient of their
own), 2 more with checkpointing; divided by the rate given. Both are estimates: measure before you buy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from aligncap.model import AlignCapConfig, AlignCapForConditionalGeneration
from aligncap.training.recipe import Recipe, load_recipe


def _whisper(width: int, layers: int, heads: int, mels: int) -> WhisperEncoder:
    shape = {"d_model": width, "encoder_layers": layers, "encoder_attention_heads": heads, "num_mel_bins": mels}
    return WhisperEncoder(WhisperConfig(encoder_ffn_dim=4 * width, **shape))


def _llama(vocabulary: int, width: int, inner: int, layers: int, heads: int, groups: int, tied: bool) -> Any:
    shape = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    shape |= {"num_attention_heads": heads, "num_key_value_heads": groups, "tie_word_embeddings": tied}
    return LlamaForCausalLM(LlamaConfig(**shape))


def _qwen3() -> Any:
    shape = {"vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28}
    shape |= {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True}
    return Qwen3ForCausalLM(Qwen3Config(**shape))


# published shapes of the base weights that the recipes name
SHAPES: dict[str, Any] = {
    "aligncap:whisper-base": lambda: _whisper(512, 6, 8, 80),
    "openai/whisper-small": lambda: _whisper(768, 12, 12, 80),
    "openai/whisper-large-v3": lambda: _whisper(1280, 32, 20, 128),
    "aligncap:smollm2-135m-instruct": lambda: _llama(49152, 576, 1536, 30, 9, 3, True),
    "Qwen/Qwen3-0.6B": _qwen3,
    "meta-llama/Llama-2-7b-chat-hf": lambda: _llama(32000, 4096, 11008, 32, 32, 32, False),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "recipes", nargs="*", type=Path, default=[Path(f"configs/{n}.yaml") for n in ("embedded", "small", "paper")]
    )
    parser.add_argument("--tokens", type=int, default=110, help="of a student's prompt and response")
    parser.add_argument("--response", type=int, default=35, help="of which are response")
    parser.add_argument("--tflops", type=float, nargs="+", default=[0.25, 60.0, 120.0], help="rates reached")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    rates = " | ".join(f"align, h at {rate:g} TFLOP/s" for rate in arguments.tflops)
    lines = [
        f"| recipe | encoder, M | language model, M | trained, M | memory, GB | cache, KB a caption | {rates} |",
        f"|---|--:|--:|--:|--:|--:|{'--:|' * len(arguments.tflops)}",
    ]
    for path in arguments.recipes:
        lines.append(row(path.stem, load_recipe(path, []), arguments))
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")


def row(name: str, recipe: Recipe, arguments: argparse.Namespace) -> str:
    """One recipe's line."""
    with torch.device("meta"):
        encoder, llm = SHAPES[recipe.model.speech_encoder](), SHAPES[recipe.model.language_model]()
        base = {"speech_encoder": {"name": "", "fingerprint": ""}, "language_model": {"name": "", "fingerprint": ""}}
        config = AlignCapConfig(
            encoder.config.to_dict(),
            llm.config.to_dict(),
            base,
            taps=recipe.model.taps,
            frame_stride=recipe.model.frame_stride,
            bridge=recipe.model.bridge,
            lora=recipe.model.lora,
        )
        language_model = count(llm)
        model = AlignCapForConditionalGeneration(config, encoder, llm)
    model.train_parts()
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    below = count(model.speech_encoder)
    text, stage = llm.config, recipe.align
    micro, size = stage.micro_batch or stage.batch_size, 2 if stage.bf16 else 4
    tokens = micro * arguments.tokens
    kept = 1 if stage.gradient_checkpointing else 34
    activations = tokens * text.hidden_size * (text.num_hidden_layers * kept + 34) * size / 2
    logits = 2 * 2 * micro * arguments.response * text.vocab_size * 4
    memory = (below + language_model) * size + 16 * trained + activations + logits
    work = (6 if stage.gradient_checkpointing else 4) * language_model * arguments.tokens * stage.batch_size
    hours = " | ".join(f"{work * stage.steps / rate / 1e12 / 3600:.2g}" for rate in arguments.tflops)
    cache = arguments.response * text.hidden_size * size / 1000
    return (
        f"| {name} | {below / 1e6:.0f} | {language_model / 1e6:.0f} | {trained / 1e6:.1f} | {memory / 1e9:.1f} | "
        f"{cache:.0f} | {hours} |"
    )


def count(module: torch.nn.Module) -> int:
    """Parameters, those that are shared counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    main()
