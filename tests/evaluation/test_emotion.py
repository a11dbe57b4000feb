from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, recall_score

from aligncap.evaluation import emotion as emo
from aligncap.evaluation.estimates import Draws, mean_interval, mean_of
from aligncap.metrics import Interval, bootstrap, bootstrap_mean, macro_recall

LABELS = ["angry", "happy", "neutral", "sad"]
RNG = np.random.default_rng(3)
TRUTH = [LABELS[i] for i in RNG.integers(0, 4, 60)]
OTHERS = [[*LABELS, "none"][i] for i in RNG.integers(0, 5, 60)]
GUESSES = [TRUTH[i] if keep else OTHERS[i] for i, keep in enumerate(RNG.random(60) < 0.5)]


def whole(counts: np.ndarray) -> np.ndarray:
    return counts.sum(0, keepdims=True)


def test_class_scores_are_those_of_scikit_learn() -> None:
    sums = whole(emo.class_counts(TRUTH, GUESSES, LABELS))
    known = {"labels": LABELS, "average": "macro", "zero_division": 0.0}
    assert emo.accuracy(sums)[0] == pytest.approx(accuracy_score(TRUTH, GUESSES))
    assert emo.macro_recall_of(sums)[0] == pytest.approx(recall_score(TRUTH, GUESSES, **known))
    assert emo.macro_f1(sums)[0] == pytest.approx(f1_score(TRUTH, GUESSES, **known))


def test_labels_that_a_sample_lacks_do_not_count() -> None:
    sums = whole(emo.class_counts(["sad", "sad"], ["sad", "angry"], LABELS))
    assert emo.macro_recall_of(sums)[0] == 0.5
    assert emo.macro_f1(sums)[0] == pytest.approx(2 / 3)


def test_confusions_of_each_label() -> None:
    found = emo.classification(TRUTH, GUESSES, LABELS)
    assert found["columns"] == [*LABELS, "none"]
    assert np.sum(found["counts"]) == 60
    precision, recall, f1, clips = precision_recall_fscore_support(TRUTH, GUESSES, labels=LABELS, zero_division=0.0)
    for index, row in enumerate(found["classes"]):
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx(
            (precision[index], recall[index], f1[index])
        )
        assert row["clips"] == clips[index]


def test_intervals_are_those_of_the_slow_bootstrap() -> None:
    speakers = [index % 7 for index in range(60)]
    draws = Draws(speakers, resamples=200, seed=5)

    def score(index: list[int]) -> float:
        return macro_recall([TRUTH[i] for i in index], [GUESSES[i] for i in index])[0]

    expected = bootstrap(score, speakers, resamples=200, seed=5)
    found = draws.interval(emo.class_counts(TRUTH, GUESSES, LABELS), emo.macro_recall_of)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert draws.clustered


def test_few_speakers_give_way_to_clips() -> None:
    values = RNG.random(60).tolist()
    speakers = [index % 3 for index in range(60)]
    draws = Draws(speakers, resamples=200)
    quantity = mean_of("m", range(60), values)
    expected = bootstrap_mean(values, speakers, resamples=200)
    found = draws.interval(quantity.counts, quantity.score)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert not draws.clustered


def test_the_mean_of_corpora_is_surer_than_each() -> None:
    mean = mean_interval([Interval(0.4, 0.3, 0.5), Interval(0.8, 0.7, 0.9)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.6, 0.6 - 0.02**0.5 / 2, 0.6 + 0.02**0.5 / 2))


def test_calibration_error_by_hand() -> None:
    counts = emo.calibration_counts([0.9, 0.9, 0.9, 0.9, 0.3, 1.0], [True, True, False, False, False, True])
    expected = (4 * (0.9 - 0.5) + 1 * 0.3 + 0) / 6
    assert emo.calibration_error(whole(counts))[0] == pytest.approx(expected)


def test_concordance_is_one_of_equals_only() -> None:
    x = RNG.random(30)

    def ccc(first: np.ndarray, second: np.ndarray) -> float:
        return float(emo.concordance(whole(emo.agreement_counts(first, second)))[0])

    assert ccc(x, x) == pytest.approx(1)
    assert ccc(x, -x + 1) < 0
    shifted = 2 * np.cov(x, x + 0.5, bias=True)[0, 1] / (2 * x.var() + 0.25)
    assert ccc(x, x + 0.5) == pytest.approx(shifted)
    assert ccc(np.zeros(5), np.zeros(5)) == 0


def test_a_caption_is_read_strongest_emotion_first() -> None:
    reading = emo.read_caption("Perhaps a little sad, but above all furious; not afraid.")
    assert [(emotion, group) for emotion, group, _ in reading.emotions] == [("angry", "anger"), ("sad", "sadness")]
    assert reading.groups() == ("anger", "sadness")
    assert reading.valence < -0.3
    assert reading.arousal > 0.3


def test_a_caption_without_emotion_is_neutral_and_claims_nothing() -> None:
    assert emo.read_caption("The voice is high-pitched.") == emo.Reading((), 0.0, 0.0)


def test_valence_weighs_words_by_their_strength() -> None:
    sure, doubtful = emo.read_caption("Happy and sad."), emo.read_caption("Happy, perhaps sad.")
    assert doubtful.valence > sure.valence


def test_a_doubtful_emotion_lies_where_the_sure_one_does() -> None:
    sure, doubtful = emo.read_caption("They sound happy."), emo.read_caption("They sound perhaps happy.")
    assert doubtful.emotions[0][2] < sure.emotions[0][2]
    assert (doubtful.valence, doubtful.arousal) == pytest.approx((sure.valence, sure.arousal))


def test_groups_follow_the_corpus_labels() -> None:
    calm = emo.read_caption("The speaker sounds calm.")
    assert calm.groups() == ("calm",)
    assert calm.groups(["angry", "neutral"]) == ("neutral",)
    assert calm.groups(["calm", "neutral"]) == ("calm",)
    assert emo.read_caption("Proud.").groups(["angry", "neutral"]) == emo.read_caption("Proud.").groups()


def test_the_truth_may_be_several_groups() -> None:
    assert emo.true_groups("angry", {}) == {"anger"}
    assert emo.true_groups("angry", {"angry": 0.6, "disgust": 0.3, "sad": 0.1}) == {"anger", "disgust"}
    assert emo.true_groups("low", {}) == frozenset()


@pytest.mark.parametrize(
    ("claimed", "true", "expected"),
    [
        (("anger",), {"anger"}, (1, 1, 1, 1)),
        (("sadness", "anger"), {"anger"}, (0, 0.5, 1, 2 / 3)),
        (("anger",), {"anger", "disgust"}, (1, 1, 0.5, 2 / 3)),
        ((), {"anger"}, (0, 0, 0, 0)),
        (("joy",), {"anger"}, (0, 0, 0, 0)),
    ],
)
def test_group_scores(claimed: tuple[str, ...], true: set[str], expected: tuple[float, ...]) -> None:
    assert emo.group_scores(claimed, true) == pytest.approx(expected)


def test_group_scores_need_a_truth() -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        emo.group_scores(("joy",), ())


def test_the_true_point_is_that_of_the_votes() -> None:
    happy, sad = emo.true_point("happy", {}), emo.true_point("sad", {})
    assert happy is not None
    assert sad is not None
    mixed = emo.true_point("happy", {"happy": 0.4, "sad": 0.4})
    assert mixed == pytest.approx(((happy[0] + sad[0]) / 2, (happy[1] + sad[1]) / 2))
    assert emo.true_point("low", {}) is None


def test_probabilities_are_restricted_by_the_one_rule() -> None:
    found = emo.restricted({"calm": 0.5, "angry": 0.25, "fear": 0.25}, ["neutral", "angry"])
    assert found == pytest.approx({"angry": 1 / 3, "neutral": 2 / 3})
    assert emo.restricted({"fear": 1.0}, ["neutral", "angry"]) == {"angry": 0.5, "neutral": 0.5}


def test_the_nearest_label_is_that_of_the_mean_prompt() -> None:
    labels = ["fear", "sad"]
    texts = emo.label_texts(labels)
    assert len(texts) == 2 * len(emo.LABEL_PROMPTS)
    assert "afraid" in texts[0]
    vectors = np.repeat(np.eye(2), len(emo.LABEL_PROMPTS), axis=0)
    assert emo.nearest_labels(np.array([[0.9, 0.1], [0.2, 0.8]]), vectors, labels) == ["fear", "sad"]
