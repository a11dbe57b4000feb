from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import numpy as np
import pytest

from aligncap.corpora import Row
from aligncap.evaluation import tables
from aligncap.evaluation.measures import Settings
from aligncap.evaluation.predictions import Prediction, System
from aligncap.evaluation.scores import evaluate
from aligncap.metrics import bleu_counts, bootstrap, compare, macro_recall, score_captions, tokenize

WORDS = {"angry": "angry", "calm": "calm", "happy": "cheerful", "neutral": "unemotional", "sad": "sad"}


def row(index: int, emotion: str, corpus: str) -> Row:
    reference = f"The speaker sounds {WORDS[emotion]}, and talks quite slowly."
    return Row(
        f"{corpus}/{index}",
        f"{corpus}/{index}.wav",
        corpus=corpus,
        language={"x": "en", "y": "de"}[corpus],
        speaker=f"s{index % 6}",
        emotion=emotion,
        captions=(reference, "A voice."),
    )


DRAW = random.Random(7)
ROWS = [row(i, DRAW.choice(["angry", "happy", "neutral", "sad"]), "x") for i in range(30)]
ROWS += [row(i, DRAW.choice(["angry", "sad"]), "y") for i in range(20)]


def system(name: str, right: float, seed: int, emotions: bool = True) -> System:
    """Captions of which about this share name the right emotion."""
    draw = random.Random(seed)
    predictions = {}
    for one in ROWS:
        label = one.emotion if draw.random() < right else draw.choice(list(WORDS))
        shares = {label: 0.8, "fear": 0.2} if emotions else {}
        predictions[one.id] = Prediction(f"The speaker sounds {WORDS[label]}.", shares)
    return System(name, predictions, lines=len(ROWS))


GOOD, POOR = system("good", 0.9, 1), system("poor", 0.3, 2, emotions=False)


def evaluated(*systems: System, rows: list[Row] = ROWS, settings: Settings | None = None) -> dict[str, Any]:
    return evaluate(rows, systems, settings, resamples=100)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return evaluated(GOOD, POOR)


def find(data: dict[str, Any], name: str, metric: str, part: str = "all", of: str = "") -> dict[str, Any]:
    wanted = {"system": name, "metric": metric, "part": part, "name": of}
    [found] = [score for score in data["scores"] if wanted.items() <= score.items()]
    return found


def test_the_same_inputs_give_the_same_bytes(data: dict[str, Any]) -> None:
    def dumped(value: dict[str, Any]) -> str:
        return json.dumps(value, sort_keys=True, allow_nan=False)

    assert dumped(data) == dumped(evaluated(GOOD, POOR))


def test_uar_of_a_corpus_is_that_of_the_published_rule(data: dict[str, Any]) -> None:
    members = [one for one in ROWS if one.corpus == "x"]
    named = [
        next(label for label, word in WORDS.items() if word in GOOD.predictions[one.id].caption) for one in members
    ]
    named = ["neutral" if label == "calm" else label for label in named]
    truth = [one.emotion for one in members]
    expected = bootstrap(
        lambda index: macro_recall([truth[i] for i in index], [named[i] for i in index])[0],
        [one.speaker for one in members],
        resamples=100,
    )
    found = find(data, "good", "uar.lexicon", "corpus", "x")
    assert (found["value"], found["low"], found["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    assert found["clips"] == 30


def test_methods_are_scored_apart_and_only_where_they_apply(data: dict[str, Any]) -> None:
    assert set(data["methods"]) == {"lexicon", "likelihood"}
    assert not [s for s in data["scores"] if s["system"] == "poor" and "likelihood" in s["metric"]]
    stated = System("s", {one.id: Prediction("A voice.", label="sad") for one in ROWS})
    found = evaluated(stated)
    assert find(found, "s", "uar.stated", "corpus", "y")["value"] == 0.5
    assert find(found, "s", "uar.lexicon", "corpus", "y")["value"] == 0


def test_the_mean_over_corpora(data: dict[str, Any]) -> None:
    mean = find(data, "good", "hit_rate", "mean")
    each = [find(data, "good", "hit_rate", "corpus", name)["value"] for name in "xy"]
    assert mean["value"] == pytest.approx(np.mean(each))
    assert mean["low"] < mean["value"] < mean["high"]


def test_text_metrics_are_those_of_the_suite(data: dict[str, Any]) -> None:
    captions = [GOOD.predictions[one.id].caption for one in ROWS]
    expected = score_captions(captions, [list(one.captions) for one in ROWS])
    for name in (
        "bleu1",
        "bleu4",
        "rouge_l",
        "cider_d",
        "length_ratio",
        "distinct2",
        "vocabulary",
        "self_bleu",
        "words",
    ):
        assert find(data, "good", name)["value"] == pytest.approx(expected[name].corpus), name


def test_pooled_metrics_of_a_corpus_pool_its_counts(data: dict[str, Any]) -> None:
    members = [one for one in ROWS if one.corpus == "y"]
    captions = tokenize([GOOD.predictions[one.id].caption for one in members])
    counts = bleu_counts(captions, [tokenize(one.captions) for one in members])
    found = find(data, "good", "bleu4", "corpus", "y")
    assert found["value"] == pytest.approx(counts.corpus()[3])
    expected = bootstrap(lambda index: counts.corpus(index)[3], [one.speaker for one in members], resamples=100)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_comparisons_are_of_the_same_clips(data: dict[str, Any]) -> None:
    wanted = {"metric": "uar.lexicon", "part": "corpus", "name": "x"}
    [one] = [c for c in data["comparisons"] if wanted.items() <= c.items()]
    expected = (
        find(data, "poor", "uar.lexicon", "corpus", "x")["value"]
        - find(data, "good", "uar.lexicon", "corpus", "x")["value"]
    )
    assert one["difference"] == pytest.approx(expected)
    assert one["low"] < expected < one["high"] < 0
    assert one["p"] < 0.1  # six speakers cannot say more
    [mean] = [c for c in data["comparisons"] if c["metric"] == "uar.lexicon" and c["part"] == "mean"]
    parts = [find(data, name, "uar.lexicon", "mean")["value"] for name in ("poor", "good")]
    assert mean["difference"] == pytest.approx(parts[0] - parts[1])


def test_pooled_scores_are_not_compared_caption_by_caption(data: dict[str, Any]) -> None:
    compared = {one["metric"] for one in data["comparisons"]}
    assert {"uar.lexicon", "rouge_l", "cider_d", "factuality"} <= compared
    assert not compared & {"bleu1", "bleu4", "macro_f1.lexicon", "meteor"}


def test_comparisons_are_those_of_the_slow_test() -> None:
    bare = [Row(one.id, one.audio, speaker=one.speaker, emotion=one.emotion) for one in ROWS]
    wanted = {"metric": "hit_rate", "part": "all"}
    both = evaluated(GOOD, POOR, rows=bare)
    [found] = [c for c in both["comparisons"] if wanted.items() <= c.items()]
    said = [caption["systems"] for caption in both["captions"]]
    hits = [[one[name]["scores"]["hit_rate"] for one in said] for name in ("poor", "good")]
    expected = compare(*hits, [one.speaker for one in ROWS], resamples=10_000)
    assert (found["difference"], found["p"]) == pytest.approx((expected.difference.value, expected.p))


def test_a_system_is_no_better_than_itself() -> None:
    same = System("same", GOOD.predictions)
    for one in evaluated(GOOD, same)["comparisons"]:
        assert (one["difference"], one["p"]) == (0, 1)


def test_a_system_is_scored_on_the_clips_it_described() -> None:
    half = System("half", dict(list(GOOD.predictions.items())[:10]))
    found = evaluated(GOOD, half)
    assert found["systems"][1]["scored"] == 10
    assert find(found, "half", "cider_d")["clips"] == 10
    assert [c["clips"] for c in found["comparisons"] if c["metric"] == "cider_d" and c["part"] == "all"] == [10]
    described = [caption["systems"]["half"]["scores"]["cider_d"] for caption in found["captions"][:10]]
    whole = [caption["systems"]["good"]["scores"]["cider_d"] for caption in found["captions"][:10]]
    assert described == whole  # document frequencies do not depend on what was described


def test_labels_only_and_references_only() -> None:
    bare = [Row(one.id, one.audio, emotion=one.emotion) for one in ROWS]
    found = evaluated(GOOD, rows=bare)
    assert find(found, "good", "uar.lexicon")["clips"] == 50
    assert "bleu1" not in found["metrics"]
    assert find(found, "good", "words")["value"] > 3
    bare = [Row(one.id, one.id, captions=one.captions) for one in ROWS]
    found = evaluated(GOOD, rows=bare)
    assert find(found, "good", "bleu1")["clips"] == 50
    assert not [name for name in found["metrics"] if name.startswith("uar")]


def test_one_label_tells_nothing_apart() -> None:
    rows = [Row(str(i), str(i), corpus="z", emotion="neutral") for i in range(5)]
    found = evaluated(System("s", {str(i): Prediction("A calm voice.") for i in range(5)}), rows=rows)
    assert found["labels"] == {}
    assert "uar.lexicon" not in found["metrics"]
    assert find(found, "s", "hit_rate")["clips"] == 5


def test_empty_captions_and_an_empty_system() -> None:
    found = evaluated(System("none", {}), System("empty", {one.id: Prediction("") for one in ROWS}))
    assert not [score for score in found["scores"] if score["system"] == "none"]
    assert find(found, "empty", "uar.lexicon")["value"] == 0
    assert find(found, "empty", "rouge_l")["value"] == 0
    json.dumps(found, allow_nan=False)


def test_chinese_references_choose_characters_and_no_english_lexicon() -> None:
    rows = [Row(str(i), str(i), emotion=("sad", "happy")[i % 2], captions=("声音低沉显得很悲伤。",)) for i in range(6)]
    found = evaluated(System("s", {str(i): Prediction("声音低沉很悲伤。") for i in range(6)}), rows=rows)
    assert found["settings"]["tokenizer"] == "characters"
    assert found["settings"]["language"] == "zh"
    assert find(found, "s", "bleu1")["value"] > 0.5
    assert "uar.lexicon" not in found["metrics"]


def test_findings_are_counted_and_omissions_are_none() -> None:
    rows = [Row(str(i), str(i), emotion=("sad", "angry")[i % 2]) for i in range(4)]
    captions = ["She sounds sad.", "She sounds sad.", "A voice.", "She sounds angry, at a funeral in Paris."]
    found = evaluated(System("s", {str(i): Prediction(text) for i, text in enumerate(captions)}), rows=rows)
    shares = {one["type"]: one["captions"] for one in found["hallucinations"]}
    assert shares["emotion"] == 1
    assert shares["place"] == 1
    assert find(found, "s", "faithfulness")["value"] == 0.25
    assert shares["gender"] == 3  # nobody knows that it is a woman
    assert shares["no_emotion"] == 1
    assert find(found, "s", "hallucination")["value"] == 0.75


def test_weighed_hallucination_gives_credit_for_what_some_listeners_hear() -> None:
    rows = [Row("a", "a", emotion="sad", votes={"sad": 0.8, "angry": 0.2}), Row("b", "b", emotion="sad")]
    found = evaluated(System("s", {name: Prediction("They sound angry.") for name in "ab"}), rows=rows)
    assert find(found, "s", "factuality")["value"] == 1
    assert find(found, "s", "factuality_weight")["value"] == pytest.approx((0.8 + 1) / 2)
    assert find(found, "s", "hallucination_weight")["value"] == pytest.approx((0.8 + 1) / 2)
    assert find(found, "s", "faithfulness_weight")["value"] == 0


def test_votes_that_make_no_sense_are_named() -> None:
    rows = [Row("a", "a", emotion="sad", votes={"sad": 3.0}), Row("b", "b", emotion="happy")]
    found = evaluated(System("s", {"a": Prediction("Sad."), "b": Prediction("Sad.")}), rows=rows)
    assert [note["id"] for note in found["notes"]] == ["a"]
    assert find(found, "s", "factuality")["clips"] == 1


def test_what_was_asked_is_checked(data: dict[str, Any]) -> None:
    found = evaluated(GOOD, settings=Settings(instruction="What does the speaker feel? Answer with one word."))
    assert find(found, "good", "faithfulness")["value"] == 1
    assert find(data, "good", "faithfulness")["value"] < 1


def test_tables_escape_what_would_break_them(data: dict[str, Any]) -> None:
    odd = System("a|b_c & 50%", GOOD.predictions)
    found = evaluated(odd)
    text = tables.markdown(found)
    assert "a\\|b_c & 50%" in text
    widths = {
        line.replace("\\|", "").count("|")
        for line in text.split("## Summary")[1].split("##")[0].splitlines()
        if "|" in line
    }
    assert widths == {3}
    assert r"a|b\_c \& 50\%" in tables.latex(found)
    assert tables.csv_scores(evaluated(System("=1+1", GOOD.predictions))).splitlines()[1].startswith("'=1+1,")


def test_tables_hold_every_score(data: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.csv_scores(data))))
    assert len(lines) == len(data["scores"])
    assert float(lines[0]["value"]) == data["scores"][0]["value"]
    uar = find(data, "good", "uar.lexicon", "mean")
    cell = f"{uar['value']:.3f} [{uar['low']:.3f}, {uar['high']:.3f}]"
    assert cell in tables.markdown(data)
    assert cell in tables.text_table(data)
    assert rf"\textbf{{{uar['value']:.3f}}}" in tables.latex(data)
    assert "| poor | good | UAR, lexicon ↑ | -0." in tables.markdown(data)
