"""Subtitles, TextGrid, ELAN, Parquet and the picture, read back by the libraries that others read them with."""

from __future__ import annotations

from pathlib import Path

import pytest
import srt
import webvtt
from praatio import textgrid as praat
from pyarrow import parquet as pq
from pympi.Elan import Eaf

from aligncap.captioner.formats import DOCUMENTS
from aligncap.captioner.formats.parquet import ParquetFile
from aligncap.captioner.results import Caption, Failure, Silence
from aligncap.captioner.timeline import save_timeline
from aligncap.errors import AlignCapError

NAME = "talk <1> & $x$.wav"


def said(number: int, start: float, end: float, text: str, speaker: str | None = None) -> Caption:
    emotions = {"sad": 0.7, "calm": 0.3}
    return Caption(f"{NAME}#{number}", NAME, start, end, text, emotions, "Voice: low.", "m", speaker=speaker)


TRICKY = 'A "loud" voice -->\nshe sounds <b>angry</b> & sad; ärgerlich. ' + "And so on, and so on. " * 6
PLAIN = [
    said(0, 0.0, 3.5246, "He sounds sad."),
    Silence(f"{NAME}#silence0", NAME, 3.5246, 3725.0),
    said(1, 3725.0, 3730.25, " ".join(TRICKY.split())),
    Failure(f"{NAME}#2", NAME, "E", "m"),
    Silence(f"{NAME}#silence1", NAME, 3731.0, 3740.0),
]
TALK = [said(0, 0, 4, "One.", "Ann"), said(1, 3, 5, "Two.", "Ben & Co"), said(2, 3.5, 6, "Three.", "Ann")]


def words(text: str) -> list[str]:
    return text.replace("→", "-->").split()


def test_srt() -> None:
    first, second = srt.parse(DOCUMENTS["srt"](PLAIN))
    assert (first.start.total_seconds(), first.end.total_seconds()) == (0, 3.525)
    assert (second.start.total_seconds(), second.end.total_seconds()) == (3725, 3730.25)
    assert words(second.content) == words(TRICKY)
    assert [cue.content for cue in srt.parse(DOCUMENTS["srt"](TALK))] == ["Ann: One.", "Ben & Co: Two.", "Ann: Three."]


def test_vtt(tmp_path: Path) -> None:
    path = tmp_path / "x.vtt"
    path.write_text(DOCUMENTS["vtt"](PLAIN))
    first, second = webvtt.read(str(path)).captions
    assert (first.start, first.end, second.start) == ("00:00:00.000", "00:00:03.525", "01:02:05.000")
    assert "&lt;b&gt;angry&lt;/b&gt; &amp; sad" in " ".join(second.raw_text.split())
    assert "-->" not in second.raw_text
    path.write_text(DOCUMENTS["vtt"](TALK))
    assert "<v Ben &amp; Co>Two." in path.read_text()
    assert [cue.voice for cue in webvtt.read(str(path)).captions][::2] == ["Ann", "Ann"]


def test_textgrid(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_text(DOCUMENTS["textgrid"](PLAIN), encoding="utf-8")
    grid = praat.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert grid.tierNames == ("caption", "emotion")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 3740)
    captions = grid.getTier("caption").entries
    assert [(entry.start, entry.end, bool(entry.label)) for entry in captions] == [
        *((0, 3.5246, True), (3.5246, 3725, False), (3725, 3730.25, True), (3730.25, 3740, False))
    ]
    assert captions[2].label == " ".join(TRICKY.split())
    assert [entry.label for entry in grid.getTier("emotion").entries] == ["sad 70%", "", "sad 70%", ""]
    again = tmp_path / "y.TextGrid"
    grid.save(str(again), format="long_textgrid", includeBlankSpaces=True)
    assert praat.openTextgrid(str(again), includeEmptyIntervals=True) == grid


def test_textgrid_of_turns(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_text(DOCUMENTS["textgrid"](TALK), encoding="utf-8")
    grid = praat.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="error")
    assert grid.tierNames[:3] == ("caption (Ann)", "caption (Ann 2)", "caption (Ben & Co)")
    assert [entry.label for entry in grid.getTier("caption (Ann 2)").entries] == ["Three."]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_nothing_to_write(kind: str) -> None:
    assert isinstance(DOCUMENTS[kind]([]), str)


def test_elan(tmp_path: Path) -> None:
    path = tmp_path / "x.eaf"
    path.write_text(DOCUMENTS["eaf"](PLAIN), encoding="utf-8")
    eaf = Eaf(str(path))
    assert list(eaf.get_tier_names()) == ["caption", "emotion"]
    assert sorted(eaf.get_annotation_data_for_tier("caption")) == [
        *((0, 3525, "He sounds sad."), (3_725_000, 3_730_250, " ".join(TRICKY.split())))
    ]
    assert eaf.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == NAME
    path.write_text(DOCUMENTS["eaf"](TALK), encoding="utf-8")
    assert Eaf(str(path)).get_parameters_for_tier("caption (Ben & Co)")["PARTICIPANT"] == "Ben & Co"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    file = ParquetFile(path)
    for result in (*PLAIN, TALK[0]):
        file.add(result)
    assert not path.exists(), "half a table is none"
    file.close()
    rows = pq.read_table(path).to_pylist()
    assert [row["id"] for row in rows] == [item.id for item in (*PLAIN, TALK[0])]
    assert (rows[0]["emotion"], rows[0]["probability"], dict(rows[0]["emotions"])) == ("sad", 0.7, TALK[0].emotions)
    assert (rows[0]["silence"], rows[1]["silence"], rows[1]["caption"]) == (False, True, None)
    assert (rows[3]["error_type"], rows[3]["error_message"], rows[5]["speaker"]) == ("E", "m", "Ann")
    assert [item.name for item in tmp_path.iterdir()] == ["x.parquet"]


def test_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    save_timeline(path, PLAIN)
    text = path.read_text()
    assert "sad" in text
    assert "1:02:20" not in text  # no tick beyond the end
    with pytest.raises(AlignCapError, match="no caption to draw"):
        save_timeline(path, PLAIN[1:2])
    with pytest.raises(AlignCapError, match="cannot be written"):
        save_timeline(tmp_path / "gone" / "x.png", PLAIN[:1])
