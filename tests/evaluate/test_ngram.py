"""The array implementation against the formulas of Chen & Goodman written out with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.evaluate.ngram import NgramModel, discounts


def reference_discounts(counts):
    n = Counter(counts)
    fixed = {1: 0.75, 2: 0.75, 3: 0.75}
    if not (n[1] and n[2] and n[3]):
        return fixed
    y = n[1] / (n[1] + 2 * n[2])
    wanted = {k: k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)}
    return {k: min(d, k) for k, d in wanted.items()} if min(wanted.values()) > 0 else fixed


def reference(tokens, vocabulary, order):
    """p(word, history) by recursion over dictionaries."""
    grams = {n: Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)) for n in range(1, order + 1)}
    counts = {order: dict(grams[order])}
    for n in range(1, order):
        before = defaultdict(set)
        for gram in grams[n + 1]:
            before[gram[1:]].add(gram[0])
        counts[n] = {gram: len(found) for gram, found in before.items()}
    taken = {n: reference_discounts(counts[n].values()) for n in counts}

    def probability(word, history):
        n = len(history) + 1
        lower = probability(word, history[1:]) if history else 1 / vocabulary
        follow = {gram[-1]: c for gram, c in counts[n].items() if gram[:-1] == history}
        total = sum(follow.values())
        if not total:
            return lower
        left = sum(taken[n][min(c, 3)] for c in follow.values())
        c = follow.get(word, 0)
        return (c - taken[n][min(c, 3)] if c else 0.0) / total + left / total * lower

    return probability


def probabilities(model, history, vocabulary):
    return [np.exp(model.log_probabilities(np.array([*history, w]))[-1]) for w in range(vocabulary)]


@given(
    tokens=st.lists(st.integers(0, 3), min_size=5, max_size=80),
    history=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    order=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_probabilities_after_any_history_sum_to_one_and_are_those_of_the_formula(tokens, history, order):
    model = NgramModel(np.array(tokens), 4, order)
    found = probabilities(model, history, 4)
    assert sum(found) == pytest.approx(1.0)
    wanted = reference(tokens, 4, order)
    seen = tuple(history[-(order - 1) :]) if order > 1 else ()
    assert found == pytest.approx([wanted(w, seen) for w in range(4)])


@given(tokens=st.lists(st.integers(0, 6), min_size=5, max_size=300), order=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_no_token_ever_has_probability_zero(tokens, order):
    model = NgramModel(np.array(tokens), 9, order)
    assert np.isfinite(model.log_probabilities(np.array([*tokens[:20], 8, 7, *range(9)]))).all()


def test_discounts_are_those_of_chen_and_goodman():
    counts = np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] * 1)  # y = 10 / 18
    y = 10 / 18
    assert discounts(counts) == pytest.approx([0, 1 - 2 * y * 4 / 10, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2])


def test_a_token_that_training_never_held_still_has_a_probability():
    model = NgramModel(np.array([1, 2, 1, 2, 1]), 1000)
    assert np.isfinite(model.log_probabilities(np.array([1, 999, 2]))).all()


def test_an_empty_document_has_no_probabilities():
    assert NgramModel(np.array([0, 1, 2, 0]), 3).log_probabilities(np.array([0])).shape == (0,)


def test_repeated_text_is_predicted_almost_surely():
    stream = np.tile(np.arange(50), 40)
    scores = NgramModel(stream, 64).log_probabilities(np.arange(50))
    assert np.exp(scores[10:]).min() > 0.95
