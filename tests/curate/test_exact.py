from libertas.curate.exact import text_key


def test_whitespace_at_the_ends_does_not_make_a_text_different_but_any_other_character_does() -> None:
    assert text_key("\n a  b\u00a0\t") == text_key("a  b")
    assert len({text_key(t) for t in ("a  b", "a b", "A  b", "a\nb", "á", "a\u0301")}) == 6
