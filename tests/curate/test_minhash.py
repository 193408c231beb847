import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import libertas.kernel as kernel
from libertas.curate import minhash

SOME_TEXT = st.text(alphabet="aAbB cC\n.,_1éЖء漢字ภา。“\u00a0🙂 ", max_size=60)


PIECES = [
    " ", "\n", "\x00", "a", "Ab_1", "is", "eight888", "nine9nine", "x" * 63, "Y" * 64, "Z" * 65, "ß" * 40, "_", "@",
    "[", "`", "{", "\x7f", "\x80", "\xa0", "\xbf", "\xc0", "é", "Ж", "ء", "ภา", "ཀ", "ក", "漢", "字" * 30, "カ",
    "ﾊ", "𠀀", "。", "“", "→", "🙂", "\U0001ffff", "\ufeff", "\ud800", "\udfff", "\U0010ffff",
]  # fmt: skip
SOUP = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=80).map("".join)
compiled = pytest.mark.skipif(kernel.native is None, reason="the kernel was not compiled")


def by_python(call: Callable[..., Any], *args: Any) -> Any:
    """What a call gives without the kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "native", None)
        return call(*args)


def assert_same_as_the_reference(texts: list[str], n: int = minhash.SHINGLE_WORDS) -> None:
    found, expected = minhash.word_hashes(texts), by_python(minhash.word_hashes, texts)
    pairs = [(getattr(found, field), getattr(expected, field)) for field in ("hashes", "starts", "ends", "first")]
    pairs += zip(minhash.shingles(texts, n), by_python(minhash.shingles, texts, n), strict=True)
    pairs.append((minhash.signatures(texts), by_python(minhash.signatures, texts)))
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def words(text: str) -> list[str]:
    """The definition, character by character."""
    lower = "".join(c.lower() if c.isascii() else c for c in text)
    return re.findall("[\u4e00-\u9fff\u0e00-\u0e7f]|[a-z0-9_é\u0416\u0621]+", lower)


def ngrams(text: str, n: int = minhash.SHINGLE_WORDS) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(max(len(found) - n + 1, 1))} if found else set()


def text_of(numbers: list[int]) -> str:
    return " ".join(f"w{n}" for n in numbers)


@given(st.lists(SOME_TEXT, max_size=5), st.integers(1, 6))
def test_two_shingles_are_equal_exactly_when_their_words_are(texts: list[str], n: int) -> None:
    values, owners = minhash.shingles(texts, n)
    found = [set(values[owners == i].tolist()) for i in range(len(texts))]
    expected = [ngrams(text, n) for text in texts]
    assert [len(f) for f in found] == [len(e) for e in expected]
    for i in range(len(texts)):
        for j in range(i):
            assert len(found[i] & found[j]) == len(expected[i] & expected[j])


@given(st.lists(SOME_TEXT, max_size=6), st.integers(0, 6))
def test_a_signature_depends_on_its_own_text_alone(texts: list[str], cut: int) -> None:
    together = minhash.signatures(texts)
    apart = np.concatenate([minhash.signatures(texts[:cut]), minhash.signatures(texts[cut:])])
    assert np.array_equal(together, apart)


@given(SOME_TEXT, st.sampled_from(["", "x" * 100, "漢"]))
def test_words_are_found_where_they_stand(text: str, longer: str) -> None:
    found = minhash.word_hashes(["one", text + longer, "a 🙂"])
    data = (text + longer).encode()
    inside = slice(*found.first[1:3].tolist())
    spans = zip(found.starts[inside].tolist(), found.ends[inside].tolist(), strict=True)
    lower = [data[start:end].decode() for start, end in spans]
    assert ["".join(c.lower() if c.isascii() else c for c in word) for word in lower] == words(text + longer)
    assert len(set(found.hashes[inside].tolist())) == len(set(words(text + longer)))
    assert found.starts[-1] == 0


@pytest.mark.parametrize("gap", [" ", "\n", "", "。"])
def test_a_text_of_many_blocks_is_cut_at_no_word(gap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "native", None)
    text = gap.join(["abc defg hijklmnopq rs", "漢字 and more", "t" * 70, "字" * 90, "ß" * 80] * 40)
    whole = minhash.word_hashes([text])
    monkeypatch.setattr(minhash, "BLOCK", 50)
    cut = minhash.word_hashes([text])
    assert np.array_equal(whole.hashes, cut.hashes)
    assert np.array_equal(whole.starts, cut.starts)


@compiled
@given(st.lists(SOUP, max_size=6), st.integers(1, 8))
def test_the_kernel_gives_bit_for_bit_what_the_reference_gives(texts: list[str], n: int) -> None:
    assert_same_as_the_reference(texts, n)


@compiled
def test_the_kernel_knows_every_character_as_the_reference_does() -> None:
    assert_same_as_the_reference(["".join(f"a{chr(c)}b" for c in range(first, 0x110000, 8)) for first in range(8)])


@compiled
@pytest.mark.parametrize("size", [0, 1, 4, 5, 4092, 4096, 4100, 4101, 9000])
def test_texts_of_any_number_of_words_are_read_by_the_kernel_as_by_the_reference(size: int) -> None:
    texts = [text_of([*range(size)]), "ab " * size, "字" * size]
    for n in (1, 5, 50):
        assert_same_as_the_reference(texts, n)


@compiled
def test_words_that_begin_or_end_at_any_place_of_a_chunk_are_read_as_by_the_reference() -> None:
    for word in ("x", "x" * 63, "ß" * 33, "字", "“", "🙂"):
        assert_same_as_the_reference(
            [gap * k + word + after for gap in ".a" for k in range(130) for after in ("", " b")]
        )


@compiled
def test_the_kernel_refuses_what_does_not_fit() -> None:
    assert kernel.native is not None
    table, some = bytes(64 * 64), np.zeros((1, minhash.BINS), dtype=np.uint32)
    for n in (0, -1, 1 << 62):
        with pytest.raises(ValueError, match="another size"):
            kernel.native.shingles(["a"], n, table, len)
    with pytest.raises(ValueError, match="another size"):
        kernel.native.word_hashes(["a"], b"short", len)
    with pytest.raises(ValueError, match="another size"):
        kernel.native.fill_signatures(["a", "b"], 5, table, len, some)
    with pytest.raises(TypeError):
        kernel.native.word_hashes([b"a"], table, len)
    with pytest.raises(ZeroDivisionError):
        kernel.native.word_hashes(["x" * 100], table, lambda word: 1 // 0)
    with pytest.raises(OverflowError):
        kernel.native.word_hashes(["x" * 100], table, lambda word: -1)


def test_estimated_similarity_is_unbiased_and_as_exact_as_112_bins_allow() -> None:
    generator = random.Random(0)
    errors = []
    for _ in range(300):
        words = [generator.randrange(10**6) for _ in range(400)]
        edited = list(words)
        for place in generator.sample(range(400), generator.randrange(1, 60)):
            edited[place] = generator.randrange(10**6)
        left, right = text_of(words), text_of(edited)
        exact = len(ngrams(left) & ngrams(right)) / len(ngrams(left) | ngrams(right))
        pair = minhash.signatures([left, right])
        deviation = max((exact * (1 - exact) / minhash.BINS) ** 0.5, 0.01)
        errors.append((float(minhash.similarity(pair[0], pair[1])) - exact) / deviation)
    assert abs(np.mean(errors)) < 4 / 300**0.5
    assert 0.7 < np.std(errors) < 1.3


def test_short_texts_are_estimated_without_bias_through_borrowed_bins() -> None:
    generator = random.Random(1)
    estimates = []
    for _ in range(400):  # 8 of 12 shingles in common
        words = [generator.randrange(10**6) for _ in range(14)]
        pair = minhash.signatures([text_of(words), text_of([*words[:12], *(generator.randrange(10**6) for _ in "ab")])])
        estimates.append(float(minhash.similarity(pair[0], pair[1])))
    assert np.mean(estimates) == pytest.approx(8 / 12, abs=0.05)


def test_a_text_without_words_is_similar_to_nothing() -> None:
    signs = minhash.signatures(["", "...", "a b c"])
    assert (signs[:2] == minhash.EMPTY).all()
    assert minhash.similarity(signs, signs).tolist() == [0.0, 0.0, 1.0]


def test_two_signatures_share_the_key_of_a_band_when_they_agree_in_all_its_bins() -> None:
    generator = np.random.default_rng(0)
    signs = generator.integers(0, 4, (200, minhash.BINS), dtype=np.uint32)
    for band in range(minhash.BANDS):
        part = signs[:, band * minhash.ROWS : (band + 1) * minhash.ROWS]
        same = (part[:, None] == part[None]).all(axis=2)
        keys = minhash.band_keys(signs, band)
        assert np.array_equal(keys[:, None] == keys[None], same)
        assert same.sum() > 200
    flat = np.zeros((1, minhash.BINS), dtype=np.uint32)
    assert len({int(minhash.band_keys(flat, band)[0]) for band in range(minhash.BANDS)}) == minhash.BANDS


def test_pairs_that_are_just_similar_enough_meet_in_a_band() -> None:
    generator = random.Random(2)
    pairs = []
    for _ in range(400):
        numbers = [generator.randrange(10**6) for _ in range(200)]
        edited = list(numbers)
        for place in range(20, 180, 40):  # 4 of 200 words, in 20 of 196 shingles: similarity 176 / 216
            edited[place] = generator.randrange(10**6)
        pairs.append((text_of(numbers), text_of(edited)))
    left, right = (minhash.signatures(side) for side in zip(*pairs, strict=True))
    keys = ((minhash.band_keys(left, b), minhash.band_keys(right, b)) for b in range(minhash.BANDS))
    meet = np.any([a == b for a, b in keys], axis=0)
    assert len(ngrams(pairs[0][0]) & ngrams(pairs[0][1])) / len(ngrams(pairs[0][0]) | ngrams(pairs[0][1])) == 176 / 216
    assert meet.mean() >= 0.98
