"""The suffix array: every answer as a plain search through the tokens would give it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import mixed_corpus, small_corpus
from numpy.typing import NDArray

from libertas.errors import UsageError
from libertas.lineage.verify import verify
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.trace.config import IndexConfig
from libertas.trace.index import TokenIndex, index, sorted_suffixes

# Ids whose bytes look like halves of one another, so that a byte suffix that begins inside a token would be mistaken.
TRICKY = [0, 1, 0x0100, 0x0101, 0x0201, 0xFFFF]
Tokens = list[int]
few = st.sampled_from(TRICKY)
repeated = st.tuples(st.lists(few, min_size=1, max_size=4), st.integers(1, 12)).map(lambda pair: pair[0] * pair[1])
training = st.one_of(st.lists(few, min_size=1, max_size=40), repeated)
dtypes = st.sampled_from(["<u2", "<u4"])


def in_memory(tokens: Tokens, dtype: str = "<u2") -> TokenIndex:
    array = np.array(tokens, dtype=dtype)
    return TokenIndex(Path(), SimpleNamespace(tokens=array), sorted_suffixes(array), None)


def places(tokens: Tokens, wanted: Tokens) -> Tokens:
    return [p for p in range(len(tokens)) if wanted and tokens[p : p + len(wanted)] == wanted]


def longest(tokens: Tokens, query: Tokens) -> int:
    return max(n for n in range(len(query) + 1) if n == 0 or places(tokens, query[:n]))


@given(training, dtypes)
def test_suffixes_are_sorted_as_sequences_of_token_ids(tokens: Tokens, dtype: str) -> None:
    assert sorted_suffixes(np.array(tokens, dtype)).tolist() == sorted(range(len(tokens)), key=lambda p: tokens[p:])


def test_wide_token_ids_sort_by_value() -> None:
    tokens = [70000, 5, 1 << 31, 256, 70000, 4]
    found = sorted_suffixes(np.array(tokens, "<u4")).tolist()
    assert found == sorted(range(len(tokens)), key=lambda p: tokens[p:])


@given(training, st.lists(few, max_size=20), dtypes)
def test_the_longest_match_and_all_its_places_are_found(tokens: Tokens, query: Tokens, dtype: str) -> None:
    made = in_memory(tokens, dtype)
    match = made.longest_match(query)
    assert match.length == longest(tokens, query)
    assert made.positions(match) == places(tokens, query[: match.length])
    assert made.count(match) == len(made.positions(match))
    assert made.positions(match, 2) == made.positions(match)[:2]


@given(training, st.data())
def test_a_query_taken_from_the_tokens_is_found_up_to_the_last_position(tokens: Tokens, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(tokens) - 1))
    match = in_memory(tokens).longest_match(tokens[start:])
    assert match.length == len(tokens) - start
    assert start in in_memory(tokens).positions(match)


@given(training, st.lists(few, max_size=50), dtypes)
def test_match_lengths_are_those_of_every_position_alone(tokens: Tokens, query: Tokens, dtype: str) -> None:
    found = in_memory(tokens, dtype).match_lengths(query)
    assert found.tolist() == [longest(tokens, query[start:]) for start in range(len(query))]


def test_matches_longer_than_the_window_are_measured_in_full() -> None:
    block: NDArray[np.integer] = np.random.default_rng(0).integers(0, 1 << 16, 2000)
    made = in_memory([*block.tolist() * 10, 7])
    assert made.match_lengths(block[:500]).tolist() == list(range(500, 0, -1))
    match = made.longest_match(block)
    assert made.positions(match) == [2000 * n for n in range(10)]


def test_a_token_id_that_the_store_cannot_hold_is_refused() -> None:
    with pytest.raises(AssertionError, match="from 0 to 65535"):
        in_memory([1, 2]).longest_match([65536 + 1])


def test_an_index_is_found_again_with_its_tokens(tmp_path: Path) -> None:
    store = tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix"), out=tmp_path / "tokens", vocabulary=300))
    made = index(IndexConfig(tokens=tmp_path / "tokens", out=tmp_path / "index"))
    assert np.sort(made.suffixes).tolist() == list(range(len(store)))
    assert made.manifest.counts == {"tokens": len(store)}
    again = TokenIndex.open(tmp_path / "index")
    assert again.longest_match(store.tokens[100:140]).length == 40
    assert verify(tmp_path / "index").sound


def test_what_is_no_index_or_has_no_tokens_is_refused(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "mix")
    tokenizer = tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300)).path
    with pytest.raises(UsageError, match="is a token store; expected an index made by `libertas index`"):
        TokenIndex.open(tmp_path / "tokens")
    empty = mixed_corpus(tmp_path / "empty", [], [])
    config = TokenizeConfig(corpus=empty, tokenizer=tokenizer / "tokenizer.json", out=tmp_path / "none")
    with pytest.raises(UsageError, match="has no training tokens"):
        index(IndexConfig(tokens=tokenize(config).path, out=tmp_path / "index"))
    assert not (tmp_path / "index").exists()
