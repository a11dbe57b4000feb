"""The model: speech encoder, bridge, language model; its configuration and its processor.

Importing this package registers AlignCap with ``transformers``' Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForSpeechSeq2Seq, AutoProcessor

from aligncap.model.configuration import AlignCapConfig, BridgeConfig, LoraSettings
from aligncap.model.modeling import AlignCapForConditionalGeneration, SpeechEmbeddings
from aligncap.model.processing import AlignCapProcessor

__all__ = [
    "AlignCapConfig",
    "AlignCapForConditionalGeneration",
    "AlignCapProcessor",
    "BridgeConfig",
    "LoraSettings",
    "SpeechEmbeddings",
]

AutoConfig.register("aligncap", AlignCapConfig, exist_ok=True)
AutoModel.register(AlignCapConfig, AlignCapForConditionalGeneration, exist_ok=True)
AutoModelForSpeechSeq2Seq.register(AlignCapConfig, AlignCapForConditionalGeneration, exist_ok=True)
AutoProcessor.register(AlignCapConfig, AlignCapProcessor, exist_ok=True)
