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
from aligncap.captioner.clips import Clip
from aligncap.captioner.results import Caption, Failure


class StandIn:
    """Answers with the same caption always."""

    max_seconds = 10.0

    def stream(self, clips: Iterable[Clip], **_: object) -> Iterator[Caption | Failure]:
        """One result for each stretch."""
        for clip in clips:
            if "slow" in clip.audio:
                time.sleep(60)
            if "bad" in clip.audio:
                yield Failure(clip.id, clip.audio, "AudioSilentError", "it is silent")
                continue
            times = (clip.segment.start, clip.segment.end)
            yield Caption(clip.id, clip.audio, *times, "Sounds fine, naïve…", {"calm": 1.0}, "", "stand-in")


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
