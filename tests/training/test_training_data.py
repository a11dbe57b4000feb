from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligncap.corpora import Row
from aligncap.errors import AlignCapError
from aligncap.training.data import Clip, balance, facts, label_sets, read_manifest
from aligncap.training.recipe import CorpusRule, load_recipe

HEADER = "id,audio,corpus,speaker,gender,emotion,intensity,split\n"


def clip(corpus: str, emotion: str, speaker: str = "s", **kwargs: Any) -> Clip:
    fields = {"split": "train", **kwargs}
    row = Row(f"{corpus}/{speaker}/{emotion}", "x.wav", corpus=corpus, speaker=speaker, emotion=emotion, **fields)
    return Clip(row, Path("x.wav"))


def test_label_sets_follow_the_rules_of_each_corpus() -> None:
    clips = [clip("a", "happy"), clip("a", "sad"), clip("b", "low"), clip("b", "high"), clip("c", "odd")]
    rules = {"b": CorpusRule({"low": ["sad", "calm"], "high": ["angry", "happy"]})}
    targets, allowed = label_sets(clips, ["angry", "calm", "happy", "sad"], rules)
    assert targets.tolist() == [
        [False, False, True, False],
        [False, False, False, True],
        [False, True, False, True],
        [True, False, True, False],
        [False, False, False, False],
    ]
    assert allowed[0].tolist() == [False, False, True, True]
    assert allowed[2].all()
    assert not allowed[4].any()


def test_words_of_the_taxonomy_count_as_their_emotion_unless_a_rule_says_otherwise() -> None:
    clips = [clip("a", "frustrated"), clip("b", "frustrated")]
    targets, _ = label_sets(clips, ["angry", "sad"], {"b": CorpusRule({"frustrated": ["sad"]})})
    assert targets.tolist() == [[True, False], [False, True]]


def test_captions_stand_for_a_label() -> None:
    emotions = ["angry", "calm", "sad"]
    told = [
        clip("a", "", captions=("A furious voice.", "She is livid, and perhaps sad.")),
        clip("a", "", captions=("It trails off.",)),
        clip("a", "sarcastic", captions=("Calm, not angry.",)),
        clip("a", "sad", captions=("A furious voice.",)),
        clip("a", ""),
    ]
    targets, allowed = label_sets(told, emotions, {})
    assert targets.tolist() == [
        [True, False, True],
        [True, True, True],
        [False, True, False],
        [False, False, True],
        [False, False, False],
    ]
    assert allowed.tolist() == [[True] * 3] * 3 + [[False, False, True]] * 2


def test_votes_stand_for_a_label() -> None:
    targets, _ = label_sets([clip("a", "", votes={"angry": 0.75, "sad": 0.25})], ["angry", "sad"], {})
    assert targets.tolist() == [[True, False]]


def test_balance_counts_labels_of_a_corpus_equally_and_corpora_by_the_root_of_their_size() -> None:
    clips = [clip("a", "x")] * 30 + [clip("a", "y")] * 10 + [clip("b", "x")] * 10
    weights = balance(clips, {"b": CorpusRule(weight=0.5)})
    assert weights.mean() == pytest.approx(1.0)
    assert weights[:30].sum() == pytest.approx(weights[30:40].sum())
    assert weights[:40].sum() / weights[40:].sum() == pytest.approx(40**0.5 / (0.5 * 10**0.5), rel=1e-5)


def test_facts_tell_only_what_is_known() -> None:
    known = facts(clip("a", "sad", intensity="strong", gender="female"), [("pitch", "low")])
    assert (known.emotions, known.intensity, known.voice) == ((("sad", 1.0),), "strong", (("pitch", "low"),))
    assert known.gender is None, "nothing in a prompt tells the sex"
    unknown = facts(clip("a", "sad", intensity="XX"), [])
    assert (unknown.intensity, unknown.gender, unknown.voice) == (None, None, ())


def test_manifest_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    with pytest.raises(AlignCapError, match=r"m\.csv"):
        read_manifest(path)
    path.write_text(HEADER)
    with pytest.raises(AlignCapError, match="no rows"):
        read_manifest(path)
    path.write_text(HEADER + "1,x.wav,a,s,,sad,,train\n1,y.wav,a,s,,sad,,train\n")
    with pytest.raises(AlignCapError, match="duplicate id '1'"):
        read_manifest(path)
    path.write_text(HEADER + "1,x.wav,a,s,,sad,,train\n2,y.wav,a,s,,sad,,dev\n")
    with pytest.raises(AlignCapError, match="in train and in dev"):
        read_manifest(path)
    path.write_text(HEADER + "1,x.wav,a,s,,sad,,train\n")
    assert read_manifest(path)[0].audio == tmp_path / "x.wav"


def test_recipe_overrides_and_faults(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("seed: 3\nalign: {learning_rate: 1e-4}\ncorpora: {x: {labels: {low: [sad]}}}\n")
    recipe = load_recipe(path, ["align.steps=7", "model.taps=[1, 2]", "model.lora=null"])
    assert (recipe.seed, recipe.align.steps, recipe.align.learning_rate) == (3, 7, 1e-4)
    assert recipe.model.taps == [1, 2]
    assert recipe.model.lora is None
    assert recipe.corpora["x"].labels == {"low": ["sad"]}
    for override, message in [
        ("align.step=7", "did you mean 'steps'"),
        ("align.steps=many", "must be a int"),
        ("seed", "key=value"),
        ("align=3", "must be a mapping"),
    ]:
        with pytest.raises(AlignCapError, match=message):
            load_recipe(path, [override])
    with pytest.raises(AlignCapError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml")


def test_the_embedded_recipe_is_valid() -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "configs" / "embedded.yaml")
    assert recipe.model.taps == [1, 2, 3]
    assert np.isclose(recipe.corpora["baved"].weight, 0.3)
