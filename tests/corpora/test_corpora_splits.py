"""Train and dev with no speaker in both."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.corpora.known import CorpusError
from aligncap.corpora.row import Row
from aligncap.corpora.splits import dev_speakers, split_by_speaker


def corpus(*speakers: tuple[str, str, int]) -> list[Row]:
    """Rows of speakers: name, gender, number of clips."""
    return [
        Row(id=f"c/{name}-{clip}", audio="a.wav", corpus="c", speaker=name, gender=gender)
        for name, gender, clips in speakers
        for clip in range(clips)
    ]


def actors(count: int, clips: int = 10) -> list[Row]:
    return corpus(*((f"{n:02}", "female" if n % 2 else "male", clips) for n in range(count)))


def test_a_fifth_of_the_speakers_half_of_them_female() -> None:
    rows = actors(20)
    genders = {row.speaker: row.gender for row in rows}
    for seed in range(20):
        dev = dev_speakers(rows, seed=seed)
        assert Counter(genders[speaker] for speaker in dev) == {"female": 2, "male": 2}


def test_all_clips_of_a_speaker_go_together() -> None:
    rows = split_by_speaker(actors(10))
    splits = {(row.speaker, row.split) for row in rows}
    assert len(splits) == 10
    assert sum(split == "dev" for _, split in splits) == 2
    assert [row.id for row in rows] == [row.id for row in actors(10)]


def test_the_seed_decides_and_the_order_does_not() -> None:
    rows = actors(24)
    draws = {dev_speakers(rows, seed=seed) for seed in range(10)}
    assert len(draws) > 5
    mixed = list(rows)
    random.Random(1).shuffle(mixed)
    assert dev_speakers(mixed, seed=3) == dev_speakers(rows, seed=3)


def test_who_has_most_of_the_clips_stays_in_train() -> None:
    rows = corpus(("everybody else", "", 500), *((f"{n}", "", 10) for n in range(9)))
    for seed in range(20):
        dev = dev_speakers(rows, seed=seed)
        assert len(dev) == 2
        assert "everybody else" not in dev


@pytest.mark.parametrize("count", [2, 3])
def test_very_few_speakers(count: int) -> None:
    assert len(dev_speakers(actors(count))) == 1
    assert dev_speakers(corpus(("many", "", 30), ("few", "", 5))) == {"few"}


def test_one_speaker_or_no_dev() -> None:
    assert dev_speakers(actors(1)) == frozenset()
    assert dev_speakers(actors(10), dev_share=0) == frozenset()
    assert {row.split for row in split_by_speaker(actors(1))} == {"train"}


def test_rows_without_a_speaker_are_trained_on() -> None:
    rows = [*actors(10), Row(id="x", audio="x.wav", corpus="c")]
    assert split_by_speaker(rows)[-1].split == "train"
    with pytest.raises(CorpusError, match="c: its speakers are not told apart"):
        split_by_speaker(rows[-1:])
    assert split_by_speaker([]) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["female", "male", ""]), st.integers(1, 30)), min_size=4, max_size=15),
    st.floats(0.05, 0.5),
    st.integers(0, 5),
)
def test_dev_is_never_much_more_than_its_share(speakers: list[tuple[str, int]], share: float, seed: int) -> None:
    rows = split_by_speaker(corpus(*((str(n), *who) for n, who in enumerate(speakers))), dev_share=share, seed=seed)
    train, dev = ({row.speaker for row in rows if row.split == split} for split in ("train", "dev"))
    assert not train & dev
    assert train
    assert dev
    assert len(dev) <= max(1, round(share * len(speakers)))
    clips = sum(row.split == "dev" for row in rows)
    assert clips <= 1.25 * share * len(rows) or len(dev) == 1
