"""Checkpoints that come with the package, each in a folder: what AlignCap trained, without base weights."""

from __future__ import annotations

from pathlib import Path

__all__ = ["EMBEDDED"]

EMBEDDED = Path(__file__).parent / "embedded"
"""The folder of the checkpoint that is called ``embedded``."""
