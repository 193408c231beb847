"""The native kernel computes exactly what its reference in Python does, and nothing needs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import libertas.kernel as kernel
from libertas.gather import blocks, content, ngrams, page
from libertas.gather.blocks import cut_programs, read_blocks
from libertas.gather.declared import tags_of, word_places
from libertas.gather.license import LICENSE_WORDS, MOST_LICENSES
from libertas.gather.normalize import normalize
from libertas.gather.page import OWN_MARKS, near_hints, page_of
from libertas.gather.script import SCRIPTS
from libertas.gather.warc import Record, records

compiled = pytest.mark.skipif(kernel.native is None, reason="the kernel was not compiled")

PIECES = [
    "<", ">", "<script", "</script>", "<style>", "</STYLE >", "<!--", "-->", "--!>", "<!script>", "<nav>",
    "</nav>", "<nav x>", '<div role="navigation">', "<td>", "<td >", "<li> ", "<tr>", "<br>", "<br >",
    "<pre>", "</pre>", "<p>", "</p>", "<a>", "</a>", "<h1>", "<none>", "<div class=\"a b\">", "<div title='",
    "</div>", "<section>", "<>", "</", "< x>", "<iframe>", "</iframe>", "<select>", "</select>", "<title",
    "<textarea ", "<hr/>", "\n", "\t", " ", "  ", "&nbsp;", "&amp;", '"', "a", "Home, menu.", "reply 12",
    "\ue00a", "\ue000", "\x00", "\x1c", "\x85", "\xa0", "\u2003", "\u3000", "ß", "Ä", "Σ", "İ", "。", "价格",
    "🦊", "\u0301", "\ud800", "tex", "TeX-", "math", "Math.", "\\(", "x\\)", "end", "*" * 70,
]  # fmt: skip
SOUP = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=60).map("".join)


def native() -> Any:
    assert kernel.native is not None
    return kernel.native


def by_python(call: Callable[..., Any], *args: Any) -> Any:
    """What a call gives without the kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "native", None)
        return call(*args)


def columns(html: str, everything: bool, repaired: bool) -> list[list[Any]] | None:
    found = native().read_blocks(html, everything, repaired, blocks._tag_table(), blocks.PRE)
    return None if found is None else list(found)


def assert_same_features(html: str, title: str) -> None:
    features, found = content.network().features, blocks.blocks_of(html)
    if found.text:
        assert np.array_equal(features.of(found, title), by_python(features.of, found, title))


@compiled
@given(SOUP, st.booleans(), st.booleans())
def test_blocks_are_those_of_the_reference(html: str, everything: bool, repaired: bool) -> None:
    assert columns(html, everything, repaired) == read_blocks(html, everything, repaired)


@compiled
@given(SOUP, st.sampled_from(["", "Reply at home", "ΑΣ price 价格"]))
def test_features_are_bit_for_bit_those_of_the_reference(html: str, title: str) -> None:
    assert_same_features(html.replace("\x00", ""), title)


@compiled
@given(SOUP)
def test_what_is_found_in_bytes_is_what_the_reference_finds(source: str) -> None:
    body = source.encode("utf-8", "replace")
    assert native().cut_programs(body) == cut_programs(body)
    assert native().near_hints(body) == near_hints(body)
    assert native().may_have_marks(source) or not set(OWN_MARKS) & set(source)


DECLARING = [
    "<meta ",
    "<META\xa0",
    "<link\n",
    "<h1",
    "<h3/",
    "<html>",
    "<time\u3000>",
    "</ſcript",
    "'",
    '"' * 2,
    "x" * 300,
    "--",
]


@compiled
@given(st.lists(st.sampled_from(PIECES + DECLARING), max_size=60).map("".join), st.integers(0, 20))
def test_tags_that_declare_something_are_found_where_the_reference_finds_them(source: str, most: int) -> None:
    assert native().tags_of(source, most, 200) == list(tags_of(source, most, 200))


@compiled
@given(
    st.lists(
        st.sampled_from(["license", "licence", "aba", "ab", "LICENSE", "lic", "价", "\ud800", " " * 70]), max_size=60
    ),
    st.integers(0, 9),
)
def test_words_are_found_where_the_reference_finds_them(pieces: list[str], most: int) -> None:
    words = ("license", "licence", "aba", "ab")
    source = "".join(pieces)
    assert native().word_places(source, words, most) == word_places(source, words, most)


@compiled
def test_words_without_a_second_letter_and_tables_of_no_script_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than two letters"):
        native().word_places("a", ("a",), 1)
    with pytest.raises(TypeError):
        native().word_places("a", (b"ab",), 1)
    for table, scripts in ((b"", 1), (b"a", 0), (b"a", 257)):
        with pytest.raises(ValueError, match="table of scripts"):
            native().seen_grams("a", table, scripts)


@compiled
@given(st.one_of(SOUP, st.text(st.sampled_from("aßé価カ한Ж ,'\u200d\ud800\U0001f98a\U00020000\U000e0041\U0010ffff"))))
def test_letters_and_grams_are_those_of_the_reference(text: str) -> None:
    (rows, size, counts), (by_hand, letters, of_scripts) = ngrams.seen(text), by_python(ngrams.seen, text)
    assert (rows.dtype, rows.tolist(), size, counts) == (by_hand.dtype, by_hand.tolist(), letters, of_scripts)
    assert len(counts) == len(SCRIPTS)


@compiled
@given(SOUP)
def test_what_the_kernel_takes_for_normal_stays_as_it_is(text: str) -> None:
    assert not native().is_normal(text) or by_python(normalize, text) == text


@compiled
def test_every_character_that_the_kernel_takes_for_normal_is() -> None:
    plain = [chr(c) for c in range(0x110000) if native().is_normal(f"e{chr(c)}e")]
    assert len(plain) > 30_000
    assert [c for c in plain if by_python(normalize, f"e{c}e") != f"e{c}e"] == []
    together = "".join(plain).strip()
    assert by_python(normalize, together) == together


@compiled
def test_real_pages_are_read_as_by_the_reference(shared_data: Path) -> None:
    archive = shared_data / "web" / "extraction-dev.warc.gz"
    pages = [r for r in records(archive) if isinstance(r, Record) and r.body and "html" in r.content_type]
    for record in pages[::12]:
        body = record.body
        assert native().cut_programs(body) == cut_programs(body)
        assert native().near_hints(body) == near_hints(body)
        source = body.decode("utf-8", "replace")
        assert native().tags_of(source, 2000, 16_000) == list(tags_of(source, 2000, 16_000))
        places = native().word_places(source, LICENSE_WORDS, MOST_LICENSES)
        assert places == word_places(source, LICENSE_WORDS, MOST_LICENSES)
        (rows, *said), (by_hand, *said_by_hand) = ngrams.seen(source), by_python(ngrams.seen, source)
        assert said == said_by_hand
        assert np.array_equal(rows, by_hand)
        tree = page.HTMLTree.parse(source)
        html = tree.body.html if tree.body else ""
        assert columns(html, False, False) == read_blocks(html, False, False)
        assert_same_features(html, tree.title or "")
        assert page_of(body, record.charset) == by_python(page_of, body, record.charset)


@compiled
@pytest.mark.parametrize(
    "change", [{"container": [7]}, {"linked": [-1]}, {"c_last": [9]}, {"leaf": [99]}, {"names": []}]
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, list[Any]]) -> None:
    found = blocks.blocks_of("<body><p>text</p></body>")
    for name, values in change.items():
        setattr(found, name, values)
    with pytest.raises(ValueError, match=r"out of range|another size|different lengths"):
        content.network().features.of(found, "")


def test_without_the_kernel_pages_read_the_same() -> None:
    source = b"<title>T</title><nav>x</nav><h1>T</h1><p>The quick brown fox, said the other, jumps.<li>one<li>two"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "native", None)
        assert page_of(source, None).text == "T\n\nThe quick brown fox, said the other, jumps.\n\none\ntwo"
    assert page_of(source, None).text == by_python(page_of, source, None).text


@compiled
def test_a_kernel_compiled_from_other_code_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel._compiled() is not None
    monkeypatch.setattr(kernel, "source_digest", lambda: "other")
    assert kernel._compiled() is None
