"""The native kernel finds what plain numpy finds; tables find what is in them; markup between words is no word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import libertas.kernel as kernel
from libertas.curate.contamination.grams import Known, known_grams, known_windows
from libertas.curate.contamination.markup import unmarked
from libertas.curate.contamination.words import folded_words, folding_arguments, windows_of, words_of

compiled = pytest.mark.skipif(kernel.native is None, reason="the kernel was not compiled")
HARD = "aB'’-_ .\n9ßﬁİΣς½Ⅳé\u0301\u05b0\u0651\u200dनि्ก็ำ中ｶﾞ각\ufdfa\u00b4\U00020000\ud800\ufe0f<>&;"
PIECES = ["<b>", "</b>", "<br/>", "&nbsp;", "&#39;", "-\n", "&rsquo;", "<p class='x'>", " "]
TEXTS = st.lists(st.one_of(st.sampled_from([*HARD, *PIECES]), st.characters()), max_size=60).map("".join)


def without_kernel(call, *args):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "native", None)
        return call(*args)


@compiled
@given(st.lists(TEXTS, max_size=4))
def test_words_are_those_of_the_reference(texts):
    ours, reference = words_of(texts), without_kernel(words_of, texts)
    for name in ("hashes", "starts", "ends", "first"):
        assert getattr(ours, name).tolist() == getattr(reference, name).tolist()


@compiled
@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.lists(st.integers(1, 9), max_size=3, unique=True),
    st.integers(0, 2**32 - 1),
)
def test_known_grams_are_those_of_the_reference(row, lengths, seed):
    words = np.random.default_rng(7).integers(0, 2**64, 6, np.uint64)[np.array(row, np.int64)]
    everything = Known.of(np.sort(np.random.default_rng(1).integers(0, 2**64, 30, np.uint64)))
    assert sorted_rows(known_grams(words, lengths, everything)) == []
    all_of_them = Known.of(np.unique(every_gram(words, lengths)))
    drawn = np.random.default_rng(seed).random(len(all_of_them.keys)) < 0.5
    some = Known.of(all_of_them.keys[drawn])
    for known in (all_of_them, some):
        found = sorted_rows(known_grams(words, lengths, known))
        assert found == sorted_rows(without_kernel(known_grams, words, lengths, known))
    assert len(sorted_rows(known_grams(words, lengths, all_of_them))) == sum(max(len(row) - n + 1, 0) for n in lengths)


def every_gram(words, lengths):
    from libertas.curate.contamination.grams import word_grams
    from libertas.curate.contamination.words import mixed

    return np.concatenate(
        [np.empty(0, np.uint64), *(mixed(grams.copy()) for grams in word_grams(words, lengths).values())]
    )


def sorted_rows(found):
    return sorted(zip(*(column.tolist() for column in found), strict=True))


@compiled
@given(TEXTS, st.integers(1, 5))
def test_known_windows_are_those_of_the_reference(text, size):
    windows = windows_of(text, size)
    known = Known.of(np.unique(windows[::2]))
    found = known_windows(text, size, known)
    assert found.tolist() == without_kernel(known_windows, text, size, known).tolist()
    assert sorted(set(found.tolist())) == list(range(len(known.keys)))


def test_windows_are_rows_of_letters_and_digits_whatever_stands_between_them():
    one, other = windows_of("a b-c, 1 2!d", 4), windows_of("ABC12D", 4)
    assert one.tolist() == other.tolist()
    assert len(one) == 3
    assert len(windows_of("abc", 4)) == 0


@compiled
def test_tables_of_another_size_are_refused_by_the_kernel():
    words, known = np.arange(9, dtype=np.uint64), Known.of(np.arange(3, dtype=np.uint64))
    sizes, arguments = np.array([2]), list(folding_arguments("a text"))
    for broken in (known.filter[:-1], known.filter[:0]):
        with pytest.raises(ValueError, match="another size"):
            kernel.native.gram_places(words, sizes, broken, known.keys)
        with pytest.raises(ValueError, match="another size"):
            kernel.native.window_places(*arguments, 2, broken, known.keys)
    for place in (2, 3, 4, 5):
        with pytest.raises(ValueError, match="another size"):
            kernel.native.folded_hashes(*[a[:-1] if n == place else a for n, a in enumerate(arguments)])
    with pytest.raises(ValueError, match="another size"):
        kernel.native.window_places(*arguments, 1000, known.filter, known.keys)
    assert kernel.native.gram_places(words, np.array([0, -3, 10]), known.filter, known.keys) == b""


def test_markup_between_words_is_written_over_and_every_character_keeps_its_place():
    text = "<p class='a'>It&#39;s&nbsp;<b>the</b> exam-\n ple of 2 < 3 & vector<T> x;<br/>"
    plain = unmarked(text)
    assert len(plain) == len(text)
    assert folded_words(text) == ["its", "the", "example", "of", "2", "3", "vector", "t", "x"]
    words = words_of([text])
    spans = [text[a:b] for a, b in zip(words.starts, words.ends, strict=True)]
    assert spans == ["It&#39;s", "the", "exam-\n ple", "of", "2", "3", "vector", "T", "x"]
    assert unmarked("nothing of it") == "nothing of it"
    assert unmarked("<p " * 50_000) == "<p " * 50_000
