"""Whole pages, from their bytes to what is said on them: formulas, links, comments, sizes, encodings."""

import re
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.gather import page as page_module
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.math.marks import MARKS

sys.path.insert(0, str(Path(__file__).parent / "math"))
from math_reading import formulas
from test_math_encodings import ENCODINGS
from test_math_in_pages import ALL, ELEVEN, UNTOUCHED

PROSE = "The quick brown fox jumps over the lazy dog while the other animals of the forest are looking at it. "
MATHJAX = '<script async src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js"></script>'
FIXTURES = {name: ALL[name] for name in ALL if name not in UNTOUCHED} | {
    f"{i} {name}": (html, expected) for i, (name, html, expected) in enumerate(ENCODINGS)
}
MODES = [
    ReadMode(markdown=markdown, everything=everything, agreement=agreement, metadata=metadata)
    for markdown, everything, agreement, metadata in product((False, True), repeat=4)
]
RUSSIAN = "Это предложение написано по-русски, и его надо правильно прочитать."
JAPANESE = "日本語の文章です。吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
CHINESE = "这是一个用中文写成的句子，我们来看看它能不能被正确地读出来。"
FRENCH = "Voilà une phrase écrite en français, où les élèves âgés ont été à la forêt près de la maison."


def read(source: str | bytes, charset: str | None = None, **mode: Any) -> Extracted:
    body = source if isinstance(source, bytes) else source.encode()
    found = extract(body, "text/html", charset, ReadMode(**mode))
    assert isinstance(found, Extracted), found
    return found


def whole(content: str, head: str = "") -> str:
    """A page with all that stands around content."""
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>A page</title>{head}</head><body>'
        f'<nav><a href="/">Home</a> <a href="/all">All articles</a></nav><main><p>{PROSE}</p>{content}<p>{PROSE}</p>'
        "</main><footer><p>All rights reserved.</p></footer></body></html>"
    )


@pytest.mark.parametrize("markdown", [False, True], ids=["text", "markdown"])
@pytest.mark.parametrize("name", FIXTURES)
def test_a_formula_of_any_encoding_survives_a_whole_page_delimited_once(name: str, markdown: bool) -> None:
    source, expected = FIXTURES[name]
    text = read(whole(f"<div>{source}</div>", MATHJAX), markdown=markdown).text
    assert formulas(text) == formulas(expected)
    assert text.count(PROSE.strip()) == 2
    assert "Home" not in text
    assert not MARKS.search(text)


@pytest.mark.parametrize("name", [*ELEVEN, "[itex]", "GitHub", "Zhihu", "mimeTeX", "MathML display", "KaTeX display"])
def test_a_formula_is_seen_where_no_script_of_a_library_announces_it(name: str) -> None:
    source, expected = ALL[name]
    assert formulas(read(whole(f"<div>{source}</div>")).text) == formulas(expected)


@pytest.mark.parametrize(
    "prices",
    ["It costs $5, or $10 for two.", "US$ 3,000 or A$ 500", "from $5-$10 now", "$HOME and $PATH", "a (CDC\\) and $x"],
)
@pytest.mark.parametrize("head", ["", "<script>tex2jax: {inlineMath: [['$','$']]}</script>"])
def test_prices_are_no_formulas(prices: str, head: str) -> None:
    found = read(whole(f"<p>{PROSE} {prices}</p>", head + (MATHJAX if head else "")))
    assert f"{PROSE} {prices}".replace("  ", " ") in found.text
    assert "formulas" not in found.meta


def test_escaped_parentheses_around_words_are_none_where_nothing_announces_formulas() -> None:
    assert "the center \\(CDC\\) says" in read(whole(f"<p>{PROSE} the center \\(CDC\\) says</p>")).text


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("markdown", [False, True])
def test_the_formulas_of_a_real_page_are_all_there_once(shared_data: Path, everything: bool, markdown: bool) -> None:
    raw = (shared_data / "documents" / "mathjax-logic.html").read_bytes()
    spans = r'<span class="math[^"]*">\\\((.*?)\\\)</span>|<div class="math[^"]*">\s*\\\[(.*?)\\\]</div>'
    sources = [" ".join((a or b).split()) for a, b in re.findall(spans, raw.decode(), re.DOTALL)]
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        sources = [source.replace(entity, character) for source in sources]
    assert len(sources) >= 50
    text = read(raw, everything=everything, markdown=markdown).text
    present = Counter(sources) & Counter(formulas(text))
    assert present.total() >= 0.99 * len(sources)
    assert "\\(" not in text


def test_a_formula_alone_between_paragraphs_stays_and_one_in_navigation_does_not_come() -> None:
    menu = "<nav>" + "<ul><li>\\[menu_1\\]<li>\\[menu_2\\]</ul></nav>"
    for tag in ("p", "div", "li", "td"):
        lines = "".join(f"<{tag}>\\[x_{i}\\]</{tag}>" for i in range(5))
        lines = f"<table><tr>{lines}</table>" if tag == "td" else lines
        assert formulas(read(whole(lines + menu, MATHJAX)).text) == [f"x_{i}" for i in range(5)]


def test_tags_in_scripts_and_comments_of_a_page_with_formulas_are_none() -> None:
    menu = "<nav><a href='/'>Home</a><script>write('<nav>')</script><!-- <nav> --></nav>"
    text = read(whole("<p>so \\(x^2\\) is</p>", MATHJAX).replace("<main>", menu + "<main>")).text
    assert text == f"{PROSE.strip()}\n\nso $x^2$ is\n\n{PROSE.strip()}"


def test_a_line_break_in_a_formula_is_a_space_and_elsewhere_stays_a_line_break() -> None:
    source = whole(f"<p>{PROSE}<br>Then \\[a<br>+b\\] of \\(c\\\\d\\)</p><pre>run \\\nthis</pre>", MATHJAX)
    assert "at it.\nThen $$a +b$$ of $c\\\\d$" in read(source).text
    text = read(source, markdown=True).text
    assert "at it.\\\nThen $$a +b$$ of $c\\\\d$" in text
    assert "run \\\nthis" in text


PAGES = st.lists(
    st.tuples(st.sampled_from(["p", "div", "li", "h2", "pre", "blockquote", "nav", "footer"]),
        st.sampled_from([PROSE, "Home", "\\(x\\)", "$5", "größer", "*a* _b_", "&lt;p&gt;", "<br>", "<b>b</b>", "1."])),
    max_size=20,
)  # fmt: skip


@settings(max_examples=30)
@given(PAGES, st.booleans())
def test_measuring_a_page_changes_no_text_and_agreement_is_a_share(parts: list[tuple[str, str]], math: bool) -> None:
    source = "".join(f"<{tag}>{inside}</{tag}>" for tag, inside in parts)
    body = f"<html><head>{MATHJAX if math else ''}<title>T</title></head><body>{source}".encode()
    texts: dict[tuple[bool, bool], set[Any]] = {}
    for mode in MODES:
        found = extract(body, "text/html", None, mode, "http://a.example/")
        if isinstance(found, Extracted):
            assert not mode.agreement or 0 <= found.meta.get("agreement", 0) <= 1
        texts.setdefault((mode.markdown, mode.everything), set()).add(getattr(found, "text", None))
    assert all(len(same) == 1 for same in texts.values())


def test_agreement_is_one_for_the_same_words_and_none_for_no_word_in_common() -> None:
    tree = page_module.HTMLTree.parse(f"<html><body><main><p>{PROSE}</p></main>")
    assert page_module._agreement(PROSE, tree) == 1
    assert page_module._agreement("nothing in common", tree) == 0
    assert read(f"<html><body><main>{f'<p>{PROSE}</p>' * 4}</main>", agreement=True).meta["agreement"] == 1


def test_addresses_of_links_are_kept_where_they_are_wanted() -> None:
    source = whole(f'<p>{PROSE} See <a href="https://a.example/x">the other page</a> for more.</p>')
    assert "See [the other page](https://a.example/x) for more." in read(source, markdown=True, links=True).text
    for mode in ({}, {"markdown": True}):
        assert "See the other page for more." in read(source, **mode).text


@pytest.mark.parametrize("tag", ["nav", "footer", 'div role="navigation"', "div", "td"])
def test_a_page_that_has_no_main_content_keeps_its_text(tag: str) -> None:
    assert read(f"<html><body><{tag}>Home | About us</{tag.split()[0]}></body></html>").text == "Home | About us"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(FRENCH + JAPANESE, "utf-16"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (CHINESE, "gb18030"),
        (CHINESE, "gbk"), (RUSSIAN, "koi8-r"), (RUSSIAN, "windows-1251"), (FRENCH, "cp1252")],
)  # fmt: skip
@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1", "nonsense"])
@pytest.mark.parametrize("declared", [False, True])
def test_no_encoding_makes_other_letters_of_a_text(
    text: str, encoding: str, header: str | None, declared: bool
) -> None:
    meta = f'<meta charset="{encoding}">' if declared else ""
    source = f"<html><head>{meta}<title>{text}</title></head><body><p>{text}</p><p>{text}</p></body></html>"
    found = read(source.encode(encoding), header)
    assert (found.text, found.title) == (f"{text}\n\n{text}", text)


@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1", "windows-1251"])
def test_a_few_broken_bytes_leave_the_rest_of_a_page_in_utf_8(header: str | None) -> None:
    body = f"<html><body><p>{RUSSIAN}</p><p>cut: ".encode() + "é".encode()[:1] + f"</p><p>{RUSSIAN}</p>".encode()
    assert read(body, header).text == f"{RUSSIAN}\n\ncut: \ufffd\n\n{RUSSIAN}"


def test_html_beyond_the_limit_is_not_read_and_said_to_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_CHARACTERS", 1000)
    paragraph = f"<p>{PROSE.strip()}</p>"
    found = read("<html><body>" + paragraph * 20)
    assert found.text.startswith("\n\n".join([PROSE.strip()] * 9))
    assert found.meta["cut"] == len(f"<body>{paragraph * 20}</body>") - 1000
    assert "cut" not in read("<html><body>" + paragraph * 8).meta


READ = """
import sys
from libertas.gather.extract import extract
from libertas.gather.extracted import ReadMode
piece, count, markdown = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
body = ("<html><head><script src=mathjax.js></script></head><body>" + piece * count).encode()
print(len(extract(body, "text/html", None, ReadMode(markdown=markdown)).text))
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process took")
@pytest.mark.parametrize("markdown", [False, True])
@pytest.mark.parametrize(
    ("piece", "count"),
    [(f"<p>{PROSE}</p>", 30_000_000 // 110), ("<li>one", 300_000), ("<div><p>a, b c d.", 300_000),
        ("<p>so \\(x^2\\) for $5 \\[a\\]", 300_000)],
)  # fmt: skip
def test_a_very_large_page_takes_less_than_a_gigabyte(piece: str, count: int, markdown: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ, piece, str(count), str(markdown)], capture_output=True, check=True
    )
    characters, kibibytes = map(int, done.stdout.split())
    assert characters > 1_000_000
    assert kibibytes < 1_000_000
