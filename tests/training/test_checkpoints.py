from __future__ import annotations

from pathlib import Path

import pytest

from aligncap.training.checkpoints import latest, problem, prune, seal


def checkpoint(folder: Path, step: int, key: str = "key") -> Path:
    path = folder / f"checkpoint-{step}"
    (path / "sub").mkdir(parents=True)
    (path / "weights").write_bytes(b"w" * 100)
    (path / "sub" / "state").write_bytes(b"s" * 10)
    seal(path, key)
    return path


def test_the_last_whole_checkpoint_is_found_and_the_others_are_named(tmp_path: Path) -> None:
    steps = [2, 4, 6, 8, 10, 12]
    paths = {step: checkpoint(tmp_path, step, "other" if step == 8 else "key") for step in steps}
    (paths[12] / "manifest.json").unlink()
    (paths[10] / "sub" / "state").unlink()
    (paths[6] / "weights").write_bytes(b"w" * 99 + b"x")
    (tmp_path / "checkpoint-14.part").mkdir()
    skipped: list[str] = []
    assert latest(tmp_path, "key", skipped.append) == paths[4]
    assert [line.split(": ", 1)[1].split(":")[0] for line in skipped] == ["torn", "torn", "foreign", "torn"]
    assert latest(tmp_path / "none", "key", skipped.append) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "key"}'])
def test_a_manifest_that_cannot_be_read_is_torn(tmp_path: Path, text: str) -> None:
    path = checkpoint(tmp_path, 1)
    assert problem(path, "key") is None
    (path / "manifest.json").write_text(text)
    assert "torn" in str(problem(path, "key"))


def test_old_and_unfinished_checkpoints_go(tmp_path: Path) -> None:
    for step in (9, 10, 11):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-12.part").mkdir()
    prune(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-11"]
