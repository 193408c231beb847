"""Spans: what of a text stands in training, and where its characters are."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import text
from test_index import in_memory, places
from tokenizers import Tokenizer

from libertas.tokenize import bpe
from libertas.trace.spans import Span, find_spans, match_of, text_of

END = 9
few = st.integers(0, 3)
sequences = st.lists(few, max_size=25)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return bpe.learn([text(n) + " 日本語 écrit" for n in range(20)], 320)


@given(written=st.text(max_size=40))
def test_offsets_are_those_of_the_tokenizer_itself(tokenizer: Tokenizer, written: str) -> None:
    encoded = tokenizer.encode(written, add_special_tokens=False)
    found = text_of(tokenizer, encoded.ids)
    assert found.text == written
    assert found.offsets == encoded.offsets


@given(written=st.text(max_size=40), data=st.data())
def test_neighbouring_spans_share_no_character(tokenizer: Tokenizer, written: str, data: st.DataObject) -> None:
    found = text_of(tokenizer, tokenizer.encode(written, add_special_tokens=False).ids)
    count = len(found.ids)
    cuts = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=4))})
    pieces = [found.characters(a, b) for a, b in pairwise(cuts)]
    for (_, end), (start, _) in pairwise(pieces):
        assert end <= start
    if count:
        assert found.characters(0, count) == (0, len(written))


def test_a_character_split_between_tokens_belongs_to_both_but_to_neither_span(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.token_to_id(c) for c in ("a", "Ã", "©", "b")]  # é is the bytes C3 A9, spelled Ã and ©
    found = text_of(tokenizer, ids)
    assert found.text == "aéb"
    assert found.offsets == [(0, 1), (1, 2), (1, 2), (2, 3)]
    assert found.characters(0, 2) == (0, 1)
    assert found.characters(2, 4) == (2, 3)
    assert found.characters(1, 3) == (1, 2)


def test_bytes_that_are_no_character_are_shown_as_such(tokenizer: Tokenizer) -> None:
    found = text_of(tokenizer, [tokenizer.token_to_id(c) for c in ("a", "Ã", "b")])
    assert found.text == "a\ufffdb"
    assert found.offsets == [(0, 1), (1, 2), (2, 3)]


def test_the_end_of_text_token_is_written_with_its_name(tokenizer: Tokenizer) -> None:
    assert text_of(tokenizer, [0, tokenizer.token_to_id("a")]).text == "<|endoftext|>a"


@given(sequences.filter(len), sequences, st.integers(1, 4))
def test_spans_occur_in_training_and_leave_out_nothing_long_enough(
    tokens: list[int], ids: list[int], minimum: int
) -> None:
    made = in_memory(tokens)
    found = find_spans(made, ids, minimum, END).found
    covered: set[int] = set()
    for span in found:
        assert span.length >= minimum
        inside = ids[span.start : span.end]
        assert made.positions(match_of(made, ids, span)) == places(tokens, inside) != []
        assert covered.isdisjoint(range(span.start, span.end))
        covered.update(range(span.start, span.end))
    for start in range(len(ids) - minimum + 1):
        if covered.isdisjoint(range(start, start + minimum)):
            assert places(tokens, ids[start : start + minimum]) == []


@given(sequences.filter(len), sequences)
def test_every_token_knows_its_longest_match(tokens: list[int], ids: list[int]) -> None:
    every = [(a, b) for a in range(len(ids)) for b in range(a + 1, len(ids) + 1) if places(tokens, ids[a:b])]
    expected = [max((b - a for a, b in every if a <= n < b), default=0) for n in range(len(ids))]
    assert find_spans(in_memory(tokens), ids, 1, END).longest.tolist() == expected


def test_the_longest_span_is_taken_first_and_the_others_are_cut_to_fit() -> None:
    made = in_memory([1, 2, 3, 4, 5, END, 4, 5, 6, 7, END])
    assert find_spans(made, [1, 2, 3, 4, 5, 6, 7], 2, END).found == [Span(0, 5), Span(5, 7)]
    assert find_spans(made, [1, 2, 3, 4, 5, 6, 7], 3, END).found == [Span(0, 5)]


def test_no_span_goes_on_into_another_document() -> None:
    made = in_memory([1, 2, 3, END, 4, 5, 6, END])
    spans = find_spans(made, [1, 2, 3, END, 4, 5, 6], 2, END)
    assert spans.found == [Span(0, 3), Span(4, 7)]
    assert spans.longest.tolist() == [3, 3, 3, 0, 3, 3, 3]
