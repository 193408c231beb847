"""Who wrote a page: names that it declares, and names in its bylines."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from libertas.gather.declared import Page, bare, places_of, plain, texts_of

AUTHOR_META = (
    "citation_author", "dc.creator", "dcterms.creator", "dc:creator", "sailthru.author", "parsely-author", "byl",
    "article:author", "og:article:author", "author", "dc.author", "shareaholic:article_author_name",
    "cxenseparse:author",
)  # fmt: skip
BYLINES = (
    "[itemprop~=author], [rel~=author]",
    ".author-name, .entry-author, .post-author, .article-author, .byline-name, .author, .by-author, .vcard .fn, "
    ".p-author, .byline",
    "[class*=author], [class*=byline], [class*=autor], a[href*='/author/'], .username, .posted-by, .submitted, address",
)
"""Where authors stand, the surest first."""
BYLINE_WORDS = ("author", "byline", "autor", "username", "submitted", "posted-by", "<address")
"""A page without one of these has nothing that `BYLINES` finds."""
MOST_AUTHORS = 200
NAME_LONGEST = 100
"""Characters."""
NAME_WORDS = 6

BEFORE_NAME = re.compile(
    r"^(?:(?:posted|written|published|story|words|text|foto|photo|article|geschrieben|veröffentlicht|verfasst|erstellt|"
    r"publié|escrito|publicado|view all posts|(?:alle |zeige alle )?(?:beiträge|artikel))\s+)?"
    r"(?:by|von|vom|par|por|di|av|af|door|przez|autor(?:/?in|en)?|author|auteur|autore|redaktion|redakteur(?:in)?|"
    r"über den autor|eingestellt von|beitrag ?von|veröffentlicht ?von)(?:\s*:\s*|\s+|(?-i:(?=[A-ZÄÖÜ])))|"
    r"^[@:|•·*–—-]+\s*",
    re.IGNORECASE,
)
AFTER_NAME = re.compile(
    r"\s*(?:[|•·›»]| [–—-] |, (?=\d)|\b(?:on|am|le|el|vor|at|um|posted|said|says|updated|published)\s+(?=\S*\d)|"
    r"\d{1,2}[.:/]\d|\b(?:19|20)\d\d\b|\((?![^)]{1,15}\) \w)).*$",
    re.DOTALL | re.IGNORECASE,
)
BETWEEN_NAMES = re.compile(
    r"\s*(?:;|,(?! *(?:Ph\.?D|MD|M\.D|Jr|Sr|Dr|Prof|MSc|MA|BA|RN|JD|CPA)\b)| / |\s(?:and|und|et|y|e|og|och|en|&)\s)\s*",
    re.IGNORECASE,
)
NO_NAME = re.compile(
    r"https?:|www\.|[<>{}=@]|\d{3}|\b\d+\b|\w\.(?:de|com|at|ch|org|net|it|fr|uk)\b|^\W*$|^.$", re.IGNORECASE
)
NOBODY = frozenset(
    {"admin", "administrator", "webmaster", "wordpressadmin", "siteadmin", "root", "user", "super user", "superuser",
     "author", "autor", "no author", "about the author", "unknown", "none", "null", "undefined", "n/a", "by", "von",
     "guest", "gast", "anonymous"}
)  # fmt: skip
"""Author names that name nobody."""


def authors(page: Page, site: str) -> tuple[list[str], bool]:
    """Names of a page's authors, and whether they were inferred: read from a byline that only its class tells.

    Declared names that are the site's or its host's are left out.
    """
    site_names = {bare(site), "", *re.split(r"[./]", page.host())}
    for texts in (_people(page.about.get("author") or page.about.get("creator"), page), page.all(*AUTHOR_META)):
        if names := _names(texts, site_names):
            return names, False
    if places_of(page.source, BYLINE_WORDS, 1):
        for place, selector in enumerate(BYLINES):
            for text in page.visible(selector):
                if names := _names([text], {""}):
                    return names, place > 0
    return [], False


def _people(value: Any, page: Page) -> Iterator[str]:
    """Names in the author of a JSON-LD object: text, object with a name or a reference to one, or a list of these."""
    for item in value[:MOST_AUTHORS] if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            name = item.get("@id")
            yield from texts_of(
                page.by_id.get(name, item) if "name" not in item and isinstance(name, str) else item, "name"
            )
        elif isinstance(item, str):
            yield plain(item)


def _names(texts: Iterable[str], site_names: set[str]) -> list[str]:
    """Names of people in texts that name authors, each once."""
    found: dict[str, str] = {}
    for text in texts:
        for part in BETWEEN_NAMES.split(_name(text[:500])):
            name = _name(part)
            key = bare(name)
            if key in site_names or name.lower() in NOBODY or NO_NAME.search(name):
                continue
            if len(name.split()) <= NAME_WORDS and len(name) <= NAME_LONGEST and len(found) < MOST_AUTHORS:
                found.setdefault(key, name)
    return list(found.values())


def _name(text: str) -> str:
    """A name without what stands around it in a byline."""
    for _ in range(3):  # "Posted | by: | name"
        text = BEFORE_NAME.sub("", text.strip())
    return AFTER_NAME.sub("", text).strip(" ,.;:|-–—/")
