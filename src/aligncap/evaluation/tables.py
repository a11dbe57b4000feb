"""The scores of report data as tables: plain text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aligncap.evaluation.measures import METHODS

__all__ = ["GROUPS", "csv_scores", "headline", "latex", "markdown", "text_table"]

Data = Mapping[str, Any]
_Row = Sequence[str]

_RATES = ("hallucination", "factuality", "faithfulness")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Emotion labels": (
        *(f"{score}.{method}" for score in ("uar", "war", "macro_f1") for method in METHODS),
        "ece.likelihood",
    ),
    "Emotion words": (
        *("emotion_named", "hit_rate", "group_precision", "group_recall", "group_f1", "valence_ccc", "arousal_ccc"),
    ),
    "Hallucination": (*_RATES, *(f"{name}_weight" for name in _RATES)),
    "Agreement with references": (
        *("bleu1", "bleu4", "meteor", "meteor_lite", "rouge_l", "cider_d", "spice", "spider", "similarity"),
    ),
    "Diversity": ("words", "distinct1", "distinct2", "vocabulary", "unique", "self_bleu", "repetition"),
}
"""The metrics that tables show, and under which heading; all the others are in JSON and CSV."""

_SUPPORTS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)  # all thresholds are in JSON
_ARROWS = {True: "↑", False: "↓", None: ""}
_LATEX_ARROWS = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}
_LATEX = str.maketrans(
    {char: rf"\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}  # noqa: RUF001
    | {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
)


def headline(data: Data) -> list[str]:
    """The metrics of `GROUPS` that were measured, in order."""
    return [name for names in GROUPS.values() for name in names if name in data["metrics"]]


def text_table(data: Data) -> str:
    """The main scores of each system, for a terminal: the mean over corpora where there are several, else over all."""
    part = _summary_part(data)
    names = _names(data)
    lines = [["", *names], ["scored", *(f"{s['scored']} of {s['rows']}" for s in data["systems"])]]
    lines += [[_title(data, metric), *cells] for metric, cells in _summary(data, part)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    body = ["  ".join(c.ljust(width) for c, width in zip(row, widths, strict=True)).rstrip() for row in lines]
    return "\n".join([*body, f"({_PARTS[part]}; 95 % intervals)"])


def markdown(data: Data) -> str:
    """All tables, as Markdown: the summary, every corpus, curves, the comparisons, and what was scored."""
    part = _summary_part(data)
    blocks = [f"# Evaluation\n\n{_preamble(data)}"]
    rows = [[_title(data, metric), *cells] for metric, cells in _summary(data, part)]
    scored = ["scored clips", *(f"{s['scored']} of {s['rows']}" for s in data["systems"])]
    blocks.append(f"## Summary\n\nScores are {_PARTS[part]}.\n\n{_pipes(['', *_names(data)], [scored, *rows])}")
    for heading, header, body in _by_corpus(data):
        blocks.append(f"## {heading}\n\n{_pipes(header, body)}")
    for heading, header, body in _curves(data, part):
        blocks.append(f"## {heading}\n\n{_pipes(header, body)}")
    if data["comparisons"]:
        header = ["system", "less", "metric", "difference", "p", "clips"]
        blocks.append(f"## Comparisons\n\n{_CAUTION}\n\n{_pipes(header, _comparisons(data, part))}")
    notes = [[s["name"], kind, str(count)] for s in data["systems"] for kind, count in s["problems"].items()]
    if notes:
        blocks.append(f"## Problems\n\n{_pipes(['system', 'problem', 'predictions'], notes)}")
    return "\n\n".join(blocks) + "\n"


def latex(data: Data) -> str:
    r"""The summary, the tables of corpora and the curves, as ``tabular`` for the package booktabs.

    The best of a metric is bold.
    """
    part = _summary_part(data)
    names = _names(data)
    metrics = [metric for metric, _ in _summary(data, part)]
    blocks = [f"% {line}" for line in _preamble(data).splitlines() if line]
    rows = [
        [_tex(data["metrics"][m]["title"]) + _LATEX_ARROWS[data["metrics"][m]["higher_is_better"]]]
        + [_tex_cell(data, name, m, part, "", names) for name in names]
        for m in metrics
    ]
    blocks.append(_tabular(["", *map(_tex, names)], rows))
    for heading, wanted in GROUPS.items():
        shown = [name for name in wanted if name in data["metrics"]]
        parts = [("corpus", corpus) for corpus in _corpora(data)]
        rows = [
            [_tex(corpus), _tex(name), *(_tex_cell(data, name, m, kind, corpus, names) for m in shown)]
            for kind, corpus in parts
            for name in names
        ]
        if shown and rows:
            blocks.append(f"% {heading}")
            blocks.append(_tabular(["Corpus", "System", *(_tex(data["metrics"][m]["title"]) for m in shown)], rows))
    for heading, header, body in _curves(data, part):
        blocks.append(f"% {heading}")
        blocks.append(_tabular([_tex(cell) for cell in header], [[_tex(cell) for cell in row] for row in body]))
    return "\n\n".join(blocks) + "\n"


def csv_scores(data: Data) -> str:
    """Every score on a line: system, part, name, metric, value, low, high, clips; of curves, family and amount."""
    out = io.StringIO()
    columns = ("system", "part", "name", "metric", "value", "low", "high", "clips")
    curves = {point["system"]: (one["family"], point["amount"]) for one in data["curves"] for point in one["points"]}
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*columns, "family", "amount"])
    for score in data["scores"]:
        cells = [*(score[column] for column in columns), *curves.get(score["system"], ("", ""))]
        writer.writerow([_plain(cell) for cell in cells])
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, made text again."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


_PARTS = {"mean": "means over corpora (those of a whole set of captions: over all clips)", "all": "over all clips"}
_CAUTION = (
    "Each system less the one it is compared with, on the clips that both described: difference with 95 % interval, "
    "and p of a paired randomisation test. The p-values are of single tests."
)


def _preamble(data: Data) -> str:
    settings, versions = data["settings"], data["versions"]
    corpora = "; ".join(f"{row['corpus'] or 'all'}: {row['clips']} clips" for row in data["rows"])
    return (
        f"{corpora}. Intervals: 95 % bootstrap with {settings['resamples']} resamples, over speakers where there are "
        f"five, seed {settings['seed']}. aligncap {versions['aligncap']}."
    )


def _names(data: Data) -> list[str]:
    return [system["name"] for system in data["systems"]]


def _corpora(data: Data) -> list[str]:
    return list(dict.fromkeys(score["name"] for score in data["scores"] if score["part"] == "corpus"))


def _summary_part(data: Data) -> str:
    return "mean" if any(score["part"] == "mean" for score in data["scores"]) else "all"


def _summary(data: Data, part: str) -> Iterator[tuple[str, list[str]]]:
    """Each metric that has scores, with a cell for each system; metrics of a set of captions are over all clips."""
    for metric in headline(data):
        cells = [_interval(data, _find(data, name, metric, part, "")) for name in _names(data)]
        if any(cells):
            yield metric, cells


def _by_corpus(data: Data) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Heading, header and rows of the table of each group of metrics."""
    for heading, wanted in GROUPS.items():
        shown = [name for name in wanted if name in data["metrics"]]
        rows = []
        for corpus in _corpora(data):
            for name in _names(data):
                scores = [_find(data, name, metric, "corpus", corpus) for metric in shown]
                if any(scores):
                    clips = max(score["clips"] for score in scores if score)
                    rows.append([corpus, name, str(clips), *(_interval(data, score) for score in scores)])
        if rows:
            yield heading, ["corpus", "system", "clips", *(_title(data, metric) for metric in shown)], rows


def _curves(data: Data, part: str) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Heading, header and rows of the tables of learning curves, and of what abstaining is worth."""
    metrics = [name for name in headline(data) if name.startswith("uar.") or name in _RATES]
    rows = [
        [
            one["family"],
            f"{point['amount']:g}",
            *(_interval(data, _find(data, point["system"], m, part, "")) for m in metrics),
        ]
        for one in data["curves"]
        for point in one["points"]
    ]
    if rows:
        yield "Learning curves", ["family", data["settings"]["amount"], *(_title(data, m) for m in metrics)], rows
    rows = [
        [one["system"], one["kind"], f"{point['threshold']:g}", str(point["told"]), *_shares(point)]
        for one in data["coverage"]
        if one["part"] == part
        for point in one["points"]
        if point["threshold"] in _SUPPORTS
    ]
    if rows:
        yield "Coverage and hallucination", ["system", "of", "support at least", "told", "coverage", "wrong ↓"], rows


def _shares(point: Mapping[str, Any]) -> Iterator[str]:
    for name in ("coverage", "wrong"):
        value, low, high = (point[key] for key in (name, f"{name}_low", f"{name}_high"))
        yield "" if value is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _comparisons(data: Data, part: str) -> Iterator[list[str]]:
    order = {metric: place for place, metric in enumerate(headline(data))}
    found = [one for one in data["comparisons"] if one["metric"] in order and one["part"] == part]
    for one in sorted(found, key=lambda one: order[one["metric"]]):
        difference = f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
        yield [one["other"], one["first"], _title(data, one["metric"]), difference, _p(one["p"]), str(one["clips"])]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _find(data: Data, system: str, metric: str, part: str, name: str) -> Mapping[str, Any] | None:
    """A score; where there is no mean over corpora, as of metrics of a set of captions, that over all clips."""
    scores = (s for s in data["scores"] if (s["system"], s["metric"], s["name"]) == (system, metric, name))
    found = {score["part"]: score for score in scores}
    return found.get(part) or (found.get("all") if part == "mean" else None)


def _interval(data: Data, score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    value, low, high = (_number(data, score["metric"], score[key]) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if low else value


def _number(data: Data, metric: str, value: float | None) -> str:
    """Three digits; of counts one, or none."""
    if value is None:
        return ""
    if data["metrics"][metric]["high"] is not None:
        return f"{value:.3f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _title(data: Data, metric: str) -> str:
    told = data["metrics"][metric]
    return f"{told['title']} {_ARROWS[told['higher_is_better']]}".rstrip()


def _pipes(header: _Row, rows: Iterable[_Row]) -> str:
    def line(cells: _Row) -> str:
        return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"

    return "\n".join([line(header), "|---" * len(header) + "|", *map(line, rows)])


def _tabular(header: _Row, rows: Iterable[_Row]) -> str:
    lines = [" & ".join(row) + r" \\" for row in (header, *rows)]
    body = [rf"\begin{{tabular}}{{{'l' * len(header)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}"])


def _tex(text: str) -> str:
    return text.translate(_LATEX)


def _tex_cell(data: Data, system: str, metric: str, part: str, name: str, systems: Sequence[str]) -> str:
    score = _find(data, system, metric, part, name)
    if score is None:
        return "--"
    value, low, high = (_number(data, metric, score[key]) for key in ("value", "low", "high"))
    better = data["metrics"][metric]["higher_is_better"]
    others = [found["value"] for one in systems if (found := _find(data, one, metric, part, name))]
    if len(others) > 1 and better is not None and score["value"] == (max if better else min)(others):
        value = rf"\textbf{{{value}}}"
    return rf"{value} {{\scriptsize [{low}, {high}]}}" if low else value
