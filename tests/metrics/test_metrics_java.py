"""The bridge to the Java programs, with a stand-in for `java`: what is said to it, and what is made of its answers.

benchmarks/metrics_parity.py runs the real programs.
"""

import os
import sys
from pathlib import Path

import pytest

from aligncap.errors import MissingExtraError
from aligncap.metrics import java, score_captions, tokenize

STAND_IN = """#!{python}
import json, sys
arguments = sys.argv[1:]
if "edu.stanford.nlp.process.PTBTokenizer" in arguments:
    for line in sys.stdin.buffer.read().decode("utf-8").split("\\n")[:-1]:
        sys.stdout.buffer.write((line.lower().replace(".", " .") + "\\n").encode())
elif "-stdio" in arguments:
    for line in sys.stdin.buffer:
        kind, *parts = line.decode().rstrip("\\n").split(" ||| ")
        if kind == "SCORE":
            print(sum(part == parts[-1] for part in parts[:-1]), flush=True)
        else:
            for part in parts:
                print(float(part) / 2)
            print(0.25, flush=True)
else:
    given, out = arguments[arguments.index("-out") - 1], arguments[arguments.index("-out") + 1]
    score = lambda row: {{"All": {{"f": len(row["refs"]) / 10}}}}
    rows = [{{"image_id": row["image_id"], "scores": score(row)}} for row in json.load(open(given))]
    json.dump(rows[::-1], open(out, "w"))
"""


def install(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "java"
    program.write_text(script.format(python=sys.executable) if "{python}" in script else script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    install(tmp_path / "bin", STAND_IN, monkeypatch)


@pytest.fixture
def broken(tmp_path, monkeypatch):
    install(tmp_path / "bin", "#!/bin/sh\necho 'no memory left' >&2\nexit 1\n", monkeypatch)


@pytest.mark.usefixtures("stand_in")
class TestWithJava:
    def test_available(self):
        assert java.available()

    def test_tokenizer_keeps_lines_together(self):
        texts = ["A sad\nvoice.", "", "Émue…\u2028x", ""]
        assert tokenize(texts, "ptb-java") == ["a sad voice", "", "émue… x", ""]

    def test_meteor(self):
        score = java.meteor(["a", "b ||| c", ""], [["a", "x", "a"], ["b c"], ["y"]])
        assert score.captions == (1.0, 0.5, 0.0)
        assert score.corpus == 0.25

    def test_suite(self, tmp_path):
        (tmp_path / "lib").mkdir()
        for jar in ("spice-1.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"):
            (tmp_path / jar).touch()
        scores = score_captions(["a b", "c"], [["a b", "d"], ["c"]], meteor=True, spice=tmp_path)
        assert scores["meteor"].captions == (0.5, 0.5)
        assert scores["spice"].captions == (0.2, 0.1)
        assert scores["spider"].corpus == pytest.approx((scores["spice"].corpus + scores["cider_d"].corpus) / 2)

    def test_without_the_jars(self, monkeypatch, tmp_path):
        monkeypatch.setattr(java, "find_spec", lambda name: None)
        assert not java.available()
        with pytest.raises(MissingExtraError, match=r"METEOR needs extra packages: pip install 'aligncap\[metrics\]'"):
            java.meteor(["a"], [["a"]])
        with pytest.raises(java.JavaError, match=r"SPICE and SPIDEr need spice-1\.0\.jar, which is not in .*download"):
            java.spice(["a"], [["a"]], tmp_path)


def test_without_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not java.available()
    with pytest.raises(java.JavaError, match="METEOR needs Java 8 or later on the PATH"):
        java.meteor(["a"], [["a"]])


@pytest.mark.usefixtures("broken")
def test_a_program_that_fails(tmp_path):
    with pytest.raises(java.JavaError, match="ptb-java failed: no memory left"):
        java.ptb(["a"])
    with pytest.raises(java.JavaError, match="METEOR failed"):
        java.meteor(["a"] * 3, [["a"]] * 3)


def test_a_tokenizer_that_loses_lines(tmp_path, monkeypatch):
    install(tmp_path / "bin", "#!/bin/sh\necho one\n", monkeypatch)
    with pytest.raises(java.JavaError, match="1 lines for 2 texts"):
        java.ptb(["one", "two"])


def test_spice_that_writes_nothing(tmp_path, monkeypatch):
    install(tmp_path / "bin", "#!/bin/sh\nexit 0\n", monkeypatch)
    (tmp_path / "lib").mkdir()
    for jar in ("spice-1.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"):
        (tmp_path / jar).touch()
    with pytest.raises(java.JavaError, match="no result"):
        java.spice(["a"], [["a"]], tmp_path)
