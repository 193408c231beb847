"""A page as a row of blocks: runs of text between block-level tags, each with the containers around it.

The parsed tree is serialized once and read as a row of tags. An HTML5 parser's serialization is well nested and quotes
every attribute, so it can be cut at each `<`, in time linear in its length and several times faster than visiting the
nodes of the tree one call at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import libertas.kernel as kernel

NO_TEXT = frozenset((
    "audio", "button", "canvas", "datalist", "dialog", "iframe", "map", "math", "noembed", "noframes",
    "noscript", "object", "rp", "rt", "rtc", "script", "select", "style", "svg", "template", "textarea",
    "video",
))  # fmt: skip
"""Elements that hold no text of the page: programs, pictures, what a reader operates, how to pronounce a word."""
AROUND_TEXT = frozenset({"nav", "footer"})
"""Elements that are passed over unread where main content is looked for: on 990 pages whose content people had marked,
they held 32 % of all blocks and 3 of the 2,792 blocks marked as content."""
INLINE = (
    "a", "abbr", "acronym", "area", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "embed", "font", "i", "img", "input", "ins", "kbd", "label", "link", "mark", "meta", "nobr", "param",
    "picture", "q", "rb", "ruby", "s", "samp", "small", "source", "span", "strike", "strong", "sub", "sup",
    "time", "track", "tt", "u", "var", "wbr",
)  # fmt: skip
CONTAINERS = (
    "div", "section", "article", "main", "header", "footer", "nav", "aside", "form", "ul", "ol", "dl", "table",
    "blockquote", "figure", "body", "center", "fieldset", "details", "address", "other",
)  # fmt: skip
"""Block-level elements that hold blocks; `other` stands for what is not named here or in `LEAVES`."""
LEAVES = (
    "none", "p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "tr", "dt", "dd", "pre", "figcaption",
    "caption", "summary", "legend",
)  # fmt: skip
"""Block-level elements that mostly hold text."""
CONTAINER_NUMBER = {tag: number for number, tag in enumerate(CONTAINERS)}
LEAF_NUMBER = {tag: number for number, tag in enumerate(LEAVES)}
PRE = LEAF_NUMBER["pre"]
HOLDERS = frozenset({"li", "td", "th"})
"""Leaves whose first paragraph takes their place."""
LINE_BREAK = "\ue00a"
"""Stands for a line break inside of a block, so that a block is one line; private use, so pages have none."""
AROUND_BREAK = re.compile(f" *{LINE_BREAK} *")
PROGRAM = re.compile(rb"(?:script|style)(?:[\s/>]|$)")
IN_TEXT = re.compile(rb"<(?:title|textarea)\b", re.IGNORECASE)
RAW_TEXT = frozenset({"script", "style", "iframe", "noembed", "noframes"})
"""Elements whose text an HTML parser does not look into: what seems to be a tag in it is none."""
TAG = re.compile(r'(<[^>"]*(?:"[^"]*"[^>"]*)*>)')

TEXT, LINK, LINK_END, BREAK, SKIP, LEAF, LEAF_END, RULE, OTHER, UNKNOWN = range(10)
KIND = (
    {"": TEXT}
    | {slash + tag: TEXT for tag in INLINE for slash in ("", "/")}
    | {"a": LINK, "/a": LINK_END, "br": BREAK, "hr": RULE}
    | dict.fromkeys(("base", "basefont", "bgsound", "col", "frame", "keygen"), RULE)  # elements without an end
    | dict.fromkeys(NO_TEXT, SKIP)
    | {"/" + tag: LEAF_END for tag in LEAVES}
    | dict.fromkeys(LEAVES, LEAF)
)
"""What a tag does to the row of blocks; other tags open and close containers."""


@dataclass(slots=True)
class Blocks:
    """The blocks of a page in document order, as columns; columns with `c_` belong to containers, in document order."""

    text: list[str]
    """One line: white space collapsed, but for preformatted text; entities as they stand in the source."""
    linked: list[int]
    """Characters that are inside of links, before white space was collapsed."""
    leaf: list[int]
    """Which of `LEAVES` the block is in."""
    names: list[str]
    """Attributes of that leaf."""
    row: list[int]
    """Number of the table row the block is in or behind."""
    container: list[int]
    start: list[int]
    """Number of the token that its first text stands in, where the page is cut at each `<`."""
    end: list[int]
    """Number of the token that ended it."""
    opened: list[int]
    """The leaf of the cell or list item whose tag stands right before it, -1 for two line breaks, or 0."""
    c_parent: list[int]
    """The container around it; -1 for the body."""
    c_tag: list[int]
    """Which of `CONTAINERS` it is; -1 for none of them."""
    c_names: list[str]
    """Its attributes."""
    c_depth: list[int]
    c_first: list[int]
    """Number of blocks before the container."""
    c_last: list[int]
    """Number of blocks up to its end."""
    html: str
    """The page, in which `<` and `>` are nothing but the ends of tags."""

    @property
    def tokens(self) -> list[str]:
        """The page, cut at each `<`."""
        return self.html.split("<")


def blocks_of(html: str, *, everything: bool = False) -> Blocks:
    """The blocks of a page.

    Args:
        html: the body of a parsed tree, serialized.
        everything: read navigation and footers too.
    """
    columns = _columns_of(html, everything, repaired=False)
    if columns is None:
        html = _repaired(html)
        columns = _columns_of(html, everything, repaired=True)
    return Blocks(*[*columns, html])


def _columns_of(html: str, everything: bool, repaired: bool) -> Any:
    if kernel.native is None:
        return read_blocks(html, everything, repaired)
    return kernel.native.read_blocks(html, everything, repaired, _tag_table(), PRE)


@cache
def _tag_table() -> bytes:
    """What the kernel has to know of tags."""
    assert kernel.native is not None
    tags = dict.fromkeys([*CONTAINERS, *RAW_TEXT], OTHER) | KIND
    numbers = CONTAINER_NUMBER | LEAF_NUMBER
    table: bytes = kernel.native.tag_table(
        {t: (kind, numbers.get(t, -1), t in AROUND_TEXT, t in RAW_TEXT, t in HOLDERS) for t, kind in tags.items()}
    )
    return table


def read_blocks(html: str, everything: bool, repaired: bool) -> list[list[Any]] | None:
    """The columns of `Blocks`; None if there are `<` and `>` in attributes, which have to be repaired first."""
    blocks = list[tuple[str, int, int, str, int, int, int, int, int]]()
    containers, last = list[tuple[int, int, str, int, int]](), list[int]()
    pieces = list[str]()
    leaf = row = linked = breaks = begun = opened = 0
    here, in_link, names, opening = -1, False, "", (-2, 0)
    tokens = enumerate(html.split("<"))
    for number, token in tokens:
        tag, _, rest = token.partition(">")
        attributes = ""
        kind = KIND.get(tag, UNKNOWN)
        if kind == UNKNOWN:
            tag, _, attributes = tag.partition(" ")
            kind = KIND.get(tag, OTHER)
        if kind == SKIP or (kind == OTHER and _is_passed_over(tag, attributes, everything)):
            rest, kind = text_behind(tag, token, tokens), TEXT
        has_text = rest != "" and not rest.isspace()
        if kind <= LINK_END:
            in_link = kind == LINK if kind else in_link
            if rest:
                pieces.append(rest)
                linked += len(rest) if in_link else 0
                breaks = 0 if has_text else breaks
            continue
        if attributes and attributes[-1] != '"' and not repaired:
            return None
        if kind == BREAK:
            breaks += 1
            if breaks == 1 or not pieces:  # two in a row end a paragraph
                pieces.append(LINE_BREAK + rest)
                if has_text:
                    breaks, linked = 0, linked + (len(rest) if in_link else 0)
                continue
        if pieces:
            if words := _words(pieces, leaf == PRE):
                blocks.append((words, linked, leaf, names, row, here, begun, number, opened))
            pieces, linked = [], 0
        breaks, begun = 0, number
        opened = -1 if kind == BREAK else opening[1] if opening[0] == number - 1 else 0
        if kind == LEAF:
            leaf, names = LEAF_NUMBER[tag], attributes
            row += tag == "tr"
            if tag in HOLDERS and not has_text:
                opening = (number, leaf)
        elif kind != BREAK:
            leaf, names = 0, ""
            if kind == OTHER and tag[:1] != "/":
                depth = containers[here][3] + 1 if containers else 0
                containers.append((here, CONTAINER_NUMBER.get(tag, -1), attributes, depth, len(blocks)))
                here = len(last)
                last.append(-1)
            elif kind == OTHER and here > 0:
                last[here] = len(blocks)
                here = containers[here][0]
        if has_text:
            pieces.append(rest)
            linked += len(rest) if in_link else 0
    ends = [n if n >= 0 else len(blocks) for n in last]
    return [*_columns(blocks, 9), *_columns(containers, 5), ends]


def _words(pieces: list[str], preformatted: bool) -> str:
    """The text of a block on one line."""
    words = "".join(pieces)
    if preformatted:
        return words.strip("\n").replace("\n", LINE_BREAK)
    words = " ".join(words.split())
    if "&nbsp;" in words and not words.replace("&nbsp;", "").strip(f" {LINE_BREAK}"):
        return ""  # what holds a cell of a table open
    return AROUND_BREAK.sub(LINE_BREAK, words).strip(LINE_BREAK) if LINE_BREAK in words else words


def _columns(rows: list[Any], width: int) -> Any:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _is_passed_over(tag: str, attributes: str, everything: bool) -> bool:
    return tag[:3] == "!--" or (not everything and (tag in AROUND_TEXT or 'role="navigation"' in attributes))


def text_behind(tag: str, token: str, tokens: Iterator[tuple[int, str]]) -> str:
    """Passes over an element or comment, whatever it holds; the text behind it."""
    if tag[:3] == "!--":
        while "-->" not in token:
            _, token = next(tokens, (0, "-->"))
        return token.partition("-->")[2]
    opening, closing, nested = (f"{tag} ", f"{tag}>"), f"/{tag}>", 1
    for _, token in tokens:
        if token.startswith(closing):
            nested -= 1
            if not nested:
                return token[len(closing) :]
        elif token.startswith(opening) and tag not in RAW_TEXT:
            nested += 1
    return ""


def _repaired(html: str) -> str:
    """Serialized HTML in which `<` and `>` are nothing but the ends of tags."""
    parts = TAG.split(html)
    parts[0::2] = [text.replace("<", "&lt;").replace(">", "&gt;") for text in parts[0::2]]
    parts[1::2] = ["<" + tag[1:-1].replace("<", "&lt;").replace(">", "&gt;") + ">" for tag in parts[1::2]]
    return "".join(parts)


def without_programs(source: bytes) -> bytes:
    """A page without most of its scripts, styles and comments, half of the bytes of the web; only to save time.

    Cuts from a tag that opens one to the next tag that closes one. Where none does, the rest stays as it is; where one
    seems to stand in an attribute, in the title or in a field, the whole page does.
    """
    cut: bytes = cut_programs(source) if kernel.native is None else kernel.native.cut_programs(source)
    return cut


def cut_programs(source: bytes) -> bytes:
    """`without_programs` without the kernel."""
    letters = np.frombuffer(source + b"   ", np.uint8)
    tags = np.flatnonzero(letters[:-3] == 60)
    first, second = letters[tags + 1] | 32, letters[tags + 2] | 32
    opens = ((first == 115) & ((second == 99) | (second == 116))) | (letters[tags + 1] == 33)  # <sc <st <!
    closes = (first == 47) & (second == 115)  # </s
    chosen = np.flatnonzero(opens | closes)
    parts, at, waiting = [], 0, b""
    for place, before in zip(tags[chosen].tolist(), tags[chosen - 1].tolist(), strict=True):
        if place < at:
            continue
        if waiting:
            if source[place + 2 : place + 2 + len(waiting)].lower() == waiting:
                end = source.find(b">", place) + 1
                if not end:
                    break
                at, waiting = end, b""
            continue
        end, name = place, source[place + 1 : place + 8].lower()
        if name.startswith(b"!--"):
            end = source.find(b"-->", place + 2) + 3
            odd = source.find(b"--!>", place, end) + 4
            end = odd if odd >= 4 else end
        elif PROGRAM.match(name):
            waiting = b"script" if name.startswith(b"script") else b"style"
        else:
            continue
        if end < 3 and not waiting:
            break
        if before < place and (source.find(b">", before, place) < 0 or IN_TEXT.match(source, before)):
            return source
        parts.append(source[at:place])
        at = end
    return b"".join([*parts, source[at:]])
