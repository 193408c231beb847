from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.exact import first_with_same_key, text_key


def test_whitespace_at_the_ends_does_not_make_a_text_different_but_any_other_character_does() -> None:
    assert text_key("\n a  b\u00a0\t") == text_key("a  b")
    assert len({text_key(t) for t in ("a  b", "a b", "A  b", "a\nb", "á", "a\u0301")}) == 6


@given(st.lists(st.text(max_size=3)))
def test_a_text_points_to_the_first_text_that_equals_it(texts: list[str]) -> None:
    expected = [[t.strip() for t in texts].index(text.strip()) for text in texts]
    assert first_with_same_key(map(text_key, texts)).tolist() == expected
