"""Plain text of the blocks that were kept."""

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree

from libertas.gather.page import parsed
from libertas.gather.plain import plain_text, without_entities


def text_of(source: str, *keep: str) -> str:
    """Plain text of a page, or of its blocks with one of these words."""
    blocks = parsed(HTMLTree.parse(source), everything=True).blocks
    kept = [not keep or any(word in text for word in keep) for text in blocks.text]
    return plain_text(blocks, np.array(kept, np.bool_))


def test_paragraphs_and_headings_are_apart_by_blank_lines() -> None:
    assert text_of("<h1>One</h1><p>two</p>three<div>four</div>") == "One\n\ntwo\n\nthree\n\nfour"


def test_items_are_lines_wherever_they_are_in_a_list() -> None:
    assert text_of("<p>a</p><ul><li>b<ol><li>c</ol><li>d</ul><p>e</p>") == "a\n\nb\nc\nd\n\ne"


def test_an_item_or_cell_may_hold_its_text_in_a_paragraph() -> None:
    assert text_of("<ul><li><p>a</p></li><li><div>b</div></li></ul>") == "a\nb"
    assert text_of("<table><tr><td><p>a</p></td><td><p>b</p></td></tr></table>") == "a\tb"


def test_cells_of_a_row_are_apart_by_tabs_and_rows_by_line_ends() -> None:
    table = "<table><tr><th>a<th>b<th>c<tr><td>d<td>e<td>f</table>"
    assert text_of(f"<p>x</p>{table}<p>y</p>") == "x\n\na\tb\tc\nd\te\tf\n\ny"


def test_two_tables_are_apart_by_a_blank_line() -> None:
    table = "<table><tr><td>a<td>b</table>"
    assert text_of(table + table) == "a\tb\n\na\tb"


def test_a_line_break_ends_a_line() -> None:
    assert text_of("<p>one<br>two</p>") == "one\ntwo"
    assert text_of("<pre>one\n  two\n\nthree</pre>") == "one\n  two\n\nthree"


@pytest.mark.parametrize(
    ("serialized", "text"),
    [("a&nbsp;b", "a b"), ("&lt;p&gt;", "<p>"), ("&amp;lt;", "&lt;"), ("&amp;amp;nbsp;", "&amp;nbsp;"), ("é", "é")],
)
def test_an_entity_is_undone_once(serialized: str, text: str) -> None:
    assert without_entities(serialized) == text


def test_text_that_looks_like_an_entity_stays_as_the_page_shows_it() -> None:
    assert (
        text_of("<p>write &amp;amp;lt; for &amp;lt;, &lt;b&gt; &amp; more</p>") == "write &amp;lt; for &lt;, <b> & more"
    )


def test_only_kept_blocks_are_written() -> None:
    page = "<p>gone</p><ul><li>gone<li>kept 1<li>kept 2</ul><table><tr><td>gone<td>kept 3<tr><td>kept 4<td>gone</table>"
    assert text_of(page, "kept") == "kept 1\nkept 2\n\nkept 3\nkept 4"
    assert text_of(page, "nothing") == ""
