"""Our metrics against the public implementations, on captions written for this test.

benchmarks/metrics_parity.py does the same on thousands of real pairs, with the Java programs.
"""

import math
from collections import Counter

import pytest
import sacrebleu
from caption_pairs import CANDIDATES, REFERENCES
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer

from aligncap.metrics import bleu, bleu_counts, cider, cider_d, rouge_l, self_bleu, tokenize
from aligncap.metrics.rouge import common_subsequence

TOKENS = tokenize(CANDIDATES)
TRUTHS = [tokenize(several) for several in REFERENCES]
EXACT = 1e-9

TEXT = st.lists(st.sampled_from(["a", "b", "c", "sad"]), min_size=1, max_size=9).map(" ".join)
CORPUS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=2, max_size=6)


def coco(metric, candidates, references):
    """(corpus score, caption scores) by pycocoevalcap."""
    truths = dict(enumerate(references))
    captions = {i: [text] for i, text in enumerate(candidates)}
    return metric.compute_score(truths, captions, **({"verbose": 0} if isinstance(metric, Bleu) else {}))


class Words:
    def tokenize(self, text):
        return text.split()


def test_bleu_is_cocos():
    corpus, captions = coco(Bleu(4), TOKENS, TRUTHS)
    for ours, whole, each in zip(bleu(TOKENS, TRUTHS), corpus, captions, strict=True):
        assert ours.corpus == pytest.approx(whole, abs=EXACT)
        assert ours.captions == pytest.approx(each, abs=EXACT)


def test_bleu_is_sacrebleus():
    most = max(map(len, TRUTHS))
    streams = [[several[k] if k < len(several) else None for several in TRUTHS] for k in range(most)]
    theirs = sacrebleu.corpus_bleu(TOKENS, streams, smooth_method="none", tokenize="none", force=True)
    assert bleu(TOKENS, TRUTHS)[3].corpus == pytest.approx(theirs.score / 100, abs=1e-6)


def test_rouge_l_is_cocos():
    # coco counts an empty caption as one empty word, which changes nothing unless a reference is empty too
    corpus, captions = coco(Rouge(), TOKENS, TRUTHS)
    ours = rouge_l(TOKENS, TRUTHS)
    assert ours.corpus == pytest.approx(corpus, abs=EXACT)
    assert ours.captions == pytest.approx(captions, abs=EXACT)


def test_rouge_l_with_beta_one_is_rouge_scores_f1():
    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    single = [several[:1] for several in TRUTHS]
    theirs = [scorer.score(t[0], c)["rougeL"].fmeasure for c, t in zip(TOKENS, single, strict=True)]
    assert rouge_l(TOKENS, single, beta=1).captions == pytest.approx(theirs, abs=EXACT)


def test_cider_d_is_cocos():
    corpus, captions = coco(Cider(), TOKENS, TRUTHS)
    ours = cider_d(TOKENS, TRUTHS)
    assert ours.corpus == pytest.approx(corpus, abs=EXACT)
    assert ours.captions == pytest.approx(captions, abs=EXACT)
    assert ours.corpus > 0.5


@settings(max_examples=30, deadline=None)
@given(CORPUS)
def test_all_are_cocos_on_any_words(corpus):
    candidates, references = [c for c, _ in corpus], [r for _, r in corpus]
    whole, each = coco(Bleu(4), candidates, references)
    ours = bleu(candidates, references)
    assert [score.corpus for score in ours] == pytest.approx(whole, abs=EXACT)
    assert ours[3].captions == pytest.approx(each[3], abs=EXACT)
    for metric, function in ((Rouge(), rouge_l), (Cider(), cider_d)):
        whole, each = coco(metric, candidates, references)
        score = function(candidates, references)
        assert score.corpus == pytest.approx(whole, abs=EXACT)
        assert score.captions == pytest.approx(each, abs=EXACT)


def plain_cider(candidates, references):
    """Equation 2 of the paper, times 10, as written."""

    def grams(text, n):
        words = text.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    scores = [0.0] * len(candidates)
    for n in range(1, 5):
        frequency = Counter(g for several in references for g in {g for text in several for g in grams(text, n)})

        def weights(text, n=n, frequency=frequency):
            return {g: k * math.log(len(candidates) / max(1, frequency[g])) for g, k in grams(text, n).items()}

        for index, (candidate, several) in enumerate(zip(candidates, references, strict=True)):
            one = weights(candidate)
            for reference in several:
                two = weights(reference)
                norms = math.hypot(*one.values(), 0.0) * math.hypot(*two.values(), 0.0)
                dot = sum(weight * two.get(g, 0.0) for g, weight in one.items())
                scores[index] += 10 / 4 / len(several) * (dot / norms if norms else 0.0)
    return scores


def test_cider_is_the_papers_equation():
    assert cider(TOKENS, TRUTHS).captions == pytest.approx(plain_cider(TOKENS, TRUTHS), abs=EXACT)


@settings(max_examples=30, deadline=None)
@given(CORPUS)
def test_self_bleu_is_bleu_against_all_others(corpus):
    texts = [candidate for candidate, _ in corpus]
    others = [texts[:i] + texts[i + 1 :] for i in range(len(texts))]
    assert self_bleu(texts).captions == pytest.approx(bleu(texts, others)[3].captions, abs=EXACT)


@settings(deadline=None)
@given(TEXT, TEXT)
def test_longest_common_subsequence(first, second):
    one, two = first.split(), second.split()
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(one, two) == table[-1][-1]


def test_bleu_of_a_sample_is_bleu_of_those_captions():
    rows = [0, 3, 3, 5]
    sampled = bleu([TOKENS[i] for i in rows], [TRUTHS[i] for i in rows])
    assert bleu_counts(TOKENS, TRUTHS).corpus(rows) == pytest.approx([score.corpus for score in sampled])
