"""Names the problems of a manifest on the command line, with a progress bar that keeps out of their way."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.captioner.results import printable
from aligncap.cli.output import Output, progress_bar
from aligncap.corpora.problems import KINDS, Problem

if TYPE_CHECKING:
    from rich.progress import Progress

    from aligncap.corpora import Report

__all__ = ["Teller", "count_of"]

_VALUES_SHOWN = 5


class Teller:
    """Names problems as they come, and keeps a progress bar out of their way.

    Args:
        output: None for standard error.
        warnings: how many of a kind are named.
        as_json: JSON Lines instead of text; then all are named.
        quiet: errors alone.
    """

    def __init__(self, output: Output | None, warnings: int, as_json: bool, quiet: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._output = output
        self._limit = 0 if quiet else warnings
        self._as_json = as_json
        self._quiet = quiet
        self._bar: Progress | None = None

    def tell(self, problem: Problem) -> None:
        """Print a problem, or only count it where many of its kind were printed."""
        self.counts[problem.kind] += 1
        if self._as_json:
            self._print(json.dumps(problem.to_dict(), ensure_ascii=False))
        elif problem.severity == "error" or self.counts[problem.kind] <= self._limit:
            self._print(f"{problem.severity}: {problem}")

    def end(self, line: str) -> None:
        """Print the last line."""
        self._untold()
        if not self._quiet:
            self._print(line)

    def summary(self, manifest: Path, report: Report, fix: Path | None) -> None:
        """Print the counts of a check."""
        if self._as_json:
            self._print(json.dumps({"summary": report.to_dict()}, ensure_ascii=False))
            return
        self._untold()
        if self._quiet:
            return
        good = report.rows - report.bad
        self._print(f"{manifest}: {count_of(report.rows, 'row')}, {good:,} good, {report.bad:,} bad")
        for kind in report.kinds:
            about = KINDS[kind]
            values = report.values[kind].most_common()
            told = ", ".join(f"{value} {count:,}" for value, count in values[:_VALUES_SHOWN])
            told += ", …" if len(values) > _VALUES_SHOWN else ""
            repair = f"{about.remedy}: {about.repair}" if about.repair else about.remedy
            self._print(
                f"  {about.severity:7} {kind:21} {report.problems[kind]:>7,}  {repair}" + (f" ({told})" if told else "")
            )
        kept, out = report.rows - report.left_out, f"{report.left_out:,} left out"
        if fix is not None:
            self._print(f"wrote {fix}: {count_of(kept, 'row')}, {report.repaired:,} of them repaired; {out}")
        elif report.problems:
            self._print(f"--fix OUT would write {count_of(kept, 'row')}, {report.repaired:,} of them repaired; {out}")

    def _untold(self) -> None:
        for kind, count in self.counts.items():
            if KINDS[kind].severity == "warning" and count > self._limit and not self._quiet and not self._as_json:
                self._print(f"warning: {kind}: {count - self._limit:,} more (--warnings {count} names all)")

    @contextmanager
    def bar(self, title: str, total: int | None) -> Iterator[None]:
        """Show a bar for as long as the block runs, where standard error is a terminal."""
        if self._quiet or sys.stderr is None or not sys.stderr.isatty():
            yield
            return
        self._bar = progress_bar(title, total)
        try:
            with self._bar:
                yield
        finally:
            self._bar = None

    def advance(self, rows: int) -> None:
        """Say how many rows are done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=rows)

    def _print(self, line: str) -> None:
        in_the_way = self._bar if self._output is None or self._output.on_terminal else None
        if in_the_way is not None:
            in_the_way.stop()
        if self._output is not None:
            self._output.write(printable(line) + "\n")
        elif sys.stderr is not None:
            print(printable(line), file=sys.stderr, flush=True)
        if in_the_way is not None:
            in_the_way.start()


def count_of(count: int, noun: str) -> str:
    """A number and a noun, in the singular or plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
