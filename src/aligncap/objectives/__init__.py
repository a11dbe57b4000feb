"""Training objectives as pure functions of tensors; nothing of ours is imported here."""

from aligncap.objectives.contrastive import speech_text_contrast
from aligncap.objectives.distillation import Divergence, align_loss_from_hidden, distillation
from aligncap.objectives.labels import set_cross_entropy
from aligncap.objectives.preference import PairStatistics, chosen_nll, dpo, hinge, ipo, kto, pair_statistics, simpo
from aligncap.objectives.tokens import gather, nll, per_response, response_mask, token_log_probs

__all__ = [
    "Divergence",
    "PairStatistics",
    "align_loss_from_hidden",
    "chosen_nll",
    "distillation",
    "dpo",
    "gather",
    "hinge",
    "ipo",
    "kto",
    "nll",
    "pair_statistics",
    "per_response",
    "response_mask",
    "set_cross_entropy",
    "simpo",
    "speech_text_contrast",
    "token_log_probs",
]
