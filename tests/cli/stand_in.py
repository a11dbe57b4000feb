"""Runs the command line with a stand-in for the captioner: no PyTorch, so that a process starts in no time.

Recordings whose name contains "bad" fail, those with "slow" take a minute. ``STAND_IN_ERROR`` is an error to raise
while loading.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Iterable, Iterator

import aligncap.errors
from aligncap.captioner.results import Caption, Failure


class StandIn:
    """Answers with the same caption always."""

    def stream(self, sources: Iterable[str], **_: object) -> Iterator[Caption | Failure]:
        """One result for each source."""
        for source in sources:
            if isinstance(source, Failure):
                yield source
                continue
            if "slow" in source:
                time.sleep(60)
            if "bad" in source:
                yield Failure(source, source, "AudioSilentError", "it is silent")
            else:
                yield Caption(source, source, 0.0, 1.0, "Sounds fine, naïve…", {"calm": 1.0}, "", "stand-in")


def load(*_: object, **__: object) -> StandIn:
    """Stands in for `aligncap.load`."""
    if kind := os.environ.get("STAND_IN_ERROR"):
        raise getattr(aligncap.errors, kind)("first line\nsecond line")
    return StandIn()


def pick_device(device: str) -> str:
    """Every device is there."""
    return device


if __name__ == "__main__":
    module = types.ModuleType("aligncap.captioner.loading")
    module.__dict__.update(load=load, pick_device=pick_device)
    sys.modules[module.__name__] = module
    sys.argv[0] = "aligncap"
    from aligncap.cli import main

    main()
