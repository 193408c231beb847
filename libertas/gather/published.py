"""When a page says it was published and changed."""

import datetime
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from libertas.gather.dates import iso_date, url_date
from libertas.gather.declared import Page, inner_text

ARTICLE_META = ("article:published_time", "og:article:published_time", "og:published_time")
PUBLISHED_META = (
    "datepublished", "citation_publication_date", "citation_online_date", "citation_date", "dc.date.issued",
    "dcterms.issued", "dcterms.created", "dc.date.created", "dc.date", "dcterms.date", "dc:date", "parsely-pub-date",
    "sailthru.date", "publishdate", "publish_date", "publish-date", "pubdate", "pub_date", "published_time",
    "published", "prism.publicationdate", "shareaholic:article_published_time", "cxenseparse:recs:publishtime",
    "cxenseparse:publishtime", "datecreated", "uploaddate", "date",
)  # fmt: skip
MODIFIED_META = (
    "article:modified_time", "og:article:modified_time", "og:updated_time", "datemodified", "dcterms.modified",
    "dc.date.modified", "last-modified", "lastmod", "revised", "updated_time", "date_modified",
)  # fmt: skip
MARKED_DATE = "[itemprop~=datePublished], time[pubdate]"
DATE_CLASSES = (
    ".entry-date, .published, .post-date, .postdate, .date-header, .entry-time, .article-date, .article__date, "
    ".pubdate, .publish-date, .dateline, .posted-on, .meta-date, .date, .datum, .timestamp, .created"
)
DATE_LETTERS = (
    "[class*=date], [class*=Date], [class*=publish], [class*=Publish], [class*=meta], [class*=time], [class*=author], "
    "[class*=byline], .info, .submitted, .updated"
)
SCRIPT_DATE = re.compile(
    r"\"(?:datePublished|published_?[aA]t|publish(?:ed)?_?[dD]ate|pub_?[dD]ate|firstPublished|created_?[aA]t|"
    r"date_published)\\?\"\s?:\s?\\?\"(\d{4}-\d\d-\d\d)"
)
"""A date in the data that a page's programs bring along."""
YEAR = re.compile(r"20[0-9]{2}")
MOST_YEARS = 500
FULL_DATE = re.compile(
    r"(?<!\d)(?:\d\d?\.\s?(?:\d\d?\.|[^\W\d_]{3,9})\s?20\d\d|[A-Z][a-z]{2,8}\.? \d\d?, 20\d\d|20\d\d-[01]\d-\d\d)(?!\d)"
)
BEFORE_YEAR, BEHIND_YEAR = 60, 6
"""A day early in a run of text begins so many characters before its year; some of them are white space."""
BEFORE_TITLE, BEHIND_TITLE = 800, 3000
"""A date so many characters of source before or behind the title is taken for the page's."""


def published_date(page: Page, title: str, language: str) -> tuple[str, bool]:
    """The day of publication as YYYY-MM-DD or nothing, and whether it was inferred: found where dates usually are."""
    in_url = url_date(page.url)
    in_json = page.texts("datePublished", "uploadDate", "dateCreated")
    if date := _first((*page.all(*ARTICLE_META), *in_json, *page.all(*PUBLISHED_META)), language):
        if in_url and abs((datetime.date.fromisoformat(date) - datetime.date.fromisoformat(in_url)).days) == 1:
            return in_url, True  # declared in UTC, which was another day than the author's
        return date, False
    if date := _first(page.visible(MARKED_DATE), language):
        return date, False
    times = (attributes.get("datetime") or text for attributes, text in page.times)
    places = ((in_url,), page.visible(DATE_CLASSES), times, page.visible(DATE_LETTERS), _anywhere(page, title))
    date = next((date for texts in places if (date := _first(texts, language))), "")
    return date, bool(date)


def modified_date(page: Page, language: str) -> str:
    """The day of the last change that the page declares, as YYYY-MM-DD, or nothing."""
    return _first((*page.texts("dateModified"), *page.all(*MODIFIED_META)), language)


def _anywhere(page: Page, title: str) -> Iterator[str]:
    """Text behind and before the heading that is the title, and what else on the page looks like a day."""
    for heading in [h for h in page.headings if h.text == title] or page.headings[:1]:
        yield inner_text(page.source[heading.end : heading.end + BEHIND_TITLE])
        yield inner_text(page.source[max(0, heading.start - BEFORE_TITLE) : heading.start])
    if match := SCRIPT_DATE.search(page.source):
        yield match[0]
    for match in islice(YEAR.finditer(page.source), MOST_YEARS):
        _, tag, text = page.source[max(0, match.start() - BEFORE_YEAR) : match.start()].rpartition(">")
        if tag and "<" not in text:
            text += page.source[match.start() : match.end() + BEHIND_YEAR].partition("<")[0]
            if FULL_DATE.search(text):
                yield text


def _first(texts: Iterable[str], language: str) -> str:
    """The first date in any of the texts."""
    return next((date for text in texts if (date := iso_date(text, language))), "")
