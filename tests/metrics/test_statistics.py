import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from aligncap.metrics import Interval, agreement, bootstrap, bootstrap_mean, compare, macro_recall

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=50)


@settings(deadline=None)
@given(LABELS)
def test_macro_recall_is_balanced_accuracy(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = [a for a, _ in pairs], [b for _, b in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn notes predicted classes that never occur
        expected = balanced_accuracy_score(truth, predicted)
    assert macro_recall(truth, predicted)[0] == pytest.approx(expected)


def test_what_is_no_class_counts_as_wrong() -> None:
    score, recalls = macro_recall(["a", "a", "b"], ["a", "none", "b"])
    assert recalls == {"a": 0.5, "b": 1.0}
    assert score == pytest.approx(0.75)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="0 labels"):
        macro_recall([], [])


def mean(values: list[float], index: list[int]) -> float:
    return sum(values[i] for i in index) / len(index)


def test_bootstrap_covers_the_estimate_narrows_with_data_and_repeats() -> None:
    few, many = [0.0, 1.0] * 10, [0.0, 1.0] * 400
    wide = bootstrap(lambda i: mean(few, i), range(len(few)))
    narrow = bootstrap(lambda i: mean(many, i), range(len(many)))
    assert wide.low <= wide.value <= wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4
    assert wide == bootstrap(lambda i: mean(few, i), range(len(few)))
    # the standard error of a mean of 800 coin tosses is 0.0177
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * 0.0177, rel=0.15)


def test_bootstrap_draws_whole_clusters() -> None:
    values = [0.0] * 50 + [1.0] * 50
    by_speaker = [index // 10 for index in range(100)]
    spread = bootstrap(lambda i: sum(values[k] for k in i) / len(i), by_speaker)
    alone = bootstrap(lambda i: sum(values[k] for k in i) / len(i), range(100))
    assert spread.high - spread.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("speakers", [None, 2, 7])
def test_bootstrap_of_a_mean_is_the_bootstrap(speakers: int | None) -> None:
    values = np.random.default_rng(0).random(40).tolist()
    clusters = None if speakers is None else [i * i % speakers for i in range(40)]
    plain = bootstrap(lambda i: mean(values, i), clusters or range(40), resamples=50, seed=3)
    quick = bootstrap_mean(values, clusters, resamples=50, seed=3)
    assert [quick.value, quick.low, quick.high] == pytest.approx([plain.value, plain.low, plain.high])


def test_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 values"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="2 values and 1 clusters"):
        bootstrap_mean([1, 2], ["a"])


def test_interval_in_words() -> None:
    assert str(Interval(0.5, 0.25, 0.7504)) == "0.500 [0.250, 0.750]"


def test_comparison_finds_a_difference_and_none() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(100)
    better = compare((base + 0.05).tolist(), base.tolist(), resamples=999)
    assert better.p == pytest.approx(1 / 1000)
    assert better.difference.low == pytest.approx(0.05)
    alike = compare((base + rng.normal(0, 0.1, 100)).tolist(), base.tolist(), resamples=999)
    assert alike.p > 0.01
    assert alike.difference.low < alike.difference.value < alike.difference.high
    assert compare([1.0, 2.0], [1.0, 2.0], resamples=9).p == 1


def test_comparison_knows_its_p() -> None:
    # the two signs of three equal differences agree in 2 of 8 cases
    assert compare([1, 1, 1], [0, 0, 0], resamples=4000).p == pytest.approx(0.25, abs=0.03)


def test_comparison_swaps_whole_clusters() -> None:
    first, speakers = [1.0] * 60, [i // 10 for i in range(60)]
    assert compare(first, [0.0] * 60, resamples=2000).p < 0.002
    assert compare(first, [0.0] * 60, speakers, resamples=2000).p == pytest.approx(2 / 64, abs=0.012)


def test_comparison_needs_the_same_items() -> None:
    with pytest.raises(ValueError, match="2 scores of one system and 1 of the other"):
        compare([1, 2], [1])


def test_agreement() -> None:
    found = agreement([1, 1, 2, 5, 0], [0, 1, 3, 5, 9], [3, -1, 1, 0, -2])
    assert found.pairs == 4
    assert found.ties == pytest.approx(1 / 4)
    assert found.share.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)


def test_agreement_by_cluster() -> None:
    first, second = [1.0, 0.0] * 50, [0.0, 1.0] * 50
    votes = [1, -1] * 25 + [-1, 1] * 25
    sounds = [i // 10 for i in range(100)]
    wide, narrow = agreement(first, second, votes, sounds), agreement(first, second, votes)
    assert wide.share.value == narrow.share.value == 0.5
    assert wide.share.high - wide.share.low > 2 * (narrow.share.high - narrow.share.low)


def test_agreement_needs_votes() -> None:
    with pytest.raises(ValueError, match="1 and 1 scores for 2 preferences"):
        agreement([1], [2], [1, 1])
    with pytest.raises(ValueError, match="0 values"):
        agreement([1], [2], [0])
