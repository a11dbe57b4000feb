"""Where recordings are divided: spans cover them, cuts are quiet, streams give the samples of the whole."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.audio import (
    RATE,
    Audio,
    AudioStream,
    Span,
    Turn,
    cut,
    fixed_spans,
    read_audio,
    scan,
    speech_spans,
    turn_spans,
)
from aligncap.audio.spans import FRAME, speech_regions
from aligncap.errors import AudioEmptyError, AudioTruncatedError

LONGEST = 10 * RATE


def frames(total: int) -> int:
    return math.ceil(total / FRAME)


def check_cover(spans: list[Span], total: int, longest: int) -> None:
    assert spans[0].start == 0
    assert spans[-1].end == total
    for one, following in pairwise(spans):
        assert one.end == following.start, "a gap, or an overlap"
    for span in spans:
        assert span.start < span.end
        assert not span.speech or 0.1 * RATE <= span.end - span.start <= longest


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1600, 60 * RATE), st.sampled_from([0.2, 0.5, 3.0, 10.0, 30.0]))
def test_speech_and_silence_cover_the_recording(data: st.DataObject, total: int, max_seconds: float) -> None:
    """Whatever the detector says, and wherever it is quiet."""
    longest = round(max_seconds * RATE)
    runs = data.draw(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), min_size=1, max_size=12))
    probability = np.resize(np.repeat([value for value, _ in runs], [count for _, count in runs]), frames(total))
    energy = np.random.default_rng(data.draw(st.integers(0, 99))).random(frames(total), dtype=np.float32)
    spans = speech_spans(total, longest, probability.astype(np.float32), energy)
    check_cover(spans, total, longest)
    loud = {int(place) for place in np.flatnonzero(probability >= 0.5)}
    bursts = [(start, end) for start, end in speech_regions(probability, total)]
    for start, end in bursts:
        assert all(span.speech for span in spans if start <= span.start and span.end <= end)
        loud -= set(range(start // FRAME, end // FRAME + 1))
    # what is left of the loud frames was too short to be speech: bursts of less than 0.1 s
    assert all(len(run) <= 3 for run in np.split(sorted(loud), np.flatnonzero(np.diff(sorted(loud)) > 1) + 1) if loud)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1600, 40 * RATE),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 30)), min_size=1, max_size=8),
)
def test_turns_and_silence_cover_the_recording(total: int, times: list[tuple[float, float]]) -> None:
    turns = [Turn(start, start + seconds, str(place)) for place, (start, seconds) in enumerate(times)]
    spans = turn_spans(total, LONGEST, turns, np.ones(frames(total), np.float32))
    covered = np.zeros(total, bool)
    for span in spans:
        assert span.end - span.start <= LONGEST or not span.speech
        if not span.speech:
            assert not covered[span.start : span.end].any(), "silence where somebody talks"
        covered[span.start : span.end] = True
    assert covered.all()
    said = np.zeros(total, bool)
    for turn in turns:
        said[round(turn.start * RATE) : round(turn.end * RATE)] = True
    for span in spans:
        assert span.speech == bool(said[span.start]) == bool(said[span.end - 1])


def test_apart_turns_touch_and_do_not_overlap() -> None:
    turns = [Turn(2, 25, "a"), Turn(0.5, 1.5, "b")]
    spans = turn_spans(30 * RATE, LONGEST, turns, np.ones(frames(30 * RATE), np.float32))
    check_cover(spans, 30 * RATE, LONGEST)
    assert [(span.speaker, span.speech) for span in spans][:4] == [
        (None, False),
        ("b", True),
        (None, False),
        ("a", True),
    ]


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    total = 18 * RATE
    energy = np.ones(frames(total), np.float32)
    quiet = round(8.2 * RATE / FRAME)
    energy[quiet - 1 : quiet + 2] = 0.01
    energy[round(3 * RATE / FRAME)] = 0.0  # quieter, but it would leave a needlessly short first part
    first, second = speech_spans(total, LONGEST, np.ones(frames(total), np.float32), energy)
    assert first.end == second.start == quiet * FRAME + FRAME // 2


def test_short_gaps_are_joined_and_long_ones_are_silence() -> None:
    total = 10 * RATE
    probability = np.zeros(frames(total), np.float32)
    for start, end in ((2.0, 3.0), (3.5, 4.5), (7.0, 7.2), (8.9, 8.93)):  # the last is too short to be speech
        probability[round(start * RATE / FRAME) : round(end * RATE / FRAME)] = 0.9
    regions = [(start / RATE, end / RATE) for start, end in speech_regions(probability, total)]
    assert regions == [pytest.approx((1.9, 4.6), abs=0.04), pytest.approx((6.9, 7.3), abs=0.04)]


# ---------------------------------------------------------------------------------- streams


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """65 s of noise: longer than what is kept of a recording."""
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    noise = 0.1 * np.random.default_rng(0).standard_normal((65 * 22_050, 2))
    soundfile.write(path, noise, 22_050)
    return path


def test_a_stream_gives_the_samples_of_the_whole(talk: Path) -> None:
    stream = AudioStream(talk)
    blocks = list(stream)
    assert max(map(len, blocks)) < RATE
    whole = read_audio(talk)
    np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
    assert stream.warnings == whole.warnings


@pytest.mark.parametrize("kept", [True, False])
def test_cuts_are_the_samples_of_the_whole(talk: Path, kept: bool) -> None:
    """Decoded again or kept, touching, apart or overlapping."""
    whole = read_audio(talk)
    source = whole if kept else talk
    scanned = scan(source, "talk", listen_from=None)
    assert (scanned.samples is None, scanned.total) == (True, len(whole.samples))
    turns = [Turn(1, 4), Turn(3.9, 9), Turn(3.95, 4.1), Turn(20, 45.5), Turn(64, 65)]
    for spans in (fixed_spans(scanned.total, LONGEST), turn_spans(scanned.total, LONGEST, turns, scanned.energy)):
        found = list(cut(source, "talk", scanned, spans))
        assert [span for span, _ in found] == [span for span in spans if span.speech]
        for span, part in found:
            assert (part.start, part.end) == (span.start / RATE, span.end / RATE)
            np.testing.assert_array_equal(part.samples, whole.samples[span.start : span.end])


def test_a_scan_tells_speech_from_noise() -> None:
    [example] = Path(__file__).parents[2].glob("examples/afraid_slt.*")
    speech = read_audio(example).samples
    noise = (0.001 * np.random.default_rng(0).standard_normal(4 * RATE)).astype(np.float32)
    audio = Audio(np.concatenate([noise, speech, noise]), "x", ("odd",))
    scanned = scan(audio)
    assert scanned.probability is not None
    assert scanned.warnings == ("odd",)
    spans = speech_spans(scanned.total, LONGEST, scanned.probability, scanned.energy)
    assert [span.speech for span in spans] == [False, True, False]
    assert spans[1].start / RATE == pytest.approx(4.0, abs=0.3)
    assert spans[1].end / RATE == pytest.approx(4 + len(speech) / RATE, abs=0.4)
    assert scan(audio, listen_from=len(audio.samples) + 1).probability is None


def test_errors_of_files_come_with_the_scan(tmp_path: Path) -> None:
    cut_off = tmp_path / "cut.wav"
    soundfile.write(cut_off, np.random.default_rng(0).standard_normal(5 * RATE) * 0.1, RATE)
    cut_off.write_bytes(cut_off.read_bytes()[:90_000])
    with pytest.raises(AudioTruncatedError):
        scan(cut_off)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioEmptyError):
        scan(tmp_path / "empty.wav")
