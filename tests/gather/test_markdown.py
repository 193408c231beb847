"""Markdown of the blocks that were kept."""

import re
from pathlib import Path

import numpy as np
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from resiliparse.parse.html import HTMLTree

from libertas.gather.blocks import Blocks, blocks_of, without_programs
from libertas.gather.markdown import markdown_text
from libertas.gather.normalize import decode
from libertas.gather.page import kept_blocks, parsed
from libertas.gather.plain import plain_text

READER = MarkdownIt("commonmark", {"maxNesting": 200}).enable(["table", "strikethrough"])
"""Another's reading of CommonMark, to read back what was written."""
STRUCTURE = re.compile(r"</?(?:[uo]l|li|blockquote|h[1-6]|t[hdr]|table|pre|code|strong|em|s)(?=[ >])|w\d+")
"""Tags that Markdown can express, and the words of these tests."""


def body(source: str) -> str:
    found = HTMLTree.parse(source).body
    assert found is not None
    return found.html


def written(html: str, blocks: Blocks, *keep: str, links: bool = False) -> str:
    kept = [not keep or any(word in text for word in keep) for text in blocks.text]
    return markdown_text(blocks, np.array(kept, np.bool_), links=links)


def markdown(source: str, *keep: str, links: bool = False) -> str:
    """Markdown of a page, or of its blocks with one of these words."""
    html = body(source)
    return written(html, blocks_of(html, everything=True), *keep, links=links)


def outline(html: str) -> list[str]:
    """Structure and words of HTML in order."""
    return [found.lstrip("<") for found in STRUCTURE.findall(html)]


def read_back(source: str) -> list[str]:
    return outline(READER.render(markdown(source)))


def test_headings_have_as_many_signs_as_their_level() -> None:
    assert (
        markdown("<h1>One</h1><p>a</p><h3>Two</h3><h6><div>Three</div></h6>") == "# One\n\na\n\n### Two\n\n###### Three"
    )


def test_lists_are_nested_by_indentation_and_numbered_as_the_page_numbers_them() -> None:
    page = '<ul><li>one<ul><li>two<li>three</ul><li>four</ul><p>x</p><ol start="3"><li>a<li value="9">b<li>c</ol>'
    assert markdown(page) == "- one\n  - two\n  - three\n- four\n\nx\n\n3. a\n9. b\n10. c"


def test_two_lists_in_a_row_stay_two() -> None:
    assert markdown("<ul><li>a</ul><ul><li>b</ul><ol><li>c</ol><ol><li>d</ol>") == "- a\n\n* b\n\n1. c\n\n1) d"


def test_a_numbered_list_that_begins_elsewhere_does_not_join_the_text_before_it() -> None:
    assert markdown('<ul><li>a<ol start="4"><li>b</ol></ul>') == "- a\n\n  4. b"


def test_an_item_keeps_its_number_where_items_before_it_are_left_out() -> None:
    assert markdown("<ol><li>gone<li>gone<li>kept</ol>", "kept") == "3. kept"


@pytest.mark.parametrize("start", ["-5", "99999999999999999999", "x"])
def test_a_number_that_markdown_cannot_write_does_not_end_the_list(start: str) -> None:
    assert re.fullmatch(r"\d{1,9}\. a", markdown(f'<ol start="{start}"><li>a</ol>'))


def test_a_table_has_a_header_a_caption_above_it_and_spans_filled_with_empty_cells() -> None:
    page = (
        "<table><caption>Cap</caption><tr><th colspan=2>H<th>K|x"
        "<tr><td rowspan=2>a<td>b<br>c<td>d<tr><td>e<td>f</table>"
    )
    assert markdown(page).split("\n") == [
        "Cap",
        "",
        "| H |  | K\\|x |",
        "| --- | --- | --- |",
        "| a | b<br>c | d |",
        "|  | e | f |",
    ]


@pytest.mark.parametrize("span", ["colspan=9007199254740991", "rowspan=9007199254740991", "colspan=0", "rowspan=0"])
def test_a_span_of_any_width_costs_nothing(span: str) -> None:
    table = f"<table><tr><th {span}>w1<tr><td>w2<td>w3</table>"
    text = markdown(table)
    assert len(text) < 100
    assert re.findall(r"w\d", text) == ["w1", "w2", "w3"]


def test_a_table_for_layout_is_written_as_ordinary_blocks() -> None:
    assert markdown("<table><tr><td><h2>H</h2><td><ul><li>x</ul></table>") == "## H\n\n- x"
    assert markdown("<table><tr><td>one cell</table>") == "one cell"
    assert "|" not in markdown("<table><tr><td>a<td><table><tr><td>b<td>c</table></table>").split("| b |")[0]


@pytest.mark.parametrize(
    "page",
    [
        '<pre class="language-ruby">w1</pre>',
        '<pre><code class="hljs lang-ruby">w1</code></pre>',
        '<div class="highlight highlight-source-ruby"><pre>w1</pre></div>',
        '<div class="language-ruby rouge"><div class="highlight"><pre><code>w1</code></pre></div></div>',
        '<pre class="brush: ruby; toolbar: false">w1</pre>',
        '<pre class="sourceCode ruby"><code>w1</code></pre>',
    ],
)
def test_a_listing_says_its_language_however_the_page_says_it(page: str) -> None:
    assert markdown(page) == "```ruby\nw1\n```"


def test_a_fence_is_longer_than_any_run_of_backquotes_in_the_listing() -> None:
    page = "<pre>\ndef f():\n    return '````' &lt; 3\n\n# end</pre>"
    assert markdown(page) == "`````\ndef f():\n    return '````' < 3\n\n# end\n`````"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a<b> bold </b>b", "a **bold** b"),
        ("a <i>it</i>, <del>gone</del>", "a *it*, ~~gone~~"),
        ("H<sub>2</sub>O x<sup>2</sup>", "H<sub>2</sub>O x<sup>2</sup>"),
        ("<code>a`b</code> <code>`</code> <tt>c</tt>", "``a`b`` `` ` `` `c`"),
        ("<b><i>both</i></b> or <b>a <b>b</b> c</b>", "***both*** or **a b c**"),
        ("a<b>(x)</b>b <b> </b>", "a(x)b"),
        ("2 * 3 a_b [1] ~ `", "2 * 3 a_b [1] ~ `"),
        ("one<br>two", "one\\\ntwo"),
    ],
)
def test_text_has_the_marks_that_markdown_reads(page: str, text: str) -> None:
    assert markdown(f"<p>{page}</p>") == text


def test_quotes_may_hold_quotes_and_lists() -> None:
    page = "<blockquote><p>q</p><blockquote>deep</blockquote><ul><li>a<li>b</ul></blockquote>"
    assert markdown(page) == "> q\n>\n> > deep\n>\n> - a\n> - b"


def test_a_definition_stands_behind_a_colon_below_its_term() -> None:
    assert markdown("<dl><dt>T<dd>D<dd>E<p>more</p><dt>U<dd>V</dl>") == "T\n: D\n: E\n\n  more\n\nU\n: V"


def test_links_have_their_address_only_where_it_is_asked_for_and_leads_somewhere() -> None:
    page = '<p><a href="/x (1)?a=1&amp;b">to <b>x</b></a> <a href="#y">y</a> <a href="javascript:z">z</a> <a>a</a></p>'
    assert markdown(page, links=True) == "[to **x**](/x%20%281%29?a=1&b) y z a"
    assert markdown(page) == "to **x** y z a"


@pytest.mark.parametrize(
    "text", ["# a", "1. a", "2) a", "---", "===", "- a", "+ a", "* a", "> a", "[a]: b", "```", "~~~", "<div>", "***"]
)
def test_a_line_that_would_be_structure_is_read_back_as_text(text: str) -> None:
    shown = text.replace("<", "&lt;").replace(">", "&gt;")
    text_only = re.sub(r"<(?!br)[^>]*>", "", READER.render(markdown(f"<p>w1</p><p>{shown}</p><p>a<br>{shown}</p>")))
    assert text_only.split("\n") == ["w1", shown, "a<br />", shown, ""]


def test_formulas_pass_through_as_they_are() -> None:
    formula = "\ue000$a_1 *  b | c &lt; `d`$\ue001"
    assert markdown(f"<p>{formula} and <b>{formula}</b></p>").count(formula.replace("&lt;", "<")) == 2
    assert markdown(f"<p>{formula}</p>") == formula.replace("&lt;", "<")


def test_structure_is_written_only_where_text_inside_is_kept() -> None:
    page = "<h1>gone</h1><ul><li>gone<li>kept 1</ul><blockquote>gone</blockquote><dl><dt>gone<dd>kept 2</dl>"
    assert markdown(page, "kept") == "- kept 1\n\nkept 2"
    assert markdown("<ul><li></ul><table><tr><td></table><pre> </pre><h2></h2><p>a</p>") == "a"
    assert markdown(page, "nothing") == ""


@pytest.mark.parametrize(
    "page",
    [
        "<h1>w1</h1><h2>w2</h2><h6>w3</h6>",
        "<blockquote><h2>w1</h2><ul><li>w2<ol><li>w3</li></ol></li></ul></blockquote>",
        "<ul><li><blockquote>w1</blockquote></li></ul><blockquote>w2</blockquote><blockquote>w3</blockquote>",
        "<table><tr><th>w1</th><th><strong>w2</strong></th></tr><tr><td>w3</td><td><code>w4|w5</code></td></tr></table>",
        "<ol><li>w1<pre><code>w2\n\n    w3</code></pre></li><li>w4</li></ol>",
        "<strong>w1</strong> <em>w2 <s>w3</s></em> <code>w4</code><ul><li><em>w5</em></li></ul>",
    ],
)
def test_another_reader_of_markdown_sees_the_structure_of_the_page(page: str) -> None:
    assert read_back(page) == outline(page)


CONTAINERS = ("<ul><li>", "<ol><li>", "<blockquote>", '<ol start="7"><li>')
CHOICES = st.lists(st.integers(0, 7), max_size=30)


def nested(choices: list[int]) -> str:
    """A page of lists, quotes, headings and paragraphs with words in order."""
    page, closing = "<p>w0</p>", list[str]()
    for word, choice in enumerate(choices, 1):
        if choice < len(CONTAINERS) and len(closing) < 6:
            opening = CONTAINERS[choice]
            closing.append("".join(f"</{tag}>" for tag in re.findall(r"<(\w+)", opening)[::-1]))
            page += f"{opening}w{word}"
        elif choice == 4:
            page += closing.pop() if closing else ""
        elif choice == 5 and closing and "</li>" in closing[-1]:
            page += f"</li><li>w{word}"
        elif choice == 6:
            page += f"<h3>w{word}</h3>"
        else:
            page += f"<p>w{word}</p>"
    return page + "".join(closing[::-1])


@given(CHOICES)
def test_nested_lists_and_quotes_are_read_back_as_they_are_nested(choices: list[int]) -> None:
    assert read_back(nested(choices)) == outline(nested(choices))


TAGS = re.findall(
    r"\w+",
    "p div ul ol li table tr td th caption blockquote pre code b i a h1 h4 dl dt dd sub del span section br hr nav svg",
)
ODD = ("# ", "- ", "1. ", "|", "*", "`", "```", "_", "~~", "&lt;b&gt;", "[", "]", "]: ", "\\", "&nbsp;", ": ", "\n", "")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(TAGS) - 1), st.integers(0, 3), st.integers(0, len(ODD) - 1)), max_size=40))
def test_any_page_has_the_words_of_its_plain_text_in_order(parts: list[tuple[int, int, int]]) -> None:
    page = "".join(
        f"{'</' if way == 3 else '<'}{TAGS[tag]}>" + ODD[odd] + (f"w{number}z" + ODD[-odd]) * (way > 0)
        for number, (tag, way, odd) in enumerate(parts)
    )
    html = body(page)
    for everything in (False, True):
        blocks = blocks_of(html, everything=everything)
        words = re.findall(r"w\d+z", plain_text(blocks, np.ones(len(blocks.text), np.bool_)))
        for links in (False, True):
            text = written(html, blocks, links=links)
            assert re.findall(r"w\d+z", text) == words
            assert re.findall(r"w\d+z", READER.render(text)) == words  # no text is taken for what does not show


DEEP = (
    ("<ul><li>a", "</li></ul>"),
    ("<ol><li>", "</li></ol>"),
    ("<blockquote>a", "</blockquote>"),
    ("<dl><dt>a</dt><dd>b", "</dd></dl>"),
    ("<b><a href='x'><i>a", "</i></a></b>"),
    ("<table><tbody><tr><td>a", "</td></tr></tbody></table>"),
    ("<pre>a", "</pre>"),
    ("<h1>a", "</h1>"),
    ("<li>a", "</li>"),
    ("<div>a", "</div>"),
    ("<svg>", "</svg>"),
)


@pytest.mark.parametrize(("opening", "closing"), DEEP, ids=lambda pair: pair[:12])
def test_a_page_nested_3000_deep_is_written_with_a_few_levels(opening: str, closing: str) -> None:
    html = f"<body>{opening.replace(chr(39), chr(34)) * 3000}z{closing * 3000}</body>"
    blocks = blocks_of(html, everything=True)
    text = written(html, blocks, links=True)
    letters = re.sub("[^abz]", "", "".join(blocks.text))
    assert re.sub("[^abz]", "", text) == letters
    assert len(text) <= 122 * len(letters)  # a letter, a line end, and 6 characters for each of 20 levels


@pytest.mark.slow
def test_real_pages_have_the_words_of_their_plain_text(shared_data: Path) -> None:
    marks = re.compile(r"^[> ]*`{3,}\S*$|</?su[bp]>|\*+|`+|~~", re.MULTILINE)

    def words(text: str) -> list[str]:  # without numbers, which lists have in Markdown only
        found = re.findall(r"[^\W_]+", marks.sub("", text).replace("<br>", " "))
        return [word for word in found if not word.isdigit()]

    with (shared_data / "web" / "extraction-dev.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            source = decode(without_programs(record.reader.read()), record.http_charset, html=True)
            page = parsed(HTMLTree.parse(source))
            kept = kept_blocks(page)
            text = markdown_text(page.blocks, kept, links=False)
            assert words(text) == words(plain_text(page.blocks, kept)), record.headers.get("WARC-Target-URI")
