"""EPUB books as texts."""

import io
import re
import struct
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted
from libertas.gather.formats.epub import read_epub

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="O /b.opf"/></rootfiles></container>"""
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" version="3.0">
<metadata><dc:title> A
 Book</dc:title><dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator><dc:language>en-GB</dc:language>
<dc:date>1818-01-01T00:00:00Z</dc:date><dc:publisher>P</dc:publisher><dc:identifier>https://x.org/b</dc:identifier>
<dc:rights>See https://creativecommons.org/publicdomain/zero/1.0/.</dc:rights></metadata>
<manifest><item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="a" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="text/notes.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="c" linear="no"/><itemref idref="n"/><itemref idref="b"/><itemref idref="a"/>
<itemref idref="?"/></spine>
</package>"""
PAGE = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="x"><head><title/></head><body>{}</body></html>'
WORD = r"\w+"
CHAPTER = re.compile(r"text/(preface|letter|chapter)[-.]")
FILES = {
    "META-INF/container.xml": CONTAINER,
    "O /b.opf": PACKAGE,
    "O /nav.xhtml": PAGE.format("<p>Contents</p>"),
    "O /text/one a.xhtml": PAGE.format(
        "<h2>Two</h2><p>Last<a epub:type='noteref' href='#n'>1</a> words.</p><footer><p>Ann</p></footer>"
    ),
    "O /text/two.xhtml": PAGE.format("<h2>One</h2><p id='x'/><p>First words.</p><script src='a'/>"),
    "O /text/notes.xhtml": PAGE.format("<p>A note. <a epub:type='backlink' href='#b'>↩</a></p>"),
}  # fmt: skip


def book(**changes: str | bytes | None) -> bytes:
    """A book with some of its files changed, or left out where they are None; `__` stands for `/`."""
    files = FILES | {name.replace("__", "/"): data for name, data in changes.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            if data is not None:
                archive.writestr(name, data)
    return out.getvalue()


def read(body: bytes) -> Extracted:
    found = read_epub(body, PLAIN_TEXT)
    assert isinstance(found, Extracted)
    return found


def reason(body: bytes) -> str:
    found = read_epub(body, PLAIN_TEXT)
    assert isinstance(found, Drop)
    return found.reason


def test_a_book_is_its_spine_with_what_its_package_says() -> None:
    found = read(book())
    assert found.text == "One\n\nFirst words.\n\nTwo\n\nLast[1] words.\n\nAnn\n\nA note."
    assert found.title == "A Book"
    assert found.meta == {
        "author": ["Ann", "Bob"],
        "published": "1818-01-01",
        "language": "en-GB",
        "license": "CC0-1.0",
        "rights": "See https://creativecommons.org/publicdomain/zero/1.0/.",
        "publisher": "P",
        "canonical": "https://x.org/b",
    }


def test_a_chapter_that_is_missing_or_damaged_is_counted() -> None:
    assert read(book(**{"O __text__two.xhtml": None})).meta["chapters_lost"] == 1
    body = bytearray(book())
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entry = archive.getinfo("O /text/two.xhtml")
    body[entry.header_offset + 30 + len(entry.filename) + 5] ^= 0xFF
    found = read(bytes(body))
    assert found.meta["chapters_lost"] == 1
    assert "Last[1] words." in found.text
    assert "First" not in found.text


def test_fonts_may_be_hidden_but_not_text() -> None:
    listed = (
        '<encryption xmlns:e="x"><e:EncryptedData><e:EncryptionMethod Algorithm="{}"/></e:EncryptedData></encryption>'
    )
    fonts = listed.format("http://www.idpf.org/2008/embedding")
    assert read(book(**{"META-INF__encryption.xml": fonts})).title == "A Book"
    assert reason(book(**{"META-INF__encryption.xml": listed.format("http://other")})) == "encrypted"


def test_a_zip_with_a_password_is_encrypted() -> None:
    body = bytearray(book())
    at = body.find(b"PK\x01\x02")
    struct.pack_into("<H", body, at + 8, 1)
    assert reason(bytes(body)) == "encrypted"


def test_a_book_that_unpacks_without_end_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.epub.MOST_BYTES", 100_000)
    bomb = book(**{"O __text__two.xhtml": b"<p>" + b"x" * 20_000_000})
    assert len(bomb) < 100_000
    assert read_epub(bomb, PLAIN_TEXT) == Drop("epub", "larger than the cap", 100_000)
    halves = {f"O __text__{name}.xhtml": "<p>" + "x" * 60_000 for name in ("two", "notes")}
    assert reason(book(**halves)) == "larger than the cap"


def test_entities_of_the_package_do_not_expand() -> None:
    bomb = '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    package = bomb + PACKAGE.replace("<dc:publisher>P", "<dc:publisher>P&b;&f;")
    found = read(book(**{"O __b.opf": package}))
    assert "haha" not in found.meta["publisher"]
    assert "root" not in found.meta["publisher"]


def test_what_is_no_book_is_dropped() -> None:
    assert reason(b"") == reason(b"PK\x03\x04") == reason(b"x" * 1000) == "damaged"
    assert reason(book(**{"META-INF__container.xml": None})) == "damaged"
    assert reason(book(**{"META-INF__container.xml": ""})) == "damaged"
    assert reason(book(**{"O __b.opf": "<package/>"})) == "no text in its spine"


def test_a_book_that_is_cut_off_or_altered_anywhere_is_read_or_dropped() -> None:
    body = book()
    for at in range(0, len(body), 7):
        assert isinstance(read_epub(body[:at], PLAIN_TEXT), Drop)
        altered = bytearray(body)
        altered[at] ^= 0x15
        assert isinstance(read_epub(bytes(altered), PLAIN_TEXT), Extracted | Drop)


def test_deeply_nested_markup_is_read() -> None:
    assert "deep" in read(book(**{"O __text__two.xhtml": PAGE.format("<div>" * 5000 + "deep")})).text


def test_hostile_attributes_are_read() -> None:
    for markup in ("<a " * 30_000, "<a epub:type='backlink" * 10_000, "<section " * 20_000, "<b/" * 50_000):
        assert "the end" in read(book(**{"O __text__one a.xhtml": PAGE.format(f"<p>the end</p>{markup}")})).text


def test_a_real_book_has_all_its_chapters_in_order_and_every_word(shared_data: Path) -> None:
    body = (shared_data / "documents" / "frankenstein.epub").read_bytes()
    found = read(body)
    assert (found.title, found.meta["author"], found.meta["license"]) == ("Frankenstein", "Mary Shelley", "CC0-1.0")
    headings = [b for b in found.text.split("\n\n") if re.fullmatch(r"Preface|Letter [IVX]+|[IVX]+|Chapter [IVX]+", b)]
    numbers = [h.removeprefix("Chapter ") for h in headings if h != "Preface" and not h.startswith("Letter")]
    assert headings[0] == "Preface"
    assert headings[1:5] == ["Letter I", "Letter II", "Letter III", "Letter IV"]
    assert len(numbers) == 24
    assert numbers[0] == "I"
    assert numbers[23] == "XXIV"
    there = f" {' '.join(re.findall(WORD, found.text))} "
    ends = []
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for kind, name in [(match[1], n) for n in archive.namelist() if (match := CHAPTER.search(n))]:
            top = ElementTree.fromstring(archive.read(name)).find("{http://www.w3.org/1999/xhtml}body")
            assert top is not None
            words = f" {' '.join(re.findall(WORD, ''.join(top.itertext())))} "
            assert words in there, name
            number = int("0" + re.sub(r"\D", "", name))
            ends.append((("preface", "letter", "chapter").index(kind), number, there.index(words)))
    assert len(ends) == 29
    assert [place for *_, place in sorted(ends)] == sorted(place for *_, place in ends)
