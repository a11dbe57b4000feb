"""Captioning of recordings with a trained model."""

from aligncap.captioner.captioner import Captioner, Sampling, load
from aligncap.captioner.results import Caption, Failure

__all__ = ["Caption", "Captioner", "Failure", "Sampling", "load"]
