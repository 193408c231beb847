"""EPUB books: the chapters of the spine in reading order, and what the package says of the book.

After EPUB 3.3 (W3C Recommendation, 2023) and OPF 2.0: META-INF/container.xml names the package, its manifest the
files, its spine their order.
"""

import io
import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from typing import Any
from urllib.parse import unquote

from lxml import etree

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.license import spdx
from libertas.gather.normalize import decode, normalize
from libertas.gather.page import page_text

MOST_BYTES = 100 << 20
"""Of markup that a book may unpack to: 100 MiB; the Bible has 4."""
FONT_OBFUSCATION = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
"""What encryption.xml lists, and yet hides no text (EPUB 3.3, section 4.2.6)."""
NAVIGATION = frozenset({"toc", "landmarks", "page-list", "loi", "lot", "cover"})
"""Structural semantics of files that only lead to others."""
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, KeyError, struct.error,
           NotImplementedError, RuntimeError, etree.XMLSyntaxError)  # fmt: skip
"""All that reading a broken member of a zip file may raise."""
CLOSED = re.compile(
    r"<(?!(?:br|hr|img|input|link|meta|area|base|col|embed|source|track|wbr)[\s/>])([A-Za-z][\w:.-]*)([^<>]*)/>"
)
"""Elements that XML closes in their opening tag and HTML does not know how to."""
FURNITURE = re.compile(r"<(/?)(?:footer|header|aside)(?=[\s>])")
"""Parts of a web page that are not its content; in a book they are: signatures of letters, epigraphs, asides."""
BACKLINK = re.compile(r"<a\s[^<>]*epub:type=[\"'][^\"'<>]*backlink[^<>]*>[^<>]*</a>")
NOTE_MARK = re.compile(r"(<a\s[^<>]*epub:type=[\"'][^\"'<>]*noteref[^<>]*>)\s*([^<>\[\]]{1,9})\s*</a>")
KINDS = re.compile(r"<(body|section)\s[^<>]*epub:type=[\"']([^\"'<>]*)")
DECLARED = re.compile(rb"^[^<]{0,4}<\?xml[^>]*encoding=[\"']([\w.-]+)")
LICENSE = re.compile(r"https?://creativecommons\.org/[\w./-]*\w/?")
DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?(?![\d-])")


class _TooLarge(Exception):
    """The book unpacks to more than `MOST_BYTES`."""


def read_epub(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of a book; chapters that cannot be read are counted in `meta.chapters_lost`."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as book:
            return _read_book(book, mode)
    except _TooLarge:
        return Drop("epub", "larger than the cap", MOST_BYTES)
    except DAMAGED as error:
        return Drop("epub", "damaged", str(error))


def _read_book(book: zipfile.ZipFile, mode: ReadMode) -> Extracted | Drop:
    names = set(book.namelist())
    if "META-INF/encryption.xml" in names:
        methods = _xml(_member(book, "META-INF/encryption.xml", MOST_BYTES)).iterfind(
            ".//{*}EncryptedData/{*}EncryptionMethod"
        )
        if not {m.get("Algorithm", "") for m in methods} <= FONT_OBFUSCATION:
            return Drop("epub", "encrypted")
    if any(entry.flag_bits & 1 for entry in book.infolist()):
        return Drop("epub", "encrypted")
    rootfile = _xml(_member(book, "META-INF/container.xml", MOST_BYTES)).find(".//{*}rootfile")
    path = "" if rootfile is None else rootfile.get("full-path", "")
    package = _xml(_member(book, path, MOST_BYTES))
    texts, room, lost = [], MOST_BYTES, 0
    for name in _spine(package, posixpath.dirname(path)):
        try:
            page = _member(book, name, room)
        except DAMAGED:
            lost += 1
            continue
        room -= len(page)
        texts.append(_chapter(page, mode))
    texts = [text for text in texts if text]
    if not texts:
        return Drop("epub", "no text in its spine", lost)
    meta = _metadata(package) | ({"chapters_lost": lost} if lost else {})
    return Extracted("\n\n".join(texts), _first(package, "title"), meta)


def _member(book: zipfile.ZipFile, name: str, room: int) -> bytes:
    with book.open(name) as file:
        data = file.read(room + 1)
    if len(data) > room:
        raise _TooLarge
    return data


def _xml(data: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    root = etree.fromstring(data, parser)
    if root is None:
        raise ValueError("no XML in it")
    return root


def _spine(package: Any, folder: str) -> list[str]:
    """Files of the book in reading order: those outside of the main flow (linear="no") last, navigation left out."""
    manifest = {item.get("id"): item for item in package.iterfind(".//{*}manifest/{*}item")}
    navigation = {r.get("href", "").partition("#")[0] for r in package.iterfind(".//{*}guide/{*}reference")
                  if r.get("type") in NAVIGATION}  # fmt: skip
    main: dict[str, None] = {}
    aside: dict[str, None] = {}
    for reference in package.iterfind(".//{*}spine/{*}itemref"):
        item = manifest.get(reference.get("idref"))
        if item is None or "nav" in item.get("properties", "").split():
            continue
        href = item.get("href", "")
        if href not in navigation and not item.get("media-type", "").startswith("image/"):
            name = posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
            (aside if reference.get("linear") == "no" else main)[name] = None
    return [*main, *(name for name in aside if name not in main)]


def _chapter(page: bytes, mode: ReadMode) -> str:
    declared = DECLARED.match(page)
    source = decode(page, declared[1].decode() if declared else None, html=True)
    kinds = KINDS.search(source)
    whole = kinds and (kinds[1] == "body" or source.count("<section") == 1)
    if kinds and whole and NAVIGATION & set(kinds[2].split()):
        return ""
    source = NOTE_MARK.sub(r"\1[\2]</a>", BACKLINK.sub("", CLOSED.sub(r"<\1\2></\1>", source)))
    source = FURNITURE.sub(r"<\1div", source)
    return page_text(source, ReadMode(everything=True, markdown=mode.markdown)).text


def _all(package: Any, name: str) -> list[Any]:
    return [
        e for e in package.iterfind(f".//{{http://purl.org/dc/elements/1.1/}}{name}") if "".join(e.itertext()).strip()
    ]


def _first(package: Any, name: str) -> str:
    found = _all(package, name)
    return " ".join(normalize("".join(found[0].itertext())).split()) if found else ""


def _metadata(package: Any) -> dict[str, Any]:
    authors = list(dict.fromkeys(" ".join("".join(e.itertext()).split()) for e in _all(package, "creator")))
    rights = " ".join("".join(e.itertext()) for e in _all(package, "rights"))
    license_url = LICENSE.search(rights)
    dates = (e for e in _all(package, "date") if e.get("{http://www.idpf.org/2007/opf}event") in (None, "publication"))
    published = next((d[0] for d in (DATE.match((e.text or "").strip()) for e in dates) if d), "")
    identifiers = ("".join(e.itertext()).strip() for e in _all(package, "identifier"))
    known = {
        "author": authors[0] if len(authors) == 1 else authors,
        "published": published,
        "language": _first(package, "language"),
        "license": (spdx(license_url[0]) or license_url[0]) if license_url else "",
        "rights": " ".join(rights.split()),
        "publisher": _first(package, "publisher"),
        "description": _first(package, "description"),
        "canonical": next((i for i in identifiers if i.startswith(("http://", "https://"))), ""),
    }
    return {key: value for key, value in known.items() if value}
