"""A page as a row of blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from libertas.gather.blocks import CONTAINERS, LEAVES, LINE_BREAK, Blocks, blocks_of, without_programs


def blocks(source: str, *, everything: bool = False) -> Blocks:
    body = HTMLTree.parse(source).body
    assert body is not None
    return blocks_of(body.html, everything=everything)


def test_text_between_block_level_tags_is_a_block_and_inline_tags_do_not_cut() -> None:
    found = blocks("<div>one <b>bold</b> word<p>two</p>three<ul><li>four<li>five</ul></div>")
    assert found.text == ["one bold word", "two", "three", "four", "five"]
    assert [LEAVES[leaf] for leaf in found.leaf] == ["none", "p", "none", "li", "li"]


def test_white_space_is_collapsed_but_in_preformatted_text() -> None:
    found = blocks("<p> a \n\n b\u00a0c </p><pre>\n  x\n    y\n</pre>")
    assert found.text == ["a b&nbsp;c", f"  x{LINE_BREAK}    y"]


def test_one_line_break_stays_in_a_block_and_two_end_it() -> None:
    assert blocks("<p>a<br>b<br><br>c<br> <br>d</p>").text == [f"a{LINE_BREAK}b", "c", "d"]


def test_line_breaks_with_inline_tags_between_them_do_not_end_a_block() -> None:
    assert blocks("<p>a<br><b>b</b><br><i>c</i></p>").text == [f"a{LINE_BREAK}b{LINE_BREAK}c"]


def test_elements_without_an_end_hold_nothing() -> None:
    found = blocks('<table><colgroup><col class="x"><col></colgroup><tr><td>a</table><div id="d">b</div>')
    assert found.text == ["a", "b"]
    assert found.c_names[found.container[1]] == 'id="d"'


def test_a_space_that_holds_a_cell_open_is_no_block() -> None:
    assert blocks("<table><tr><td>&nbsp;&nbsp;<td>a<td> &nbsp;<br></table>").text == ["a"]


def test_characters_inside_of_links_are_counted() -> None:
    found = blocks('<p>see <a href="/x">this <i>page</i></a> now</p><p><a href="/y">12345</a></p>')
    assert found.linked == [len("this page"), 5]


def test_each_block_knows_the_containers_around_it() -> None:
    found = blocks('<section id="s"><p>a</p><div class="c"><p>b</p></div></section><p>c</p>')
    around = []
    for container in found.container:
        path = []
        while container >= 0:
            path.append(CONTAINERS[found.c_tag[container]])
            container = found.c_parent[container]
        around.append(path)
    assert around == [["section", "body"], ["div", "section", "body"], ["body"]]
    assert found.c_names == ["", 'id="s"', 'class="c"']
    assert list(zip(found.c_first, found.c_last, strict=True)) == [(0, 3), (0, 2), (1, 2)]
    assert found.c_depth == [0, 1, 2]


def test_rows_of_tables_are_numbered() -> None:
    found = blocks("<table><tr><td>a<td>b<tr><td>c</table>")
    assert found.text == ["a", "b", "c"]
    assert found.row == [1, 1, 2]


def test_navigation_and_footers_are_passed_over_unless_everything_is_wanted() -> None:
    source = '<nav><nav>x</nav>y</nav><p>text</p><div role="navigation"><div>z</div></div><footer>f</footer>'
    assert blocks(source).text == ["text"]
    assert blocks(source, everything=True).text == ["x", "y", "text", "z", "f"]


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>if (a<b) {'</p>'}</script>",
        "<style>p > a {}</style>",
        "<noscript><p>no</p></noscript>",
        "<svg><title>no</title><text>no</text></svg>",
        "<select><option>no<option>no</select>",
        "<button>no <b>no</b></button>",
        "<textarea><p>no</p></textarea>",
        "<iframe><p>no</iframe>",
        "<!-- <p>no</p> -->",
        "<!--[if IE]><video><p>no<![endif]-->",
        "<template><p>no</template>",
        "<svg><svg>no</svg>no</svg>",
    ],
)
def test_what_holds_no_text_of_the_page_is_left_out(hidden: str) -> None:
    assert blocks(f"<div>before {hidden} after</div>").text == ["before after"]


@pytest.mark.parametrize("value", ["a > b", "<p>", "a < b", '">', "<a href='x'>y</a>", ">"])
def test_tags_in_attributes_are_no_tags(value: str) -> None:
    quoted = value.replace('"', "&quot;")
    found = blocks(f'<p>one</p><div><img alt="{quoted}"><p title="{quoted}">two</p></div>')
    assert found.text == ["one", "two"]


TAGS = ["p", "div", "b", "i", "a", "ul", "li", "section", "h2", "blockquote", "span", "table", "td", "article"]
HTML = st.recursive(
    st.text(alphabet="ab &<>\"'\u00e4\n", max_size=8).map(
        lambda t: t.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    ),
    lambda inner: st.builds(
        lambda tag, inside: f"<{tag}>{''.join(inside)}</{tag}>", st.sampled_from(TAGS), st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)


@given(HTML)
def test_nothing_of_a_pages_text_is_lost_or_reordered(source: str) -> None:
    tree = HTMLTree.parse(source)
    assert tree.body is not None
    joined = "".join(blocks_of(tree.body.html, everything=True).text)
    plain = joined.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace(LINE_BREAK, "")
    assert "".join(plain.split()) == "".join((tree.body.text or "").split())


@given(st.lists(st.one_of(HTML, st.sampled_from(["<script>a<b</script>", "<STYLE>x</STYLE>", "<!-- <p> -->"]))))
def test_cutting_out_programs_first_changes_no_block(parts: list[str]) -> None:
    source = "<html><body>" + "".join(parts)
    assert blocks(without_programs(source.encode()).decode()).text == blocks(source).text


@pytest.mark.parametrize("broken", ["<script>", "<script>alert(1)", "<style", "<!-- x", "<script></script", "<!--"])
def test_a_program_without_end_is_left_to_the_parser(broken: str) -> None:
    source = b"<p>text</p>" + broken.encode()
    assert without_programs(source).startswith(b"<p>text</p>")
    assert blocks(without_programs(source).decode()).text[0] == "text"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "hostile", ["<div>", "<b>", "<nav>", "<script>", "<!--", "<p a='<'>", "<td colspan=9e15>x", "<a>"]
)
def test_time_grows_with_the_length_of_a_page(hostile: str) -> None:
    found = blocks(without_programs((hostile * 50_000 + "text").encode()).decode(), everything=True)
    assert len(found.text) <= 50_001


@pytest.mark.parametrize(
    "source",
    [
        "<title>How to use <script> tags</title><p>one</p><script>1</script><p>two</p>",
        '<p title="<script>">one</p><p>two</p><script>1</script>',
        "<p>one</p><textarea><script></textarea><p>two</p><script>1</script>",
        "<style-guide><p>one</p></style-guide><p>two</p><style>x</style>",
        "<!-- x --!><p>one</p><!-- y --><p>two</p>",
        "<p>one</p><script>document.write('<script src=\"x\"><\\/script>')</script><p>two</p>",
    ],
)
def test_what_only_looks_like_a_program_is_not_cut_out(source: str) -> None:
    assert blocks(without_programs(source.encode()).decode()).text == ["one", "two"]
    assert blocks(source).text == ["one", "two"]
