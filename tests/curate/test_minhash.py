import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.curate import minhash

SOME_TEXT = st.text(alphabet="aAbB cC\n.,_1é漢 ", max_size=60)


def ngrams(text: str, n: int = minhash.SHINGLE_WORDS) -> set[tuple[bytes, ...]]:
    """The definition, word by word."""
    words = re.findall(rb"[a-z0-9_\x80-\xff]+", text.encode().lower())
    return {tuple(words[i : i + n]) for i in range(max(len(words) - n + 1, 1))} if words else set()


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


def test_a_word_hashes_the_same_beyond_the_first_table_of_powers() -> None:
    far = "x" * (1 << 17)
    values, _ = minhash.shingles(["one two three", far + " one two three"], 3)
    assert values[0] == values[-1]


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
    assert minhash.components(signs, 0.8).tolist() == [0, 1, 2]


def similar_signatures(seed: int, count: int = 40) -> minhash.Signatures:
    """Chains of documents, each a copy of an earlier one with a few bins changed."""
    generator = np.random.default_rng(seed)
    signs = generator.integers(0, 1 << 31, (count, minhash.BINS), dtype=np.uint32)
    for i in range(1, count):
        if generator.random() < 0.7:
            signs[i] = signs[generator.integers(i)]
            changed = generator.choice(minhash.BINS, generator.integers(0, 30), replace=False)
            signs[i, changed] = generator.integers(0, 1 << 31, len(changed))
    return signs


def candidate_pairs(signs: minhash.Signatures, rows: int) -> set[tuple[int, int]]:
    bands = signs.reshape(len(signs), -1, rows)
    return {
        (i, j) for i in range(len(signs)) for j in range(i + 1, len(signs)) if (bands[i] == bands[j]).all(axis=1).any()
    }


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([0.6, 0.8, 0.95]))
def test_components_are_those_of_the_graph_of_all_candidate_pairs(seed: int, at_least: float) -> None:
    signs = similar_signatures(seed)
    expected = list(range(len(signs)))
    for _ in signs:
        for i, j in candidate_pairs(signs, minhash.ROWS):
            if minhash.similarity(signs[i], signs[j]) >= at_least:
                expected[i] = expected[j] = min(expected[i], expected[j])
    assert minhash.components(signs, at_least).tolist() == expected


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 39))
def test_nearest_across_finds_what_comparing_all_pairs_finds(seed: int, cut: int) -> None:
    signs = similar_signatures(seed)
    alike = minhash.similarity(signs[:cut, None], signs[None, cut:])
    expected = {j: (int(alike[:, j].argmax()), alike[:, j].max()) for j in np.flatnonzero((alike >= 0.8).any(axis=0))}
    found = minhash.nearest_across(signs[:cut], signs[cut:], 0.8)
    assert {j: (p.left, p.similarity) for j, p in found.items()} == expected
