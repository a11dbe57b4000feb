import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap.errors import MissingExtraError
from aligncap.metrics import tokenize, tokenizer_for
from aligncap.metrics.tokenize import PUNCTUATION, TOKENIZERS, _jieba

# what Stanford's PTBTokenizer (CoreNLP 3.4.1, -preserveLines -lowerCase) and coco-caption's filter make of these
STANFORD = {
    "She can't believe it's John's; they won't, I'm.": "she ca n't believe it 's john 's they wo n't i 'm",
    "cannot gonna wanna gotta lemme 'tis": "can not gon na wan na got ta lem me 't is",
    "A high-pitched, well-known voice -- trembling - and/or screaming...": (
        "a high-pitched well-known voice trembling and/or screaming"
    ),
    "(loudly) [softly] {x}": "-lrb- loudly -rrb- -lsb- softly -rsb- -lcb- x -rcb-",
    "Mr. Smith, Dr. Jones, U.S.A. e.g. a.m. vs. the U.S. end.": "mr. smith dr. jones u.s.a. e.g. a.m. vs. the u.s. end",
    "costs $5.00 or £3 and 1,000.50 at 10:30 on 12/25/2020, 3/4, 50%": (
        "costs $ 5.00 or # 3 and 1,000.50 at 10:30 on 12/25/2020 3/4 50 %"
    ),
    "\u201cquoted\u201d 'single' \u2018curly\u2019 it\u2019s": "quoted single curly it 's",
    "don\u2019t en\u2013dash ellipsis\u2026": "do n't en dash ellipsis",
    "hello!!! what?! wow? ok! ** +2": "hello !!! what ?! wow ok ** +2",
    "o'clock ma'am '90s 1990s 20-year-old 6ft 44.1khz": "o'clock ma'am '90s 1990s 20-year-old 6ft 44.1 khz",
    "the women's dogs' voice": "the women 's dogs voice",
    "no. 5 is a no.": "no. 5 is a no",
    "naïve café 😀 happy": "naïve café happy",
    "me@mail.com http://example.com/a?b=c @user #tag": "me@mail.com http://example.com/a?b=c @user #tag",
}


@pytest.mark.parametrize("text", STANFORD)
def test_penn_treebank(text):
    assert tokenize([text]) == [STANFORD[text]]


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_tokenizer_fails_or_leaves_stray_space(text):
    for name in ("ptb", "characters", "words"):
        tokens = tokenize([text], name)[0]
        assert tokens == " ".join(tokens.split())
        assert not PUNCTUATION & set(tokens.split())


def test_characters():
    assert tokenize(["她很sad\uff0c语速Fast 2倍。"], "characters") == ["她 很 sad 语 速 fast 2 倍"]
    assert tokenize(["とても悲しい"], "characters") == ["と て も 悲 し い"]


def test_words_of_other_scripts_keep_their_marks():
    assert tokenize(["Übel: l\u2019été, naïve!"], "words") == ["übel l été naïve"]
    assert tokenize(["वह दुखी है।"], "words") == ["वह दुखी है"]


def test_tokenizer_of_a_language():
    assert [tokenizer_for(tag) for tag in ("en-IN", "", "zh-CN", "ja", "de", "it-IT")] == [
        "ptb",
        "ptb",
        "characters",
        "characters",
        "words",
        "words",
    ]


def test_unknown_tokenizer():
    with pytest.raises(ValueError, match=r"no tokenizer 'moses'; there are: ptb-java, ptb, "):
        tokenize(["a"], "moses")


def test_jieba():
    assert tokenize(["她的声音很悲伤。"], "jieba") == ["她 的 声音 很 悲伤"]


def test_without_jieba(monkeypatch):
    _jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(MissingExtraError, match=r"aligncap\[metrics\]"):
        TOKENIZERS["jieba"]("悲伤")
    _jieba.cache_clear()
