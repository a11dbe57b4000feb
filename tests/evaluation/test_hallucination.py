from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.captions import EMOTIONS, INSTRUCTIONS
from aligncap.captions.annotate import Annotator
from aligncap.corpora import Row
from aligncap.errors import AlignCapError
from aligncap.evaluation.hallucination import TYPES, Evidence, evidence_of, judge

SAD = Evidence((("sad", 1.0),), (("pace", "slow"), ("pitch", "low")), "female", "Dogs are sitting by the door")
VOTES = Evidence((("sad", 0.7), ("fear", 0.2), ("angry", 0.07), ("happy", 0.03)))
LABELLED = Path(__file__).parent.parent.parent / "benchmarks" / "data" / "hallucinations.jsonl"


def types(caption: str, evidence: Evidence = SAD) -> set[str]:
    return {finding.type for finding in judge(caption, evidence)}


def weight(caption: str, evidence: Evidence) -> float:
    """Of the only finding."""
    (finding,) = judge(caption, evidence)
    return finding.weight


@pytest.mark.parametrize(
    "caption",
    [
        "She sounds sad and talks slowly.",
        "A woman's voice, low-pitched; she is sad, not angry.",
        "The speaker is disappointed, and not fast.",  # near sad; and she is slow
        "Sad, though she tries to sound cheerful.",
        "She sounds sad because her voice is so slow.",
        "Sad, without any background noise.",
        "She is sad, with rain in her voice.",
        "A trembling, sad voice.",  # nothing measures trembling
        "A loud, sad voice.",  # nor loudness, without other recordings
        "Sad, but not heartbroken.",
        "Saddened rather than sad.",
        "Very, very, very sad.",
        "Sad and nostalgic.",
    ],
)
def test_nothing_wrong(caption: str) -> None:
    assert judge(caption, SAD) == []


@pytest.mark.parametrize(
    ("caption", "type_"),
    [
        ("She sounds angry.", "emotion"),
        ("She sounds proud and sad.", "emotion"),
        ("She sounds neutral and not sad.", "denied"),
        ("Sad; she talks fast.", "voice_opposite"),
        ("Sad; she does not talk slowly.", "voice_opposite"),
        ("Sad, in a monotone.", "voice_unsupported"),
        ("Sad, at a normal pitch.", "voice_unsupported"),
        ("He sounds sad.", "gender"),
        ("Sie klingt sehr traurig.", "language"),
        ("She sounds sad. Su voz es muy baja.", "language"),
        ("她听起来很悲伤。", "language"),
        ("Sad, she says the dogs are sitting by the door.", "leakage"),
        ("Sad about a door and some dogs.", "leakage"),
        ("She is sad at a funeral.", "event"),
        ("She sounds sad, in a kitchen.", "place"),
        ("She sounds sad, in Berlin.", "place"),
        ("A sad, elderly woman.", "identity"),
        ("A sad nurse.", "identity"),
        ("A sad woman; rain is falling.", "sound"),
        ("She is sad because she lost her keys.", "content"),
        ("She is sad to lose her keys.", "content"),
        ('"I will never forgive you," she says sadly.', "content"),
        ("I'm sorry, but I can't hear the sad voice.", "refusal"),
        ("As an AI model, I only read text.", "refusal"),
        ("I\u2019m unable to process audio.", "refusal"),
        ("Sad sad sad sad.", "loop"),
        ("She is sad and slow and sad and slow and sad and slow and sad and slow.", "loop"),
        ("Her voice is sad. It is slow. Her voice is sad.", "loop"),
        ("", "form"),
        ("\U0001f600", "form"),
        ("She sounds sad, with a", "form"),
        ("She sounds sad,", "form"),
        ("Sad.<|im_end|>", "form"),
        ("Caption: she is sad.", "form"),
        ("Sure! Sad.", "form"),
        ('{"caption": "sad"}', "form"),
        ("Sad\ufffd.", "form"),
        ("She talks slowly.", "no_emotion"),
        ("She is not angry.", "no_emotion"),
    ],
)
def test_types(caption: str, type_: str) -> None:
    assert type_ in types(caption)


def test_types_do_not_bring_each_other() -> None:
    assert types("She sounds angry.") == {"emotion"}
    assert types("I'm sorry, I can't describe this emotion.") == {"refusal"}
    assert types("") == {"form"}
    assert types("Die Stimme klingt sehr traurig, und er spricht nicht laut.") == {"language"}
    assert types("Sad, she says the dogs are sitting by the door.") == {"leakage"}
    assert types("The sad girl.") == set()


def test_the_weight_of_an_emotion_is_the_share_of_listeners_who_would_disagree() -> None:
    assert weight("Angry.", VOTES) == pytest.approx(0.93)
    assert weight("Perhaps angry.", VOTES) == pytest.approx(0.4 * 0.93)
    assert weight("Happy.", VOTES) > weight("Angry.", VOTES) > weight("Afraid.", VOTES) == pytest.approx(0.8)
    assert weight("Disgusted.", VOTES) == 1.0


def test_mixtures_and_hedges() -> None:
    assert judge("Sad, with a hint of fear.", VOTES) == []
    assert types("Sad and afraid.", VOTES) == {"overstated"}
    assert types("Afraid.", VOTES) == {"emotion"}  # a trace, told in place of the main emotion
    even = Evidence((("sad", 0.55), ("fear", 0.45)))
    assert judge("Sad and afraid.", even) == judge("Afraid.", even) == []
    assert types("Sad, not afraid.", even) == {"denied"}
    assert judge("Sad, not afraid.", VOTES) == []  # as most listeners would say


def test_near_labels_count_as_each_other() -> None:
    assert judge("Calm.", Evidence((("neutral", 1.0),))) == []
    assert types("Disappointed.", Evidence((("neutral", 1.0),))) == {"emotion"}
    assert judge("Sad, not disappointed.", Evidence((("sad", 1.0),))) == []


def test_feelings_that_are_no_label_must_exclude_what_is_heard() -> None:
    assert types("Proud.", Evidence((("happy", 1.0),))) == set()
    assert weight("Proud.", Evidence((("fear", 1.0),))) == 0.5
    assert types("Sarcastic and angry.", Evidence((("angry", 1.0),))) == set()
    assert types("Proud.", Evidence((("happy", 0.4), ("sad", 0.6)))) == set()


def test_what_is_not_known_is_not_judged() -> None:
    nothing = Evidence()
    assert judge("An angry, loud, slow voice.", nothing) == []
    assert weight("An angry man.", nothing) == 0.5  # invented, right or wrong
    unmeasured = replace(SAD, voice=None)
    assert judge("Sad and fast.", unmeasured) == []


def test_a_word_with_several_meanings_is_right_where_one_is() -> None:
    high = Evidence((("sad", 1.0),), (("pitch", "high"),))
    ordinary = Evidence((("sad", 1.0),), ())
    assert types("A sad, low voice.", high) == {"voice_opposite"}
    assert types("A sad, low voice.", ordinary) == set()  # may be quiet, which was not measured
    assert types("A sad, low voice.", replace(ordinary, measured=("pitch", "loudness"))) == {"voice_unsupported"}
    assert types("A tense voice.", Evidence((("fear", 1.0),), ())) == set()


def test_a_word_that_claims_two_things_is_one_mistake() -> None:
    angry = Evidence((("angry", 1.0),), (("loudness", "quiet"),))
    assert [finding.type for finding in judge("He shouts angrily.", replace(angry, gender="male"))] == [
        "voice_opposite"
    ]


def test_one_finding_for_what_is_said_again() -> None:
    assert Counter(f.type for f in judge("He raises his voice, and he is sad and angry, angry.", SAD)) == {
        "emotion": 1,
        "gender": 1,
    }


@pytest.mark.parametrize(
    ("caption", "form", "obeys"),
    [
        ("Sad.", "word", True),
        ("She is sad.", "word", False),
        ("She is sad. Very.", "sentence", False),
        ("She talks slowly.", "voice", True),
        ("She talks slowly and sadly.", "voice", False),
        ("She is so sad.", "emotion", True),
        ("She is sad and slow in speech.", "emotion", False),
        ("Sad, slow", "list", True),
        ("Sad; slow.", "list", False),
        ("She sounds sad and talks slowly.", None, True),
    ],
)
def test_instructions(caption: str, form: str | None, obeys: bool) -> None:
    found = judge(caption, replace(SAD, instruction=form))  # type: ignore[arg-type]
    assert [finding.type for finding in found] == ([] if obeys else ["instruction"])


def test_captions_in_other_languages() -> None:
    chinese, german = replace(SAD, language="zh-CN"), replace(SAD, language="de")
    assert judge("她听起来很悲伤。语速缓慢。", chinese) == []
    assert judge("Sie klingt sehr traurig, und sie spricht langsam.", german) == []
    assert types("She sounds sad and talks slowly.", chinese) == {"language"}
    assert types("She sounds sad and she talks slowly.", german) == {"language"}
    assert types("彼女は悲しそうです。", chinese) == {"language"}
    assert judge("Zij klinkt zeer verdrietig.", replace(SAD, language="xx")) == []


@pytest.mark.parametrize(
    ("caption", "transcript", "leaks"),
    [
        ("He sounds happy.", "I am so happy to see you", False),
        ("She speaks in a sad voice.", "Do not speak to me in that voice", False),
        ("Sad, by the door.", "Kids are talking by the door", False),
        ("他说我们今天去公园吃饭吧", "我们今天去公园吃饭吧", True),
        ("Sad: der Lappen liegt auf dem Eisschrank.", "Der Lappen liegt auf dem Eisschrank", True),
        ("Sad; he visited museums and gardens.", "We visit the museum and the garden", True),
        ("Sad.", "", False),
    ],
)
def test_leakage(caption: str, transcript: str, leaks: bool) -> None:
    assert ("leakage" in types(caption, Evidence(transcript=transcript, language="xx"))) is leaks


def test_findings_say_what_and_why() -> None:
    first, second = judge("She sounds angry at a funeral.", SAD)
    assert (first.kind, first.text, second.kind, second.text) == ("factuality", "angry", "faithfulness", "funeral")
    assert first.reason == "'angry': nobody hears angry"
    assert judge("Afraid.", VOTES)[0].reason == "'Afraid': 20% of the listeners hear fear"


def test_evidence_of_a_row() -> None:
    row = Row("a", "a.wav", emotion="annoyance", gender="male", transcript="Hello", language="de")
    assert evidence_of(row) == Evidence((), None, "male", "Hello")
    labelled = replace(row, emotion="angry")
    assert evidence_of(labelled).emotions == (("angry", 1.0),)
    voted = evidence_of(replace(labelled, votes={"sad": 0.5, "anger": 0.25, "other": 0.2, "fear": 0.05}))
    assert voted.emotions == (("sad", 0.625), ("angry", 0.3125), ("fear", 0.0625))
    measured = replace(labelled, clues={"words": ["pace:fast"]})
    assert evidence_of(measured).voice == (("pace", "fast"),)
    assert evidence_of(replace(labelled, clues={"words": []})).voice == ()
    assert evidence_of(measured, voice=[("pace", "slow")]).voice == (("pace", "slow"),)


def test_the_instruction_of_evidence_is_a_form_or_a_wording() -> None:
    row = Row("a", "a.wav", emotion="sad")
    assert evidence_of(row, instruction="word").instruction == "word"
    assert evidence_of(row, instruction="Describe only the voice.").instruction == "voice"
    assert evidence_of(row, instruction="Sing it.").instruction is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"emotions": (("sadness", 1.0),)}, "unknown emotion 'sadness'"),
        ({"emotions": (("sad", 0.5),)}, "do not sum to 1"),
        ({"voice": (("pitch", "fast"),)}, "unknown level of pitch"),
        ({"gender": "f"}, "unknown gender 'f'"),
        ({"instruction": "haiku"}, "unknown form of answer 'haiku'"),
    ],
)
def test_evidence_that_makes_no_sense(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(AlignCapError, match=message):
        Evidence(**wrong)  # type: ignore[arg-type]


def test_our_own_captions_are_clean() -> None:
    annotator = Annotator(captions=2, answers=2, with_gender=True)
    for i in range(30):
        words = [("pitch:high", "pace:slow", "melody:flat")[i % 3]]
        votes = {EMOTIONS[i % 10]: 0.7, EMOTIONS[(i + 3) % 10]: 0.3} if i % 2 else {}
        row = Row(f"c/{i}", "a.wav", emotion=EMOTIONS[i % 10], gender="female", votes=votes, clues={"words": words})
        done = annotator.annotate(row)
        assert [finding for text in done.captions for finding in judge(text, evidence_of(row))] == []
        for answer in done.extra["answers"]:
            assert judge(answer["answer"], evidence_of(row, instruction=answer["instruction"])) == []


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(sorted(set(INSTRUCTIONS.values()))), st.text(max_size=30))
def test_any_text_is_judged(caption: str, form: str, transcript: str) -> None:
    evidence = replace(VOTES, voice=(("pitch", "high"),), transcript=transcript, instruction=form)  # type: ignore[arg-type]
    found = judge(caption, evidence)
    assert found == judge(caption, evidence)
    for finding in found:
        assert TYPES[finding.type] == finding.kind
        assert 0 < finding.weight <= 1


def test_a_text_without_end_is_judged_by_its_beginning() -> None:
    found = judge("She is sad. " * 100_000, SAD)
    assert {finding.type for finding in found} == {"form", "loop"}
    assert "1,200,000 characters" in "".join(finding.reason for finding in found)


def test_the_labelled_captions() -> None:
    lines = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 200
    assert sum(not line["types"] for line in lines) >= 80
    for half in ("develop", "test"):
        labelled = Counter(name for line in lines if line["half"] == half for name in line["types"])
        assert set(labelled) == set(TYPES)
        assert min(labelled.values()) >= 6
