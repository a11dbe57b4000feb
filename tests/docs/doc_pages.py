"""The pages of the documentation, and what is in them."""

from __future__ import annotations

import ast
import re
import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_SHELLS = {"sh", "bash", "console", ""}


@dataclass(frozen=True)
class Snippet:
    """A fenced block: its page, the line of its first line, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Snippet(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code_spans(text: str) -> list[str]:
    return [" ".join(match[2].split()) for match in _CODE_SPAN.finditer(text)]


def links(page: Path) -> list[str]:
    """Targets of the links in the prose."""
    return _LINK.findall(_CODE_SPAN.sub("", prose(page)))


def anchors(page: Path) -> tuple[set[str], set[str]]:
    """The page's anchors as GitHub makes them, and as the site does: the two rules differ."""
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", prose(page), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings]
    return _numbered(map(_github, texts), "-"), _numbered(map(_site, texts), "_")


def _github(text: str) -> str:
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _site(text: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def _numbered(slugs: Iterator[str], mark: str) -> set[str]:
    seen: dict[str, int] = {}
    found = set()
    for slug in slugs:
        times = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}{mark}{times}" if times else slug)
    return found


def programs(snippet: Snippet) -> list[list[str]]:
    """The simple commands of a shell snippet, each as its words; of console blocks those after the prompt too."""
    if snippet.language not in _SHELLS:
        return []
    found = []
    for line in snippet.text.replace("\\\n", " ").splitlines():
        told = line.removeprefix("$ ")
        if snippet.language in {"sh", "bash"} or told.startswith("aligncap "):
            found += _simple_commands(told)
    return found


def _simple_commands(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    skip = False  # the file after > or <
    for word in lexer:
        if set(word) <= set("|&;()"):
            commands.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        elif commands[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):  # not VARIABLE=value before the program
            commands[-1].append(word)
    return [command for command in commands if command]


def aligncap_arguments(words: list[str]) -> list[str] | None:
    """What is given to ``aligncap`` or ``-m aligncap`` (under a launcher); None: it is another program."""
    if words[0] == "aligncap":
        return words[1:]
    for place in range(len(words) - 1):
        if words[place : place + 2] == ["-m", "aligncap"]:
            return words[place + 2 :]
    return None


def imported_names(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import; the name is None where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
