"""Dumps of MediaWiki as articles, and wikitext as text."""

import bz2
from pathlib import Path
from xml.sax.saxutils import escape

import orjson
import pytest

from libertas.document import Drop
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats.mediawiki import MEDIAWIKI_PAGE, mediawiki_parts, read_mediawiki
from libertas.gather.formats.part import Part
from libertas.gather.formats.wikitext import wikitext_text
from libertas.gather.pack import pack
from libertas.lineage.manifest import read_manifest

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
<siteinfo><sitename>Wikipedia</sitename><base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base><namespaces>
<namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Datei</namespace>
<namespace key="14" case="first-letter">Kategorie</namespace></namespaces></siteinfo>
"""


def page(number: int, title: str, text: str, *, ns: int = 0, more: str = "", model: str = "wikitext") -> str:
    return (
        f"<page><title>{escape(title)}</title><ns>{ns}</ns><id>{number}</id>{more}<revision><id>9{number}</id>"
        f"<timestamp>2024-01-02T03:04:05Z</timestamp><model>{model}</model><text>{escape(text)}</text></revision></page>\n"
    )


def dump(*pages: str) -> str:
    return HEAD + "".join(pages) + "</mediawiki>\n"


def parts(tmp_path: Path, data: str | bytes) -> list[Part | Drop]:
    path = tmp_path / "dump.xml"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(mediawiki_parts(path))


def test_an_article_becomes_a_piece_with_its_address_and_what_the_dump_says(tmp_path: Path) -> None:
    (part,) = parts(tmp_path, dump(page(7, "Foo & Bär", "''Words'' &amp; more")))
    assert isinstance(part, Part)
    assert (part.name, part.content_type) == ("7", MEDIAWIKI_PAGE)
    assert part.url == "https://de.wikipedia.org/wiki/Foo_%26_B%C3%A4r"
    assert orjson.loads(part.body) == {
        "title": "Foo & Bär",
        "site": "Wikipedia",
        "language": "de",
        "base": "https://de.wikipedia.org/wiki/",
        "modified": "2024-01-02T03:04:05Z",
        "left_out": ["datei", "kategorie"],
        "text": "''Words'' &amp; more",
    }


def test_pages_that_are_no_articles_are_dropped_with_the_reason(tmp_path: Path) -> None:
    found = parts(
        tmp_path,
        dump(
            page(1, "Talk:A", "x", ns=1),
            page(2, "B", "x", more='<redirect title="A" />'),
            page(3, "C", "x", model="json"),
            page(4, "D", " "),
            page(5, "E", "x"),
        ),
    )
    assert found[:4] == [
        Drop("mediawiki", "not an article", "Talk:A"),
        Drop("mediawiki", "redirect", "B"),
        Drop("mediawiki", "not wikitext", "C"),
        Drop("mediawiki", "no text", "D"),
    ]
    assert isinstance(found[4], Part)
    assert len(found) == 5


def test_of_a_history_the_last_revision_counts(tmp_path: Path) -> None:
    twice = page(1, "A", "old").replace("</page>", "<revision><text>new</text></revision></page>")
    (part,) = parts(tmp_path, dump(twice))
    assert isinstance(part, Part)
    assert orjson.loads(part.body)["text"] == "new"


def test_a_dump_that_is_cut_off_gives_its_whole_articles_and_says_so(tmp_path: Path) -> None:
    text = dump(*(page(n, f"T{n}", f"words {n}") for n in range(1, 101)))
    found = parts(tmp_path, text[: text.index("words 51")])
    assert [f.name for f in found if isinstance(f, Part)] == [str(n) for n in range(1, 51)]
    assert [f.reason for f in found if isinstance(f, Drop)] == ["damaged dump"]
    packed = parts(tmp_path, bz2.compress(text.encode())[:-20])
    assert isinstance(packed[-1], Drop)
    assert packed[-1].reason == "damaged dump"


def test_an_entity_bomb_is_a_damaged_dump(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + dump(page(1, "A", "x")).replace(
        "<text>x", "<text>&b;"
    )
    assert parts(tmp_path, bomb) == [Drop("mediawiki", "damaged dump", "line 1: it has a document type")]


def test_an_article_longer_than_a_wiki_allows_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.mediawiki.LONGEST_CHARACTERS", 10)
    assert parts(tmp_path, dump(page(1, "A", "x" * 11))) == [Drop("mediawiki", "longer than a wiki allows", "A")]


ARTICLE = """{{Infobox|a=b|c={{nested|d}}}}
'''Foo''' ({{lang|de|}}) is a [[bar|thing]] of
5&nbsp;[[metre]]s,<ref>A source.</ref> {{convert|3|km|mi}} long.<!-- no -->
[[File:a.png|thumb|A [[caption]].]]

== Parts ==
* one ''item''
** inner
# first
# second
: indented

=== Formula ===
Let <math>x^2 < 3</math> hold. See [http://example.org the page].
<syntaxhighlight lang="python">
if a:
    b = '''c'''
</syntaxhighlight>
{| class="wikitable"
|+ Sizes
! Name !! Size
|-
| A || style="x" | 1
|-
| [[B]] || 2
|}
{{Quote|To be.}}
== References ==
{{reflist}}
[[Category:Things]] [[fr:Foo]]
"""


def test_wikitext_reads_as_plain_text() -> None:
    assert wikitext_text(ARTICLE) == (
        "Foo is a thing of 5 metres, 3 km long.\n\n"
        "Parts\n\n"
        "- one item\n  - inner\n1. first\n2. second\nindented\n\n"
        "Formula\n\n"
        "Let $x^2 < 3$ hold. See the page.\n\n"
        "if a:\n    b = '''c'''\n\n"
        "Sizes\n\nName | Size\nA | 1\nB | 2\n\n"
        "To be."
    )


def test_wikitext_reads_as_markdown() -> None:
    assert wikitext_text(ARTICLE, markdown=True) == (
        "**Foo** is a thing of 5 metres, 3 km long.\n\n"
        "## Parts\n\n"
        "- one *item*\n  - inner\n1. first\n2. second\nindented\n\n"
        "### Formula\n\n"
        "Let $x^2 < 3$ hold. See the page.\n\n"
        "```python\nif a:\n    b = '''c'''\n```\n\n"
        "Sizes\n\n| Name | Size |\n| --- | --- |\n| A | 1 |\n| B | 2 |\n\n"
        "> To be."
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a [[b]]c [[d (e)|d]] [[:File:x]]", "a bc d File:x"),
        ("5 {{times}} 3<sup>2</sup>", "5 × 3^2"),
        ("{{frac|1|2|3}} and {{val|5|e=3|u=m}}", "1 2/3 and 5×10^3 m"),
        ("<nowiki>[[no]] ''link''</nowiki>", "[[no]] ''link''"),
        ("L'''amour'' x", "L'amour x"),
        ("dans l'''amour'' et '''b''' ''c'' a", "dans l'amour et b c a"),
        ("x '''bold''' y", "x bold y"),
        ("{{unknown|words}}kept", "kept"),
        ("a {{b", "a {{b"),
        ("a ]] b }} c |} d", "a ]] b }} c |} d"),
        ("a <!-- never closed", "a"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("{{{arg|default}}}", "default"),
        ("a<br>b", "a\nb"),
        ("one\ntwo\n\nthree", "one two\n\nthree"),
        ("", ""),
    ],
)
def test_each_mark_of_wikitext_is_put_into_words(source: str, text: str) -> None:
    assert wikitext_text(source) == text


def test_an_elision_before_italics_is_no_bold() -> None:
    assert wikitext_text("dans l'''amour'' '''b'''", markdown=True) == "dans l'*amour* **b**"
    assert wikitext_text("'''De''' l'''amour''", markdown=True) == "**De** l'*amour*"


def test_links_keep_their_addresses_when_asked() -> None:
    text = wikitext_text("[[a b|c]] [http://x.org d]", markdown=True, base="https://w.org/wiki/")
    assert text == "[c](https://w.org/wiki/a_b) [d](http://x.org)"


def test_an_article_reads_below_its_title_without_the_wikis_own_namespaces() -> None:
    body = orjson.dumps({"title": "Foo", "site": "W", "language": "de", "modified": "2024", "left_out": ["datei"],
                         "text": "[[Datei:a.png|mini|weg]]\nDas '''Foo'''."})  # fmt: skip
    meta = {"site": "W", "language": "de", "modified": "2024"}
    assert read_mediawiki(body, PLAIN_TEXT) == Extracted("Foo\n\nDas Foo.", "Foo", meta)
    markdown = read_mediawiki(body, ReadMode(markdown=True))
    assert markdown == Extracted("# Foo\n\nDas **Foo**.", "Foo", meta)
    empty = orjson.dumps({"title": "Foo", "left_out": [], "text": "{{stub}}"})
    assert read_mediawiki(empty, PLAIN_TEXT) == Drop("mediawiki", "no words in it", "Foo")


@pytest.mark.parametrize(
    "source",
    [
        "[[a|",
        "{{a|",
        "{{{",
        "<ref>",
        "<b>x",
        "{|\n|-\n|",
        "''a'''b",
        "==a\n",
        "[http://a ",
        "<!--",
        "&a",
        "}}",
        "]]",
        "<b ",
        "\n  ",
        "( ,",
        "{{a|[[b|c}}]]",
        "<nowiki>",
        "<math>",
        "*#:;",
        "\x01" + "1\x01",
        "\n|",
        "'",
        "[",
        "{{convert|1|to|",
        "<sup> 1",
        "<poem>a\n",
        "\x02",
        "\x03\x04 ",
    ],
)
def test_hostile_marks_are_read_as_text_or_left_out(source: str) -> None:
    for markdown in (False, True):
        text = wikitext_text(source * 3000 + "\n\nend", markdown=markdown, base="http://x/")
        assert isinstance(text, str)
        assert "\x01" not in text
        assert "\x02" not in text


def test_a_dump_becomes_documents_at_their_own_addresses(tmp_path: Path) -> None:
    path = tmp_path / "pages.xml.bz2"
    path.write_bytes(
        bz2.compress(dump(page(1, "A", "Das '''A'''."), page(2, "B", "x", ns=4), page(3, "C", "Ein C.")).encode())
    )
    archive = pack(PackConfig(paths=(str(path),), out=tmp_path / "p"))
    counts = read_manifest(archive).counts
    assert counts["pieces"] == {"in": 3, "out": 2, "dropped": 1}
    assert counts["dropped"] == {"not an article": 1}
    corpus = gather(GatherConfig(archives=(archive,), out=tmp_path / "c", workers=1))
    found = [(d.meta["url"], d.text, d.meta["site"], d.meta["title"]) for d in corpus]
    assert found == [
        ("https://de.wikipedia.org/wiki/A", "A\n\nDas A.", "Wikipedia", "A"),
        ("https://de.wikipedia.org/wiki/C", "C\n\nEin C.", "Wikipedia", "C"),
    ]
