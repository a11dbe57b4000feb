from __future__ import annotations

from pathlib import Path

from aligncap.audio import AUDIO_SUFFIXES, find_audio


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_directories_are_expanded(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b.WAV",
        "a.flac",
        "ü/é.opus",
        "ü/deep/er/c.m4a",
        "notes.txt",
        ".hidden.wav",
        ".git/d.wav",
        "wav",
    )
    found = find_audio([tmp_path])
    assert found == sorted(tmp_path / name for name in ("b.WAV", "a.flac", "ü/é.opus", "ü/deep/er/c.m4a"))
    assert find_audio(tmp_path) == find_audio(str(tmp_path)) == found


def test_named_files_keep_order_and_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "z.xyz", "d/a.wav", "d/b.wav", ".secret.wav")
    names = ["z.xyz", "missing.wav", "d", ".secret.wav"]
    found = find_audio([str(tmp_path / name) for name in names])
    expected = ["z.xyz", "missing.wav", "d/a.wav", "d/b.wav", ".secret.wav"]
    assert found == [tmp_path / name for name in expected]


def test_directory_loops_end_and_empty_directories_hold_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert find_audio([tmp_path]) == [tmp_path / "a.wav"]
    assert find_audio([tmp_path / "empty"]) == []
    assert find_audio([]) == []


def test_common_suffixes_are_known() -> None:
    assert {
        ".wav",
        ".flac",
        ".ogg",
        ".opus",
        ".mp3",
        ".m4a",
        ".webm",
        ".mp4",
        ".aac",
        ".aiff",
        ".wma",
    } <= AUDIO_SUFFIXES
