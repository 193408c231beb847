"""What a page's tags declare: meta elements, links, headings, times and JSON-LD.

The source is read once from tag to tag, past comments and programs, because that takes a tenth of the time of asking
the parsed tree for the same elements one call at a time. Every count and length is bounded, so time grows linearly with
the page whatever it holds.
"""

import html
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
from resiliparse.parse.html import ElementNode, HTMLTree

import libertas.kernel as kernel

MOST_TAGS = 2000
"""Tags of interest that are read on a page."""
TAG_CHARACTERS = 16_000
"""A tag that does not end within this many characters is passed over."""
ELEMENT_CHARACTERS = 1500
"""Of a heading or a time, so many characters of source are read."""
MOST_HEADINGS = 30
MOST_TIMES = 30
JSON_CHARACTERS = 300_000
"""Longer JSON-LD is not read; the longest on 990 real pages had 111,000 characters."""
JSON_NODES = 2000
"""Objects of JSON-LD that are looked at on a page."""

ARTICLES = frozenset(
    {"Article", "NewsArticle", "BlogPosting", "ReportageNewsArticle", "AnalysisNewsArticle", "OpinionNewsArticle",
     "LiveBlogPosting", "Report", "ScholarlyArticle", "TechArticle", "SocialMediaPosting", "DiscussionForumPosting",
     "Recipe", "HowTo", "Book", "MedicalWebPage", "QAPage"}
)  # fmt: skip
"""Types of schema.org that a page is about; the first object of one of them counts ..."""
WORKS = frozenset({"VideoObject", "Course", "Review", "Question", "Event", "CreativeWork", "Product"})
"""... or, without any, the first of one of these, which may also be a part of something else."""
PAGES = frozenset({"WebPage", "ItemPage", "FAQPage", "AboutPage", "CollectionPage", "ProfilePage"})
"""Types that describe the page around it."""
ASIDE = (
    "[class^=comment], [id^=comment], .comments, .commentlist, .comment, #respond, [class^=related], [id^=related], "
    "[class*=teaser], .widget, ul.sidebar, div.sidebar, #secondary, aside, nav, #footer"
)
"""Where bylines and dates are of something else."""
MOST_FOUND = 6
"""Of elements that match a selector, so many are looked at."""

Json = dict[str, Any]

ANY_CASE = "|".join(
    "".join(f"[{letter}{letter.upper()}]" for letter in name)
    for name in ("html", "base", "meta", "link", "time", "script", "style")
)
"""Names of tags of interest; sets of letters are refused faster than letters with a flag that ignores their case."""
START = re.compile(rf"<(?:(!--)|({ANY_CASE}|[hH][1-3])(?=[\s>/]))")
REST_OF_TAG = re.compile(r"""(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
ATTRIBUTE = re.compile(r"""([^\s=>"'/]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"']++)))?+""")
END_OF_SCRIPT = re.compile(r"</(?:script|style)", re.IGNORECASE | re.ASCII)
SCRIPTS = re.compile(r"<(script|style|svg|button)\b.*?(?:</\1|$)", re.IGNORECASE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
ANY_TAG = re.compile(r"<[^<>]*>?")
LINE_END = re.compile(r"(?:(?<!\|) +)?\n\s*")
NOT_LETTERS = re.compile(r"[\W_]+")
TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
WRAPPING = re.compile(
    r"^\s*(?:<!--|/\*\s*<!\[CDATA\[\s*\*/|//\s*<!\[CDATA\[|<!\[CDATA\[)|"
    r"(?:/\*|//)?+(?:-->|\]\]>)\s*+(?:\*/)?+\s*+;?+\s*+$"
)
"""Comment and CDATA marks around a script, as XHTML wanted them."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, and where its element begins and its tag ends in the source."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class Page:
    """A parsed page, its source, and what its tags say in their order; names of attributes and meta in lower case."""

    tree: HTMLTree
    source: str
    url: str = ""
    html: dict[str, str] = field(default_factory=dict)
    """Attributes of the root element."""
    base: str = ""
    meta: dict[str, list[str]] = field(default_factory=dict)
    """Contents by name, property, itemprop or http-equiv."""
    links: list[dict[str, str]] = field(default_factory=list)
    """Attributes of link elements that are canonical or a license."""
    headings: list[Heading] = field(default_factory=list)
    times: list[tuple[dict[str, str], str]] = field(default_factory=list)
    """Attributes and text of time elements."""
    nodes: list[Json] = field(default_factory=list)
    """Every object of JSON-LD, outer ones first."""
    by_id: dict[str, Json] = field(default_factory=dict)
    about: Json = field(default_factory=dict)
    """The object of JSON-LD that is what the page is about."""
    around: Json = field(default_factory=dict)
    """The object of JSON-LD that is the page."""

    def all(self, *names: str) -> Iterator[str]:
        """Contents of these meta elements, in the order of the names."""
        return (value for name in names for value in self.meta.get(name, ()))

    def first(self, *names: str) -> str:
        """The content of the first of these meta elements that says anything, or nothing."""
        return next(self.all(*names), "")

    def texts(self, *keys: str) -> Iterator[str]:
        """What JSON-LD says of the page under these keys."""
        return (text for key in keys for node in (self.about, self.around) for text in texts_of(node, key))

    def host(self) -> str:
        """The page's host without www, or nothing."""
        return split_url(self.url)[1].removeprefix("www.")

    def links_of(self, rel: str) -> list[str]:
        """Addresses of the head's links of this kind, as they stand."""
        return [link.get("href", "") for link in self.links if rel in link.get("rel", "").lower().split()]

    def whole(self, address: str) -> str:
        """An address on the page with scheme and host; empty if it is none."""
        try:
            return urljoin(urljoin(self.url, self.base), address) if address else ""
        except ValueError:  # brackets that are no IPv6 address
            return ""

    def visible(self, selector: str) -> Iterator[str]:
        """Texts of the first elements that match and are no part of something else; lines are parted by ` | `."""
        for element in self._matching(selector):
            if element.closest(ASIDE) is None:
                value = element.getattr("datetime") or element.getattr("content")
                value = value or (element.tag == "abbr" and element.getattr("title")) or element.text or ""
                yield plain(LINE_END.sub(" | ", value[:500].strip()))

    def _matching(self, selector: str) -> Iterator[ElementNode]:
        """The first elements that match; the very first comes without looking for the others."""
        body = self.tree.body
        first = body and body.query_selector(selector)
        if body is not None and first is not None:
            yield first
            found = body.query_selector_all(selector)
            for number in range(1, min(MOST_FOUND, len(found))):
                yield found[number]


def declared(tree: HTMLTree, source: str, url: str = "") -> Page:
    """Read the tags of a page; `source` is what `tree` was parsed from."""
    found = Page(tree, source, url)
    scripts: list[str] = []
    read = tags_of if kernel.native is None else kernel.native.tags_of
    for start, named, end, behind in read(source, MOST_TAGS, TAG_CHARACTERS):
        tag, rest = source[start + 1 : named].lower(), source[named:end]
        if tag not in ("script", "style"):
            _keep(found, tag, rest, source, start, end)
        elif "ld+json" in rest:
            scripts.append(source[end : min(behind, end + JSON_CHARACTERS + 1)])
    for script in scripts:
        if len(script) <= JSON_CHARACTERS:
            _walk(_json(script), found)
    found.about = first_of_type(found.nodes, ARTICLES) or first_of_type(found.nodes, WORKS)
    found.around = first_of_type(found.nodes, PAGES)
    return found


def places_of(source: str, words: tuple[str, ...], most: int) -> list[int]:
    """The first places of words of two letters or more: those of the first word, then those of the next."""
    found: list[int] = (word_places if kernel.native is None else kernel.native.word_places)(source, words, most)
    return found


def word_places(source: str, words: tuple[str, ...], most: int) -> list[int]:
    """The first places of words, those of the first word first; without the kernel."""
    places: list[int] = []
    for word in words:
        place = source.find(word)
        while place >= 0 and len(places) < most:
            places.append(place)
            place = source.find(word, place + 1)
    return places


def tags_of(source: str, most: int, longest: int) -> Iterator[tuple[int, int, int, int]]:
    """Tags of interest past comments and programs; without the kernel.

    Of each tag the place of its `<`, the end of its name, the place behind its `>`, and where it is a script or style
    the end of that. No more is read behind `most` tags and comments, or within a tag behind `longest` characters.
    """
    position = 0
    for _ in range(most):
        start = START.search(source, position)
        if start is None:
            break
        position = start.end()
        if start[1]:
            position = source.find("-->", start.start() + 2) + 3
            if position < 3:
                break
            continue
        rest = REST_OF_TAG.match(source, position, position + longest)
        if rest is None:
            continue
        position = rest.end()
        if start[2].lower() in ("script", "style"):
            end = END_OF_SCRIPT.search(source, position)
            if end is None:
                break
            yield start.start(), start.end(), rest.end(), end.start()
            position = end.end()
        else:
            yield start.start(), start.end(), rest.end(), rest.end()


def _keep(found: Page, tag: str, rest: str, source: str, start: int, end: int) -> None:
    if tag == "meta":
        attributes = attributes_of(rest)
        content = attributes.get("content", "")
        for key in ("name", "property", "itemprop", "http-equiv"):
            if content and key in attributes:
                found.meta.setdefault(attributes[key].lower(), []).append(content)
    elif tag == "link":
        if "canonical" in rest or "icense" in rest:
            found.links.append(attributes_of(rest))
    elif tag == "time":
        if len(found.times) < MOST_TIMES:
            found.times.append((attributes_of(rest), element_text(source, end, "time")))
    elif tag == "html":
        found.html = found.html or attributes_of(rest)
    elif tag == "base":
        found.base = found.base or attributes_of(rest).get("href", "")
    elif len(found.headings) < MOST_HEADINGS and (text := element_text(source, end, tag)):
        found.headings.append(Heading(text, start, end))


def attributes_of(tag: str) -> dict[str, str]:
    """Attributes of a tag's source without its name; the first of a name counts, as HTML says."""
    found: dict[str, str] = {}
    for name, double, single, bare in ATTRIBUTE.findall(tag):
        value = double or single or bare
        found.setdefault(name.lower(), plain(value))
    return found


def plain(text: str) -> str:
    """Text of an attribute or element: references resolved (twice, for many pages escape them twice), spaces single."""
    if "&" in text:
        text = html.unescape(text)
        if "&" in text:
            text = html.unescape(text)
    return " ".join(text.split())


def element_text(source: str, start: int, tag: str) -> str:
    """Text of the element whose tag ends at `start`, as far as its first `ELEMENT_CHARACTERS` of source."""
    window = source[start : start + ELEMENT_CHARACTERS]
    depth = 1
    for match in re.finditer(rf"<(/?){tag}(?=[\s>/])", window, re.IGNORECASE):
        depth += -1 if match[1] else 1
        if not depth:
            window = window[: match.start()]
            break
    return inner_text(window)


def inner_text(source: str) -> str:
    """Text of a piece of source."""
    if "<" in source:
        source = ANY_TAG.sub(" ", SCRIPTS.sub(" ", COMMENT.sub(" ", source)))
    return plain(source)


def _json(script: str) -> Any:
    """What a JSON-LD script holds, read leniently; None if it cannot be read."""
    script = WRAPPING.sub("", script)
    for text in (script, TRAILING_COMMA.sub("", script)):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            try:
                return json.loads(text, strict=False)  # allows line ends within strings
            except (ValueError, RecursionError):
                continue
    return None


def _walk(value: Any, found: Page) -> None:
    """Add every object in a JSON value, outer ones first."""
    waiting = deque([value])
    while waiting and len(found.nodes) < JSON_NODES:
        item = waiting.popleft()
        if isinstance(item, dict):
            found.nodes.append(item)
            if isinstance(name := item.get("@id"), str) and len(item) > 1:
                found.by_id.setdefault(name, item)
            waiting.extend(v for v in item.values() if isinstance(v, dict | list))
        elif isinstance(item, list):
            waiting.extend(v for v in item if isinstance(v, dict | list))


def first_of_type(nodes: Iterable[Json], types: frozenset[str]) -> Json:
    """The first object of one of these types of schema.org, or an empty one."""
    for node in nodes:
        kinds = node.get("@type")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            if isinstance(kind, str) and kind.rpartition("/")[2] in types:
                return node
    return {}


def texts_of(node: Json, key: str) -> Iterator[str]:
    """Texts that an object of JSON-LD gives under a key."""
    value = node.get(key)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and item.strip():
            yield plain(item)


def bare(text: str) -> str:
    """A text without case, punctuation and spaces, for comparison."""
    return NOT_LETTERS.sub("", text.casefold())


def split_url(url: str) -> tuple[str, str, str, str]:
    """Scheme, host, path and query of an address; all empty if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", "", "", ""
    return parts.scheme, parts.netloc, parts.path, parts.query
