"""Writes captions as they come, and tells how far the work is and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from aligncap.captioner.journal import Done
from aligncap.captioner.results import Failure, Result, Silence, printable
from aligncap.cli.output import Console, clock
from aligncap.cli.sinks import Sink

if TYPE_CHECKING:
    from aligncap.captioner.cutting import Cut

__all__ = ["Durations", "Tally", "write"]


@dataclass
class Durations:
    """How long the recordings are that are being worked on, learned on the way."""

    _seconds: dict[str, float] = field(default_factory=dict)

    def watch(self, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """The same; their lengths are kept."""
        for item in cuts:
            if duration := getattr(item, "duration", 0.0):
                self._seconds[item.audio] = duration
            yield item

    def progress(self, result: Result) -> tuple[float, str]:
        """The part of its recording that is done with a result, and where that is, if there is more to come."""
        seconds = self._seconds.get(result.audio, 0.0)
        if isinstance(result, Failure) or not seconds or result.end >= seconds:
            return 1.0, ""
        return result.end / seconds, f"{clock(result.end)} of {clock(seconds)}"


def write(results: Iterable[Result], sinks: Sequence[Sink], tell: bool, durations: Durations, tally: Tally) -> bool:
    """Write the results as they come; return whether nothing failed.

    Args:
        results: in the order of the recordings.
        sinks: where they go.
        tell: whether failures, warnings and doubts are told on standard error too.
        durations: of the recordings.
        tally: what was done before, to which it is added.
    """
    console = tally.console
    try:
        with console.bar(len(tally.whole)):
            for result in results:
                news = tally.add(result)
                part, at = durations.progress(result)
                console.advance(len(tally.whole) - 1 + part, tally.captions, at)
                for line in news if tell else ():
                    (console.complain if isinstance(result, Failure) else console.say)(line)
                for sink in sinks:
                    sink.add(result)
    except KeyboardInterrupt:
        console.say(f"interrupted: {tally.summary()}")
        raise
    finally:
        for sink in sinks:
            sink.close()
    console.say(tally.summary())
    return all(tally.whole.values())


@dataclass
class Tally:
    """What became of the recordings.

    Attributes:
        console: knows how many there are, and the time.
        names: of the recordings.
        before: what an earlier run has written.
        whole: recording → whether nothing of it failed.
        earlier: of these, how many an earlier run did.
        captions: stretches captioned.
        silence: seconds without speech.
    """

    console: Console
    names: InitVar[Sequence[str]]
    before: InitVar[Done]
    whole: dict[str, bool] = field(init=False)
    earlier: int = field(init=False)
    captions: int = 0
    silence: float = 0.0
    _told: set[str] = field(default_factory=set)

    def __post_init__(self, names: Sequence[str], before: Done) -> None:
        self.whole = {name: before.whole[name] for name in names if before.has(name)}
        self.earlier = len(self.whole)

    def add(self, result: Result) -> list[str]:
        """Count a result; return what a reader of captions should be told about it, each warning once."""
        fine = not isinstance(result, Failure)
        self.whole[result.audio] = fine and self.whole.get(result.audio, True)
        if isinstance(result, Failure):
            return [printable(f"error: {result.id}: {result.message}")]
        if isinstance(result, Silence):
            self.silence += result.end - result.start
            return []
        self.captions += 1
        lines = [printable(f"warning: {result.audio}: {warning}") for warning in result.warnings]
        lines += [printable(f"doubtful: {result.id}: {doubt}") for doubt in result.doubts]
        news = [line for line in lines if line not in self._told]
        self._told.update(news)
        return news

    def summary(self) -> str:
        """One line."""
        total = self.console.total
        good = sum(self.whole.values())
        failed = len(self.whole) - good
        parts = [f"captioned {good} of {total} recording{'' if total == 1 else 's'}"]
        if self.captions > good:
            parts.append(f"({self.captions} stretches)")
        parts.append(f"in {self.console.seconds:.1f} s")
        ends = [
            f"{self.earlier} were done before" if self.earlier else "",
            f"{clock(self.silence)} without speech" if self.silence >= 0.5 else "",
            f"{failed} failed" if failed else "",
        ]
        return "; ".join([" ".join(parts), *filter(None, ends)])
