from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligncap.corpora import Row
from aligncap.errors import AlignCapError
from aligncap.preferences.candidates import Candidate, CandidateFile, Candidates, read_candidates
from aligncap.preferences.sampler import SamplePlan, draw_rows

CLIP = Candidates("a/1", "Feeling: sad.", (("pitch", "low"),), (Candidate("Describe.", "Sad.", -2.5, 3, 1.0, True),))


def read(path: Path) -> tuple[list[Candidates], list[str]]:
    told: list[str] = []
    return list(read_candidates(path, told.append)), told


def test_written_candidates_come_back_and_failures_are_told(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    with CandidateFile(path, {"seed": 1}) as file:
        file.write(CLIP)
        file.write(Candidates("a/2", error="the file is empty"))
    assert read(path) == ([CLIP], ["a/2: the file is empty"])


def test_a_run_goes_on_after_a_line_that_broke_off(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    with CandidateFile(path, {"seed": 1}) as file:
        file.write(CLIP)
    with path.open("a") as stream:
        stream.write('{"id": "a/2", "cap')
    with CandidateFile(path, {"seed": 1}) as file:
        assert file.done == {"a/1"}
        file.write(Candidates("a/3", captions=CLIP.captions))
    assert [clip.id for clip in read(path)[0]] == ["a/1", "a/3"]


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    CandidateFile(path, {"seed": 1}).close()
    with pytest.raises(AlignCapError, match="another model or other options"):
        CandidateFile(path, {"seed": 2})
    with CandidateFile(path, {"seed": 2}, overwrite=True) as file:
        assert file.done == set()
    path.write_text("my notes\n")
    with pytest.raises(AlignCapError, match="something else"):
        CandidateFile(path, {"seed": 2})
    assert path.read_text() == "my notes\n"


def test_what_holds_no_candidates_is_named(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    lines = [[], {"clues": ""}, {"id": "a/1", "captions": [{"caption": "x"}]}, {"id": "a/1", "voice": [["pitch"]]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "nonsense\n")
    found, told = read(path)
    assert found == []
    assert len(told) == 5
    assert "candidates.jsonl:3: it holds no candidates of a clip" in told[2]


def rows() -> list[Row]:
    counts = {("a", "sad"): 20, ("a", "angry"): 3, ("b", "sad"): 5}
    return [
        *(
            Row(f"{c}/{e}{n}", "x", corpus=c, emotion=e, split="train")
            for (c, e), m in counts.items()
            for n in range(m)
        ),
        Row("z", "x", corpus="z", emotion="sad", split="zero_shot"),
        Row("d", "x", corpus="a", emotion="sad", split="dev"),
        Row("u", "x", corpus="a", emotion="", label="odd", split="train"),
        Row("v", "x", corpus="v", votes={"fear": 1.0}, split="train"),
    ]


def test_clips_are_drawn_from_every_emotion_and_corpus() -> None:
    drawn = draw_rows(rows(), "train", 9, 0)
    cells = [(row.corpus, row.emotion) for row in drawn]
    assert {cell: cells.count(cell) for cell in cells} == {
        ("a", "angry"): 3,
        ("a", "sad"): 3,
        ("b", "sad"): 2,
        ("v", ""): 1,
    }
    assert draw_rows(rows(), "train", 4, 0) == drawn[:4]
    assert draw_rows(rows(), "train", 9, 1) != drawn
    everything = draw_rows(rows(), "train", None, 0)
    assert len(everything) == 29
    assert {row.split for row in everything} == {"train"}
    assert {row.corpus for row in draw_rows(rows(), "train", None, 0, ["a"])} == {"b", "v"}
    with pytest.raises(AlignCapError, match="evaluation only"):
        draw_rows(rows(), "zero_shot", None, 0)


@pytest.mark.parametrize(
    "wrong", [{"captions": 0}, {"temperatures": (0.0,)}, {"top_p": 0.0}, {"instructions": ()}, {"instructions": (" ",)}]
)
def test_plans_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"captions|temperature|top_p|instruction"):
        SamplePlan(**wrong)  # type: ignore[arg-type]
