"""What a page says of itself: title, author, dates, language, address, site, license, description, opt-outs.

A field is there only if the page says it. What is read from a place that does not name the field (a byline known by its
class, a date in the address, a license that is only linked) is listed in `inferred`.
"""

import re
from typing import Any
from unicodedata import is_normalized

from resiliparse.parse.html import HTMLTree

from libertas.gather.byline import authors
from libertas.gather.declared import Page, bare, declared, first_of_type, plain, split_url, texts_of
from libertas.gather.license import page_license
from libertas.gather.normalize import normalize
from libertas.gather.opt_out import opt_outs_of_meta
from libertas.gather.published import modified_date, published_date

SITE_META = (
    "application-name", "citation_journal_title", "dc.publisher", "dcterms.publisher", "publisher"
)  # fmt: skip
TITLE_META = ("twitter:title", "dc.title", "citation_title", "title")
DESCRIPTION_META = (
    "og:description", "description", "twitter:description", "dc.description", "dcterms.description", "dc:description",
    "abstract", "dc.abstract", "dcterms.abstract",
)  # fmt: skip
LONGEST_VALUE = 5000
"""Characters of a value that are kept."""
SEPARATOR = re.compile(r" (?:[|–—·•:/»«›‹~-]|::|>|<)+ | ?[|»«›] ?|(?<=\w): (?=\S)")
"""What stands between a title and the name of the site."""
LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_]([a-zA-Z]{4}))?(?:[-_]([a-zA-Z]{2}|[0-9]{3}))?")
"""Language, script and region (BCP 47, RFC 5646); variants and extensions are not taken."""
NO_LANGUAGE = frozenset({"und", "mul", "zxx", "mis"})


def page_metadata(tree: HTMLTree, source: str, url: str = "") -> dict[str, Any]:
    """What a page declares, under the keys title, author (a list where there are several), published and modified
    (YYYY-MM-DD), declared_language (BCP-47), canonical, site, license (SPDX or address), description, opt_out (list)
    and inferred (list of these keys); absent where it says nothing.

    `source` is the page that `tree` was parsed from, and `url` its address, if it has one.
    """
    page = declared(tree, source, url)
    language, site = _language(page), _site(page)
    title = _title(page, site)
    names, by_class = authors(page, site)
    published, from_place = published_date(page, title, language)
    license_name, only_linked = page_license(page)
    found = {
        "title": _clean(title),
        "author": names if len(names) > 1 else _clean("".join(names)),
        "published": published,
        "modified": modified_date(page, language),
        "declared_language": language,
        "canonical": _canonical(page),
        "site": _clean(site),
        "license": _clean(license_name),
        "description": _clean(page.first(*DESCRIPTION_META) or next(page.texts("description"), "")),
        "opt_out": opt_outs_of_meta(page.meta, url),
        "inferred": [
            key
            for key, inferred in (("author", by_class), ("license", only_linked), ("published", from_place))
            if inferred
        ],
    }
    return {key: value for key, value in found.items() if value}


def _clean(value: str) -> str:
    """One line of normalized text of bounded length."""
    value = value[:LONGEST_VALUE].strip(" ")
    if value.isprintable() and is_normalized("NFC", value) and "  " not in value:
        return value  # most are, and checking takes a tenth of the time
    return " ".join(normalize(value).split())


def _site(page: Page) -> str:
    """The name of the site, as it calls itself."""
    publisher = page.about.get("publisher")
    website = first_of_type(page.nodes, frozenset({"WebSite"}))
    in_json = [name for node in (publisher, website) if isinstance(node, dict) for name in texts_of(node, "name")]
    return page.first("og:site_name") or next(iter(in_json), "") or page.first(*SITE_META)


def _language(page: Page) -> str:
    """The language that the page claims to be in, as BCP-47 writes it."""
    claims = (page.html.get("lang"), page.html.get("xml:lang"), page.first("content-language"), page.first("og:locale"))
    for claim in claims:
        if claim and (match := LANGUAGE.fullmatch(claim.strip())) and match[1].lower() not in NO_LANGUAGE:
            parts = (match[1].lower(), (match[2] or "").title(), (match[3] or "").upper())
            return "-".join(part for part in parts if part)
    return ""


def _canonical(page: Page) -> str:
    """The address that the page gives as its own; none if that is the front page of a site and this is another page."""
    for address in (*page.links_of("canonical"), page.first("og:url")):
        whole = page.whole(address)
        scheme, host, path, query = split_url(whole)
        front = not path.strip("/") and not query
        if scheme in ("http", "https") and host and not (front and split_url(page.url)[2].strip("/")):
            return whole[:LONGEST_VALUE]
    return ""


def _title(page: Page, site: str) -> str:
    """The title as a heading of the page has it that is a part of the declared title; else the declared title.

    A heading proves where the title ends and the name of the site begins; without one, og:site_name or the host does.
    """
    titles = [page.first("og:title"), *texts_of(page.about, "headline"), page.first(*TITLE_META)]
    titles = [title for title in (*titles, plain(page.tree.title or "")) if title]
    host = bare(page.host())
    site_names = {bare(site), host, bare(page.host().rpartition(".")[0]), ""}
    whole = [bare(title) for title in titles]
    best, longest = "", 0
    for heading in page.headings:
        key = bare(heading.text)
        if len(key) > longest and key not in site_names and key not in host and any(key in title for title in whole):
            best, longest = heading.text, len(key)
    alone = page.headings[0].text if len(page.headings) == 1 else ""
    return best or next((left for title in titles if (left := _without_site(title, site_names))), alone)


def _without_site(title: str, site_names: set[str]) -> str:
    """A title without the name of the site before or behind it; empty if nothing else is in it."""
    cuts = [match.span() for match in SEPARATOR.finditer(title[:500])]
    behind = (title[:start] for start, end in reversed(cuts) if bare(title[end:]) in site_names)
    before = (title[end:] for start, end in cuts if bare(title[:start]) in site_names)
    return next(behind, "") or next(before, "") or title
