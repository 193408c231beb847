"""Words come out the same however a text is folded_words, each at its exact place."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.contamination import words as module
from libertas.curate.contamination.grams import word_grams
from libertas.curate.contamination.words import folded_words, scale_of, words_of

HARD = "aB'’-_ .\n9ßﬁİΣς½Ⅳé\u0301\u05b0\u0651\u200dनि्ก็ำ中ｶﾞ각\ufdfa\u00b4\U00020000\ud800\ufe0f"
TEXTS = st.text(st.one_of(st.sampled_from(HARD), st.characters()), max_size=60)


def spans(text: str) -> list[str]:
    words = words_of([text])
    return [text[a:b] for a, b in zip(words.starts, words.ends, strict=True)]


def test_words_stand_where_they_are_said_to_stand() -> None:
    assert spans("Don’t stop—“ﬁnally”, cafe\u0301 no. 1,000!") == [
        "Don’t",
        "stop",
        "ﬁnally",
        "cafe\u0301",
        "no",
        "1",
        "000",
    ]
    assert spans("我们 2024年") == ["我", "们", "2024", "年"]
    assert spans("ที่นี่") == ["ท", "ี่", "น", "ี่"]  # a tone belongs to its vowel
    assert spans("किताबें पढ़ो") == ["किताबें", "पढ़ो"]
    assert spans("a½b") == ["a½", "½b"]  # the fraction is "1", a slash and "2", as NFKC has it


@given(TEXTS)
def test_hashes_agree_with_words_spelled_out_one_by_one(text: str) -> None:
    words = words_of([text])
    expected = folded_words(text)
    assert len(words.hashes) == len(expected)
    by_word = {word: int(h) for word, h in zip(expected, words.hashes, strict=True)}
    assert [by_word[w] for w in expected] == words.hashes.tolist()
    assert len(set(by_word.values())) == len(by_word)


@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_compatible_and_caseless_spellings_are_equal(text: str, form: str) -> None:
    text = text.replace("\u00b4", "").replace("\ud800", "")  # an acute alone is our apostrophe, for NFKD a space
    other = unicodedata.normalize(form, unicodedata.normalize(form, text).casefold())
    assert words_of([text]).hashes.tolist() == words_of([other]).hashes.tolist()


@given(st.lists(TEXTS, max_size=6))
def test_the_words_of_a_text_depend_on_it_alone(texts: list[str]) -> None:
    together = words_of(texts)
    for number, text in enumerate(texts):
        alone, part = words_of([text]), slice(*together.first[number : number + 2].tolist())
        assert together.hashes[part].tolist() == alone.hashes.tolist()
        assert together.starts[part].tolist() == alone.starts.tolist()
        assert together.ends[part].tolist() == alone.ends.tolist()


def test_long_texts_are_hashed_in_parts_and_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "one two, three ’four’ " * 40, "fünf", "six seven " * 5, ""]
    whole = words_of(texts)
    monkeypatch.setattr(module, "CHUNK", 100)
    monkeypatch.setattr(module, "LONGEST_WORD", 50)
    parts = words_of(texts)
    for name in ("hashes", "starts", "first"):
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist()
    second = zip(parts.starts[:160].tolist(), parts.ends[:160].tolist(), strict=True)
    assert {texts[1][a:b].strip("’") for a, b in second} == {"one", "two", "three", "four"}
    assert len(words_of(["x" * 1000]).hashes) == 10  # a word without end is cut where a part ends


def test_the_thousandth_word_is_not_a_thousand_characters_early() -> None:
    """The script that decontaminated the Pile added up lengths of words and forgot the spaces between them."""
    text = " ".join(f"w{n}" for n in range(1001))
    words = words_of([text])
    assert text[words.starts[1000] :] == "w1000"
    assert sum(len(w) for w in text.split()[:1000]) == words.starts[1000] - 1000


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=50), st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True)
)
def test_windows_are_polynomials_of_their_words(values: list[int], lengths: list[int]) -> None:
    found = word_grams(np.array(values, np.uint64), lengths)
    for n in lengths:
        expected = [
            (sum(v * pow(module.MIXER, n - 1 - k, 2**64) for k, v in enumerate(values[i : i + n])) + n * module.MIXER)
            % 2**64
            for i in range(len(values) - n + 1)
        ]
        assert found[n].tolist() == expected


def test_scripts_without_spaces_have_more_words_for_one_of_english() -> None:
    assert scale_of("Kelvin hat 你好 gesagt, und dann ging er nach Hause") == 1
    assert scale_of("水的沸点是 373 K") == 2
    assert scale_of("ภาษาไทยไม่มีช่องว่าง") == 5
    assert scale_of("Привет, как дела?") == scale_of("...") == scale_of("") == 1
