"""The literature's own programs, which need Java: the Treebank tokenizer, METEOR 1.5 and SPICE.

The first two come with the package pycocoevalcap (extra ``metrics``), whose Python code is not used. SPICE is left to
the user to supply: its models are a large download under another licence.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from aligncap.errors import AlignCapError, MissingExtraError
from aligncap.metrics.score import Score, check_pairs
from aligncap.metrics.tokenize import PUNCTUATION

__all__ = ["JavaError", "available", "meteor", "ptb", "spice"]

_CORENLP, _METEOR = "tokenizer/stanford-corenlp-3.4.1.jar", "meteor/meteor-1.5.jar"
_SPICE, _SPICE_MODELS = "spice-1.0.jar", "stanford-corenlp-3.6.0-models.jar"
_SPICE_PAGE = "https://panderson.me/spice"
_UTF8 = ["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]


class JavaError(AlignCapError):
    """Java is missing, or a Java program failed."""

    exit_code = 3


def available() -> bool:
    """Whether `ptb` and `meteor` can run: Java and the extra ``metrics`` are there."""
    try:
        _java("METEOR")
        _jar(_METEOR, "METEOR")
    except (JavaError, MissingExtraError):
        return False
    return True


def ptb(texts: Sequence[str]) -> list[str]:
    """Tokenise English texts by Stanford's Treebank tokenizer, as coco-caption does.

    Returns:
        The words of each text, lower-cased, separated by spaces, without punctuation.

    Raises:
        JavaError: Java is missing or the program failed.
        MissingExtraError: its jar is missing.
    """
    what = "the tokenizer ptb-java"
    command = [_java(what), *_UTF8, "-cp", str(_jar(_CORENLP, what)), "edu.stanford.nlp.process.PTBTokenizer"]
    command += ["-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    done = _run(command, "".join(f"{' '.join(text.split())}\n" for text in texts), what)
    lines = done.split("\n")[:-1]
    if len(lines) != len(texts):
        raise JavaError(f"{what} returned {len(lines)} lines for {len(texts)} texts")
    return [" ".join(word for word in line.split() if word not in PUNCTUATION) for line in lines]


def meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """METEOR 1.5 for English, by its authors' program with coco-caption's settings; in [0, 1], higher being better.

    The corpus score is METEOR's own, from counts pooled over captions.

    Args:
        candidates: tokenised captions (see `aligncap.metrics.tokenize`).
        references: tokenised references of each caption, at least one.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
        JavaError: Java is missing or the program failed.
        MissingExtraError: its jar is missing.
    """
    check_pairs(candidates, references)
    jar = _jar(_METEOR, "METEOR")
    command = [_java("METEOR"), "-Xmx2G", *_UTF8, "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    lines = [
        " ||| ".join(["SCORE", *(_plain(text) for text in several), _plain(candidate)])
        for candidate, several in zip(candidates, references, strict=True)
    ]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8", cwd=jar.parent
        )
        try:
            statistics = [_ask(process, line) for line in lines]
            first = _ask(process, " ||| ".join(["EVAL", *statistics]))
            assert process.stdout is not None
            scores = [float(first)] + [float(process.stdout.readline()) for _ in lines]
        except (OSError, ValueError) as error:
            errors.seek(0)
            told = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise JavaError(f"METEOR failed: {told[0] if told else error}") from error
        finally:
            process.kill()
            process.communicate()
    return Score(scores[-1], tuple(scores[:-1]))


def spice(candidates: Sequence[str], references: Sequence[Sequence[str]], folder: Path) -> Score:
    """SPICE (Anderson et al. 2016) by its authors' program, in [0, 1], higher being better; the corpus score is a mean.

    Args:
        candidates: captions, not tokenised.
        references: references of each caption, at least one.
        folder: where the user keeps ``spice-1.0.jar`` and, under ``lib/``, the jars that it comes with and the models
            of Stanford CoreNLP 3.6.0.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
        JavaError: a jar or Java is missing, or the program failed.
    """
    check_pairs(candidates, references)
    for jar in (folder / _SPICE, folder / "lib" / _SPICE_MODELS):
        if not jar.is_file():
            raise JavaError(
                f"SPICE and SPIDEr need {jar.name}, which is not in {jar.parent}: download SPICE from {_SPICE_PAGE}, "
                "run its script that gets the Stanford models, and name the folder of spice-1.0.jar"
            )
    entries = [
        {"image_id": index, "test": candidate, "refs": list(several)}
        for index, (candidate, several) in enumerate(zip(candidates, references, strict=True))
    ]
    with tempfile.TemporaryDirectory() as work:
        given, result = Path(work, "in.json"), Path(work, "out.json")
        given.write_text(json.dumps(entries), encoding="utf-8")
        command = [_java("SPICE"), "-Xmx8G", *_UTF8, "-jar", str(folder / _SPICE), str(given), "-out", str(result)]
        _run([*command, "-silent"], "", "SPICE")
        if not result.is_file():
            raise JavaError("SPICE wrote no result; it is known to run on Java 8 and to fail on some later versions")
        rows = json.loads(result.read_text(encoding="utf-8"))
    scores = {int(row["image_id"]): float(row["scores"]["All"]["f"]) for row in rows}
    if len(scores) != len(candidates):
        raise JavaError(f"SPICE returned {len(scores)} scores for {len(candidates)} captions")
    each = tuple(scores[index] for index in range(len(candidates)))
    return Score(sum(each) / len(each), each)


def _plain(text: str) -> str:
    """The text without the separator of METEOR's protocol, on one line."""
    return " ".join(text.replace("|||", " ").split())


def _ask(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise OSError("the program ended early")
    return answer.strip()


def _java(what: str) -> str:
    java = shutil.which("java")
    if java is None:
        raise JavaError(f"{what} needs Java 8 or later on the PATH: install a Java runtime (such as openjdk-17-jre)")
    return java


def _jar(path: str, what: str) -> Path:
    spec = find_spec("pycocoevalcap")
    places = list(spec.submodule_search_locations or []) if spec else []
    jars = [Path(place, path) for place in places]
    if not any(jar.is_file() for jar in jars):
        raise MissingExtraError(what, "metrics")
    return next(jar for jar in jars if jar.is_file())


def _run(command: list[str], given: str, what: str) -> str:
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise JavaError(f"{what} failed: {told[0] if told else f'exit status {done.returncode}'}")
    return done.stdout
