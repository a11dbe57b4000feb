"""Learning curves: systems of one family at several amounts."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from aligncap.corpora import Row
from aligncap.evaluation import tables
from aligncap.evaluation.curves import family_of, learning_curves
from aligncap.evaluation.measures import Settings
from aligncap.evaluation.prediction import Prediction
from aligncap.evaluation.predictions import System
from aligncap.evaluation.scores import evaluate

ROWS = [Row(str(i), f"{i}.wav", corpus="c", speaker=str(i), emotion=("sad", "angry")[i % 2]) for i in range(8)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("align@400", ("align", 400.0)),
        ("align @ 0.05", ("align", 0.05)),
        ("a@b@1e3", ("a@b", 1000.0)),
        ("align@0", ("align", 0.0)),
        ("align", None),
        ("@400", None),
        ("align@", None),
        ("align@-1", None),
        ("align@4k", None),
        ("align@nan", None),
        ("align@1e999", None),
        ("400", None),
    ],
)
def test_a_family_and_an_amount_are_read_from_the_name(name: str, found: tuple[str, float] | None) -> None:
    assert family_of(name) == found


def test_families_with_two_amounts_have_curves_by_rising_amounts() -> None:
    names = ["align@400", "other@1", "peer", "align@100", "ce@100", "ce@50"]
    assert learning_curves(names) == [
        {
            "family": "align",
            "points": [{"amount": 100.0, "system": "align@100"}, {"amount": 400.0, "system": "align@400"}],
        },
        {"family": "ce", "points": [{"amount": 50.0, "system": "ce@50"}, {"amount": 100.0, "system": "ce@100"}]},
    ]
    assert learning_curves(["align@1", "align@1.0"]) == []


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    def system(name: str, right: int) -> System:
        words = [one.emotion if i < right else "calm" for i, one in enumerate(ROWS)]
        return System(name, {one.id: Prediction(f"They sound {word}.") for one, word in zip(ROWS, words, strict=True)})

    systems = [system("align@400", 8), system("align@100", 2), system("peer", 4)]
    return evaluate(ROWS, systems, Settings(amount="steps"), resamples=20)


def test_curves_are_in_the_data_and_in_every_table(data: dict[str, Any]) -> None:
    [curve] = data["curves"]
    assert [point["system"] for point in curve["points"]] == ["align@100", "align@400"]
    assert data["settings"]["amount"] == "steps"
    text = tables.markdown(data).split("## Learning curves")[1].split("##")[0]
    assert "| family | steps | UAR, lexicon ↑ |" in text
    assert text.index("| align | 100 | 0.250") < text.index("| align | 400 | 1.000")
    assert r"family & steps & UAR, lexicon $\uparrow$" in tables.latex(data)
    lines = list(csv.DictReader(io.StringIO(tables.csv_scores(data))))
    amounts = {(line["system"], line["family"], line["amount"]) for line in lines}
    assert amounts == {("align@400", "align", "400.0"), ("align@100", "align", "100.0"), ("peer", "", "")}


def test_without_amounts_there_is_no_curve() -> None:
    one = System("peer", {row.id: Prediction("They sound sad.") for row in ROWS})
    found = evaluate(ROWS, [one], resamples=20)
    assert found["curves"] == []
    assert "Learning curves" not in tables.markdown(found)
