"""Checkpoints that come with the package, each in a folder: what AlignCap trained, without base weights."""
