"""MkDocs hooks.

A file of the repository that a page links to (`../configs/small.yaml`) becomes part of the site, and an interval in a
table ("[0.591, 0.653]") is not broken over lines.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_INTERVAL = re.compile(r"\[(-?\d+\.\d+), (?=-?\d+\.\d+\])")
_LINK = re.compile(r"\]\(\.\./([^)#\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    linked = {path for page in files.documentation_pages() for path in _LINK.findall(page.content_string)}
    for path in sorted(linked):
        if (root / path).is_file():
            files.append(File.generated(config, _in_site(path), abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, *, files: Files, **_: Any) -> str:
    """Point the links at the copies; what is not there stays as it is, and fails the strict build."""

    def link(match: re.Match[str]) -> str:
        there = files.get_file_from_path(_in_site(match[1])) is not None
        return f"]({_in_site(match[1])})" if there else match[0]

    lines = _LINK.sub(link, markdown).split("\n")
    return "\n".join(_INTERVAL.sub("[\\1,\N{NO-BREAK SPACE}", line) if line.startswith("|") else line for line in lines)


def _in_site(path: str) -> str:
    return f"repository/{path}"
