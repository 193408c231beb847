"""What pages say of themselves, field by field, on pages made by hand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from libertas.gather.dates import iso_date, url_date
from libertas.gather.declared import JSON_CHARACTERS, attributes_of, declared, plain
from libertas.gather.extracted import ReadMode
from libertas.gather.license import spdx
from libertas.gather.metadata import LONGEST_VALUE, page_metadata
from libertas.gather.opt_out import (
    opt_outs_of_headers,
    opt_outs_of_meta,
)
from libertas.gather.page import page_of

URL = "http://www.news.example/articles/foxes"


def said(head: str = "", body: str = "", url: str = URL, root: str = "") -> dict[str, Any]:
    """Metadata of a page."""
    source = f"<!DOCTYPE html><html {root}><head>{head}</head><body>{body}<p>Some text.</p></body></html>"
    return page_metadata(HTMLTree.parse(source), source, url)


def ld(**fields: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(fields)}</script>'


def named(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{content}">'


def of_property(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{content}">'


def test_a_page_that_says_nothing_has_no_metadata() -> None:
    assert said() == {}
    assert said(named("viewport", "width=1"), "<h2></h2>") == {}


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (of_property("og:title", "Foxes at night"), ""),
        (ld(**{"@type": "NewsArticle", "headline": "Foxes at night"}), ""),
        (named("twitter:title", "Foxes at night"), ""),
        (named("DC.title", "Foxes at night"), ""),
        (named("citation_title", "Foxes at night"), ""),
        ("<title>Foxes\n at&nbsp;night</title>", ""),
        ("<title>Foxes at night | news.example</title>", ""),
        ("<title>The Daily - Foxes at night</title>" + of_property("og:site_name", "The Daily"), ""),
        ("<title>Foxes at night :: Wildlife :: Home</title>", "<h1>Foxes at night</h1><h2>Wildlife, too</h2>"),
        ("", "<h1>Foxes <em>at</em> night</h1>"),
        ("", "<!-- <h1>Not this</h1> --><script>'<h1>nor this</h1>'</script><h1>Foxes at night</h1>"),
    ],
)
def test_a_title_is_declared_or_is_a_heading_and_has_no_name_of_the_site(head: str, body: str) -> None:
    assert said(head, body)["title"] == "Foxes at night"


def test_without_a_declared_title_two_headings_are_no_title() -> None:
    assert "title" not in said("", "<h1>One</h1><h1>Two</h1>")


BOTH = ["Ada Lovelace", "Alan Turing"]


@pytest.mark.parametrize(
    ("head", "body", "author"),
    [
        (named("author", "Ada Lovelace"), "", "Ada Lovelace"),
        (named("DC.Creator", "Ada Lovelace"), "", "Ada Lovelace"),
        (named("author", "By Ada Lovelace, Ph.D. and Alan Turing"), "", ["Ada Lovelace, Ph.D", "Alan Turing"]),
        (named("citation_author", "Ada Lovelace") + named("citation_author", "Alan Turing"), "", BOTH),
        (ld(**{"@type": "Article", "author": {"@type": "Person", "name": "Ada Lovelace"}}), "", "Ada Lovelace"),
        (ld(**{"@type": "Article", "author": ["Ada Lovelace", {"name": "Alan Turing"}]}), "", BOTH),
        (
            ld(**{"@graph": [{"@type": "Article", "author": {"@id": "#a"}}, {"@id": "#a", "name": "Ada Lovelace"}]}),
            "",
            "Ada Lovelace",
        ),
        ("", '<a rel="author" href="/ada">Ada Lovelace</a>', "Ada Lovelace"),
        ("", '<span itemprop="author">Ada Lovelace</span>', "Ada Lovelace"),
        (named("author", "admin") + named("dc.author", "Ada Lovelace"), "", "Ada Lovelace"),
        (named("author", "Ada Lovelace"), '<p class="byline">By Alan Turing</p>', "Ada Lovelace"),
    ],
)  # fmt: skip
def test_authors_are_declared_and_each_has_a_name_of_its_own(head: str, body: str, author: str | list[str]) -> None:
    found = said(head, body)
    assert found["author"] == author
    assert "inferred" not in found


@pytest.mark.parametrize(
    "name", ["admin", "The Daily", "news", "https://x.example/ada", "info@news.example", "1234", "-"]
)
def test_what_names_nobody_is_no_author(name: str) -> None:
    assert "author" not in said(named("author", name) + of_property("og:site_name", "The Daily"))


@pytest.mark.parametrize(
    "byline",
    [
        '<p class="byline">By Ada Lovelace</p>',
        '<div class="post-author">Posted by: Ada Lovelace on 3 May 2019</div>',
        '<span class="author">von Ada Lovelace | 12.03.2020</span>',
        '<address>Ada Lovelace</address>',
    ],
)  # fmt: skip
def test_a_byline_that_only_its_class_tells_is_inferred(byline: str) -> None:
    found = said("", byline)
    assert found["author"] == "Ada Lovelace"
    assert "author" in found["inferred"]


def test_who_commented_is_not_the_author() -> None:
    assert "author" not in said("", '<div class="comments"><span class="author">Ada Lovelace</span></div>')


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (of_property("article:published_time", "2019-08-02T23:30:00+02:00"), ""),
        (ld(**{"@type": "BlogPosting", "datePublished": "2019-08-02"}), ""),
        (named("citation_publication_date", "2019/08/02"), ""),
        (named("DC.date.issued", "2 August 2019"), ""),
        ('<meta itemprop="datePublished" content="2019-08-02">', ""),
        ("", '<time itemprop="datePublished" datetime="2019-08-02T10:00">last week</time>'),
        ("", '<span itemprop="datePublished">August 2, 2019</span>'),
    ],
)
def test_the_day_of_publication_is_declared(head: str, body: str) -> None:
    found = said(head, body)
    assert found["published"] == "2019-08-02"
    assert "inferred" not in found


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("http://news.example/2019/08/02/foxes", ""),
        (URL, '<time datetime="2019-08-02">then</time>'),
        (URL, '<span class="entry-date">2. August 2019</span>'),
        (URL, '<div class="article-meta">Aug 2nd, 2019 in Wildlife</div>'),
        (URL, "<h1>Foxes</h1><p>London, 2 August 2019. They came again.</p>"),
    ],
)
def test_a_day_that_stands_where_dates_usually_are_is_inferred(url: str, body: str) -> None:
    found = said("", body, url)
    assert (found["published"], found["inferred"]) == ("2019-08-02", ["published"])


def test_a_day_declared_in_utc_yields_to_that_of_the_address_if_it_is_the_next_one() -> None:
    head = of_property("article:published_time", "2019-08-03T01:00:00Z")
    assert said(head, url="http://news.example/2019/08/02/foxes")["published"] == "2019-08-02"
    assert said(head, url="http://news.example/2019/07/02/foxes")["published"] == "2019-08-03"


def test_the_day_of_the_last_change_is_only_taken_where_it_is_declared() -> None:
    assert said(of_property("article:modified_time", "2020-01-31T01:00:00Z"))["modified"] == "2020-01-31"
    assert said(ld(**{"@type": "Article", "dateModified": "2020-01-31"}))["modified"] == "2020-01-31"
    assert "modified" not in said("", "<p>Last changed on 31 January 2020</p>")


@pytest.mark.parametrize(
    ("text", "language", "date"),
    [
        ("2019-08-02T10:00", "", "2019-08-02"),
        ("20190802", "", "2019-08-02"),
        ("2. März 2019", "de", "2019-03-02"),
        ("le 2 août 2019", "fr", "2019-08-02"),
        ("2 de agosto de 2019", "es", "2019-08-02"),
        ("2 сентября 2019", "ru", "2019-09-02"),
        ("2019년 8월 2일", "ko", "2019-08-02"),
        ("2019年8月2日", "ja", "2019-08-02"),
        ("2/3/2019", "en-US", "2019-02-03"),
        ("2/3/2019", "en-GB", "2019-03-02"),
        ("2/3/2019", "en", ""),
        ("13/3/2019", "en", "2019-03-13"),
        ("3/13/2019", "en", "2019-03-13"),
        ("02.03.2019", "", "2019-03-02"),
        ("2019-02-30", "", ""),
        ("1789-07-14", "", ""),
        ("version 1.10.2.2019", "", ""),
        ("yesterday", "", ""),
    ],
)
def test_dates_are_read_in_the_order_of_their_language(text: str, language: str, date: str) -> None:
    assert iso_date(text, language) == date


def test_a_day_in_an_address_is_one_in_its_path() -> None:
    assert url_date("http://a.example/2019/08/02/x.html") == "2019-08-02"
    assert url_date("http://a.example/x-20190802") == "2019-08-02"
    assert url_date("http://a.example/x?d=/2019/08/02/") == ""
    assert url_date("http://a.example/2019/13/45/") == ""


@pytest.mark.parametrize(
    ("root", "head", "language"),
    [
        ('lang="en"', "", "en"),
        ('lang="DE_at"', "", "de-AT"),
        ('xml:lang="zh-hant-tw"', "", "zh-Hant-TW"),
        ("", '<meta http-equiv="Content-Language" content="fr">', "fr"),
        ("", of_property("og:locale", "pt_BR"), "pt-BR"),
        ('lang="und"', of_property("og:locale", "pt_BR"), "pt-BR"),
        ('lang="english"', "", None),
        ('lang="en-x-private-and-more"', "", None),
    ],
)
def test_a_language_is_the_one_that_the_page_claims(root: str, head: str, language: str | None) -> None:
    assert said(head, root=root).get("declared_language") == language


def test_an_address_of_its_own_is_whole_and_no_front_page_of_a_site() -> None:
    def canonical(address: str, head: str = "", url: str = URL) -> str | None:
        return said(f'<link rel="canonical" href="{address}">{head}', url=url).get("canonical")

    assert canonical("http://news.example/foxes?a=1&amp;b=2") == "http://news.example/foxes?a=1&b=2"
    assert canonical("/foxes") == "http://www.news.example/foxes"
    assert canonical("foxes", '<base href="http://b.example/x/">') == "http://b.example/x/foxes"
    assert canonical("http://news.example/") is None
    assert canonical("http://news.example/", url="http://news.example/") == "http://news.example/"
    assert canonical("javascript:void(0)") is None
    assert canonical("http://[broken", of_property("og:url", "http://news.example/og")) == "http://news.example/og"


@pytest.mark.parametrize(
    "head",
    [
        of_property("og:site_name", "The Daily"),
        named("application-name", "The Daily"),
        named("citation_journal_title", "The Daily"),
        ld(**{"@type": "Article", "publisher": {"@type": "Organization", "name": "The Daily"}}),
        ld(**{"@type": "WebSite", "name": "The Daily"}),
    ],
)
def test_the_name_of_a_site_is_what_it_calls_itself(head: str) -> None:
    assert said(head)["site"] == "The Daily"


def test_a_description_is_declared() -> None:
    assert said(named("description", "Two &amp; a half  foxes"))["description"] == "Two & a half foxes"
    assert said(of_property("og:description", "Foxes") + named("description", "Dogs"))["description"] == "Foxes"
    assert said(ld(**{"@type": "Article", "description": "Foxes"}))["description"] == "Foxes"
    assert len(said(named("description", "x" * 10_000))["description"]) == LONGEST_VALUE


CC = "https://creativecommons.org/licenses/by-sa/4.0/"


@pytest.mark.parametrize(
    ("head", "body", "name", "inferred"),
    [
        (f'<link rel="license" href="{CC}">', "", "CC-BY-SA-4.0", False),
        (ld(**{"@type": "Article", "license": CC}), "", "CC-BY-SA-4.0", False),
        ("", f'<a rel="license" href="{CC}deed.de">Lizenz</a>', "CC-BY-SA-4.0", False),
        (named("dc.rights", "CC BY-NC 2.0"), "", "CC-BY-NC-2.0", False),
        ('<link rel="license" href="/terms">', "", "http://www.news.example/terms", False),
        ("", f'<p>See <a href="{CC}">this</a></p>', "CC-BY-SA-4.0", True),
        ("", f'<p>Photo: Ada, <a href="{CC}">CC</a></p>', None, False),
        ("", f'<a href="{CC}">a</a> <p>or</p> <a href="{CC.replace("by-sa", "by")}">b</a>', None, False),
        (named("copyright", "All rights reserved"), "", None, False),
    ],
)
def test_a_license_is_declared_or_the_only_one_that_is_linked(
    head: str, body: str, name: str | None, inferred: bool
) -> None:
    found = said(head, body)
    assert found.get("license") == name
    assert ("license" in found.get("inferred", ())) == inferred


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("http://creativecommons.org/licenses/by-nd-nc/1.0", "CC-BY-NC-ND-1.0"),
        ("//creativecommons.org/licences/by/3.0/de/", "CC-BY-3.0-DE"),
        ("https://creativecommons.org/licenses/by/3.0/xx/", ""),
        ("https://creativecommons.org/licenses/by/9.9/", ""),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("https://www.apache.org/licenses/LICENSE-2.0.html", "Apache-2.0"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("CC0", "CC0-1.0"),
        ("soccby 4.0", ""),
        ("", ""),
    ],
)
def test_addresses_and_names_of_licenses_have_their_spdx_identifier(text: str, name: str) -> None:
    assert spdx(text) == name


def test_a_page_reserves_rights_in_its_meta_elements() -> None:
    head = (
        named("robots", "index, NOAI, noimageai; max-snippet:0")
        + named("GPTBot", "noindex")
        + named("tdm-reservation", "1")
        + named("tdm-policy", "/policy.json")
        + '<meta http-equiv="X-Robots-Tag" content="noarchive">'
        + named("robots", "follow")
    )
    assert said(head)["opt_out"] == [
        "meta X-Robots-Tag: noarchive",
        "meta gptbot: noindex",
        "meta robots: max-snippet:0",
        "meta robots: noai",
        "meta robots: noimageai",
        "meta tdm-policy: http://www.news.example/policy.json",
        "meta tdm-reservation: 1",
    ]
    assert "opt_out" not in said(named("robots", "index, follow, max-snippet:-1") + named("tdm-reservation", "0"))
    assert opt_outs_of_meta({"keywords": ["noai"]}, URL) == []


def test_a_server_reserves_rights_in_its_headers() -> None:
    headers = (
        ("X-Robots-Tag", "noai, unavailable_after: 25 Jun 2010 15:00:00 PST, googlebot: noindex, nosnippet"),
        ("tdm-reservation", " 1 "),
        ("TDM-Policy", "https://a.example/terms"),
        ("content-type", "noindex"),
    )
    assert opt_outs_of_headers(headers, URL) == [
        "HTTP tdm-policy: https://a.example/terms",
        "HTTP tdm-reservation: 1",
        "X-Robots-Tag googlebot: noindex",
        "X-Robots-Tag googlebot: nosnippet",
        "X-Robots-Tag: noai",
    ]
    assert opt_outs_of_headers((("tdm-policy", "/x"), ("tdm-reservation", "0"), ("x-robots-tag", "all")), URL) == []


def test_metadata_reach_a_page_that_is_read_with_them_and_no_other() -> None:
    source = (
        f"<html><head>{named('author', 'Ada Lovelace')}<title>A - The Daily</title></head><body><p>Text.</p></body>"
    )
    assert page_of(source.encode(), None, ReadMode(metadata=True), URL).meta == {"author": "Ada Lovelace"}
    assert page_of(source.encode(), None, ReadMode(), URL).meta == {}


@pytest.mark.parametrize(
    "script",
    [
        "{",
        '{"a": 1,}',
        "[1, 2",
        "null",
        '"text"',
        "[" * 50_000,
        '{"@type": ["Article", 3, null], "author": {"name": {}}}',
    ],
)
def test_json_that_is_broken_or_odd_does_no_harm(script: str) -> None:
    found = said(f'<script type="application/ld+json">{script}</script>' + named("author", "Ada Lovelace"))
    assert found == {"author": "Ada Lovelace"}


def test_json_is_read_past_comments_line_ends_and_trailing_commas() -> None:
    for script in (
        '<!-- {"@type": "Article", "author": "Ada Lovelace"} -->',
        '//<![CDATA[\n{"@type": "Article", "author": "Ada Lovelace",}\n//]]>',
        '{"@type": "http://schema.org/Article", "text": "two\nlines", "author": "Ada Lovelace"}',
    ):
        assert said(f"<script type='application/ld+json'>{script}</script>") == {"author": "Ada Lovelace"}
    too_long = f'{{"@type": "Article", "author": "Ada Lovelace", "x": "{"x" * JSON_CHARACTERS}"}}'
    assert said(f"<script type='application/ld+json'>{too_long}</script>") == {}


def test_attributes_are_read_as_html_has_them() -> None:
    assert attributes_of(" A=1 b='2 3' c=\"4>5\" d a=6 e = x&amp;y>") == {
        "a": "1",
        "b": "2 3",
        "c": "4>5",
        "d": "",
        "e": "x&y",
    }
    assert plain(" a &amp;amp; b\n c ") == "a & b c"


def test_tags_in_comments_and_programs_declare_nothing() -> None:
    hidden = named("author", "Nobody Here")
    head = (
        f"<!-- {hidden} --><script>var a = '{hidden}'</script><style>{hidden}</style>{named('author', 'Ada Lovelace')}"
    )
    assert said(head)["author"] == "Ada Lovelace"


HOSTILE = [
    "<meta ", "<meta name=author content=", '<meta a="', "<!--", "<script>", "<time>", "<h1>", "<h1>x",
    "<a href=x license", "<a license ", "a=b ", "2019", "2019-1", "<", "&amp;", "<p>2019",
    "creativecommons.org/licenses/",
    "<link license ",
    "<script type='ld+json'>[", "<script type='ld+json'>{}</script>", "<div class=author>", "<div class=date>x</div>",
]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_page_of_one_thing_many_times_does_not_hold_the_reader(piece: str) -> None:
    """Steps that grow with the square of the size would be 60 billion here."""
    source = f"<html><head></head><body>{piece * (250_000 // len(piece))}"
    found = page_metadata(HTMLTree.parse(source), source, URL)
    assert all(len(str(value)) <= LONGEST_VALUE for value in found.values())


@given(st.text(alphabet="<>=\"'/! -abmtlinkscrp&;\n{}[]:,2019", max_size=300))
def test_no_page_makes_reading_fail(source: str) -> None:
    page = declared(HTMLTree.parse(source), source, "http://a.example/")
    found = page_metadata(HTMLTree.parse(source), source, "http://a.example/")
    assert all(isinstance(key, str) and value for key, value in found.items())
    assert len(page.headings) <= 30
