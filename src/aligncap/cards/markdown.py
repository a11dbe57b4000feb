"""The pieces of a card: YAML front matter as the Hugging Face Hub reads it, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["cell", "front_matter", "read_front_matter", "table"]

_FENCE = "---"
_MARKS = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#~"})


def front_matter(fields: Mapping[str, Any]) -> str:
    """YAML between fences; what is empty or None is left out.

    Args:
        fields: names and values of the Hub's card metadata.
    """
    import yaml

    kept = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None)
    return f"{_FENCE}\n{text}{_FENCE}\n"


def read_front_matter(text: str) -> dict[str, Any]:
    """The fields at the beginning of a card; empty where there are none, or they are not YAML.

    Args:
        text: a Markdown file.
    """
    import yaml

    head, fence, rest = text.partition(f"{_FENCE}\n")
    body, end, _ = rest.partition(f"\n{_FENCE}\n")
    if head.strip("\ufeff \n") or not fence or not end:
        return {}
    try:
        fields = yaml.safe_load(body)
    except yaml.YAMLError:
        return {}
    return fields if isinstance(fields, dict) else {}


def cell(text: object) -> str:
    """Text from outside in one line, with all that Markdown or HTML would read in it made harmless."""
    return " ".join(str(text).split()).translate(_MARKS)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all cells but the first column's are aligned to the right where all of a column are numbers.

    Args:
        header: titles.
        rows: as many cells each, numbers or text that is Markdown already.
    """
    numeric = [bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(header))]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("--:" if yes else "---" for yes in numeric) + "|"]
    lines += ["| " + " | ".join(_shown(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
