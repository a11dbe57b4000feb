"""Writes a checkpoint as a folder that ONNX Runtime runs without PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aligncap.captioner.calibration import Calibration
from aligncap.captioner.exported.folder import (
    ARRAYS_FILE,
    HABITS_FILE,
    HEARING_FILE,
    LANGUAGE_MODEL_FILE,
    TOKENIZER_FILE,
    Exported,
    Prompt,
    Table,
)
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.captions.prompt import user_turn
from aligncap.errors import AlignCapError
from aligncap.export.hearing import export_hearing
from aligncap.export.llama import BLOCK, llama_graph, quantised
from aligncap.model.configuration import SPEECH_TOKEN
from aligncap.model.decoding import LlamaDecoder
from aligncap.model.prompt import markup_of, render_prompt

__all__ = ["check_exportable", "export_onnx"]

_TABLE_FILE = "embeddings.data"


def check_exportable(captioner: TorchCaptioner) -> None:
    """Refuse what cannot be exported.

    Raises:
        AlignCapError: another speech encoder than Whisper's, another language model than of the Llama family, or
            emotions that the language model is asked for.
    """
    model = captioner.model
    if not model.speech_encoder.is_whisper:
        kind = model.config.speech_config.model_type
        raise AlignCapError(f"{captioner.name}: only Whisper encoders can be exported, and this is {kind}")
    if not LlamaDecoder.supports(model.language_model):
        kind = model.language_model.config.model_type
        raise AlignCapError(
            f"{captioner.name}: only language models of the Llama family (without biases) can be exported, "
            f"and this is {kind}"
        )
    if model.language_model.model.layers[0].self_attn.head_dim % 16:
        raise AlignCapError(f"{captioner.name}: ONNX Runtime wants keys whose width is a multiple of 16")
    if model.config.answer_share:
        raise AlignCapError(f"{captioner.name}: its emotions are partly the language model's: that is not exported")


def export_onnx(
    captioner: TorchCaptioner,
    folder: Path,
    *,
    bits: int | None = None,
    calibration: Calibration | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write a captioner's model; a half-written folder is never left under its name.

    Args:
        captioner: in float32, on the CPU.
        folder: must not exist yet.
        bits: of the language model's weights: 8, 4; None: float32.
        calibration: to be built in.
        say: told what is being written.

    Raises:
        AlignCapError: the model cannot be exported, or the folder exists.
    """
    check_exportable(captioner)
    if folder.exists():
        raise AlignCapError(f"{folder}: it exists already; choose another folder, or remove it first")
    llm = captioner.model.language_model.config
    if bits and (llm.hidden_size % BLOCK or llm.intermediate_size % BLOCK):
        widths = f"{llm.hidden_size} and {llm.intermediate_size}"
        raise AlignCapError(f"{captioner.name}: its widths {widths} are no multiples of {BLOCK}: export it in float32")
    if calibration is not None:
        calibration.check(captioner.model)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _write(captioner, aside, bits, calibration, say)
        aside.replace(folder)
    except OSError as error:
        raise AlignCapError(f"{folder}: it cannot be written ({error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(
    captioner: TorchCaptioner,
    folder: Path,
    bits: int | None,
    calibration: Calibration | None,
    say: Callable[[str], None],
) -> None:
    model, processor = captioner.model, captioner.processor
    config, llm = model.config, model.language_model
    say("speech encoder, bridge, emotion head")
    export_hearing(model, folder / HEARING_FILE)
    say("language model")
    graph = llama_graph(llm, bits)
    data = f"{LANGUAGE_MODEL_FILE}.data"
    onnx.save_model(graph, folder / LANGUAGE_MODEL_FILE, save_as_external_data=True, location=data)
    say("tokenizer and settings")
    processor.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER_FILE))
    taps = (len(config.taps), model.speech_encoder.width)
    np.savez(
        folder / ARRAYS_FILE,
        filters=np.asarray(processor.feature_extractor.mel_filters, np.float64),
        offset=np.zeros(taps, np.float32) if calibration is None else calibration.offset.numpy(),
    )
    if processor.habits:
        text = "".join(f"{caption}\n" for caption in processor.habits)
        (folder / HABITS_FILE).write_text(text, encoding="utf-8")
    end = processor.tokenizer.eos_token_id
    others = model.generation_config.eos_token_id
    others = {*(others if isinstance(others, list) else [others])} - {end}
    Exported(
        emotions=tuple(config.emotions),
        clues=tuple(config.clues),
        max_seconds=float(config.max_seconds),
        level_dbfs=float(config.level_dbfs),
        window=int(processor.feature_extractor.n_fft),
        hop=int(processor.feature_extractor.hop_length),
        prompt=_layout(processor.tokenizer, config.system_prompt),
        ends=(end, *sorted(others)),
        table=_table(folder, llm, data, bits),
        layers=len(llm.model.layers),
        groups=int(llm.config.num_key_value_heads),
        head_width=int(llm.model.layers[0].self_attn.head_dim),
        width=int(llm.config.hidden_size),
        vocabulary=int(llm.config.vocab_size),
        positions=int(llm.config.max_position_embeddings),
        number_format="float32" if bits is None else f"int{bits}",
        calibrated=calibration is not None,
        speeds=tuple(config.speeds),
    ).save(folder)


def _layout(tokenizer: Any, system_prompt: str) -> Prompt:
    """How the chat template lays out a prompt.

    Raises:
        AlignCapError: it does more than put text before and after what the user says.
    """
    markup = tuple(sorted(markup_of(tokenizer)))
    asked = [(3, "Describe it.", "Feeling: sad."), (1, "What do you hear?", ""), (0, "a", "b")]
    turns = [user_turn(SPEECH_TOKEN * count, text, clues, markup) for count, text, clues in asked]
    rendered = [render_prompt(tokenizer, *each, system_prompt) for each in asked]
    before, found, after = rendered[0].partition(turns[0])
    if not found or any(f"{before}{turn}{after}" != whole for turn, whole in zip(turns, rendered, strict=True)):
        raise AlignCapError("the chat template of this language model cannot be exported")
    return Prompt(before, after, SPEECH_TOKEN, markup)


def _table(folder: Path, llm: Any, data: str, bits: int | None) -> Table:
    """Where the token embeddings lie: where the head's weights are, or written apart."""
    table = llm.model.embed_tokens.weight
    if table.data_ptr() == llm.lm_head.weight.data_ptr():
        graph = onnx.load(folder / LANGUAGE_MODEL_FILE, load_external_data=False).graph
        offsets = {
            weight.name: int({entry.key: entry.value for entry in weight.external_data}.get("offset", 0))
            for weight in graph.initializer
        }
        scales = None if bits is None else offsets["head.scale"]
        return Table(data, offsets["head.weight"], scales, bits or 32, BLOCK)
    weights = np.asarray(table.detach().float().numpy())
    parts: list[NDArray[Any]] = [weights] if bits is None else list(quantised(weights, bits))
    (folder / _TABLE_FILE).write_bytes(b"".join(part.tobytes() for part in parts))
    return Table(_TABLE_FILE, 0, None if bits is None else parts[0].nbytes, bits or 32, BLOCK)
