import json
from pathlib import Path

from aligncap.captions.phrases import load_data
from aligncap.captions.writer import clue_words, word_of
from aligncap.clues.words import BASIC_DIMENSIONS, scales

WORDS = Path(__file__).parents[1] / "examples/web/words.mjs"


def test_the_words_of_the_web_example_are_those_of_the_package() -> None:
    words = json.loads(WORDS.read_text(encoding="utf-8").partition("export default")[2].strip().rstrip(";"))
    assert words["feelings"] == {label: word_of(label) for label in load_data("lexicon.yaml")["emotions"]}
    known = [scale for scale in scales() if scale.dimension in BASIC_DIMENSIONS]
    assert not any(scale.at_least or scale.at_most for scale in known)  # the example does not look at them
    assert words["voice"] == [
        {"dimension": scale.dimension, "clue": scale.clue}
        | {
            end: {
                "threshold": bound.thresholds["pooled"],
                "word": clue_words([(scale.dimension, bound.level)])[0],
            }
            for end, bound in (("low", scale.low), ("high", scale.high))
            if bound
        }
        for scale in known
    ]
