"""Evaluation of captions against emotion labels."""

from aligncap.evaluation.labels import NO_LABEL, best_label, caption_label, to_label_set

__all__ = ["NO_LABEL", "best_label", "caption_label", "to_label_set"]
