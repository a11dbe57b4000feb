import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from aligncap.metrics import bootstrap, macro_recall

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=50)


@given(LABELS)
def test_macro_recall_is_balanced_accuracy(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = [a for a, _ in pairs], [b for _, b in pairs]
    import warnings

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


def test_bootstrap_covers_the_estimate_narrows_with_data_and_repeats() -> None:
    def mean(values: list[float], index: list[int]) -> float:
        return sum(values[i] for i in index) / len(index)

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
