"""The embedded checkpoint on real weights: captions alone and in batches, repeated, as records."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import aligncap
from aligncap.audio import RATE
from aligncap.captioner import Caption, Captioner, Failure, Sampling
from aligncap.captioner.results import Formatter

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.flac"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Overrides the directory's: this model is worth all the threads that there are."""


@pytest.fixture(scope="session")
def embedded() -> Captioner:
    return aligncap.load(device="cpu")


@pytest.fixture(scope="session")
def sounds() -> list[aligncap.Audio]:
    """The examples, and from them: speech of 24 s and of 0.12 s; and mere noise."""
    examples = [aligncap.read_audio(path) for path in EXAMPLES]
    speech = np.concatenate([audio.samples for audio in examples])
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * RATE).astype(np.float32)
    return [
        *examples,
        aligncap.Audio(speech[: 24 * RATE], "long"),
        aligncap.Audio(speech[RATE : RATE + RATE * 12 // 100], "short"),
        aligncap.Audio(noise, "noise"),
    ]


@pytest.fixture(scope="session")
def alone(embedded: Captioner, sounds: list[aligncap.Audio]) -> list[Caption]:
    """Every stretch captioned by itself."""
    results = [result for sound in sounds for result in embedded.caption(sound, batch_size=1)]
    assert not [result for result in results if isinstance(result, Failure)]
    return results


def test_the_examples_are_there() -> None:
    assert len(EXAMPLES) >= 6


def test_stretches(alone: list[Caption]) -> None:
    assert [result.id for result in alone if result.audio == "long"] == ["long#0", "long#1", "long#2"]
    times = [(result.start, result.end) for result in alone if result.audio == "long"]
    assert all(0 < end - start <= 10 for start, end in times)
    assert times == sorted(times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))


@pytest.mark.parametrize(("batch_size", "order"), [(13, 1), (4, -1)])
def test_alone_and_in_any_batch(
    embedded: Captioner, sounds: list[aligncap.Audio], alone: list[Caption], batch_size: int, order: int
) -> None:
    together = {result.id: result for result in embedded.caption(sounds[::order], batch_size=batch_size)}
    assert len(together) == len(alone)
    for one in alone:
        other = together[one.id]
        assert isinstance(other, Caption)
        assert (other.caption, other.clues) == (one.caption, one.clues)
        assert other.emotions == pytest.approx(one.emotions, abs=1e-3)


def test_repeated(embedded: Captioner, sounds: list[aligncap.Audio], alone: list[Caption]) -> None:
    state = torch.get_rng_state()
    assert embedded.caption(sounds[0]) == alone[:1]
    assert torch.equal(torch.get_rng_state(), state)


def test_captions_are_sentences(alone: list[Caption]) -> None:
    for result in alone:
        assert 3 <= len(result.caption.split()) <= 50, result
        assert result.caption[0].isupper(), result
        assert result.caption.endswith("."), result
        assert "cut off" not in " ".join(result.warnings), result
        assert "<|" not in result.caption, result


def test_captions_depend_on_the_speech(alone: list[Caption]) -> None:
    examples = alone[: len(EXAMPLES)]
    assert len({result.caption for result in examples}) > len(examples) / 2
    assert len({next(iter(result.emotions)) for result in examples}) >= 3


def test_emotions(embedded: Captioner, alone: list[Caption]) -> None:
    for result in alone:
        assert set(result.emotions) == set(embedded.model.config.emotions)
        assert sum(result.emotions.values()) == pytest.approx(1, abs=1e-5)
        assert all(0 <= value <= 1 for value in result.emotions.values())


def test_records(alone: list[Caption], check_record) -> None:
    write = Formatter("jsonl")
    for result in alone:
        record = json.loads(write(result))
        check_record(record)
        assert record["model"] == "embedded"


def test_sampling(embedded: Captioner, sounds: list[aligncap.Audio]) -> None:
    pair = sounds[:2]
    options = {"num_captions": 2, "sampling": Sampling(seed=4)}
    together = embedded.caption(pair, **options)
    again = embedded.caption(pair[::-1], **options)[::-1]
    assert [(result.caption, result.alternatives) for result in again] == [
        (result.caption, result.alternatives) for result in together
    ]
    assert [len(result.alternatives) for result in together] == [1, 1]


def test_prompt(embedded: Captioner, sounds: list[aligncap.Audio], alone: list[Caption]) -> None:
    [word] = embedded.caption(sounds[0], prompt="What does the speaker feel? Answer with one word.")
    assert len(word.caption.split()) <= 2
    assert word.caption != alone[0].caption
    assert word.emotions == pytest.approx(alone[0].emotions, abs=1e-3)
