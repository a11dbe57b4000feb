"""From recordings to stretches and silences; turns from other tools' files; many stretches through one engine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from aligncap.audio import RATE, Audio, Turn, read_audio
from aligncap.captioner.clips import Clip
from aligncap.captioner.collection import caption_cuts
from aligncap.captioner.cutting import Cut, Segmentation, cut_recordings
from aligncap.captioner.results import Caption, Failure, Silence
from aligncap.captioner.turns import TurnsError, read_turns, turns_of

EXAMPLE = next(Path(__file__).parents[2].glob("examples/angry_awb.*"))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.002 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def talk() -> Audio:
    """Noise, speech, noise, speech twice."""
    speech = read_audio(EXAMPLE).samples
    return Audio(np.concatenate([noise(3), speech, noise(4), speech, speech]), "talk")


def check_whole(items: list[Cut], audio: Audio) -> None:
    """Stretches and silences are the recording, without a gap or an overlap."""
    reached = 0.0
    for item in items:
        start, end = (item.segment.start, item.segment.end) if isinstance(item, Clip) else (item.start, item.end)
        assert start == reached
        if isinstance(item, Clip):
            np.testing.assert_array_equal(item.segment.samples, audio.samples[round(start * RATE) : round(end * RATE)])
        reached = end
    assert reached == audio.duration


def test_auto_leaves_short_recordings_whole(talk: Audio) -> None:
    short = Audio(talk.samples[: 10 * RATE], "short")
    [clip] = cut_recordings([short])
    assert isinstance(clip, Clip)
    assert (clip.id, clip.segment.start, clip.segment.end, clip.warnings) == ("short", 0, 10, ())
    np.testing.assert_array_equal(clip.segment.samples, short.samples)


def test_auto_finds_the_speech_in_long_ones(talk: Audio) -> None:
    items = list(cut_recordings([talk]))
    check_whole(items, talk)
    assert [item.id for item in items][:4] == ["talk#silence0", "talk#0", "talk#silence1", "talk#1"]
    assert {item.duration for item in items if isinstance(item, Clip)} == {talk.duration}


def test_vad_finds_it_in_short_ones_too(talk: Audio) -> None:
    short = Audio(talk.samples[: 8 * RATE], "short")
    items = list(cut_recordings([short], Segmentation("vad")))
    check_whole(items, short)
    assert [item.id for item in items] == ["short#silence0", "short#0", "short#silence1"]


def test_fixed(talk: Audio) -> None:
    items = list(cut_recordings([talk], Segmentation("fixed", max_seconds=5)))
    check_whole(items, talk)
    lengths = {len(item.segment.samples) for item in items if isinstance(item, Clip)}
    assert max(lengths) - min(lengths) <= 1
    assert len(items) == -(-talk.duration // 5)


def test_without_speech_nothing_is_left_out() -> None:
    audio = Audio(noise(12), "hum")
    items = list(cut_recordings([audio]))
    check_whole(items, audio)
    assert [item.id for item in items] == ["hum#0", "hum#1"]
    assert all("no speech was found" in item.warnings[0] for item in items if isinstance(item, Clip))


def test_turns(talk: Audio) -> None:
    turns = [Turn(6, 12, "b"), Turn(1, 1.05, "a"), Turn(11, 999, "c")]
    items = list(cut_recordings([talk], Segmentation(max_seconds=10, turns=lambda _: turns)))
    spoken = [item for item in items if not isinstance(item, Silence)]
    assert spoken[0] == Failure(
        "talk#0", "talk", "AudioTooShortError", "this turn is 50 ms long; at least 0.1 s is needed"
    )
    assert [item.speaker for item in spoken if isinstance(item, Clip)] == ["b", "c"]
    assert all("1 of the turns given for it reach beyond" in item.warnings[-1] for item in spoken[1:])
    [failure] = cut_recordings([talk], Segmentation(turns=lambda _: [Turn(500, 501)]))
    assert failure.message == "none of the 1 turns given for it lies within its length"


def test_failures_keep_their_places(talk: Audio, tmp_path: Path) -> None:
    known = Failure("k", "k", "E", "m")
    sources = [tmp_path / "gone.wav", EXAMPLE, known, Audio(np.zeros(RATE, np.float32), "silent"), EXAMPLE]
    for readers in (1, 3):
        items = list(cut_recordings(sources, readers=readers))
        assert [type(item).__name__ for item in items] == ["Failure", "Clip", "Failure", "Failure", "Clip"]
        assert items[0] == Failure(str(sources[0]), str(sources[0]), "AudioNotFoundError", "there is no such file")
        assert items[2] is known
        assert items[3].type == "AudioSilentError"


def test_recordings_are_read_as_needed() -> None:
    taken = []

    def sources() -> Iterator[Audio]:
        for place in range(100):
            taken.append(place)
            yield Audio(noise(0.5, place), str(place))

    items = cut_recordings(sources(), readers=2)
    next(items)
    assert len(taken) <= 6
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("aligncap-scan")]


def test_a_file_that_changes_costs_the_rest_of_it(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "x.wav"
    soundfile.write(path, noise(70), RATE)
    items = cut_recordings([str(path)], Segmentation("fixed"))
    assert isinstance(next(items), Clip)
    soundfile.write(path, noise(12), RATE)
    *_, last = items
    assert isinstance(last, Failure)
    assert last.id == str(path)


# ---------------------------------------------------------------------------------- turns of other tools

RTTM = """SPEAKER a 1 0.50 1.25 <NA> <NA> ann <NA> <NA>
SPEAKER b 1 3 1 <NA> <NA> <NA> <NA> <NA>
;; a comment
SPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA> <NA>
"""
SRT = "1\n00:00:01,500 --> 00:00:02,250\nHello.\n\n2\n01:00:00,000 --> 01:00:01,000\nBye.\n"
VTT = "WEBVTT\n\n00:01.500 --> 00:02.250\n<v Ann>Hello.\n"
GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
5
<exists>
{size}
{tiers}
"""
TIER = '"IntervalTier"\n"{}"\n0\n5\n3\n0\n1.5\n""\n1.5\n2.25\n"hello"\n2.25\n5\n""\n'


def test_read_turns(tmp_path: Path) -> None:
    one, two = TIER.format("ann"), TIER.format("ben")
    for name, text in {
        "a.rttm": RTTM,
        "a.srt": SRT,
        "a.vtt": VTT,
        "one.TextGrid": GRID.format(size=1, tiers=one),
        "two.TextGrid": GRID.format(size=2, tiers=one + two),
    }.items():
        (tmp_path / name).write_text(text)
    assert read_turns(tmp_path / "a.rttm") == {"a": [Turn(0.5, 1.75, "ann")], "b": [Turn(3, 4, None)]}
    assert read_turns(tmp_path / "a.srt") == {None: [Turn(1.5, 2.25), Turn(3600, 3601)]}
    assert read_turns(tmp_path / "a.vtt") == {None: [Turn(1.5, 2.25, "Ann")]}
    assert read_turns(tmp_path / "one.TextGrid") == {None: [Turn(1.5, 2.25)]}
    with pytest.raises(TurnsError, match="--tier which of its interval tiers hold turns; there are: ann, ben"):
        read_turns(tmp_path / "two.TextGrid")
    both = read_turns(tmp_path / "two.TextGrid", ["ann", "ben"])
    assert both == {None: [Turn(1.5, 2.25, "ann"), Turn(1.5, 2.25, "ben")]}
    with pytest.raises(TurnsError, match="no interval tier eve"):
        read_turns(tmp_path / "two.TextGrid", ["eve"])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "must end in"),
        ("gone.srt", None, "no such file"),
        ("a.rttm", "", "no line that begins with SPEAKER"),
        ("a.rttm", "SPEAKER a 1 0.5", "line 1: 4 fields"),
        ("a.rttm", "SPEAKER a 1 x 1 <NA> <NA> ann <NA> <NA>", "are not both numbers"),
        ("a.rttm", "SPEAKER a 1 -1 1 <NA> <NA> ann <NA> <NA>", "line 1: a turn from -1 to 0 s cannot be"),
        ("a.vtt", "no header", "cannot be read as vtt"),
        ("a.srt", "nonsense", "a.srt"),
        ("a.TextGrid", "nonsense", "a.TextGrid"),
        (
            "a.TextGrid",
            GRID.format(size=1, tiers=TIER.format("x").replace("hello", "")),
            "every interval of x is empty",
        ),
    ],
)
def test_files_of_turns_that_cannot_be_used(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(TurnsError, match=says):
        read_turns(tmp_path / name)


def test_which_turns_are_of_which_recording(tmp_path: Path) -> None:
    (tmp_path / "all.rttm").write_text(RTTM)
    (tmp_path / "b.srt").write_text(SRT)
    of = turns_of(tmp_path / "all.rttm", ["x/a.wav", "b.wav", "c.wav"])
    assert (of("x/a.wav")[0].speaker, of("b.wav")) == ("ann", [Turn(3, 4)])
    with pytest.raises(TurnsError, match="no turns of c in"):
        of("c.wav")
    beside = turns_of(tmp_path, ["x/b.wav", "c.wav"])
    assert len(beside("x/b.wav")) == 2
    with pytest.raises(TurnsError, match="no file of turns called c in"):
        beside("c.wav")
    with pytest.raises(TurnsError, match="it is of one recording, and there are 2"):
        turns_of(tmp_path / "b.srt", ["b.wav", "c.wav"])


# ---------------------------------------------------------------------------------- many stretches


def clip(place: int, length: int) -> Clip:
    [made] = cut_recordings([Audio(noise(length / 10, place), f"r{place}")])
    assert isinstance(made, Clip)
    return made


def test_batches_are_of_like_length_and_results_in_order() -> None:
    random = np.random.default_rng(0)
    items: list[Cut] = [clip(place, int(random.integers(2, 90))) for place in range(60)]
    items[7] = Failure("f", "f", "E", "m")
    items[0] = Silence("s", "s", 0, 1)
    items[30] = Clip("t", "t", items[1].segment, [], (), "Ann")
    batches: list[list[int]] = []

    def engine(clips: Iterable[Clip]) -> Iterator[Caption | Failure]:
        for number, item in enumerate(clips):
            if number % 4 == 0:
                batches.append([])
            batches[-1].append(len(item.segment.samples))
            yield Caption(item.id, item.audio, 0, 1, "c", {"sad": 1.0}, "", "m")

    results = list(caption_cuts(items, engine, 4))
    assert [result.id for result in results] == [item.id for item in items]
    assert [result.speaker for result in results if isinstance(result, Caption) and result.speaker] == ["Ann"]
    spread = np.mean([max(batch) - min(batch) for batch in batches[3:-1]])
    assert spread < 2 * RATE, "clips of any length lie together"


def test_the_first_results_come_before_all_is_read() -> None:
    read = []

    def cuts() -> Iterator[Cut]:
        for place in range(1000):
            read.append(place)
            yield clip(place % 3, 2 + place % 3)

    def engine(clips: Iterable[Clip]) -> Iterator[Caption | Failure]:
        for item in clips:
            yield Caption(item.id, item.audio, 0, 1, "c", {"sad": 1.0}, "", "m")

    results = caption_cuts(cuts(), engine, 4)
    next(results)
    assert len(read) <= 4
    for _ in range(40):
        next(results)
    assert len(read) <= 41 + 8 * 4


@pytest.mark.parametrize("speech_at", [set(), {2000}, set(range(0, 3000, 100)), {*range(20), *range(2980, 3000)}])
def test_failures_are_given_though_no_speech_comes(speech_at: set[int]) -> None:
    """A folder of broken recordings is not held in memory until the next good one is there."""
    read = []

    def cuts() -> Iterator[Cut]:
        for place in range(3000):
            read.append(place)
            yield clip(place, 1) if place in speech_at else Failure(f"r{place}", "r", "Broken", "it is broken")

    def engine(clips: Iterable[Clip]) -> Iterator[Caption | Failure]:
        for item in clips:
            yield Caption(item.id, item.audio, 0, 1, "c", {"sad": 1.0}, "", "m")

    given = []
    for result in caption_cuts(cuts(), engine, 4):
        given.append(result.id)
        assert len(read) - len(given) <= (1 + 4) * 8 * 4
    assert given == [f"r{place}" for place in range(3000)]
