"""The text of a page or file: bytes, media type and charset in; text and title out, or the reason why not.

HTML goes through resiliparse (main content, plain text); everything else that is text is decoded as it is.
"""

import re
import unicodedata
from dataclasses import dataclass

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree, traverse_dom

from libertas.document import Drop

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
NO_TEXT = re.compile(r"text/(css|javascript|ecmascript|calendar|vcard)|text/x-(c|java)script")
"""Types that begin with `text/` and hold nothing to read."""

DEEPEST = 500
"""Trees deeper than this skip main-content detection, whose time grows with the square of the depth: measured
7 ms at 500 levels, 0.4 s at 4,000 and 19 s at 20,000, where plain extraction takes milliseconds."""
LEAST_SHARE = 0.1
"""Main content that keeps less than this share of the page's text has most likely missed the content ..."""
LEAST_CHARACTERS = 250
"""... if it also is shorter than this; then the text of the whole body is taken."""

INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Soft hyphens, zero-width spaces, direction marks, lone surrogates and control characters; the zero-width joiner and
non-joiner stay, because Persian, the Indic scripts and emoji are spelled with them."""
ODD_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
LAYOUT = re.compile("^(?: +\t\t+)+", re.MULTILINE)
"""What an empty cell of a layout table leaves at the beginning of a line."""
LINE_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029]")
TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
"""Looking behind makes a long run be tried once; without, from each of its characters, in quadratic time."""
MOST_MARKS = 1000
MANY_MARKS = re.compile(rf"(?<![^\w\s\x00-\x7f])[^\w\s\x00-\x7f]{{{MOST_MARKS}}}")
"""So many marks in a row are no writing. Normalizing sorts them, in time that grows with their number squared."""
UP_TO_MANY_MARKS = re.compile(rf"[\w\s\x00-\x7f]*[^\w\s\x00-\x7f]{{0,{MOST_MARKS}}}")


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a page says."""

    text: str
    title: str
    """Of the page, or empty."""


def extract(body: bytes, content_type: str, charset: str | None) -> Extracted | Drop:
    """Text of a payload.

    Args:
        body: the payload, without any coding.
        content_type: media type in lower case; empty where the server named none, which is then read off the bytes.
        charset: what the server said, or None.
    """
    kind = content_type or ("text/html" if b"<html" in body[:2048].lower() else "")
    if not body.strip():
        return Drop("extract", "empty payload", len(body))
    if kind in HTML_TYPES:
        found = _html(decode(body, charset, html=True))
    elif kind.startswith("text/") and not NO_TEXT.match(kind):
        found = Extracted(LINE_ENDS.sub("\n", decode(body, charset, html=False)).lstrip("\ufeff"), "")
    else:
        return Drop("extract", "not text", kind or "no content type")
    return found if found.text.strip() else Drop("extract", "no text in it", len(body))


def decode(body: bytes, charset: str | None, *, html: bool) -> str:
    """Bytes to text: as UTF-8 if they are, else as the server says, else as the page says or its bytes look."""
    try:
        if b"\x1b$" in body:  # ISO-2022 escapes are valid UTF-8, and mean something else
            raise UnicodeDecodeError("utf-8", body, 0, 1, "ISO-2022 escape")
        return body.decode("utf-8")
    except UnicodeDecodeError:
        declared = map_encoding_to_html5(charset or "", fallback_utf8=False)  # None for what no browser knows
        guess = detect_encoding(body, from_html_meta=html) or "windows-1252"
        return str(bytes_to_str(body, declared or guess, fallback_encodings=(guess, "utf-8", "windows-1252")))


def _html(source: str) -> Extracted:
    tree = HTMLTree.parse(source)
    if tree.body is None:
        return Extracted("", "")
    text = str(extract_plain_text(tree, main_content=_depth(tree) <= DEEPEST, alt_texts=False))
    if len(text) < LEAST_CHARACTERS:
        whole = str(extract_plain_text(tree, main_content=False, alt_texts=False))
        text = whole if len(text) < LEAST_SHARE * len(whole) else text
    return Extracted(normalize(text), " ".join(normalize(tree.title or "").split()))


def _depth(tree: HTMLTree) -> int:
    deepest = 0

    def seen(context: object) -> None:
        nonlocal deepest
        deepest = max(deepest, context.depth)  # type: ignore[attr-defined]

    assert tree.body is not None, "only called for a tree with a body"
    traverse_dom(tree.body, seen, elements_only=True)
    return deepest


def normalize(text: str) -> str:
    """Plain spaces and line ends, NFC, nothing invisible, no trailing spaces, at most one blank line in a row."""
    text = INVISIBLE.sub("", ODD_SPACES.sub(" ", LINE_ENDS.sub("\n", text)))
    pieces = UP_TO_MANY_MARKS.findall(text) if MANY_MARKS.search(text) else [text]
    text = "".join(unicodedata.normalize("NFC", piece) for piece in pieces)
    return re.sub(r"\n{3,}", "\n\n", TRAILING.sub("", LAYOUT.sub("", text))).strip("\n")
