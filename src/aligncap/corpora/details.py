"""What comes with corpora and a declarative entry cannot say: listeners' answers, texts and captions.

Each function here is named in an entry as its `details`. It reads what it needs once, and returns a function that
completes the groups of a recording; that function may return several clips for one recording, or none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from aligncap.corpora.iemocap import iemocap
from aligncap.corpora.known import Corpus, CorpusError, Groups
from aligncap.corpora.sidefiles import find_file, find_files, read_table, read_text, shares

__all__ = ["DETAILS", "Complete", "Tell"]

Complete = Callable[[Groups], list[Groups]]
Tell = Callable[[str, str], None]
"""Called with the name of a file and what its absence means; no clip is lost by it."""


def _crema_d(corpus: Corpus, root: Path, tell: Tell) -> Complete:
    """Votes of those who heard the clip without its picture: rows whose number begins with 1."""
    votes: dict[str, dict[str, float]] = {}
    name = "processedResults/tabulatedVotes.csv"
    path = find_file(root, name)
    if path is None:
        tell(name, "it is not there: no votes")
    else:
        for row in read_table(path, ("", "fileName", "numResponses", *corpus.answers)):
            if row[""].startswith("1") and row["numResponses"].isdigit() and int(row["numResponses"]):
                counts = {emotion: float(row[answer] or 0) for answer, emotion in corpus.answers.items()}
                votes[row["fileName"]] = shares(counts, int(row["numResponses"]))
    return lambda clip: [{**clip, "votes": votes.get(clip["stem"], {})}]


def _emodb(corpus: Corpus, root: Path, tell: Tell) -> Complete:
    """Share of the listeners who recognised the emotion: number, file, percent, percent that found it natural."""
    rates: dict[str, float] = {}
    path = find_file(root, "erkennung.txt")
    if path is None:
        tell("erkennung.txt", "it is not there: no votes")
    else:
        for line in read_text(path, ("latin-1",)).splitlines():
            found = re.match(r"\s*\d+\s+(\w+)\.wav\s+(\d+(?:,\d+)?)\s", line + " ")
            if found:
                rates[found[1]] = float(found[2].replace(",", ".")) / 100

    def complete(clip: Groups) -> list[Groups]:
        emotion = corpus.labels[clip["emotion"]][1]
        rate = rates.get(clip["stem"])
        return [{**clip, "votes": {} if rate is None else shares({emotion: rate}, 1)}]

    return complete


def _esd(corpus: Corpus, root: Path, tell: Tell) -> Complete:
    """Texts: name, text, emotion in English or Chinese; separated by tabs, in some lines by blanks."""
    texts: dict[str, str] = {}
    emotions = {*corpus.labels, "中立", "快乐", "伤心", "生气", "惊喜"}
    files = find_files(root, "00[0-2][0-9].txt") or find_files(root.absolute().parent, "00[0-2][0-9].txt")
    for path in files:
        chinese = int(path.stem) <= 10  # Windows' encodings of either language also decode the other's, wrongly
        for line in read_text(path, ("utf-8", "gb18030" if chinese else "cp1252", "latin-1")).splitlines():
            found = re.match(r"\s*(\d{4}_\d{6})\s+(.*\S)", line)
            if found:
                text, _, last = found[2].replace("\t", " ").rpartition(" ")
                texts[found[1]] = text if last in emotions else found[2]
    if not files:
        tell("0001/0001.txt", "such files are not there: no transcripts")
    return lambda clip: [{**clip, "text": texts.get(clip["stem"], "")}]


def _emosec(corpus: Corpus, root: Path, tell: Tell) -> Complete:
    """Captions and texts by clip."""
    texts: dict[str, str] = {}
    path = find_file(root, "text.txt")
    if path is None:
        tell("text.txt", "it is not there: no transcripts")
    else:
        for line in read_text(path).splitlines():
            name, _, text = line.replace("\t", " ").partition(" ")
            texts[name] = text
    path = find_file(root, "fid2captions.json")
    if path is None:
        raise CorpusError(f"{root}: there is no fid2captions.json in it, which holds the captions")
    try:
        captions = json.loads(read_text(path))
        listed = {name: [value] if isinstance(value, str) else list(value) for name, value in captions.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise CorpusError(f"{path}: it is not a JSON object of captions: {error}") from error
    return lambda clip: [{**clip, "text": texts.get(clip["clip"], ""), "captions": listed.get(clip["clip"], [])}]


_CAPTIONS = ("caption", "reason", "description", "english_caption", "chinese_caption")
_TEXTS = ("chinese", "sentence", "transcript", "english")


def _mer(corpus: Corpus, root: Path, tell: Tell) -> Complete:
    """Everything that csv files with a column ``name`` say of a recording; without any there is nothing to read."""
    known: dict[str, dict[str, list[str]]] = {}
    for path in find_files(root, "*.csv"):
        for row in read_table(path):
            if not row.get("name"):
                continue
            clip = known.setdefault(row["name"], {"captions": [], "labels": [], "texts": []})
            clip["captions"] += [row[column] for column in _CAPTIONS if row.get(column)]
            clip["texts"] += [row[column] for column in _TEXTS if row.get(column)]
            clip["labels"] += [row["discrete"]] if row.get("discrete") else []
            clip["labels"] += (
                [", ".join(re.findall(r"[\w-]+(?: [\w-]+)*", row["openset"]))] if row.get("openset") else []
            )
    if not known:
        raise CorpusError(f"{root}: there is no csv file with a column 'name' in it")

    def complete(clip: Groups) -> list[Groups]:
        found = known.get(clip["stem"])
        if found is None:
            return [{**clip, "problem": "no csv file names it"}]
        label, text = (next(iter(found[key]), "") for key in ("labels", "texts"))
        return [{**clip, "label": label, "text": text, "captions": found["captions"]}]

    return complete


DETAILS: Mapping[str, Callable[[Corpus, Path, Tell], Complete]] = {
    "crema_d": _crema_d,
    "emodb": _emodb,
    "emosec": _emosec,
    "esd": _esd,
    "iemocap": iemocap,
    "mer": _mer,
}
"""What an entry may name."""
