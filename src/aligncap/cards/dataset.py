"""The card of a corpus, from the rows of its manifest."""

from __future__ import annotations

from importlib import resources
from string import Template

from aligncap.cards.counts import Counts, Group, hub_languages, hub_licence
from aligncap.cards.markdown import cell, front_matter, table
from aligncap.corpora.known import corpus_names, load_corpus

__all__ = ["dataset_card", "labels_table", "sources"]

_UNKNOWN = "(not told)"
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(counts: Counts, title: str, *, licence: str = "") -> str:
    """Write a dataset card: front matter of the Hub, counts, sources and licences, use, limits.

    What a manifest cannot tell (how speech was recorded, whether speakers agreed) stands there as a question for the
    card's author.

    Args:
        counts: of the manifest's rows.
        title: the corpus's name.
        licence: of the whole, where its owner says so; default: what the rows say.

    Raises:
        ValueError: there are no rows.
    """
    total = counts.total
    if not total.rows:
        raise ValueError("a card needs at least one row")
    fields = {
        "pretty_name": title,
        "language": hub_languages(total.languages),
        **hub_licence([licence] if licence else total.licences),
        "task_categories": ["audio-classification"],
        "tags": [
            "audio",
            "speech",
            "speech emotion recognition",
            *(["speech emotion captioning"] if counts.captions else []),
        ],
        "size_categories": [next((name for most, name in _SIZES if total.rows < most), "n>10M")],
    }
    template = (resources.files(__package__) / "dataset.md").read_text(encoding="utf-8")
    return front_matter(fields) + Template(template).substitute(
        title=cell(title),
        summary=_summary(counts),
        corpora=_corpora(counts),
        splits=_splits(counts),
        labels=labels_table(counts),
        speakers=_speakers(counts),
        sources=sources(counts),
    )


def labels_table(counts: Counts) -> str:
    """Rows of each label, by corpus where there are several."""
    names = sorted(counts.corpora)
    labels = [label for label, _ in counts.total.labels.most_common()]
    if len(names) == 1:
        return table(("label", "clips"), [(_name(label), counts.total.labels[label]) for label in labels])
    rows = [
        (_name(label), counts.total.labels[label], *(counts.corpora[name].labels[label] for name in names))
        for label in labels
    ]
    return table(("label", "clips", *map(_name, names)), rows)


def sources(counts: Counts) -> str:
    """Each corpus with its licences, and what is known of it here: title, homepage, citation, warning."""
    known = set(corpus_names())
    blocks = []
    for name in sorted(counts.corpora):
        group = counts.corpora[name]
        licences = ", ".join(f"{_name(text)} ({rows:,})" for text, rows in group.licences.most_common())
        lines = [f"* **{_name(name)}**: {group.rows:,} clips; licence: {licences}."]
        if name in known:
            corpus = load_corpus(name)
            lines.append(f"  {cell(corpus.title)}, <{corpus.homepage}>. {cell(corpus.citation)}")
            if corpus.note:
                lines.append(f"  Note: {cell(corpus.note)}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _summary(counts: Counts) -> str:
    total = counts.total
    languages = ", ".join(f"{_name(tag)} ({rows:,})" for tag, rows in total.languages.most_common())
    lines = [
        f"* {_many(total.rows, 'clip')}{_hours(total)}, of {_many(len(counts.corpora), 'corpus', 'corpora')}",
        f"* languages: {languages}",
        f"* {_many(len(total.speakers), 'speaker')}; gender told of {total.rows - total.genders['']:,} clips",
        f"* captions: {counts.captions:,}, of {_many(counts.captioned, 'clip')}",
        f"* listeners' votes: {_many(counts.voted, 'clip')}; transcripts: {_many(counts.transcribed, 'clip')}",
    ]
    return "\n".join(lines)


def _corpora(counts: Counts) -> str:
    rows = [
        (
            _name(name),
            ", ".join(_name(tag) for tag in sorted(group.languages)),
            group.rows,
            len(group.speakers),
            round(group.seconds / 3600, 1) if group.timed == group.rows else "?",
            ", ".join(_name(text) for text in sorted(group.licences)),
        )
        for name, group in sorted(counts.corpora.items())
    ]
    return table(("corpus", "language", "clips", "speakers", "hours", "licence"), rows)


def _splits(counts: Counts) -> str:
    names = [name for name, _ in counts.total.splits.most_common()]
    rows = [
        (_name(corpus), *(group.splits[name] for name in names)) for corpus, group in sorted(counts.corpora.items())
    ]
    shared = counts.shared_speakers
    told = (
        f"**{_many(shared, 'speaker')} in two splits or more**: scores on held-out splits are too good."
        if shared
        else "No speaker that is named is in two splits."
    )
    return f"{table(('corpus', *map(_name, names)), rows)}\n{told}"


def _speakers(counts: Counts) -> str:
    total = counts.total
    genders = ", ".join(f"{_name(tag)} {rows:,}" for tag, rows in total.genders.most_common())
    unnamed = [name for name, group in counts.corpora.items() if not group.speakers]
    told = f" Without speakers: {', '.join(map(_name, sorted(unnamed)))}." if unnamed else ""
    return f"{_many(len(total.speakers), 'speaker')}; clips by gender, as the corpora say it: {genders}.{told}"


def _hours(group: Group) -> str:
    if not group.timed:
        return ""
    told = f", {group.seconds / 3600:.1f} hours"
    return told if group.timed == group.rows else f"{told} (of the {group.timed:,} whose length is known)"


def _name(text: str) -> str:
    return cell(text) if text else _UNKNOWN


def _many(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
