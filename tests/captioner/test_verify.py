"""Captions that nothing supports, or that are clumsy, are written again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aligncap.captioner import Captioner, Sampling
from aligncap.captioner.sampling import CAREFUL, VARIED
from aligncap.captioner.verify import abstention, can_verify, clumsy, doubts, supports, without_doubts
from aligncap.captions import Facts, answer
from aligncap.captions.prompt import DEFAULT_INSTRUCTION, WORD_INSTRUCTION

SAD = {"sad": 0.6, "calm": 0.3, "happy": 0.06, "angry": 0.04}
VOICE = [("pace", "slow")]


def found(caption: str, emotions: dict[str, float] = SAD, voice: list[tuple[str, str]] = VOICE) -> tuple[str, ...]:
    return doubts(caption, DEFAULT_INSTRUCTION, emotions, voice)


@pytest.mark.parametrize(
    "caption",
    [
        "The speaker sounds sad and talks slowly.",
        "A sorrowful voice, perhaps calm.",
        "The speaker sounds sad.",
    ],
)
def test_what_is_supported(caption: str) -> None:
    assert found(caption) == ()


@pytest.mark.parametrize(
    ("caption", "about"),
    [
        ("The speaker sounds cheerful.", "happy"),
        ("The speaker talks slowly.", "sad"),
        ("The speaker sounds sad and talks fast.", "pace"),
        ("The speaker sounds sad and talks in a high voice.", "pitch"),
        ("The speaker sounds sad at a funeral.", "nothing is known"),
        ("The speaker sounds calm.", "sad"),
    ],
)
def test_what_is_not(caption: str, about: str) -> None:
    assert any(about in doubt for doubt in found(caption))


@pytest.mark.parametrize(
    ("caption", "about"),
    [
        ("The speaker talks in a happy tone and seems happy.", "'happy' and 'happy'"),
        ("There is sadness in the voice; the speaker seems sad.", "'sadness' and 'sad'"),
        ("The speaker talks quickly and sounds angry, and the pace is fast.", "'quickly' and 'fast'"),
        ("The speaker talks in an sad tone.", "an sad"),
        ("A angry voice.", "A angry"),
    ],
)
def test_what_is_clumsy(caption: str, about: str) -> None:
    assert any(about in reason for reason in clumsy(caption))


@pytest.mark.parametrize(
    "caption",
    [
        "The speaker is sad, and the voice sounds melancholic.",
        "The speaker sounds happy, not angry, and talks fast in a high voice.",
        "An angry voice, a uniform tone, an hour of it in a house.",
        "",
    ],
)
def test_what_is_not_clumsy(caption: str) -> None:
    assert clumsy(caption) == ()


def test_captions_of_the_grammar_are_not_clumsy() -> None:
    rng = np.random.default_rng(0)
    for label in ("angry", "calm", "fear", "happy", "neutral", "sad", "surprise"):
        facts = Facts(((label, 0.7), ("disgust", 0.3)), voice=(("pace", "fast"), ("pitch", "high")))
        assert not any(clumsy(answer(facts, DEFAULT_INSTRUCTION, rng)) for _ in range(20))


def test_of_two_equal_emotions_either_may_be_told() -> None:
    even = {"sad": 0.45, "calm": 0.4, "happy": 0.15}
    assert found("The speaker sounds calm.", even) == found("The speaker sounds sad.", even) == ()
    assert found("The speaker sounds happy.", even)


def test_only_prompts_of_a_known_form_are_verified() -> None:
    assert can_verify(DEFAULT_INSTRUCTION)
    assert not can_verify(WORD_INSTRUCTION)
    assert not can_verify("Was sagt die Stimme?")


def test_every_claim_carries_its_support() -> None:
    text = "The speaker sounds sad, not happy, and talks slowly in a high voice, perhaps from Berlin."
    by_target = {(claim.kind, claim.target): claim for claim in supports(text, SAD, VOICE)}
    assert by_target["emotion", "sad"].support == 0.6
    assert (by_target["emotion", "happy"].support, by_target["emotion", "happy"].denied) == (0.94, True)
    assert by_target["acoustic", "pace:slow"].support == 1.0
    assert by_target["acoustic", "pitch:high"].support == 0.0
    assert [claim.support for claim in supports(text, SAD, VOICE) if claim.kind == "other"] == [0.0]
    assert all(text.count(claim.text) for claim in supports(text, SAD, VOICE))


@pytest.mark.parametrize(
    ("caption", "left"),
    [
        ("The speaker sounds sad. The voice is loud.", "The speaker sounds sad."),
        ("The voice is loud. The speaker sounds sad and talks slowly.", "The speaker sounds sad and talks slowly."),
        ("The speaker sounds sad and loud.", None),
        ("The speaker sounds happy. They talk slowly.", None),
    ],
)
def test_doubtful_sentences_are_dropped(caption: str, left: str | None) -> None:
    assert without_doubts(caption, DEFAULT_INSTRUCTION, SAD, VOICE) == left


def test_abstaining_tells_what_was_measured_and_nothing_else() -> None:
    assert abstention([]) == "The emotion is unclear."
    assert abstention([("pace", "slow"), ("pitch", "high")]) == "The emotion is unclear. Voice: slow, high-pitched."


class Writer:
    """Stands where captions are decoded: first ones are wrong, and some of those drawn again right."""

    def __init__(self, wrong: str, drawn: list[str]) -> None:
        self.wrong, self.drawn, self.asked = wrong, drawn, 0

    def __call__(self, listened, clips, num_captions: int, sampling: Sampling) -> list:
        first = sampling in (VARIED, CAREFUL) or sampling.temperature == 0
        self.asked += not first
        text = self.wrong if first else self.drawn[min(sampling.seed, len(self.drawn)) - 1]
        return [([text], []) for _ in clips]


@pytest.fixture
def scripted(captioner: Captioner, clip, monkeypatch: pytest.MonkeyPatch):
    """A captioner whose words are given, the strongest emotion that it hears, and the weakest."""
    heard = list(captioner.caption((clip(1), 16_000), verify=False)[0].emotions)

    def use(wrong: str, drawn: list[str]) -> Writer:
        writer = Writer(wrong, drawn)
        monkeypatch.setattr(captioner, "_write", writer)
        # what random weights hear is nearly uniform: one emotion must be the likeliest by far
        monkeypatch.setattr("aligncap.captioner.torch_captioner.label_probabilities", lambda *_: sure(heard, captioner))
        return writer

    return use, heard[0], heard[-1]


def sure(heard: list[str], captioner: Captioner):
    import torch

    labels = list(captioner.model.config.emotions)
    return torch.nn.functional.one_hot(torch.tensor([labels.index(heard[0])]), len(labels)).float()


def test_a_doubted_caption_is_written_again(captioner: Captioner, clip, scripted) -> None:
    use, likely, unlikely = scripted
    right = f"The speaker sounds {WORDS[likely]}."
    writer = use(f"The speaker sounds {WORDS[unlikely]}.", [f"They feel {WORDS[unlikely]}.", right, "Something else."])
    for sampling, asked in ((None, 2), (Sampling(temperature=0), 4)):
        (result,) = captioner.caption((clip(1), 16_000), sampling=sampling)
        assert (result.caption, result.doubts, writer.asked) == (right, (), asked)


def test_a_clumsy_caption_is_written_again(captioner: Captioner, clip, scripted) -> None:
    use, likely, unlikely = scripted
    right, doubted = f"The speaker sounds {WORDS[likely]}.", f"They feel {WORDS[unlikely]}."
    clumsy = f"The speaker sounds {WORDS[likely]} and seems {WORDS[likely]}."
    for first, drawn, expected, asked in (
        (clumsy, [doubted, clumsy, right, "Something else."], right, 3),
        (clumsy, [doubted], clumsy, 4),
        (doubted, [clumsy, doubted, right], right, 3),
        (doubted, [clumsy, doubted], clumsy, 4),
    ):
        writer = use(first, drawn)
        (result,) = captioner.caption((clip(1), 16_000))
        assert (result.caption, result.doubts, writer.asked) == (expected, (), asked)


def test_doubts_that_remain_are_told(captioner: Captioner, clip, scripted) -> None:
    use, likely, unlikely = scripted
    wrong = f"The speaker sounds {WORDS[unlikely]}."
    use(wrong, [wrong, wrong])
    (result,) = captioner.caption((clip(1), 16_000))
    assert result.caption == wrong
    assert any(likely in doubt for doubt in result.doubts)
    assert result.to_dict()["doubts"] == list(result.doubts)


def test_a_caption_is_written_again_from_what_was_heard_of_its_clip(captioner: Captioner, clip, monkeypatch) -> None:
    """Of three clips the second is doubted: what is drawn for it does not depend on the others."""
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 12)
    sounds = [(clip(seconds, seed), 16_000) for seed, seconds in enumerate((0.4, 3.0, 1.0))]
    doubted = captioner.caption(sounds[1], verify=False, sampling=VARIED)[0].caption
    expected = captioner.caption(sounds[1], sampling=replace(VARIED, seed=1))[0].caption
    assert doubted != expected
    monkeypatch.setattr("aligncap.captioner.captioner.doubts", lambda text, *_: ("no",) if text == doubted else ())
    first, second, third = captioner.caption(sounds)
    assert second.caption == expected
    plain = captioner.caption(sounds, verify=False, sampling=VARIED)
    assert (first, third) == (plain[0], plain[2])


def test_supported_captions_and_drawn_ones_are_left_alone(captioner: Captioner, clip, scripted) -> None:
    use, likely, unlikely = scripted
    wrong = f"The speaker sounds {WORDS[unlikely]}."
    writer = use(wrong, [wrong])
    (unverified,) = captioner.caption((clip(1), 16_000), verify=False)
    (drawn,) = captioner.caption((clip(1), 16_000), sampling=Sampling())
    assert (unverified.caption, unverified.doubts, drawn.caption, writer.asked) == (wrong, (), wrong, 1)
    assert drawn.doubts
    assert (unverified.claims, drawn.claims[0].text) == ((), WORDS[unlikely])
    writer = use(f"The speaker sounds {WORDS[likely]}.", [])
    assert captioner.caption((clip(1), 16_000))[0].doubts == ()
    assert writer.asked == 0


def test_strict_captions_lose_what_remains_doubtful(captioner: Captioner, clip, scripted) -> None:
    use, likely, unlikely = scripted
    right = f"The speaker sounds {WORDS[likely]}."
    mixed = f"{right} They also seem {WORDS[unlikely]}."
    use(mixed, [mixed])
    (result,) = captioner.caption((clip(1), 16_000), verify="strict")
    assert (result.caption, result.doubts, result.abstained) == (right, (), False)
    use(wrong := f"They seem {WORDS[unlikely]}.", [wrong])
    (result,) = captioner.caption((clip(1), 16_000), verify="strict")
    assert result.caption.startswith("The emotion is unclear.")
    assert (result.doubts, result.abstained, result.to_dict()["abstained"]) == ((), True, True)


def test_strict_captioning_abstains_where_no_emotion_is_likelier_than_the_others_together(
    captioner: Captioner, clip, scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    use, likely, _ = scripted
    use(right := f"The speaker sounds {WORDS[likely]}.", [right])
    (sure_one,) = captioner.caption((clip(1), 16_000), verify="strict")
    monkeypatch.setattr(captioner.model.config, "answer_share", 0.05)
    (doubtless,) = captioner.caption((clip(1), 16_000))
    (unsure,) = captioner.caption((clip(1), 16_000), verify="strict")
    assert (sure_one.caption, sure_one.abstained) == (right, False)
    assert (doubtless.caption, doubtless.doubts) == (right, ())
    assert 0.3 < max(unsure.emotions.values()) < 0.5
    assert unsure.abstained


WORDS = {
    "angry": "angry",
    "boredom": "bored",
    "calm": "calm",
    "disappointed": "disappointed",
    "disgust": "disgusted",
    "fear": "afraid",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
