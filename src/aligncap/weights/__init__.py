"""Base weights: public pretrained models, fetched once, checked, converted and cached."""

from __future__ import annotations

from aligncap.weights.resolve import Status, Store, resolve, weights_hash

__all__ = ["Status", "Store", "resolve", "weights_hash"]
