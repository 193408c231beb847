"""Journal articles in JATS as texts with their formulas, tables and metadata."""

from pathlib import Path

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats.jats import read_jats

ARTICLE = """<?xml version="1.0"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.2//EN" "JATS-archivearticle1.dtd">
<article article-type="research-article" xml:lang="en" 
 xmlns:xlink="http://www.w3.org/1999/xlink" 
 xmlns:mml="http://www.w3.org/1998/Math/MathML">
<front><journal-meta><journal-title-group><journal-title>J. Tests</journal-title></journal-title-group></journal-meta>
<article-meta><article-id pub-id-type="doi">10.1/x</article-id>
<article-id pub-id-type="pmid">7</article-id><article-id pub-id-type="pmc">PMC1</article-id>
<title-group>
<article-title>On H<sub>2</sub>O <italic>waves</italic><xref ref-type="fn" rid="f">*</xref></article-title>
</title-group>
<contrib-group><contrib contrib-type="author"><name><surname>Writer</surname><given-names>Ann B</given-names></name>
</contrib>
<contrib contrib-type="author"><collab>The Group</collab></contrib>
<contrib contrib-type="editor"><name><surname>No</surname></name></contrib></contrib-group>
<pub-date pub-type="collection"><year>2020</year></pub-date>
<pub-date pub-type="epub"><day>5</day><month>3</month><year>2019</year></pub-date>
<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/"><license-p>Open.</license-p></license>
</permissions>
<abstract><title>Abstract</title><p>Short words.</p></abstract>
<kwd-group><kwd>waves</kwd><kwd>tests</kwd></kwd-group></article-meta></front>
<body><sec>
<label>1</label><title>Intro</title>
<p>As known<sup><xref ref-type="bibr" rid="r">1</xref></sup> 10<sup>-3</sup> is small<fn><p>A note.</p></fn>, and
<inline-formula><tex-math>\\documentclass{a}\\begin{document}$x^2$\\end{document}</tex-math></inline-formula> too.</p>
<disp-formula><mml:math><mml:mfrac><mml:mn>1</mml:mn><mml:mi>y</mml:mi></mml:mfrac></mml:math></disp-formula>
<list list-type="order"><list-item><p>one</p></list-item><list-item><p>two</p></list-item></list>
<sec><title>Inner</title><p>More.</p></sec></sec>
<table-wrap><label>Table 1</label><caption><p>Sizes</p></caption>
<table><thead><tr><th>A</th><th>B</th></tr></thead>
<tbody><tr><td>1</td><td>2</td></tr></tbody></table></table-wrap>
</body><back><ack><title>Thanks</title><p>To all.</p></ack>
<ref-list><ref><mixed-citation>No.</mixed-citation></ref></ref-list></back>
<sub-article><body><p>A review.</p></body></sub-article></article>"""
META = {
    "author": ["Ann B Writer", "The Group"],
    "published": "2019-03-05",
    "language": "en",
    "license": "CC-BY-4.0",
    "site": "J. Tests",
    "doi": "10.1/x",
    "pmid": "7",
    "pmcid": "PMC1",
    "canonical": "https://doi.org/10.1/x",
    "keywords": ["waves", "tests"],
}
TEXT = r"""On H₂O waves

Abstract

Short words.

1 Intro

As known 10⁻³ is small (A note.), and $x^2$ too.

$$\frac{1}{y}$$

1. one
2. two

Inner

More.

Table 1 Sizes

A | B
1 | 2

Thanks

To all."""


def article(body: str, front: str = "") -> bytes:
    return f'<article dtd-version="1.2"><front>{front}</front><body>{body}</body></article>'.encode()


def read(source: bytes, *, markdown: bool = False) -> Extracted:
    found = read_jats(source, ReadMode(markdown=markdown))
    assert isinstance(found, Extracted)
    return found


def test_an_article_reads_as_its_text_with_what_it_says_of_itself() -> None:
    assert read(ARTICLE.encode()) == Extracted(TEXT, "On H₂O waves", META)


def test_markdown_marks_headings_and_tables() -> None:
    blocks = read(ARTICLE.encode(), markdown=True).text.split("\n\n")
    assert [b for b in blocks if b.startswith("#")][:3] == ["# On H₂O waves", "## 1 Intro", "### Inner"]
    assert "| A | B |\n| --- | --- |\n| 1 | 2 |" in blocks


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a<break/>b</p><p>c</p>", "a b\n\nc"),
        ("<p>x<sub>i</sub> x<sup>n</sup> x<sup>ab</sup></p>", "x_i xⁿ x^ab"),
        ("<list><list-item><p>a</p><list><list-item><p>b</p></list-item></list></list-item></list>", "- a\n   - b"),
        ("<p>a<!-- b -->c<?pi d?>e</p>", "ace"),
        ("<p>a &amp; &#x3b1; &lt;b&gt;</p>", "a & α <b>"),
        ("<p>one</p>tail<p>two</p>", "one\n\ntail\n\ntwo"),
        ("<preformat>a\n  b</preformat>", "a\n  b"),
        ("<p>a <inline-formula><alternatives><tex-math>$b$</tex-math><math><mi>c</mi></math></alternatives>"
         "</inline-formula></p>", "a $b$"),
        ("<p>a <inline-graphic/>b<xref ref-type='fig'>Fig. 1</xref></p>", "a bFig. 1"),
    ],
)  # fmt: skip
def test_each_element_is_put_into_words(body: str, text: str) -> None:
    assert read(article(body)).text == text


def test_the_earliest_date_counts_as_exactly_as_it_is_given() -> None:
    def published(*dates: str) -> object:
        front = "".join(f"<pub-date pub-type='epub'>{d}</pub-date>" for d in dates)
        return read(article("<p>x</p>", f"<article-meta>{front}</article-meta>")).meta.get("published")

    assert published("<month>5</month><year>2001</year>", "<year>2003</year>") == "2001-05"
    assert published("<year>2001</year><season>Spring</season>") == "2001"
    assert published("<year>MMI</year>") is None


def test_what_is_no_article_is_dropped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def reason(body: bytes) -> tuple[str, object]:
        found = read_jats(body, PLAIN_TEXT)
        assert isinstance(found, Drop)
        return found.reason, found.value

    assert reason(b"")[0] == "not XML"
    assert reason(b"words")[0] in ("not XML", "not an article")
    assert reason(b"<book><article/></book>") == ("not an article", "book")
    monkeypatch.setattr("libertas.gather.formats.jats.MOST_BYTES", 10)
    assert reason(article("<p>x</p>"))[0] == "larger than the cap"


def test_entities_do_not_expand_and_lead_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do not read")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    secret = f'<!ENTITY f SYSTEM "{(tmp_path / "secret").as_uri()}">'
    bomb = read(f"<!DOCTYPE article [{entities}]>".encode() + article("<p>before &e11; after</p>"))
    assert bomb.text.startswith("before")
    assert len(bomb.text) < 1000
    found = read(f"<!DOCTYPE article [{secret}]>".encode() + article("<p>before &f; &alpha; after</p>"))
    assert found.text.startswith("before")
    assert found.text.endswith("α after")
    assert "do not" not in found.text


@pytest.mark.parametrize(
    "element", ["sec", "p", "list", "list-item", "fn", "sub", "italic", "disp-quote", "table", "inline-formula", "math",
                "title", "boxed-text", "mrow", "xref", "def-list", "label", "caption"]
)  # fmt: skip
def test_deep_nesting_is_read_or_dropped(element: str) -> None:
    for body in (f"<{element}>" * 3000, f"<{element}>" * 200 + "x" + f"</{element}>" * 200):
        for markdown in (False, True):
            found = read_jats(article(f"<p>before</p>{body}"), ReadMode(markdown=markdown))
            assert isinstance(found, Drop) or found.text.startswith("before")


def test_a_wide_table_does_not_grow_in_markdown() -> None:
    rows = "<tr>" + "<td>x</td>" * 3000 + "</tr>" + "<tr><td>y</td></tr>" * 3000
    assert len(read(article(f"<table>{rows}</table>"), markdown=True).text) < 100_000


def test_an_article_that_is_cut_off_anywhere_is_read_or_dropped() -> None:
    body = ARTICLE.encode()
    for at in range(0, len(body), 11):
        assert isinstance(read_jats(body[:at], PLAIN_TEXT), Extracted | Drop)
        altered = bytearray(body)
        altered[at] ^= 0x12
        assert isinstance(read_jats(bytes(altered), PLAIN_TEXT), Extracted | Drop)
