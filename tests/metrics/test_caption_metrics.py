"""What the caption metrics mean, on cases that can be worked out by hand."""

import math

import numpy as np
import pytest
from caption_pairs import CANDIDATES, REFERENCES

from aligncap.metrics import (
    METRICS,
    Score,
    bleu,
    cider_d,
    diversity,
    length_ratio,
    meteor_lite,
    rouge_l,
    score_captions,
    self_bleu,
    similarity,
    spider,
    words,
)

ONE = ["a b c d e f"]
ALL = [bleu, cider_d, rouge_l, meteor_lite, length_ratio]


def test_clipped_precision_of_the_papers_example():
    score = bleu(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])[0]
    assert score.corpus == pytest.approx(2 / 7)


def test_brevity_penalty():
    one = bleu(["a b c"], [["a b c d e f"]])[0]
    assert one.corpus == pytest.approx(math.exp(1 - 6 / 3))
    assert bleu(["a b c"], [["a b c d e f", "x y"]])[0].corpus == pytest.approx(1)  # 2 words are nearer to 3 than 6


def test_corpus_bleu_pools_counts():
    score = bleu(["a b", "x y z w"], [["a b"], ["q q q q"]])[0]
    assert score.captions == pytest.approx((1, 0), abs=1e-9)
    assert score.corpus == pytest.approx(2 / 6)


def test_the_best_of_several_references():
    two = bleu(["a a b"], [["a a", "a b"]])[0]
    assert two.corpus == pytest.approx(1)  # a twice in the first, b in the second


def test_rouge_l_weighs_recall():
    score = rouge_l(["a c"], [["a b c d"]]).corpus
    precision, recall = 1.0, 0.5
    assert score == pytest.approx((1 + 1.44) * precision * recall / (recall + 1.44 * precision))


def test_cider_d_ignores_what_every_reference_has():
    score = cider_d(["the voice", "the sigh"], [["the laugh"], ["the cry"]])
    assert score.captions == (0, 0)


def test_cider_d_of_a_copy_is_ten():
    texts = ["she sounds very sad today", "he is quite angry with them"]
    assert cider_d(texts, [[text] for text in texts]).captions == pytest.approx((10, 10))


def test_one_caption_alone_has_no_rare_words():
    assert cider_d(ONE, [ONE]).corpus == 0


class TestMeteorLite:
    def test_copy(self):
        assert meteor_lite(ONE, [ONE]).corpus == pytest.approx(1)

    def test_by_hand(self):
        # P = R = 2/4 of content words, one chunk of two matches
        score = meteor_lite(["voice trembles x y"], [["voice trembles q r"]]).corpus
        assert score == pytest.approx(0.5 * (1 - 0.6 * 0.5**0.2))

    def test_function_words_count_a_third(self):
        assert (
            meteor_lite(["voice x of"], [["voice y in"]]).corpus > meteor_lite(["x voice of"], [["y calm of"]]).corpus
        )

    def test_stems_match_beside_an_exact_match_only(self):
        assert meteor_lite(["she laughs"], [["she laughed"]]).corpus > meteor_lite(["she x"], [["she laughed"]]).corpus
        assert meteor_lite(["laughs"], [["laughed"]]).corpus == 0
        many = ["trembles sighing laughs cries", "trembling sighs laughed crying"]
        assert meteor_lite(many[:1], [many[1:]]).corpus > 0.2

    def test_order_costs(self):
        assert meteor_lite(["a b c d"], [["c d a b"]]).corpus < meteor_lite(["a b c d"], [["a b c d"]]).corpus

    def test_best_reference_and_pooled_corpus(self):
        score = meteor_lite(["sad voice", "x"], [["happy", "sad voice"], ["y"]])
        assert score.captions == (1, 0)
        assert 0 < score.corpus < 1

    def test_repeated_words_match_once(self):
        twice = meteor_lite(["sad sad"], [["sad"]]).corpus
        assert 0 < twice < meteor_lite(["sad"], [["sad"]]).corpus


def test_similarity_is_the_mean_cosine():
    candidates = np.array([[2.0, 0.0], [0.0, 1.0]])
    references = [np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([[0.0, -1.0]])]
    assert similarity(candidates, references).captions == pytest.approx((0.5, -1))
    assert similarity(candidates, references).corpus == pytest.approx(-0.25)
    with pytest.raises(ValueError, match="2 captions and references of 1"):
        similarity(candidates, references[:1])
    with pytest.raises(ValueError, match="needs a reference"):
        similarity(candidates, [references[0], np.zeros((0, 2))])


def test_diversity():
    scores = diversity(["a b a b", "a b a b", "a c"])
    assert scores["distinct1"].corpus == pytest.approx(3 / 10)
    assert scores["distinct2"].corpus == pytest.approx(3 / 7)
    assert scores["vocabulary"].corpus == 3
    assert scores["unique"].corpus == pytest.approx(2 / 3)
    assert scores["self_bleu"].captions[:2] == pytest.approx((1, 1))


def test_repetition_finds_loops():
    loop = " ".join(["she sounds sad and"] * 5)
    scores = diversity([loop, "she sounds sad and very tired", "sad"])["repetition"].captions
    assert scores == pytest.approx((1 - 4 / 17, 0, 0))


def test_one_caption_is_not_like_any_other():
    assert self_bleu(ONE) == Score(0.0, (0.0,))


def test_lengths():
    assert words(["a b", "", "a"]) == Score(1, (2, 0, 1))
    score = length_ratio(["a b c", "a"], [["a b", "a b c d e f"], ["a b c d"]])
    assert score.captions == (1.5, 0.25)
    assert score.corpus == pytest.approx(4 / 6)


def test_spider_is_a_mean():
    assert spider(Score(0.2, (0.2,)), Score(4, (4.0,))) == Score(2.1, (2.1,))


@pytest.mark.parametrize("metric", ALL)
def test_what_cannot_be_scored_is_refused(metric):
    with pytest.raises(ValueError, match="0 captions"):
        metric([], [])
    with pytest.raises(ValueError, match="2 captions and references of 1"):
        metric(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="caption 1 has no reference"):
        metric(["a", "b"], [["a"], []])
    with pytest.raises(TypeError, match="caption 0"):
        metric(["a"], ["a reference that is not in a list"])


@pytest.mark.parametrize("function", [diversity, self_bleu, words])
def test_an_empty_set_is_refused(function):
    with pytest.raises(ValueError, match="no captions"):
        function([])


def test_the_suite_tokenises_and_stays_in_range():
    scores = score_captions(CANDIDATES, REFERENCES)
    assert list(scores) == [name for name in METRICS if name in scores]
    assert set(METRICS) - set(scores) == {"meteor", "spice", "spider", "similarity"}
    for name, score in scores.items():
        low, high = METRICS[name].low, METRICS[name].high
        assert low <= score.corpus <= high
        assert all(low <= value <= high + 1e-9 for value in score.captions)
        assert len(score.captions) in (0, len(CANDIDATES))
        if METRICS[name].aggregate == "mean":
            assert score.corpus == pytest.approx(np.mean(score.captions))
    assert scores["rouge_l"].captions[1] == pytest.approx(1)
    assert scores == score_captions(CANDIDATES, REFERENCES)


@pytest.mark.parametrize("text", ["", " ", "😀", "...", "\n", "a" * 100_000, "a+" * 20_000, "\x00", "\ud800"])
def test_odd_captions_are_scored(text):
    scores = score_captions([text, "she is sad"], [["a sad voice", ""], ["she is sad"]])
    assert all(math.isfinite(score.corpus) for score in scores.values())
    assert scores["rouge_l"].captions[0] < 0.01
    assert scores["rouge_l"].captions[1] == pytest.approx(1)


def test_chinese():
    candidates, references = ["她的声音很悲伤。"], [["她的声音听起来很悲伤", "很难过"]]
    assert score_captions(candidates, references)["bleu1"].corpus < 0.01  # one word, for an English tokenizer
    by_character = score_captions(candidates, references, tokenizer="characters")
    assert by_character["bleu1"].corpus == pytest.approx(math.exp(1 - 10 / 7))
    by_word = score_captions(candidates, references, tokenizer="jieba")
    assert 0 < by_word["rouge_l"].corpus < 1
    assert by_word["words"].corpus < by_character["words"].corpus
