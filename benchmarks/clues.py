"""Measured clues: the percentiles behind the thresholds, agreement with Praat, what the clues tell, and speed.

    python benchmarks/clues.py thresholds --manifest DATA/manifest.csv
    python benchmarks/clues.py labels --manifest DATA/manifest.csv
    python benchmarks/clues.py pace --manifest DATA/manifest.csv
    python benchmarks/clues.py agreement --manifest DATA/manifest.csv   # needs praat-parselmouth
    python benchmarks/clues.py speed

With `--markdown docs/clues.md` the table replaces what stands between the markers of that section there. Only
`train` rows are read. Measurements are kept in `--cache` under a hash of the measuring code, and not made again.

* thresholds: percentiles of each clue in 160 clips of each corpus (pooled, women, men), and of the distance of a
  speaker's clips from the speaker's median (up to 40 clips of each speaker), beside the thresholds in words.yaml and
  the share of clips that get each word.
* labels: area under the ROC curve between two groups of clips of a corpus, each clip relative to its speaker.
* pace: the syllable rate beside the vowels of the transcript, over the same stretch of speech.
* agreement: the same clips measured by Praat (through praat-parselmouth, GPL: a tool of this script alone).
* speed: seconds of audio measured in one second of processor time, on one core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import aligncap.clues
from aligncap.audio import read_audio
from aligncap.clues import DIMENSIONS, MeasuredClues, clue_words, contours, measure, speaker_reference
from aligncap.clues.words import Scale, scales

Row = dict[str, str]
Values = NDArray[np.float64]

MEASURING = ("frames", "measure", "pitch", "rhythm", "voice")  # modules
PER_CORPUS, PER_SPEAKER, PER_CORPUS_PRAAT = 160, 40, 60
SENTENCES = ("emodb", "nemo", "ravdess")  # corpora of sentences of known speakers
PERCENTILES = (5, 17, 50, 83, 90, 95)
NOT_NORMALISED = ("ravdess",)  # corpora in which the level tells how loud a speaker was
CLUES = tuple(item.name for item in fields(MeasuredClues) if item.name != "duration_s")
TREMBLING = 1.3  # semitones: nine clips in ten have less
CONTRASTS = (
    ("strong / normal intensity", "intensity", "strong", "normal", ("ravdess",)),
    ("angry / sad", "emotion", "angry", "sad", SENTENCES),
    ("afraid / neutral", "emotion", "fear", "neutral", SENTENCES),
    ("sad / neutral", "emotion", "sad", "neutral", SENTENCES),
)


def main() -> None:
    """Run one section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["thresholds", "labels", "pace", "agreement", "speed"])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmark_clues"))
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--markdown", type=Path, help="a file with markers, such as docs/clues.md")
    arguments = parser.parse_args()
    if arguments.section == "speed":
        text = speed()
    elif arguments.manifest is None:
        parser.error(f"{arguments.section} needs --manifest")
    else:
        section: Callable[[argparse.Namespace], str] = {
            "thresholds": thresholds,
            "labels": labels,
            "pace": pace,
            "agreement": agreement,
        }[arguments.section]
        text = section(arguments)
    text = f"{text}\n\n{stamp(arguments.seed)}\n"
    print(text)
    if arguments.markdown:
        insert(arguments.markdown, arguments.section, text)


# ---------------------------------------------------------------------------------- clips


def train_rows(manifest: Path) -> list[Row]:
    """The rows of training speakers."""
    with manifest.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "train"]


def drawn(rows: Iterable[Row], keys: Sequence[str], count: int, seed: int) -> list[Row]:
    """At most `count` rows of each group of rows with the same `keys`."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return [row for group in groups.values() for row in random.Random(seed).sample(group, min(count, len(group)))]


def measured(rows: Sequence[Row], arguments: argparse.Namespace) -> list[MeasuredClues]:
    """The clues of each row; measured once."""
    code = b"".join((Path(aligncap.clues.__file__).parent / f"{name}.py").read_bytes() for name in MEASURING)
    place = arguments.cache / f"{hashlib.sha256(code).hexdigest()[:12]}.jsonl"
    place.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, dict[str, float]] = {}
    if place.exists():
        known = dict(json.loads(line) for line in place.read_text(encoding="utf-8").splitlines())
    with place.open("a", encoding="utf-8") as file:
        for row in rows:
            if row["id"] not in known:
                known[row["id"]] = asdict(measure(read_audio(arguments.manifest.parent / row["audio"]).samples))
                file.write(json.dumps([row["id"], known[row["id"]]]) + "\n")
                file.flush()
    return [MeasuredClues(**known[row["id"]]) for row in rows]


def column(clues: Iterable[MeasuredClues], name: str) -> Values:
    return np.array([getattr(item, name) for item in clues], dtype=np.float64)


# ---------------------------------------------------------------------------------- thresholds


def thresholds(arguments: argparse.Namespace) -> str:
    rows = train_rows(arguments.manifest)
    pooled = measured(drawn(rows, ["corpus"], PER_CORPUS, arguments.seed), arguments)
    known = [row for row in rows if row["gender"]]
    by_gender = drawn(known, ["corpus", "gender"], PER_CORPUS, arguments.seed)
    populations = {"pooled": pooled} | {
        name: measured([row for row in by_gender if row["gender"] == name], arguments) for name in ("female", "male")
    }
    lines = ["| clue | reference | measured in | " + " | ".join(f"p{p}" for p in PERCENTILES) + " |"]
    lines += ["|---|---|---|" + "---|" * len(PERCENTILES)]
    for name in CLUES:
        for population, clues in populations.items():
            lines.append(percentile_line(name, population, reliable(clues, name)))
    speakers = by_speaker(rows, arguments, SENTENCES)
    for scale in scales():
        if any(bound and "relative" in bound.thresholds for bound in (scale.low, scale.high)):
            absolute = scale.dimension == "loudness"
            clips = by_speaker(rows, arguments, NOT_NORMALISED) if absolute else speakers
            name = f"speaker's median{', RAVDESS' if absolute else ''}"
            lines.append(percentile_line(scale.clue, name, distances(scale, clips)))
    return "\n".join(lines) + "\n\n" + word_shares(populations, speakers)


def reliable(clues: Sequence[MeasuredClues], name: str) -> Values:
    """The values of a clue; NaN where `at_least` of words.yaml says that they are not to be relied on."""
    values = column(clues, name)
    for scale in scales():
        if scale.clue == name:
            for other, least in scale.at_least.items():
                values[~(column(clues, other) >= least)] = np.nan
    return values


def percentile_line(name: str, reference: str, values: Values) -> str:
    known = values[~np.isnan(values)]
    found = " | ".join(f"{value:.3g}" for value in np.percentile(known, PERCENTILES))
    return f"| `{name}` | {reference} | {len(known)} of {len(values)} | {found} |"


def by_speaker(rows: Sequence[Row], arguments: argparse.Namespace, corpora: Sequence[str]) -> list[list[MeasuredClues]]:
    """The clues of some clips of each speaker."""
    chosen = drawn(
        [row for row in rows if row["corpus"] in corpora], ["corpus", "speaker"], PER_SPEAKER, arguments.seed
    )
    groups: dict[str, list[MeasuredClues]] = defaultdict(list)
    for row, clues in zip(chosen, measured(chosen, arguments), strict=True):
        groups[row["speaker"]].append(clues)
    return list(groups.values())


def distances(scale: Scale, speakers: Sequence[Sequence[MeasuredClues]]) -> Values:
    """Distance of each clip from its speaker's median, in the scale's unit."""
    return np.array(
        [
            scale.distance(value, usual)
            for clips in speakers
            for usual in [speaker_reference(clips).medians[scale.clue]]
            for value in column(clips, scale.clue)
        ]
    )


def word_shares(populations: dict[str, list[MeasuredClues]], speakers: Sequence[Sequence[MeasuredClues]]) -> str:
    """How many clips get each word."""
    said: dict[str, list[set[str]]] = {}
    for population, clues in populations.items():
        said[population] = [words_of(item, population) for item in clues]
    said["relative"] = [words_of(item, speaker_reference(clips)) for clips in speakers for item in clips]
    lines = ["| word | " + " | ".join(said) + " |", "|---|" + "---|" * len(said)]
    for scale in scales():
        for bound in (scale.low, scale.high):
            if bound:
                word = f"{scale.dimension}:{bound.level}"
                shares = (np.mean([word in words for words in all_words]) for all_words in said.values())
                lines.append(f"| {bound.word} | " + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")
    return "\n".join(lines)


def words_of(clues: MeasuredClues, reference: Any) -> set[str]:
    words = clue_words(clues, dimensions=DIMENSIONS, reference=reference)
    return {f"{word.dimension}:{word.level}" for word in words}


# ---------------------------------------------------------------------------------- labels


def labels(arguments: argparse.Namespace) -> str:
    rows = [row for row in train_rows(arguments.manifest) if row["corpus"] in SENTENCES]
    rows = drawn(rows, ["corpus", "speaker"], PER_SPEAKER, arguments.seed)
    clues = measured(rows, arguments)
    cases = [(title, key, one, other, corpus) for title, key, one, other, corpora in CONTRASTS for corpus in corpora]
    lines = ["| clue | " + " | ".join(f"{title}, {corpus}" for title, *_, corpus in cases) + " |"]
    lines += ["|---|" + "---|" * len(cases)]
    for name in CLUES:
        values = relative_to_speaker(column(clues, name), [row["speaker"] for row in rows])
        areas = []
        for _, key, one, other, corpus in cases:
            groups = [
                np.array(
                    [v for v, row in zip(values, rows, strict=True) if row["corpus"] == corpus and row[key] == label]
                )
                for label in (one, other)
            ]
            areas.append(area(*(group[~np.isnan(group)] for group in groups)))
        lines.append(f"| `{name}` | " + " | ".join(areas) + " |")
    emotions = np.array([row["emotion"] for row in rows])
    tremor = column(clues, "tremor_semitones")
    shares = {name: np.mean(tremor[(emotions == name) & ~np.isnan(tremor)] >= TREMBLING) for name in set(emotions)}
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    told = ", ".join(f"{name} {share:.0%}" for name, share in ranked)
    return "\n".join(lines) + f"\n\nClips with a tremor of {TREMBLING} semitones or more: {told}."


def relative_to_speaker(values: Values, speakers: Sequence[str]) -> Values:
    out = values.copy()
    names = np.array(speakers)
    for speaker in set(speakers):
        own = names == speaker
        if not np.isnan(values[own]).all():
            out[own] -= np.nanmedian(values[own])
    return out


def area(ones: Values, others: Values) -> str:
    """Chance that a value of the first group is above one of the second."""
    if min(len(ones), len(others)) < 5:
        return "–"  # noqa: RUF001
    above = (ones[:, None] > others).mean() + 0.5 * (ones[:, None] == others).mean()
    return f"{above:.2f}"


# ---------------------------------------------------------------------------------- pace


def pace(arguments: argparse.Namespace) -> str:
    rows = [row for row in train_rows(arguments.manifest) if row["corpus"] in SENTENCES]
    rows = drawn(rows, ["corpus"], PER_CORPUS, arguments.seed)
    clues = measured(rows, arguments)
    lines = ["| corpus | clips | rank correlation | median of measured / counted |", "|---|---|---|---|"]
    for corpus in SENTENCES:
        pairs = []
        for row, item in zip(rows, clues, strict=True):
            count = syllables(row["transcript"], row["language"])
            if row["corpus"] == corpus and count >= 4 and not np.isnan(item.syllables_per_s):
                audio = read_audio(arguments.manifest.parent / row["audio"]).samples
                speech = sum(stop - start for start, stop in contours(audio).runs) * 0.01
                pairs.append((item.syllables_per_s, count / speech))
        ours, counted = np.array(pairs).T
        rho = np.corrcoef(ranks(ours), ranks(counted))[0, 1]
        lines.append(f"| {corpus} | {len(pairs)} | {rho:.2f} | {np.median(ours / counted):.2f} |")
    rises = sorted(played(clip, 1.2) / played(clip, 0.85) for clip in example_clips())
    told = f"measured {rises[0]:.2f} to {rises[-1]:.2f} times as fast, median {np.median(rises):.2f}"
    return "\n".join(lines) + f"\n\nThe example recordings played {1.2 / 0.85:.2f} times as fast: {told}."


def played(clip: NDArray[np.float32], factor: float) -> float:
    """Syllable rate of a clip played `factor` times as fast."""
    position = np.arange(0, len(clip) - 1, factor)
    return measure(np.interp(position, np.arange(len(clip)), clip).astype(np.float32)).syllables_per_s


def example_clips() -> list[NDArray[np.float32]]:
    folder = Path(__file__).resolve().parent.parent / "examples"
    return [read_audio(path).samples for path in sorted(folder.glob("*.flac"))]


def syllables(text: str, language: str) -> int:
    """Vowels of a transcript, roughly: diphthongs count once, English final e and Polish softening i do not."""
    text = text.lower()
    if language == "pl":
        return len(re.findall("[aąeęioóuy]", re.sub("i(?=[aąeęoóu])", "", text)))
    if language == "de":
        return len(re.findall("ei|ai|au|eu|äu|ie|aa|ee|oo|[aeiouäöüy]", text))
    words = re.findall("[a-z]+", text)
    return sum(max(1, len(re.findall("[aeiouy]+", word)) - bool(re.search("[^l]e$", word))) for word in words)


# ---------------------------------------------------------------------------------- agreement with Praat


def agreement(arguments: argparse.Namespace) -> str:
    rows = drawn(train_rows(arguments.manifest), ["corpus"], PER_CORPUS_PRAAT, arguments.seed)
    ours = measured(rows, arguments)
    praat = [by_praat(read_audio(arguments.manifest.parent / row["audio"]).samples) for row in rows]
    lines = [
        "| clue | clips | Pearson | Spearman | both, studio corpora | median difference | median absolute difference |",
        "|---|---|---|---|---|---|---|",
    ]
    studio = np.array([row["corpus"] in SENTENCES for row in rows])
    for name in praat[0]:
        a, b = column(ours, name), np.array([values[name] for values in praat])
        both = ~np.isnan(a + b)
        a, b, clean = a[both], b[both], studio[both]
        lines.append(
            f"| `{name}` | {len(a)} | {correlations(a, b, ' | ')} | {correlations(a[clean], b[clean], ', ')} "
            f"| {np.median(a - b):+.2f} | {np.median(np.abs(a - b)):.2f} |"
        )
    f0, reference = column(ours, "f0_median_hz"), np.array([values["f0_median_hz"] for values in praat])
    both = ~np.isnan(f0 + reference)
    off = np.abs(12 * np.log2(f0[both] / reference[both]))
    spread = np.array([values["f0_spread_semitones"] for values in praat]) - column(ours, "f0_spread_semitones")
    alike = np.abs(spread) < 1.5
    a, b = column(ours, "f0_spread_semitones")[alike], np.array([v["f0_spread_semitones"] for v in praat])[alike]
    lines += [
        "",
        f"Spreads more than 1.5 semitones apart: Praat's is wider in {np.sum(spread >= 1.5)} clips, ours in "
        f"{np.sum(spread <= -1.5)}; the others correlate with r = {np.corrcoef(a, b)[0, 1]:.3f}.",
        f"Medians more than a fifth of an octave apart: {np.mean(off > 2.4):.1%} of {both.sum()} clips; more than half "
        f"an octave (octave errors of one of the two): {np.mean(off > 6):.1%}. "
        f"Clips in which only AlignCap finds a voice: {np.sum(~np.isnan(f0) & np.isnan(reference))}; only Praat: "
        f"{np.sum(np.isnan(f0) & ~np.isnan(reference))}.",
    ]
    return "\n".join(lines)


def correlations(a: Values, b: Values, between: str) -> str:
    """Pearson's and Spearman's."""
    return f"{np.corrcoef(a, b)[0, 1]:.2f}{between}{np.corrcoef(ranks(a), ranks(b))[0, 1]:.2f}"


def by_praat(samples: NDArray[np.float32]) -> dict[str, float]:
    """Praat's measurements under our names, its settings left alone but for the pitch range."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(samples.astype(np.float64), 16000)
    pitch = sound.to_pitch_ac(pitch_floor=60, pitch_ceiling=650)
    f0 = pitch.selected_array["frequency"]
    voiced = f0 > 0
    if voiced.sum() < 10:
        names = ("f0_median_hz", "f0_spread_semitones", "level_range_db", "jitter_percent", "shimmer_percent", "hnr_db")
        return dict.fromkeys(names, float("nan"))
    low, high = np.percentile(12 * np.log2(f0[voiced]), [10, 90])
    intensity = sound.to_intensity(minimum_pitch=60)
    level = np.interp(pitch.xs()[voiced], intensity.xs(), intensity.values[0])
    pulses = call([sound, pitch], "To PointProcess (cc)")
    limits = (0, 0, 1e-4, 0.02, 1.3)
    return {
        "f0_median_hz": float(np.median(f0[voiced])),
        "f0_spread_semitones": float(high - low) / 2,
        "level_range_db": float(np.percentile(level, 95) - np.percentile(level, 50)),
        "jitter_percent": 100 * call(pulses, "Get jitter (local)", *limits),
        "shimmer_percent": 100 * call([sound, pulses], "Get shimmer (local)", *limits, 1.6),
        "hnr_db": call(sound.to_harmonicity_cc(minimum_pitch=60), "Get mean", 0, 0),
    }


def ranks(values: Values) -> Values:
    out = np.empty(len(values))
    out[np.argsort(values, kind="stable")] = np.arange(len(values))
    return out


# ---------------------------------------------------------------------------------- speed


def speed() -> str:
    joined = np.concatenate(example_clips())
    clips = [np.roll(joined, -7000 * index)[:80_000] for index in range(16)]
    seconds = sum(map(len, clips)) / 16_000
    lines = ["| | processor time for 16 clips of 5 s | times real time |", "|---|---|---|"]
    for title, options in (("all clues", {}), ("without voice quality", {"voice_quality": False})):
        runs = []
        for _ in range(6):
            began = time.process_time()
            for clip in clips:
                measure(clip, **options)
            runs.append(time.process_time() - began)
        best = min(runs[1:])
        lines.append(f"| {title} | {best:.3f} s (slowest of five runs {max(runs[1:]):.3f} s) | {seconds / best:.0f} |")
    return "\n".join(lines)


# ---------------------------------------------------------------------------------- output


def stamp(seed: int) -> str:
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    return (
        f"Measured {date.today().isoformat()}, seed {seed}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, {processor()}, OMP_NUM_THREADS={threads}."
    )


def processor() -> str:
    """The processor's name."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def insert(path: Path, section: str, text: str) -> None:
    """Replace what stands between the markers of a section."""
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
