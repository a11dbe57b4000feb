from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import wave
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from aligncap.corpora import Row
from aligncap.evaluation.predictions import Prediction, System
from aligncap.evaluation.report import render, worst_first
from aligncap.evaluation.scores import evaluate

NASTY = "She sounds sad. </script><script>alert(1)</script><!-- \u2028 & <b>bold</b> @@SCRIPT@@ 高兴"
ROWS = [
    Row("right", "right.wav", emotion="sad"),
    Row("wrong", "wrong.wav", emotion="happy"),
    Row("part", "right.wav", start=0.5, end=1.0, emotion="angry"),
    Row("lost", "lost.wav", emotion="sad"),
]
SAID = System(
    "<img src=x onerror=alert(2)>",
    {
        "right": Prediction("They sound sad."),
        "wrong": Prediction(NASTY, {"sad": 0.9, "happy": 0.1}),
        "part": Prediction("They sound sad.", {"angry": 1.0}),
        "lost": Prediction("They sound sad."),
    },
)


class Page(HTMLParser):
    """Tags of a page, and what stands in its script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return evaluate(ROWS, [SAID], resamples=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of 1.5 s."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\x10\x00\x90\x10" * 12000)
    for name in ("right.wav", "wrong.wav"):
        (tmp_path / name).write_bytes(out.getvalue())
    return tmp_path


def shown(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Page(text).scripts[0])
    return found


def test_what_came_from_outside_cannot_become_html(data: dict[str, Any]) -> None:
    text = render(data)
    page = Page(text)
    assert len(page.scripts) == 2
    assert not [tag for tag, _ in page.tags if tag in ("b", "img")]
    captions = {one["id"]: one["systems"][SAID.name]["caption"] for one in shown(text)["captions"]}
    assert captions["wrong"] == NASTY


def test_the_script_never_makes_html_of_text(data: dict[str, Any]) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|DOMParser", render(data))


def test_only_the_reports_own_script_may_run_and_nothing_is_loaded(data: dict[str, Any]) -> None:
    text = render(data)
    page = Page(text)
    [policy] = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not [a for _, a in page.tags for name in ("src", "href") if not (a.get(name) or "#").startswith("#")]
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}


def test_all_data_is_inside(data: dict[str, Any]) -> None:
    found = shown(render(data))
    assert {name: found[name] for name in data} == json.loads(json.dumps(data))


def test_the_worst_come_first(data: dict[str, Any]) -> None:
    names = [data["captions"][index]["id"] for index in worst_first(data)]
    assert names == ["wrong", "part", "right", "lost"]  # the first is sure of what is wrong


def test_to_be_sure_of_what_is_wrong_is_worse() -> None:
    said = [{"labels": {"likelihood": "sad"}, "confidence": sure} for sure in (0.5, 0.9)]
    captions = [{"emotion": emotion, "systems": {"s": one}} for emotion in ("happy", "sad") for one in said]
    assert worst_first({"captions": captions}) == [1, 0, 2, 3]


def test_a_large_report_shows_the_worst_and_some_of_the_others(data: dict[str, Any]) -> None:
    found = shown(render(data, most_captions=2))
    assert [one["id"] for one in found["captions"]] == ["wrong", "part"]
    assert (found["clips"], found["embedded"]) == (4, 2)
    assert [found["captions"][index]["id"] for index in found["order"]] == ["wrong", "part"]


def test_recordings_are_embedded_worst_first_up_to_the_limit(data: dict[str, Any], folder: Path) -> None:
    size = (folder / "wrong.wav").stat().st_size
    audio = shown(render(data, folder=folder, audio_bytes=10 * size))["audio"]
    assert set(audio) == {"right", "wrong", "part"}  # one is lost
    kind, _, coded = audio["wrong"].partition(";base64,")
    assert kind == "data:audio/wav"
    assert base64.b64decode(coded) == (folder / "wrong.wav").read_bytes()
    assert set(shown(render(data, folder=folder, audio_bytes=size))["audio"]) == {"wrong"}
    assert shown(render(data))["audio"] == {}


def test_contours_are_inside_for_the_clips_that_are_shown(data: dict[str, Any]) -> None:
    drawn = {"seconds": 1.0, "pitch": [200, None], "level": [0, -30]}
    found = shown(render(data, contours={"wrong": drawn, "right": drawn, "of another clip": drawn}, most_captions=2))
    assert found["contours"] == {"wrong": drawn}
    assert shown(render(data))["contours"] == {}


def test_a_part_of_a_recording_is_cut_out(data: dict[str, Any], folder: Path) -> None:
    coded = shown(render(data, folder=folder, audio_bytes=10**6))["audio"]["part"].partition(",")[2]
    with wave.open(io.BytesIO(base64.b64decode(coded))) as file:
        assert file.getnframes() == 8000
