from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from aligncap.errors import CheckpointError
from aligncap.training.teacher_cache import TeacherCache, digests


def prompts(*rows: list[int], response: int = 2, width: int = 8) -> dict[str, Tensor]:
    """Padded on the left to a width; the last ``response`` tokens are labelled."""
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    labels = torch.full_like(ids, -100)
    labels[:, -response:] = ids[:, -response:]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def compute(batch: dict[str, Tensor]) -> Tensor:
    """(response tokens, 3): something that depends on the tokens, with fractions that bfloat16 cannot hold."""
    tokens = batch["labels"][batch["labels"] != -100].float()
    return torch.stack([tokens, tokens / 3, -tokens / 7], 1)


FIRST, SECOND = prompts([5, 6, 7, 8], [9, 4, 3]), prompts([1, 2, 3, 4, 5])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_was_stored_comes_back_bit_for_bit(tmp_path: Path, dtype: str) -> None:
    cache = TeacherCache(tmp_path, "teacher", 3, dtype)
    assert cache.fill([FIRST, SECOND, FIRST], compute) == 3
    again = TeacherCache(tmp_path, "teacher", 3, dtype)
    for batch in (FIRST, SECOND):
        expected = compute(batch).to(getattr(torch, dtype))
        assert torch.equal(torch.cat(again.states(batch)), expected)
    assert again.fill([FIRST, SECOND], lambda batch: pytest.fail("nothing is missing")) == 0


def test_padding_does_not_matter_and_content_does() -> None:
    wide = prompts([5, 6, 7, 8], [9, 4, 3], width=11)
    assert digests(wide) == digests(FIRST)
    assert len({*digests(FIRST), *digests(SECOND), *digests(prompts([5, 6, 7, 8], response=1))}) == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("other", 3, "float32"), "teacher"),
        (("teacher", 4, "float32"), "width"),
        (("teacher", 3, "bfloat16"), "dtype"),
    ],
)
def test_a_stale_cache_is_refused(tmp_path: Path, change: tuple[str, int, str], named: str) -> None:
    TeacherCache(tmp_path, "teacher", 3, "float32").fill([FIRST], compute)
    with pytest.raises(CheckpointError, match=f"stale teacher cache .its {named} differ"):
        TeacherCache(tmp_path, *change)


def test_an_interrupted_fill_goes_on(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, "teacher", 3, "float32")
    cache.fill([FIRST], compute)
    with (tmp_path / "states.bin").open("ab") as file:
        file.write(b"half a row")
    with (tmp_path / "index.txt").open("a") as file:
        file.write(f"{digests(SECOND)[0]} 4 2 12")  # no line end: cut off
    again = TeacherCache(tmp_path, "teacher", 3, "float32")
    assert len(again) == 2
    assert again.fill([FIRST, SECOND], compute) == 1
    assert torch.equal(torch.cat(TeacherCache(tmp_path, "teacher", 3, "float32").states(SECOND)), compute(SECOND))


def test_damage_and_absence_are_named(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, "teacher", 3, "float32")
    cache.fill([FIRST], compute)
    with pytest.raises(CheckpointError, match="not in the teacher cache"):
        cache.states(SECOND)
    raw = bytearray((tmp_path / "states.bin").read_bytes())
    raw[5] ^= 1
    (tmp_path / "states.bin").write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="damaged"):
        TeacherCache(tmp_path, "teacher", 3, "float32").states(FIRST)
    with pytest.raises(CheckpointError, match="unknown type"):
        TeacherCache(tmp_path, "teacher", 3, "float64")
