"""What abstaining is worth: coverage against what is wrong among what is told."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from aligncap.corpora import Row
from aligncap.evaluation import tables
from aligncap.evaluation.coverage import THRESHOLDS, caption_items, claim_items, coverage_scores, tally
from aligncap.evaluation.estimates import Draws
from aligncap.evaluation.hallucination.finding import finding
from aligncap.evaluation.prediction import Prediction, Supported
from aligncap.evaluation.predictions import System
from aligncap.evaluation.scores import evaluate

SAD, ANGRY = Supported("sad", "emotion", 0.9), Supported("Angry", "emotion", 0.4)
FAST, DOG = Supported("fast", "acoustic", 1.0), Supported("his dog", "other", 0.0)


def row(name: str, emotion: str, corpus: str = "c") -> Row:
    return Row(name, f"{name}.wav", corpus=corpus, speaker=name, emotion=emotion)


def said(word: str, support: float, **more: Any) -> Prediction:
    return Prediction(f"They sound {word}.", claims=(Supported(word, "emotion", support),), **more)


def found(rows: list[Row], predictions: dict[str, Prediction], name: str = "s") -> dict[str, Any]:
    return evaluate(rows, [System(name, predictions)], resamples=50)


def points(data: dict[str, Any], kind: str, part: str = "all", name: str = "") -> dict[float, dict[str, Any]]:
    [one] = [c for c in data["coverage"] if (c["kind"], c["part"], c["name"]) == (kind, part, name)]
    return {point["threshold"]: point for point in one["points"]}


def test_a_caption_is_as_well_supported_as_the_best_of_its_emotions() -> None:
    def support(*claims: Supported, abstained: bool = False) -> float:
        [item] = caption_items(0, Prediction("", claims=claims, abstained=abstained), [])
        return item.support

    assert support(ANGRY, SAD, FAST, DOG) == 0.9
    assert support(FAST, DOG) == 0  # it tells no emotion
    assert support(Supported("angry", "emotion", 0.95, denied=True), ANGRY) == 0.4
    assert support(SAD, abstained=True) == -math.inf  # not told even where no support is asked for


def test_an_omission_is_no_hallucination() -> None:
    prediction = Prediction("A voice.", claims=())
    for type_, wrong in (("no_emotion", False), ("loop", True)):
        [item] = caption_items(0, prediction, [finding(type_, "why")])
        assert item.wrong is wrong


def test_claims_are_wrong_where_a_finding_is_about_them_and_left_out_where_nothing_is_known() -> None:
    prediction = Prediction("", claims=(SAD, ANGRY, FAST, DOG))
    findings = [finding("emotion", "why", "ANGRY"), finding("content", "why", "his dog"), finding("loop", "why")]

    def judged(*, emotion: bool, voice: bool) -> list[tuple[float, bool]]:
        return [(i.support, i.wrong) for i in claim_items(0, prediction, findings, emotion=emotion, voice=voice)]

    assert judged(emotion=True, voice=True) == [(0.9, False), (0.4, True), (1.0, False), (0.0, True)]
    assert judged(emotion=False, voice=True) == [(1.0, False), (0.0, True)]
    assert judged(emotion=True, voice=False) == [(0.9, False), (0.4, True), (0.0, True)]


def test_what_is_told_and_wrong_at_each_threshold() -> None:
    rows = [row("a", "sad"), row("b", "sad"), row("c", "happy"), row("d", "happy")]
    predictions = {
        "a": said("sad", 0.9),
        "b": said("angry", 0.35),
        "c": said("happy", 0.6),
        "d": said("unclear", 1.0, abstained=True),
    }
    told = {
        threshold: (p["told"], p["coverage"], p["wrong"])
        for threshold, p in points(found(rows, predictions), "captions").items()
    }
    assert told[0.0] == told[0.35] == (3, 3 / 4, 1 / 3)  # a support just as high is enough
    assert told[0.4] == told[0.6] == (2, 2 / 4, 0)
    assert told[0.9] == (1, 1 / 4, 0)
    assert told[0.95] == told[1.0] == (0, 0, None)
    claims = points(found(rows, predictions), "claims")
    assert (claims[0.0]["told"], claims[0.0]["coverage"], claims[0.0]["wrong"]) == (4, 1, 1 / 4)


def test_the_mean_weighs_corpora_alike_and_ends_where_one_tells_nothing() -> None:
    rows = [row("a", "sad", "x"), row("b", "sad", "x"), row("c", "sad", "x"), row("d", "sad", "y")]
    predictions = {name: said("sad", 0.9) for name in "abc"} | {"d": said("angry", 0.5)}
    data = found(rows, predictions)
    assert points(data, "captions")[0.5]["wrong"] == 1 / 4
    mean = points(data, "captions", "mean")
    assert (mean[0.5]["coverage"], mean[0.5]["wrong"]) == (1, 1 / 2)
    assert (mean[0.55]["told"], mean[0.55]["coverage"], mean[0.55]["wrong"]) == (3, 1 / 2, None)
    assert points(data, "captions", "corpus", "x")[0.55]["wrong"] == 0


def test_intervals_hold_the_shares_and_leave_out_samples_that_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = [row(str(i), "sad") for i in range(60)]
    predictions = {one.id: said(rng.choice(["sad", "angry"]), float(rng.random())) for one in rows}
    for threshold, point in points(found(rows, predictions), "captions").items():
        assert point["coverage_low"] <= point["coverage"] <= point["coverage_high"]
        if point["wrong"] is not None:
            assert 0 <= point["wrong_low"] <= point["wrong"] <= point["wrong_high"] <= 1, threshold
    one = tally(
        [*caption_items(0, said("sad", 1.0), [finding("loop", "why")]), *caption_items(1, said("sad", 0.0), [])]
    )
    rate = Draws(["a", "b"], resamples=200).intervals(one[1], coverage_scores)[-1]
    assert (rate.value, rate.low, rate.high) == (1, 1, 1)  # samples without the first clip have no rate, and not 0


def test_only_systems_that_tell_their_claims_have_curves() -> None:
    rows = [row("a", "sad"), row("b", "sad")]
    plain = {"a": Prediction("They sound sad."), "b": Prediction("They sound sad.")}
    assert found(rows, plain)["coverage"] == []
    [captions] = [
        one
        for one in found(rows, {**plain, "a": said("sad", 0.5)})["coverage"]
        if one["kind"] == "captions" and one["part"] == "all"
    ]
    assert captions["items"] == 1


def test_curves_are_the_same_byte_for_byte_and_in_the_tables() -> None:
    rows = [row(str(i), "sad", f"c{i % 2}") for i in range(12)]
    predictions = {one.id: said("sad" if i % 3 else "angry", i / 12) for i, one in enumerate(rows)}
    first, second = (json.dumps(found(rows, predictions), allow_nan=False) for _ in range(2))
    assert first == second
    data = json.loads(first)
    assert [point["threshold"] for point in data["coverage"][0]["points"]] == list(THRESHOLDS)
    point = points(data, "captions", "mean")[0.5]
    cell = f"{point['wrong']:.3f} [{point['wrong_low']:.3f}, {point['wrong_high']:.3f}]"
    assert f"| s | captions | 0.5 | {point['told']} |" in tables.markdown(data)
    assert cell in tables.markdown(data)
    assert cell in tables.latex(data)


@pytest.mark.parametrize("kind", ["captions", "claims"])
def test_a_higher_threshold_never_tells_more(kind: str) -> None:
    rng = np.random.default_rng(5)
    rows = [row(str(i), "sad") for i in range(30)]
    predictions = {one.id: said("sad", float(rng.random())) for one in rows}
    told = [point["told"] for point in points(found(rows, predictions), kind).values()]
    assert told == sorted(told, reverse=True)
    assert told[0] == 30
