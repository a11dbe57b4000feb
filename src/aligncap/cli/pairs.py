"""``aligncap pairs``: sample candidates, judge them, build and show pairs for preference optimisation."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aligncap.cli.options import Device, Threads
from aligncap.cli.output import check_output, progress_bar
from aligncap.errors import AlignCapError, MissingExtraError

if TYPE_CHECKING:
    from aligncap.corpora import Row
    from aligncap.preferences.llm import Question
    from aligncap.preferences.pairs import Pair

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Pairs of a chosen and a rejected caption, for `aligncap train prefer`.")
_TOLD = 10

_Manifest = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The clips: .jsonl, .csv or .parquet.")]
_Candidates = Annotated[Path, typer.Argument(metavar="CANDIDATES", help="Of `aligncap pairs sample`.")]
_Seed = Annotated[int, typer.Option(metavar="N", help="Of every choice.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")]


@app.command()
def sample(
    manifest: _Manifest,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Candidates, .jsonl.")],
    checkpoint: Annotated[str, typer.Option(metavar="NAME|DIR", help="The aligned model.")] = "embedded",
    split: Annotated[str, typer.Option(help="Rows of the manifest; never zero_shot.")] = "train",
    clips: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="So many, of every emotion and corpus. [default: all]")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="CORPUS", help="Its labels are no emotions to name; again for more.")
    ] = None,
    captions: Annotated[int, typer.Option(min=1, metavar="N", help="Drawn for each instruction and temperature.")] = 4,
    instruction: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Give it again for more. [default: three]")
    ] = None,
    temperature: Annotated[list[float] | None, typer.Option(metavar="X", help="Again for more. [default: 1]")] = None,
    top_p: Annotated[float, typer.Option(metavar="X", help="Draw from the likeliest tokens of this share.")] = 1.0,
    greedy: Annotated[bool, typer.Option(help="Take the likeliest caption too.")] = True,
    seed: _Seed = 0,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Clips run together.")] = 8,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: _Overwrite = False,
    quiet: _Quiet = False,
) -> None:
    """Sample several captions of each clip, with their log-probabilities.

    A line of OUT is a clip. Stop it at any time: the same command goes on where it stopped, and one with more clips
    adds to what is there.

    \b
    Examples:
      aligncap pairs sample data/manifest.csv -o candidates.jsonl --clips 500
      aligncap pairs sample data/manifest.csv -o candidates.jsonl --checkpoint runs/embedded/checkpoint \\
          --temperature 0.7 --temperature 1.2 --instruction "Describe the emotion in two sentences."

    \b
    Exit codes:
      0  every clip has candidates
      1  some recordings cannot be used; they are named, and have a line with an error
      2  wrong usage
      3  the checkpoint, base weights or Python packages are missing
    """
    _must_be_jsonl(output, "--output")
    from aligncap.preferences.candidates import CandidateFile
    from aligncap.preferences.sampler import SamplePlan, Sampler, draw_rows, model_hash

    given = {"instructions": instruction, "temperatures": temperature}
    wanted: dict[str, Any] = {name: tuple(value) for name, value in given.items() if value}
    try:
        plan = SamplePlan(captions=captions, top_p=top_p, greedy=greedy, seed=seed, **wanted)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if split == "zero_shot":
        raise typer.BadParameter("rows of zero_shot are for evaluation only", param_hint="--split")
    rows = draw_rows(_rows(manifest).values(), split, clips, seed, leave_out or ())
    if not rows:
        raise AlignCapError(f"{manifest}: no row of split {split!r} has an emotion that judges know")
    loaded = _load(checkpoint, device, threads)
    settings = {"model": model_hash(loaded.model), "split": split, **plan.settings()}
    with CandidateFile(output, settings, overwrite) as file, _bar(quiet, "sampling", len(rows)) as bar:
        todo = [row for row in rows if row.id not in file.done]
        bar(len(rows) - len(todo))
        sampler = Sampler(loaded.model, loaded.processor, plan)
        for clip in sampler.sample(todo, manifest.absolute().parent, batch_size):
            file.write(clip)
            bar(1)
            if clip.error:
                print(f"error: {clip.id}: {clip.error}", file=sys.stderr)
    if not quiet:
        print(f"{len(todo)} clips sampled, {len(rows) - len(todo)} were there; {len(file.failed)} failed: {output}")
    if file.failed:
        raise typer.Exit(1)


@app.command()
def judge(
    candidates: _Candidates,
    manifest: _Manifest,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Votes, .jsonl; added to.")],
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Such as http://localhost:8000/v1.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="As the endpoint knows it.")],
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Ask at most so many questions.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="S", help="Seconds for each answer.")] = 60.0,
    seed: _Seed = 0,
    quiet: _Quiet = False,
) -> None:
    """Let a language model choose between two captions of each clip and instruction.

    It hears nothing, and is told what is known of the clip. It is asked twice, with the captions in either order; where
    the answers differ it is a tie. Questions without an answer are named, counted and left out; the same command asks
    them again, and only them. A key is read from ALIGNCAP_API_KEY. OUT is for `aligncap pairs build --votes`.

    \b
    Examples:
      aligncap pairs judge candidates.jsonl data/manifest.csv -o votes.jsonl \\
          --endpoint http://localhost:8000/v1 --model qwen3-8b --limit 200
    """
    _must_be_jsonl(output, "--output")
    from aligncap.preferences.llm import EndpointJudge, votes_of
    from aligncap.preferences.votes import read_votes

    told, failures, choices = _Told(), Counter[str](), Counter[str]()
    asked = EndpointJudge(endpoint, model, timeout=timeout)
    done = set()
    if output.exists():
        for vote in read_votes(output, told):
            if vote.rater == asked.rater:
                done.add((vote.id, vote.instruction, frozenset((vote.a, vote.b))))
    questions = [one for one in _questions(candidates, manifest, seed, told) if one.key not in done][:limit]

    def failed(kind: str, line: str) -> None:
        failures[kind] += 1
        told(line)

    try:
        with output.open("a", encoding="utf-8", newline="\n") as file, _bar(quiet, "judging", len(questions)) as bar:
            for vote in votes_of(asked, questions, done, failed):
                file.write(json.dumps(asdict(vote), ensure_ascii=False) + "\n")
                file.flush()
                choices[vote.choice] += 1
                bar(1)
    except OSError as error:
        raise AlignCapError(f"{output}: it cannot be written ({error.strerror or error})") from error
    finally:
        told.end()
    if not quiet:
        missed = ", ".join(f"{kind} {count}" for kind, count in failures.items())
        print(
            f"{choices.total()} questions answered ({choices['tie']} ties), {len(done)} were there"
            + (f", without an answer: {missed}" if missed else "")
            + f": {output}"
        )
    if failures:
        raise typer.Exit(1)


@app.command()
def build(
    candidates: _Candidates,
    manifest: _Manifest,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Pairs, .jsonl.")],
    negatives: Annotated[
        list[str] | None, typer.Option(metavar="KIND|all", help="Make hard negatives of this kind; again for more.")
    ] = None,
    votes: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Votes of people or language models; again for more.")
    ] = None,
    listeners: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Clips with votes: how listeners confuse emotions (CREMA-D, say)."),
    ] = None,
    judges: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="factuality, acoustic, faithfulness, wording. [default: the first three]"),
    ] = None,
    per_prompt: Annotated[int, typer.Option(min=0, metavar="N", help="Most pairs of samples of a prompt.")] = 2,
    min_margin: Annotated[float, typer.Option(metavar="X", help="Least difference of scores.")] = 0.1,
    fluency: Annotated[
        float,
        typer.Option(metavar="X", help="Least mean log-probability per token of a sampled caption that is chosen."),
    ] = -1.0,
    trust: Annotated[
        float, typer.Option(metavar="X", help="With --listeners: share of a label that nobody voted on.")
    ] = 0.5,
    balance: Annotated[
        float, typer.Option(metavar="X", help="An emotion or corpus has at most X times the median; 0: as it comes.")
    ] = 2.0,
    match_lengths: Annotated[bool, typer.Option(help="Longer captions are chosen as often as shorter ones.")] = True,
    match_content: Annotated[
        bool, typer.Option(help="Captions that tell more of the voice are chosen as often as those that tell less.")
    ] = True,
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="Print so many random pairs.")] = 30,
    seed: _Seed = 0,
    overwrite: _Overwrite = False,
    quiet: _Quiet = False,
) -> None:
    """Judge candidates and write pairs; statistics and 30 random pairs are printed.

    The chosen caption is one in which no judge finds a fault and with which listeners agree; the rejected one is worse,
    and the pair says by how much, by whose judgement, why, and of what kind the fault is. Nothing is made of rows of
    the split zero_shot.

    \b
    Kinds of hard negatives: label_swapped, clue_inverted, strength_exaggerated, emotion_repeated,
    transcript_leaked, instruction_ignored, form_broken.

    \b
    Examples:
      aligncap pairs build candidates.jsonl data/manifest.csv -o pairs.jsonl
      aligncap pairs build candidates.jsonl data/manifest.csv -o pairs.jsonl --negatives all --votes votes.jsonl

    \b
    Exit codes:
      0  all well
      1  some records cannot be used (they are named), or no pair came about
      2  wrong usage
    """
    sources = [path for path in (candidates, manifest, listeners, *(votes or ())) if path is not None]
    check_output(output, overwrite, "--output", suffixes=(".jsonl", ".ndjson"), sources=sources)
    from aligncap.preferences.balance import count_pairs
    from aligncap.preferences.build import Builder, BuildRules
    from aligncap.preferences.candidates import read_candidates
    from aligncap.preferences.judges import confusions
    from aligncap.preferences.negatives import KINDS
    from aligncap.preferences.pairs import write_pairs
    from aligncap.preferences.votes import choices, read_votes

    wanted = tuple(KINDS) if "all" in (negatives or ()) else tuple(dict.fromkeys(negatives or ()))
    try:
        rules = BuildRules(
            tuple(dict.fromkeys(judges)) if judges else BuildRules.judges,
            per_prompt,
            wanted,
            min_margin,
            fluency,
            trust,
            balance,
            match_lengths,
            match_content,
            seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    told = _Told()
    prior = confusions(_rows(listeners).values()) if listeners else None
    if prior == {}:
        raise AlignCapError(f"{listeners}: no row has both an emotion and votes")
    builder = Builder(_rows(manifest), rules, prior, told)
    preferred = list(choices((vote for path in votes or () for vote in read_votes(path, told)), told))
    clips = list(read_candidates(candidates, told))
    with _bar(quiet, "judging", len(clips)) as bar:
        pairs = builder.build(_counted(clips, bar), preferred)
    told.end()
    for reason, count in builder.passed_over.items() if not quiet else ():
        if count:
            print(f"{reason}: {count}", file=sys.stderr)
    if not pairs:
        raise AlignCapError(f"no pairs came of {candidates}: sample more captions, or at a higher temperature")
    write_pairs(pairs, output)
    if not quiet:
        _print(pairs, count_pairs(pairs).lines(), examples, seed)
        print(f"wrote {output}")
    if told.count:
        raise typer.Exit(1)


@app.command()
def show(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="Of `aligncap pairs build`, or your own.")],
    examples: Annotated[int, typer.Option("-n", "--examples", min=0, metavar="N", help="Random pairs.")] = 30,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Of this kind only.")] = None,
    seed: _Seed = 0,
) -> None:
    """Print statistics of pairs and some of them at random; name the records that are none.

    \b
    Examples:
      aligncap pairs show pairs.jsonl
      aligncap pairs show pairs.jsonl --kind label_swapped -n 5
    """
    from aligncap.preferences.balance import count_pairs
    from aligncap.preferences.pairs import read_pairs

    told = _Told()
    found = list(read_pairs(pairs, told))
    chosen = [pair for pair in found if kind in (None, pair.kind)]
    told.end()
    if not chosen:
        kinds = ", ".join(sorted({pair.kind for pair in found}))
        raise AlignCapError(f"{pairs}: no pairs" + (f" of kind {kind!r}; there are {kinds}" if kinds else ""))
    _print(chosen, count_pairs(chosen).lines(), examples, seed)
    if told.count:
        raise typer.Exit(1)


def _print(pairs: Sequence[Pair], lines: Sequence[str], examples: int, seed: int) -> None:
    import random

    for line in lines:
        print(line)
    for pair in random.Random(seed).sample(list(pairs), min(examples, len(pairs))):
        print(f"\n{pair.id} ({pair.emotion or 'no label'}): {pair.instruction}")
        print(f"  + {pair.chosen}\n  - {pair.rejected}")
        print(f"  {pair.kind}, margin {pair.margin:.2f}, by {pair.judge}: {pair.reason}")


def _questions(candidates: Path, manifest: Path, seed: int, told: _Told) -> list[Question]:
    """The best caption of each clip and instruction, by the judges, against a random other one; in random order."""
    import random

    from aligncap.preferences.candidates import read_candidates
    from aligncap.preferences.judges import assess, evidence_for
    from aligncap.preferences.llm import Question

    rows, out = _rows(manifest), []
    for clip in read_candidates(candidates, told):
        row = rows.get(clip.id)
        if row is None or row.split == "zero_shot":
            told(f"{clip.id}: {'not in the manifest' if row is None else 'of the split zero_shot: never judged'}")
            continue
        chance = random.Random(f"{seed}/{clip.id}")
        for instruction in dict.fromkeys(candidate.instruction for candidate in clip.captions):
            texts = [candidate.caption for candidate in clip.captions if candidate.instruction == instruction]
            if len(texts) < 2:
                continue
            evidence = evidence_for(row, clip.voice, instruction)
            best = max(texts, key=lambda text: assess(text, evidence).score)
            other = chance.choice([text for text in texts if text != best])
            out.append(Question(clip.id, instruction, best, other, evidence))
    random.Random(seed).shuffle(out)
    return out


def _rows(manifest: Path) -> dict[str, Row]:
    from aligncap.corpora import read_manifest

    return {row.id: row for row in read_manifest(manifest, on_problem=lambda _: None)}


def _load(checkpoint: str, device: str, threads: int | None) -> Any:
    try:
        from aligncap.captioner.loading import locate
        from aligncap.captioner.torch_loading import load_checkpoint
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aligncap"):
            raise
        raise MissingExtraError("sampling", "torch") from error
    return load_checkpoint(*locate(checkpoint), device=device, dtype="float32", threads=threads)


def _must_be_jsonl(path: Path, hint: str) -> None:
    """A file that is added to: it may be there."""
    check_output(path, True, hint, suffixes=(".jsonl", ".ndjson"))


def _counted(items: Sequence[Any], advance: Any) -> Any:
    for item in items:
        yield item
        advance(1)


def _bar(quiet: bool, title: str, total: int) -> Any:
    """A context that gives a function to call with how much more is done."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda count: None)
    from contextlib import contextmanager

    @contextmanager
    def shown() -> Any:
        with progress_bar(title, total) as bar:
            yield lambda count: bar.advance(bar.task_ids[0], count)

    return shown()


class _Told:
    """Says on standard error what is wrong, the first of it line by line.

    Attributes:
        count: of all that is wrong.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, line: str) -> None:
        """Say it, and count it."""
        self.count += 1
        if self.count <= _TOLD:
            print(f"error: {line}", file=sys.stderr)

    def end(self) -> None:
        """Say how much was not named."""
        if self.count > _TOLD:
            print(f"… and {self.count - _TOLD} more", file=sys.stderr)
