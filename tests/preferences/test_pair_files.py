from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from aligncap.errors import AlignCapError
from aligncap.preferences.balance import balanced, count_pairs, without_content_bias, without_length_bias
from aligncap.preferences.pairs import BadPair, Pair, read_pairs, write_pairs

PAIR = Pair(
    "a/1", "Describe it.", "", "Sad voice.", "Angry voice.", 0.5, "judges", "why", "emotion", "a", "sad", "train"
)


def test_written_pairs_come_back(tmp_path: Path) -> None:
    pairs = [PAIR, replace(PAIR, id="a/ü", chosen='Sad "voice"\n音.', margin=1.0)]
    assert write_pairs(pairs, tmp_path / "pairs.jsonl") == 2
    assert list(read_pairs(tmp_path / "pairs.jsonl")) == pairs
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": None}, "chosen is None: it must be text"),
        ({"rejected": " "}, "rejected is empty"),
        ({"rejected": " Sad  voice."}, "the same caption"),
        ({"margin": 0}, "margin is 0"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"margin": 1.5}, "margin is 1.5"),
        ({"margin": True}, "must be a number"),
        ({"margin": "1"}, "must be a number"),
        ({"split": "zero_shot"}, "for evaluation only"),
        ({"id": 7}, "id is 7"),
    ],
)
def test_a_malformed_pair_is_named_and_left_out(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({**asdict(PAIR), **change}) + "\n\n" + json.dumps(asdict(PAIR)) + "\n")
    told: list[str] = []
    assert list(read_pairs(path, told.append)) == [PAIR]
    assert len(told) == 1
    assert message in told[0]
    assert f"{path}:1" in told[0]
    with pytest.raises(BadPair, match=r"pairs\.jsonl:1"):
        list(read_pairs(path))


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"{broken\n[1]\n\xff\xfe\n" + json.dumps({"id": "a/2"}).encode() + b"\n")
    told: list[str] = []
    assert list(read_pairs(path, told.append)) == []
    assert [line.split(": ", 1)[1] for line in told] == [
        "it is not JSON",
        "it is no JSON object",
        "it is not JSON",
        "instruction is missing",
    ]
    assert "(a/2)" in told[-1]
    with pytest.raises(AlignCapError, match="cannot be read"):
        list(read_pairs(tmp_path / "none.jsonl"))


def worded(chosen: int, rejected: int, **fields: str) -> Pair:
    return replace(PAIR, chosen="good " * chosen, rejected="bad " * rejected, **fields)


def test_lengths_no_longer_tell_which_caption_is_chosen() -> None:
    rng = np.random.default_rng(0)
    pairs = [worded(int(3 + rng.integers(12)), int(3 + rng.integers(8)), id=str(n)) for n in range(600)]
    assert count_pairs(pairs).longer > 0.6
    kept = without_length_bias(pairs, np.random.default_rng(1))
    counts = count_pairs(kept)
    assert counts.longer == 0.5
    assert abs(counts.chosen_words - counts.rejected_words) < 0.15
    assert counts.pairs > 250
    assert [pair for pair in kept if pair.longer == 0] == [pair for pair in pairs if pair.longer == 0]
    assert kept == [pair for pair in pairs if pair in kept], "the order stays"
    assert kept == without_length_bias(pairs, np.random.default_rng(1))
    assert without_length_bias([worded(5, 2), worded(6, 2)], rng) == []


def test_saying_less_of_the_voice_is_chosen_as_often_as_saying_more() -> None:
    silent, slow, both = "She sounds sad.", "She sounds sad and speaks slowly.", "A sad, slow, low-pitched voice."
    pairs = [Pair("c", "d", "", silent, slow, 0.5, "judges", "r", "emotion")] * 30
    pairs += [Pair("c", "d", "", slow, silent, 0.5, "judges", "r", "emotion")] * 4
    pairs += [Pair("c", "d", "", silent, "She sounds angry.", 0.5, "judges", "r", "emotion")] * 6
    pairs += [Pair("c", "d", "", both, silent, 0.5, "judges", "r", "emotion")] * 3
    kept = Counter((pair.chosen, pair.rejected) for pair in without_content_bias(pairs, np.random.default_rng(0)))
    assert (kept[silent, slow], kept[slow, silent]) == (4, 4)
    assert kept[silent, "She sounds angry."] == 6
    assert kept[both, silent] == 0, "nothing says two things less"
    told = count_pairs(pairs[:30])
    assert (told.chosen_voice, told.rejected_voice) == (0, 1)


def test_no_emotion_and_no_corpus_has_too_many() -> None:
    sizes = {("a", "sad"): 100, ("a", "angry"): 10, ("a", "happy"): 12, ("b", "sad"): 8}
    pairs = [worded(3, 2, corpus=c, emotion=e, id=str(n)) for (c, e), size in sizes.items() for n in range(size)]
    kept = balanced(pairs, np.random.default_rng(0), most=2.0)
    left = {cell: sum((pair.corpus, pair.emotion) == cell for pair in kept) for cell in sizes}
    assert left["a", "sad"] <= 22
    assert left["b", "sad"] == 8
    assert sum(pair.corpus == "a" for pair in kept) <= 2 * (22 + 10 + 12 + 8) / 2
    assert balanced([], np.random.default_rng(0)) == []


def test_statistics_say_what_there_is() -> None:
    counts = count_pairs([PAIR, replace(PAIR, kind="loop", margin=1.0, chosen="A sad, sad voice.")])
    assert counts.by["kind"] == {"emotion": 1, "loop": 1}
    assert (counts.pairs, counts.clips, counts.margin, counts.longer) == (2, 1, 0.75, 1.0)
    assert "where lengths differ, the chosen caption is the longer in 100%" in counts.lines()[1]
    assert count_pairs([]).lines()[0] == "pairs: 0 of 0 clips, mean margin 0.00"
