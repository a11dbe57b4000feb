"""Configuration of AlignCap models."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from aligncap.errors import CheckpointError

__all__ = ["EMOTIONS", "SPEECH_TOKEN", "AlignCapConfig", "BridgeConfig", "LoraSettings"]

EMOTIONS = ("angry", "boredom", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SPEECH_TOKEN = "<|speech|>"


@dataclass
class BridgeConfig:
    """Shape of the bridge between speech encoder and language model.

    Attributes:
        kind: ``qformer`` (window-level Q-Former) or ``conv`` (strided convolution and MLP).
        width: inner width.
        layers: Q-Former layers (``qformer`` only).
        heads: attention heads (``qformer`` only).
        window: pooled encoder frames in a window.
        queries: speech embeddings per window.
        utterance_embeddings: further embeddings made from the summary of the whole clip.
        nuisance_rank: directions of speaker and recording that the summary can damp (`UtteranceSummary`).
        dropout: dropout probability.
    """

    kind: str = "qformer"
    width: int = 256
    layers: int = 2
    heads: int = 4
    window: int = 5
    queries: int = 2
    utterance_embeddings: int = 4
    nuisance_rank: int = 128
    dropout: float = 0.1


@dataclass
class LoraSettings:
    """Low-rank adapters on the language model (Hu et al. 2022).

    Attributes:
        rank: rank of the update.
        alpha: scale; the update is multiplied by ``alpha / rank``.
        dropout: dropout on the adapters' input.
        targets: names of the linear layers that get an adapter.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    targets: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])


class AlignCapConfig(PretrainedConfig):
    """Configuration of `AlignCapForConditionalGeneration`.

    Args:
        speech_config: configuration of the speech encoder (any type that `SpeechEncoder` supports).
        text_config: configuration of the language model (any causal language model).
        base_weights: where the parts that AlignCap does not train come from: for ``speech_encoder`` and
            ``language_model`` each a ``name`` (``aligncap:NAME`` for the weights catalogue, else a Hub name
            or a folder) and a ``fingerprint``.
        taps: encoder layers that are read (see `SpeechEncoder`).
        frame_stride: encoder frames averaged into one.
        bridge: fields of `BridgeConfig`.
        lora: fields of `LoraSettings`, or None for a language model without adapters.
        emotions: labels of the emotion heads.
        level_dbfs: level of active speech to which recordings are brought before the encoder, in dB relative
            to full scale.
        max_seconds: longest stretch captioned as one; what is longer is segmented.
        system_prompt: text of the system turn.
        clues: what the clue prompt tells that the model was trained with: ``emotions`` (the emotion head's
            hypotheses), ``voice`` (measurements); empty for a model without clue prompts.
        answer_share: what part of the probabilities of emotions comes from the language model's own one-word answer, in
            [0, 1]; the rest is the emotion head's. With 0 it is not asked, which is faster.
        speeds: further speeds at which the emotion head hears each recording (`aligncap.model.hearing.hear`).
    """

    model_type = "aligncap"
    sub_configs = {"speech_config": AutoConfig, "text_config": AutoConfig}  # noqa: RUF012 (transformers' protocol)
    has_no_defaults_at_init = True

    def __init__(
        self,
        speech_config: dict[str, Any] | PretrainedConfig | None = None,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        base_weights: dict[str, dict[str, str]] | None = None,
        taps: list[int] | tuple[int, ...] = (1, 2, 3),
        frame_stride: int = 5,
        bridge: dict[str, Any] | BridgeConfig | None = None,
        lora: dict[str, Any] | LoraSettings | None = None,
        emotions: list[str] | tuple[str, ...] = EMOTIONS,
        level_dbfs: float = -22.0,
        max_seconds: float = 10.0,
        system_prompt: str = "You listen to speech and describe the emotion in the voice.",
        clues: list[str] | tuple[str, ...] = ("emotions", "voice"),
        answer_share: float = 0.5,
        speeds: list[float] | tuple[float, ...] = (),
        **kwargs: Any,
    ) -> None:
        self.speech_config = _sub_config(speech_config)
        self.text_config = _sub_config(text_config)
        self.base_weights = base_weights or {}
        self.taps = list(taps)
        self.frame_stride = frame_stride
        self.bridge = asdict(bridge) if isinstance(bridge, BridgeConfig) else asdict(BridgeConfig(**(bridge or {})))
        self.lora = asdict(lora) if isinstance(lora, LoraSettings) else lora
        self.emotions = list(emotions)
        self.level_dbfs = level_dbfs
        self.max_seconds = max_seconds
        self.system_prompt = system_prompt
        self.clues = list(clues)
        self.answer_share = answer_share
        self.speeds = list(speeds)
        super().__init__(**kwargs)

    @property
    def bridge_config(self) -> BridgeConfig:
        """The bridge's shape as a dataclass."""
        return BridgeConfig(**self.bridge)

    @property
    def lora_settings(self) -> LoraSettings | None:
        """The adapters' settings as a dataclass."""
        return None if self.lora is None else LoraSettings(**self.lora)


def load_config(source: str, **kwargs: Any) -> AlignCapConfig:
    """Read a checkpoint's configuration.

    Raises:
        CheckpointError: missing, damaged, or of another kind of model.
    """
    try:
        found, _ = AlignCapConfig.get_config_dict(source, **kwargs)
    except (OSError, ValueError) as error:
        if not Path(source).is_dir():
            raise CheckpointError(f"{source}: not found on the Hub, or the Hub cannot be reached") from error
        raise CheckpointError(f"{source}: config.json cannot be read ({str(error).splitlines()[0]})") from error
    if not found:
        raise CheckpointError(f"{source}: there is no config.json")
    if found.get("model_type") != AlignCapConfig.model_type:
        raise CheckpointError(f"{source}: not an AlignCap checkpoint")
    config = AlignCapConfig.from_dict(found)
    for part in ("speech_encoder", "language_model"):
        if part not in config.base_weights:
            raise CheckpointError(f"{source}: the configuration names no {part}")
    return config


def _sub_config(value: dict[str, Any] | PretrainedConfig | None) -> PretrainedConfig | None:
    if isinstance(value, dict):
        kwargs = dict(value)
        return AutoConfig.for_model(kwargs.pop("model_type"), **kwargs)
    return value
