"""Repeated n-grams, against a count that looks at every n-gram for itself."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.rules.ngrams import DUPLICATE, TOP, Repetition


def counted_one_by_one(units: list[str], factor: float) -> tuple[dict[int, float], dict[int, float]]:
    """The same values, by their definition."""
    total = sum(map(len, units))
    top, duplicate = {}, {}
    for n in (*TOP, *DUPLICATE):
        size = round(n * factor)
        grams = [tuple(units[i : i + size]) for i in range(len(units) - size + 1)]
        if n in TOP:
            counts = Counter(grams)
            most = max(counts.values(), default=0)
            longest = max((sum(map(len, g)) for g, c in counts.items() if c == most), default=0)
            top[n] = min(most * longest, total) / total if most > 1 else 0.0
        else:
            covered = {i + k for i, gram in enumerate(grams) if gram in grams[:i] for k in range(size)}
            duplicate[n] = sum(len(units[i]) for i in covered) / total if total else 0.0
    return top, duplicate


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "d"]), max_size=60), st.sampled_from([1.0, 1.6, 2.2, 5.4]))
def test_values_are_those_of_the_definition(units: list[str], factor: float) -> None:
    found = Repetition(units, Counter(units), factor)
    top, duplicate = counted_one_by_one(units, factor)
    assert found.top == pytest.approx(top)
    assert found.duplicate == pytest.approx(duplicate)


def test_a_text_that_is_one_word_over_and_over_is_nothing_but_repetition() -> None:
    units = ["spam"] * 5000
    found = Repetition(units, Counter(units))
    assert set(found.top.values()) == {1.0}
    assert found.duplicate[10] == pytest.approx(4999 / 5000)
