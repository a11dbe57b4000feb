"""All text metrics of a system's captions at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligncap.metrics import java
from aligncap.metrics.bleu import bleu
from aligncap.metrics.cider import cider, cider_d
from aligncap.metrics.diversity import diversity, length_ratio, words
from aligncap.metrics.meteor import meteor_lite
from aligncap.metrics.ngrams import count_pairs
from aligncap.metrics.rouge import rouge_l
from aligncap.metrics.score import METRICS, Score, check_pairs
from aligncap.metrics.tokenize import tokenize

__all__ = ["score_captions", "spider"]


def score_captions(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenizer: str = "ptb",
    meteor: bool = False,
    spice: Path | None = None,
) -> dict[str, Score]:
    """Score a system's captions by every text metric that needs no model.

    Args:
        candidates: captions as the system wrote them; an empty one is scored (as 0, mostly), not left out.
        references: references of each caption, at least one.
        tokenizer: as in `aligncap.metrics.tokenize`; `tokenizer_for` names that of a language.
        meteor: also METEOR proper, which needs Java and the extra ``metrics`` and takes some 10 s and more.
        spice: the folder of SPICE's jars, where the user has them: also SPICE and SPIDEr.

    Returns:
        Scores by name, in the order of `METRICS`, which describes them.

    Raises:
        ValueError: nothing to score, or captions and references that do not match, or no such tokenizer.
        JavaError, MissingExtraError: a metric that was asked for needs what is not there.
    """
    check_pairs(candidates, references)
    counts = [len(several) for several in references]
    tokens = tokenize([*candidates, *(text for several in references for text in several)], tokenizer)
    hypotheses, flat = tokens[: len(candidates)], iter(tokens[len(candidates) :])
    truths = [[next(flat) for _ in range(count)] for count in counts]
    pairs = count_pairs(hypotheses, truths)
    scores = dict(zip(("bleu1", "bleu2", "bleu3", "bleu4"), bleu(hypotheses, truths, pairs=pairs), strict=True))
    scores |= {
        "meteor_lite": meteor_lite(hypotheses, truths),
        "rouge_l": rouge_l(hypotheses, truths),
        "cider_d": cider_d(hypotheses, truths, pairs=pairs),
        "cider": cider(hypotheses, truths, pairs=pairs),
        "words": words(hypotheses),
        "length_ratio": length_ratio(hypotheses, truths),
        **diversity(hypotheses),
    }
    if meteor:
        scores["meteor"] = java.meteor(hypotheses, truths)
    if spice is not None:
        scores["spice"] = java.spice(candidates, references, spice)
        scores["spider"] = spider(scores["spice"], scores["cider_d"])
    return {name: scores[name] for name in METRICS if name in scores}


def spider(spice: Score, cider_d: Score) -> Score:
    """SPIDEr (Liu et al. 2017): the mean of SPICE and CIDEr-D of the same captions, in [0, 5.5].

    Raises:
        ValueError: the two are not of equally many captions.
    """
    each = tuple((one + other) / 2 for one, other in zip(spice.captions, cider_d.captions, strict=True))
    return Score((spice.corpus + cider_d.corpus) / 2, each)
