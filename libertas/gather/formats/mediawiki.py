"""Dumps of MediaWiki (`pages-articles.xml`): a piece for each article, its wikitext with what the dump says of it.

A piece is a JSON object of the type `application/x-mediawiki+json`: `title`, `text` (wikitext), and where the dump says
so `base` (address before the name of a page), `site`, `language`, `modified` and `left_out` (the wiki's own names of
the namespaces of files and categories). Format: mediawiki.org, "Help:Export", schema export-0.11.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.containers import BROKEN_STREAM, DamagedXml, decompressed, xml_elements
from libertas.gather.formats.part import Part
from libertas.gather.formats.wikitext import wikitext_text
from libertas.gather.normalize import normalize

MEDIAWIKI_PAGE = "application/x-mediawiki+json"
RULE = "mediawiki"
ARTICLES, FILES, CATEGORIES = "0", "6", "14"
"""Numbers of namespaces, the same in every wiki (mediawiki.org, "Manual:Namespace")."""
LONGEST_CHARACTERS = 1 << 23
"""MediaWiki takes no page of more than 2 MiB (`$wgMaxArticleSize`); a wiki may allow more, but not four times more."""
ROOT, SITE, PAGE = "mediawiki", "mediawiki/siteinfo", "mediawiki/page"
REVISION = f"{PAGE}/revision"
WANTED = frozenset(
    {PAGE, *(f"{PAGE}/{n}" for n in ("title", "ns", "id", "redirect"))}
    | {f"{REVISION}/{n}" for n in ("timestamp", "model", "text")}
    | {f"{SITE}/{n}" for n in ("sitename", "base", "namespaces/namespace")}
)


@dataclass(slots=True)
class _Site:
    """What a dump says of its wiki."""

    name: str = ""
    language: str = ""
    base: str = ""
    left_out: set[str] = field(default_factory=set)


def mediawiki_parts(path: Path) -> Iterator[Part | Drop]:
    """The articles of a dump, compressed or not; of a history, the last revision of each."""
    site = _Site()
    page: dict[str, str] = {}
    try:
        with decompressed(path) as stream:
            for where, attributes, text in xml_elements(stream, WANTED):
                if where == PAGE:
                    yield _article(page, site)
                    page = {}
                elif where.startswith(f"{PAGE}/"):
                    page[where.rpartition("/")[2]] = text
                else:
                    _take(site, where, attributes, text)
    except (DamagedXml, *BROKEN_STREAM) as error:
        yield Drop(RULE, "damaged dump", str(error))


def _take(site: _Site, where: str, attributes: dict[str, str], text: str) -> None:
    if where == ROOT:
        site.language = attributes.get("xml:lang", "")
    elif where.endswith("/sitename"):
        site.name = text
    elif where.endswith("/base"):
        site.base = text.rpartition("/")[0] + "/"
    elif attributes.get("key") in (FILES, CATEGORIES) and text:
        site.left_out.add(text.lower())


def _article(page: dict[str, str], site: _Site) -> Part | Drop:
    title, name = page.get("title", "").strip(), page.get("id", "").strip()
    if page.get("ns", ARTICLES) != ARTICLES:
        return Drop(RULE, "not an article", title)
    if "redirect" in page:
        return Drop(RULE, "redirect", title)
    if page.get("model", "wikitext") != "wikitext":
        return Drop(RULE, "not wikitext", title)
    text = page.get("text", "")
    if not text.strip() or not name:
        return Drop(RULE, "no text", title)
    if len(text) > LONGEST_CHARACTERS:
        return Drop(RULE, "longer than a wiki allows", title)
    facts = {"site": site.name, "language": site.language, "base": site.base, "modified": page.get("timestamp", "")}
    body: dict[str, Any] = {"title": title} | {k: v for k, v in facts.items() if v}
    body |= {"left_out": sorted(site.left_out), "text": text}
    url = site.base + quote(title.replace(" ", "_"), safe="/:@!$()*,;") if site.base else None
    return Part(name, MEDIAWIKI_PAGE, orjson.dumps(body), url)


def read_mediawiki(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of one article, below its title."""
    page = orjson.loads(body)
    text = normalize(
        wikitext_text(
            page["text"],
            markdown=mode.markdown,
            base=page.get("base", "") if mode.links else "",
            left_out=frozenset(page["left_out"]),
        )
    )
    if not text:
        return Drop(RULE, "no words in it", page["title"])
    title = page["title"]
    facts = {name: page.get(name) for name in ("site", "language", "modified")}
    heading = f"# {title}" if mode.markdown else title
    return Extracted(f"{heading}\n\n{text}", title, {k: v for k, v in facts.items() if v})
