"""A stand-in for the captioner, and recordings for it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile

from aligncap.audio import Audio
from aligncap.captioner.results import Caption, Failure
from aligncap.captioner.sampling import Sampling
from aligncap.errors import PromptError

RATE = 16_000


def sound(seconds: float = 1.0, seed: int = 0, channels: int = 1) -> bytes:
    """A WAV file of noise."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def said(samples: np.ndarray, prompt: str = "") -> str:
    """What the stand-in says of samples: nothing else gives the same caption."""
    return f"The speaker sounds sad ({np.float64(samples.astype(np.float64).sum()):.6f}). {prompt}".strip()


class Fake:
    """Captions by the samples; what it was asked is in ``batches``.

    Args:
        seconds: that a batch takes.
        gate: waited for before each batch.
    """

    name = "fake"

    def __init__(self, seconds: float = 0.0, gate: threading.Event | None = None) -> None:
        self.seconds = seconds
        self.gate = gate
        self.batches: list[list[float]] = []
        self.asked: list[dict] = []
        self.threads: set[int] = set()
        self.results = 0

    def stream(
        self,
        sources: Iterable[Audio],
        *,
        prompt: str,
        batch_size: int,
        num_captions: int,
        sampling: Sampling | None,
        verify: bool,
    ) -> Iterator[Caption | Failure]:
        """One caption for every 10 s."""
        sources = list(sources)
        self.threads.add(threading.get_ident())
        self.batches.append([audio.duration for audio in sources])
        self.asked.append({"prompt": prompt, "num_captions": num_captions, "sampling": sampling, "verify": verify})
        if self.gate is not None:
            assert self.gate.wait(20)
        time.sleep(self.seconds)
        if "too long" in prompt:
            raise PromptError("the prompt is too long: 900 tokens")
        if any(0.9 < audio.duration < 0.95 for audio in sources):
            raise RuntimeError("secret detail")
        for audio in sources:
            parts = np.array_split(audio.samples, -(-len(audio.samples) // (10 * RATE)))
            start = 0
            for place, part in enumerate(parts):
                name = audio.source if len(parts) == 1 else f"{audio.source}#{place}"
                end = start + len(part)
                self.results += 1
                yield Caption(
                    id=name,
                    audio=audio.source,
                    start=start / RATE,
                    end=end / RATE,
                    caption=said(part, "" if prompt.startswith("Describe") else prompt),
                    emotions={"sad": 0.9, "fear": 0.1},
                    clues="Feeling: sad.",
                    model=self.name,
                    alternatives=("b",) * (num_captions - 1),
                )
                start = end
