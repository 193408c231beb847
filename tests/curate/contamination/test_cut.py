"""What goes of a document: the overlap, a margin out to whole words, and what would be left in shreds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.contamination.cut import cuts_of, too_much
from libertas.curate.contamination.words import words_of


def cut(text: str, spans: list[tuple[int, int]], margin: int) -> list[str]:
    return [text[a:b] for a, b in cuts_of(len(text), words_of([text]), spans, margin)]


TEXT = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"
DELTA = (TEXT.index("delta"), TEXT.index("delta") + 5)


def test_without_a_margin_exactly_the_overlap_goes() -> None:
    assert cut(TEXT, [DELTA], 0) == ["delta"]


def test_the_margin_ends_between_words() -> None:
    assert cut(TEXT, [DELTA], 1) == [" delta "]
    assert cut(TEXT, [DELTA], 2) == ["gamma delta epsilon"]
    assert cut("中文 " * 9, [(12, 14)], 2) == ["文 中文 中"]


def test_overlapping_cuts_and_those_with_a_shred_between_are_one() -> None:
    zeta = (TEXT.index("zeta"), TEXT.index("zeta") + 4)
    assert cut(TEXT, [zeta, DELTA], 0) == ["delta", "zeta"]
    assert cut(TEXT, [zeta, DELTA], 2) == ["gamma delta epsilon zeta eta"]


def test_short_ends_go_as_well() -> None:
    assert cut(TEXT, [DELTA], 12) == ["alpha beta gamma delta epsilon zeta"]
    assert cut("a b " + TEXT, [(4, 9)], 4) == ["a b alpha beta"]


@given(
    st.text("ab  ,\u0301中", max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=5),
    st.integers(0, 9),
)
def test_cuts_hold_every_span_in_order_and_split_no_word(text: str, spans: list[tuple[int, int]], margin: int) -> None:
    words = words_of([text])
    given_spans = [(a, min(a + n, len(text))) for a, n in spans if a < len(text)]
    cuts = cuts_of(len(text), words, given_spans, margin)
    assert all(any(a <= start and end <= b for a, b in cuts) for start, end in given_spans)
    assert all(a < b for a, b in cuts)
    assert all(before[1] < after[0] for before, after in pairwise(cuts))
    borders = {border for pair in cuts for border in pair}
    assert not any(a < border < b for border in borders for a, b in zip(words.starts, words.ends, strict=True))


def test_a_document_in_more_than_ten_pieces_or_of_less_than_a_quarter_goes_as_a_whole() -> None:
    ten = [(100 * n, 100 * n + 10) for n in range(1, 10)]
    assert too_much(1000, ten) is None
    assert too_much(1100, [*ten, (1000, 1010)]) == "would fall into more than 10 pieces"
    assert too_much(1000, [(0, 10), *ten]) is None  # nothing is left before the first
    assert too_much(100, [(0, 75)]) is None
    assert too_much(100, [(0, 76)]) == "would lose more than 75% of its text"
