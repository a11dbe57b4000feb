"""The AlignCap model: speech encoder, bridge and language model, in the order of the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput

from aligncap.captions.habits import Phrases
from aligncap.errors import CheckpointError, PromptError
from aligncap.model.base import fingerprint, load_language_model, load_speech_encoder, load_tokenizer
from aligncap.model.bridge import build_bridge, layer_mix
from aligncap.model.configuration import SPEECH_TOKEN, AlignCapConfig, load_config
from aligncap.model.decoding import Chooser, LlamaDecoder, chosen_by, likeliest
from aligncap.model.int8 import has_integer_dot_products, is_quantised, quantise
from aligncap.model.lora import TEACHER, add_lora, has_adapter, merge_lora, using_adapter
from aligncap.model.responses import positions, response_states
from aligncap.model.speech_encoder import SpeechEncoder
from aligncap.model.utterance import UtteranceSummary

__all__ = ["AlignCapForConditionalGeneration", "AlignCapOutput", "SpeechEmbeddings"]

WEIGHTS_FILE = "model.safetensors"
_LEAN_OPTIONS = {"do_sample", "max_new_tokens", "past_key_values"}


@dataclass
class SpeechEmbeddings:
    """What the language model hears of a batch of clips.

    Attributes:
        embeddings: (batch, K, LLM width).
        mask: (batch, K) bool.
        emotion_logits: (batch, emotions) of the emotion head, in the order of ``config.emotions``: the
            model's hypotheses, which enter the clue prompt.
        bridge_logits: (batch, emotions) of the bridge's head, which exists to train the bridge.
    """

    embeddings: Tensor
    mask: Tensor
    emotion_logits: Tensor
    bridge_logits: Tensor

    def select(self, rows: list[int]) -> SpeechEmbeddings:
        """The same for some rows of the batch, in the order given (rows may repeat)."""
        return SpeechEmbeddings(
            self.embeddings[rows], self.mask[rows], self.emotion_logits[rows], self.bridge_logits[rows]
        )

    @staticmethod
    def of(clips: Sequence[SpeechEmbeddings]) -> SpeechEmbeddings:
        """Of clips heard one at a time, as a batch."""
        return SpeechEmbeddings(
            nn.utils.rnn.pad_sequence([clip.embeddings[0] for clip in clips], batch_first=True),
            nn.utils.rnn.pad_sequence([clip.mask[0] for clip in clips], batch_first=True),
            torch.cat([clip.emotion_logits for clip in clips]),
            torch.cat([clip.bridge_logits for clip in clips]),
        )


@dataclass
class AlignCapOutput(ModelOutput):
    """Output of a forward pass; ``logits`` are absent where ``labels`` were given (see `forward`)."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    emotion_logits: Tensor | None = None


class AlignCapForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Describes the emotion in speech.

    A checkpoint holds only what AlignCap trains (layer mix, summary, bridge, emotion heads, adapters); the
    speech encoder and the language model are base weights that it names. Build a new one with `from_base`,
    load a trained one with `from_pretrained`.
    """

    config_class = AlignCapConfig
    main_input_name = "input_ids"
    input_modalities = ("audio", "text")
    _supports_sdpa = True
    _supports_cache_class = True
    _tied_weights_keys: dict[str, str] = {}  # noqa: RUF012 (transformers' protocol)

    def __init__(self, config: AlignCapConfig, speech_encoder: nn.Module, language_model: PreTrainedModel) -> None:
        super().__init__(config)
        text_config = language_model.config.get_text_config()
        self.speech_encoder = SpeechEncoder(speech_encoder, config.taps, config.frame_stride)
        self.layer_weights = nn.Parameter(torch.zeros(len(config.taps)))
        width, summary = self.speech_encoder.width, self.speech_encoder.width * len(config.taps)
        self.summary = UtteranceSummary(summary, config.bridge_config.nuisance_rank)
        self.emotion_head = nn.Linear(summary, len(config.emotions))
        self.bridge = build_bridge(config.bridge_config, width, text_config.hidden_size, summary)
        self.bridge_head = nn.Linear(text_config.hidden_size, len(config.emotions))
        self.language_model = language_model
        self.merged = False
        self._hears_apart = False
        self._decoder: LlamaDecoder | None = None
        self.speech_encoder.requires_grad_(False)
        self.language_model.requires_grad_(False)
        if config.lora_settings is not None:
            add_lora(self.language_model, config.lora_settings)
        self.generation_config = language_model.generation_config

    # ---------------------------------------------------------------- building, loading, saving

    @classmethod
    def from_base(
        cls,
        speech_encoder: str,
        language_model: str,
        dtype: torch.dtype = torch.float32,
        **settings: Any,
    ) -> AlignCapForConditionalGeneration:
        """A new model on base weights, its own parts freshly initialised.

        Args:
            speech_encoder: name of the encoder: ``aligncap:NAME``, a Hub name or a folder.
            language_model: name of the language model, likewise.
            dtype: of the base weights; AlignCap's own parts are float32 until cast.
            settings: fields of `AlignCapConfig`.
        """
        encoder, llm = load_speech_encoder(speech_encoder, dtype), load_language_model(language_model, dtype)
        base = {
            "speech_encoder": {"name": speech_encoder, "fingerprint": fingerprint(encoder)},
            "language_model": {"name": language_model, "fingerprint": fingerprint(llm)},
        }
        # as dictionaries: the parts keep their own configuration objects, which hold their attention kernels
        speech_config, text_config = encoder.config.to_dict(), llm.config.to_dict()
        for part in (speech_config, text_config):
            part.pop("_name_or_path", None)  # a folder of this machine
        config = AlignCapConfig(speech_config, text_config, base, **settings)
        model = cls(config, encoder, llm)
        embedding = llm.get_input_embeddings()
        looked_up = embedding(torch.arange(embedding.num_embeddings))  # some families scale what they look up
        model.bridge.match_scale(float(looked_up.float().std()))
        return model

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *_: Any,
        config: AlignCapConfig | None = None,
        dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        **kwargs: Any,
    ) -> AlignCapForConditionalGeneration:
        """Load a checkpoint and the base weights that it names.

        Args:
            pretrained_model_name_or_path: a folder or a Hub name.
            config: overrides the checkpoint's own.
            dtype: of all parameters (default float32); ``"auto"`` means float32.
            device_map: a device such as ``"cuda"``; maps over several devices are not supported.

        Raises:
            CheckpointError: missing or damaged file, or base weights other than those trained on.
            WeightsError: the base weights cannot be had.
        """
        source = str(pretrained_model_name_or_path)
        config = config or load_config(source, **_hub_options(kwargs))
        dtype = torch.float32 if dtype in (None, "auto") else dtype
        dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        assert isinstance(dtype, torch.dtype)
        parts = {}
        for part, load in (("speech_encoder", load_speech_encoder), ("language_model", load_language_model)):
            base = config.base_weights.get(part)
            if base is None:
                raise CheckpointError(f"{source}: the configuration names no {part}")
            parts[part] = load(base["name"], dtype)
            if dtype != torch.float16 and fingerprint(parts[part]) != base["fingerprint"]:
                what = part.replace("_", " ")
                raise CheckpointError(f"{source}: {base['name']} is not the {what} that this checkpoint was trained on")
        model = cls(config, parts["speech_encoder"], parts["language_model"])
        tensors = _checkpoint_tensors(source, kwargs)
        try:
            model.load_own(tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from error
        model.to(dtype)
        if isinstance(device_map, str | int | torch.device):
            model.to(device_map)
        return model.eval()

    def own_state(self) -> dict[str, Tensor]:
        """The tensors that AlignCap trains; all else is base weights."""
        return {name: tensor for name, tensor in self.state_dict().items() if _is_own(name)}

    def load_own(self, tensors: dict[str, Tensor]) -> None:
        """Load what `own_state` gave.

        Raises:
            CheckpointError: tensors are missing, unknown or of another shape.
        """
        own = self.own_state()
        wrong = sorted(own.keys() ^ tensors.keys()) or [k for k in own if own[k].shape != tensors[k].shape]
        if wrong:
            raise CheckpointError(f"the checkpoint does not fit the model: {', '.join(wrong[:3])} …")
        self.load_state_dict(tensors, strict=False)

    def save_pretrained(self, save_directory: Any, dtype: torch.dtype | None = None, **_: Any) -> None:
        """Write ``config.json`` and ``model.safetensors`` (own tensors only) into a folder.

        Args:
            save_directory: the folder; made if need be.
            dtype: of the tensors in the file (default: as they are).
        """
        if self.merged:
            raise CheckpointError("the adapters were merged: a merged model cannot be saved")
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {k: v.detach().to(dtype or v.dtype).cpu().contiguous() for k, v in self.own_state().items()}
        save_file(tensors, folder / f"{WEIGHTS_FILE}.part", metadata={"format": "pt"})
        (folder / f"{WEIGHTS_FILE}.part").replace(folder / WEIGHTS_FILE)
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)
        processor = {"processor_class": "AlignCapProcessor"}
        (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")

    # ---------------------------------------------------------------- parts

    @contextmanager
    def teacher(self) -> Iterator[None]:
        """Within the block the language model is the teacher, to be given text: the student's adapters are off.

        The teacher's own adapters, where there are any, are on.

        Raises:
            CheckpointError: the adapters were merged and can no longer be switched off.
        """
        if self.merged:
            raise CheckpointError("the adapters were merged: load the checkpoint again to have its teacher")
        with using_adapter(self.language_model, TEACHER if has_adapter(self.language_model, TEACHER) else None):
            yield

    def merge_adapters(self, *, int8: bool | None = False) -> None:
        """Fold the adapters into the language model: faster, but no teacher, training or saving after it.

        Args:
            int8: also bring the language model's linear layers to 8-bit integers (see `aligncap.model.int8`); None:
                where this CPU and this language model gain by it, and captions stay the same alone and in any batch.
        """
        merge_lora(self.language_model)
        self.merged = True
        lean = LlamaDecoder.supports(self.language_model)
        if int8 or (int8 is None and lean and has_integer_dot_products()):
            quantise(self.language_model)
            self._hears_apart = True
        if lean:
            self._decoder = LlamaDecoder(self.language_model)

    @property
    def number_format(self) -> str:
        """What the language model computes in: ``float32``, ``bfloat16``, ``float16`` or ``int8``."""
        return "int8" if is_quantised(self.language_model) else str(self.dtype).removeprefix("torch.")

    def train_parts(self, *, bridge: bool = True, adapters: bool = True) -> None:
        """Choose what trains: bridge (with layer mix and emotion heads), adapters; never the base weights."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(_is_own(name) and (adapters if "lora_" in name else bridge))

    def hear(self, features: Tensor, feature_lengths: Tensor, offset: Tensor | None = None) -> SpeechEmbeddings:
        """Features of a batch of clips (see `SpeechEncoder.forward`) to speech embeddings.

        Args:
            features: of the clips.
            feature_lengths: (batch,).
            offset: (taps, width), taken off every frame's states: what the user's recordings have in common
                (see `aligncap.captioner.calibration`).
        """
        if self._hears_apart and len(features) > 1:
            clips = range(len(features))
            apart = [self.hear(features[i : i + 1], feature_lengths[i : i + 1], offset) for i in clips]
            return SpeechEmbeddings.of(apart)
        return self.hear_states(*self._states(features, feature_lengths, offset))

    def hear_emotions(self, features: Tensor, feature_lengths: Tensor, offset: Tensor | None = None) -> Tensor:
        """The emotion head's logits alone, (batch, emotions); arguments as those of `hear`."""
        if self._hears_apart and len(features) > 1:
            clips = range(len(features))
            apart = [self.hear_emotions(features[i : i + 1], feature_lengths[i : i + 1], offset) for i in clips]
            return torch.cat(apart)
        logits: Tensor = self.emotion_head(self.summary(*self._states(features, feature_lengths, offset)))
        return logits

    def _states(self, features: Tensor, feature_lengths: Tensor, offset: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tapped states (batch, frames, taps, width), less the offset, and their mask (batch, frames)."""
        with torch.no_grad():
            speech = self.speech_encoder(features.to(self.layer_weights.dtype), feature_lengths)
        return speech.states if offset is None else speech.states - offset.to(speech.states), speech.mask

    def hear_states(self, states: Tensor, mask: Tensor) -> SpeechEmbeddings:
        """Tapped states (batch, frames, taps, width) and their mask to speech embeddings."""
        summary = self.summary(states, mask)
        embeddings, own = self.bridge(layer_mix(states, self.layer_weights), mask, summary)
        return SpeechEmbeddings(embeddings, own, self.emotion_head(summary), self.bridge_head(pool(embeddings, own)))

    def embed(self, input_ids: Tensor, speech: SpeechEmbeddings | None) -> Tensor:
        """Token embeddings with each clip's speech embeddings in the place of its placeholders.

        Raises:
            PromptError: a clip has more or fewer placeholders than speech embeddings.
        """
        places = input_ids == self.speech_token_id
        wanted = places.sum(1)
        given = torch.zeros_like(wanted) if speech is None else speech.mask.sum(1)
        if not torch.equal(wanted, given):
            raise PromptError(f"placeholders {wanted.tolist()} do not match speech embeddings {given.tolist()}")
        # The placeholder lies outside the language model's vocabulary: look up some real token in its place.
        embedded = self.language_model.get_input_embeddings()(input_ids.masked_fill(places, 0))
        if speech is None:
            return embedded
        return embedded.masked_scatter(places.unsqueeze(-1), speech.embeddings[speech.mask].to(embedded.dtype))

    @property
    def speech_token_id(self) -> int:
        """Id of the placeholder token: the first that the tokenizer has free."""
        if "speech_token_id" not in self.config.__dict__:
            tokenizer = load_tokenizer(self.config.base_weights["language_model"]["name"])
            self.config.speech_token_id = tokenizer.convert_tokens_to_ids(SPEECH_TOKEN)
        return int(self.config.speech_token_id)

    # ---------------------------------------------------------------- forward and generate

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        speech: SpeechEmbeddings | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> AlignCapOutput:
        """One pass through the language model, which hears the speech in the place of the placeholders.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens).
            features: see `SpeechEncoder.forward`; with ``feature_lengths`` (batch,).
            feature_lengths: unpadded lengths.
            speech: embeddings made earlier by `hear`, instead of features.
            inputs_embeds: (batch, tokens, width) instead of all the above (used while generating).
            labels: (batch, tokens), -100 where nothing is to be predicted. With labels the language model's
                head is run on the response positions only: the loss is returned and the logits are not.
            num_items_in_batch: number of response tokens to divide the loss by (default: those of this
                batch).
            kwargs: passed to the language model.
        """
        if inputs_embeds is None:
            assert input_ids is not None
            if features is not None and speech is None:
                assert feature_lengths is not None
                speech = self.hear(features, feature_lengths)
            inputs_embeds = self.embed(input_ids, speech)
        emotion_logits = None if speech is None else speech.emotion_logits
        if labels is not None:
            hidden, targets = response_states(self.language_model, inputs_embeds, attention_mask, labels, **kwargs)
            logits = self.language_model.get_output_embeddings()(hidden).float()
            total = nn.functional.cross_entropy(logits, targets, reduction="sum")
            count = len(targets) if num_items_in_batch is None else num_items_in_batch
            return AlignCapOutput(total / count, None, None, emotion_logits)
        call = {"inputs_embeds": inputs_embeds, "attention_mask": attention_mask, **kwargs}
        if attention_mask is not None and "position_ids" not in kwargs and "past_key_values" not in kwargs:
            call["position_ids"] = positions(attention_mask)
        out = self.language_model(**call)
        return AlignCapOutput(None, out.logits, out.past_key_values, emotion_logits)

    @torch.no_grad()
    def read(self, embeddings: Tensor, attention_mask: Tensor, past_key_values: Any = None) -> tuple[Tensor, Any]:
        """Run the language model over prompts, or over what follows on their beginning; to infer, not to train.

        Args:
            embeddings: (batch, T, width) of the last T tokens (see `embed`).
            attention_mask: (batch, tokens) of all tokens.
            past_key_values: state after the tokens before these; is used up.

        Returns:
            final hidden states (batch, T, width), before the head, and the state after all tokens.
        """
        if self.lean is not None:
            return self.lean.read(embeddings, attention_mask, past_key_values)
        out = self.language_model.base_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            position_ids=positions(attention_mask)[:, -embeddings.shape[1] :],
            past_key_values=past_key_values,
            use_cache=True,
        )
        return out.last_hidden_state, out.past_key_values

    @property
    def lean(self) -> LlamaDecoder | None:
        """What runs the language model at less cost, where it can (see `aligncap.model.decoding`)."""
        return self._decoder if self._decoder is not None and self._decoder.attached() else None

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        speech: SpeechEmbeddings | None = None,
        chooser: Chooser = likeliest,
        phrases: Phrases | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Write captions; takes what the processor gives, and the options of ``GenerationMixin.generate``.

        Args:
            input_ids: (batch, prompt tokens).
            attention_mask: (batch, prompt tokens).
            features: of the clips, or ``speech`` in their place.
            feature_lengths: (batch,).
            speech: what `hear` gives.
            chooser: of tokens, with ``do_sample=False``.
            phrases: guesses what comes next, where the language model can use that; changes only the time it takes.
            kwargs: for the language model's ``generate``.

        Returns:
            (batch, new tokens): the responses alone, without the prompts, padded after the end of each.
        """
        assert input_ids is not None
        if features is not None and speech is None:
            assert feature_lengths is not None
            speech = self.hear(features, feature_lengths)
        embedded = self.embed(input_ids, speech)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        greedy = kwargs.get("do_sample") is False and "max_new_tokens" in kwargs
        if greedy and kwargs.keys() <= _LEAN_OPTIONS and self.lean is not None:
            options = {key: value for key, value in kwargs.items() if key != "do_sample"}
            return self.lean.generate(embedded, mask, **options, chooser=chooser, phrases=phrases)
        if chooser is not likeliest:
            kwargs["logits_processor"] = chosen_by(chooser)
        return self.language_model.generate(inputs_embeds=embedded, attention_mask=mask, **kwargs)

    def get_input_embeddings(self) -> nn.Module:
        """The language model's."""
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The language model's."""
        return self.language_model.get_output_embeddings()


def pool(embeddings: Tensor, mask: Tensor) -> Tensor:
    """Mean of each clip's speech embeddings, at unit scale: (batch, K, width) -> (batch, width)."""
    weight = mask.unsqueeze(-1).to(embeddings.dtype)
    mean = (embeddings * weight).sum(1) / weight.sum(1)
    return nn.functional.layer_norm(mean, mean.shape[-1:])


def _is_own(name: str) -> bool:
    if "lora_" in name:
        return f".{TEACHER}." not in name
    return not name.startswith(("speech_encoder.", "language_model."))


def _hub_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: kwargs[k] for k in ("revision", "token", "cache_dir", "local_files_only") if k in kwargs}


def _checkpoint_tensors(source: str, kwargs: dict[str, Any]) -> dict[str, Tensor]:
    path = Path(source) / WEIGHTS_FILE
    if not Path(source).is_dir():
        from transformers.utils import cached_file

        path = Path(str(cached_file(source, WEIGHTS_FILE, **_hub_options(kwargs))))
    if not path.is_file():
        raise CheckpointError(f"{source}: there is no {WEIGHTS_FILE}")
    try:
        return {k: v.float() for k, v in load_file(path).items()}
    except Exception as error:
        raise CheckpointError(f"{path}: damaged checkpoint ({error})") from error
