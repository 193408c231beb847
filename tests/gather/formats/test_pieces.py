"""Files as pieces: what a file is, and what of it is packed."""

import gzip
import io
import tarfile
from pathlib import Path

import orjson
import pytest

from libertas.document import Drop
from libertas.errors import UsageError
from libertas.gather import formats
from libertas.gather.formats import reader_of
from libertas.gather.formats.containers import head_of
from libertas.gather.formats.part import Part
from libertas.gather.formats.pieces import pieces_of
from libertas.gather.formats.recognize import recognized

NAMES = {"text": "text"}
TEX = b"\\documentclass{article}\n\\begin{document}\nWords.\n\\end{document}\n"


def put(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def kind_of(path: Path) -> str:
    return recognized(path, head_of(path))


def pieces(path: Path, license: str | None = None) -> list[Part | Drop]:
    return list(pieces_of(path, kind_of(path), path.name, license, NAMES))


def tar(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.xml", b'<?xml version="1.0"?>\n<mediawiki xml:lang="en">', "application/x-mediawiki+xml"),
        ("a.xml.gz", gzip.compress(b"<mediawiki>"), "application/x-mediawiki+xml"),
        ("Posts.xml", b"<posts>\n<row", "application/x-stackexchange+xml"),
        ("Votes.xml", b"<votes>\n  <row Id", "application/x-stackexchange-side+xml"),
        ("a.xml", b'<article article-type="research">', "application/jats+xml"),
        ("a.xml", b'<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.0">', "application/jats+xml"),
        ("a.xml", b"<other>", "text/xml"),
        ("a.txt", b"The book\n*** START OF THE PROJECT GUTENBERG EBOOK X ***", "text/x-gutenberg"),
        ("a.txt", b"words", "text/plain"),
        ("12.", b"Message-ID: <1.JavaMail.evans@thyme>\nDate: Mon, 14 May 2001\n\nWords.\n", "message/rfc822"),
        ("12", b"From: a@b.org\n\nWords.\n", "message/rfc822"),
        ("12.", b"Message in a bottle", "text/plain"),
        ("note", b"Date: today\n\nWords.\n", "text/plain"),
        ("A.EPUB", b"PK", "application/epub+zip"),
        ("a.jsonl.zst", b"", "application/jsonl"),
        ("a.pdf", b"%PDF", "application/pdf"),
        ("a.tex.gz", gzip.compress(TEX), "text/x-tex"),
        ("2101.00001.gz", gzip.compress(TEX), "application/x-eprint-tar"),
        ("2101.00001.gz", gzip.compress(tar(main_tex=TEX)), "application/x-eprint-tar"),
        ("a.tar", tar(main_tex=TEX), "application/x-eprint-tar"),
        ("a.tar", tar(main_txt=TEX), "text/plain"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        ("a.rs", b"", "text/x-source-rust"),
        ("a.py", b"", "text/x-python"),
        ("run", b"#!/bin/sh\n", "text/x-source-shell"),
        ("a.unknown", b"", "text/plain"),
    ],
)
def test_a_file_is_told_by_its_first_bytes_or_its_name(name: str, data: bytes, kind: str, tmp_path: Path) -> None:
    assert kind_of(put(tmp_path, name, data)) == kind


def test_a_text_is_packed_as_it_lies_without_its_compression(tmp_path: Path) -> None:
    assert pieces(put(tmp_path, "a.md", b"# One\r\n")) == [Part("", "text/markdown", b"# One\r\n")]
    assert pieces(put(tmp_path, "b.txt.gz", gzip.compress(b"two"))) == [Part("", "text/plain", b"two")]


def test_a_page_may_be_in_any_charset(tmp_path: Path) -> None:
    assert pieces(put(tmp_path, "a.html", b"<p>caf\xe9")) == [Part("", "text/html", b"<p>caf\xe9")]


def test_a_submission_keeps_its_compression_which_belongs_to_the_format(tmp_path: Path) -> None:
    packed = gzip.compress(tar(main_tex=TEX))
    assert pieces(put(tmp_path, "a.tar.gz", packed)) == [Part("", "application/x-eprint-tar", packed)]


def test_code_below_a_license_takes_it_along(tmp_path: Path) -> None:
    (part,) = pieces(put(tmp_path, "a.rs", b"fn main() {}\n"), "MIT")
    assert isinstance(part, Part)
    assert part.content_type == "application/x-source+json"
    assert orjson.loads(part.body) == {"programming_language": "rust", "license": "MIT", "text": "fn main() {}\n"}
    assert pieces(put(tmp_path, "a.txt", b"words"), "MIT") == [Part("", "text/plain", b"words")]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b" \n", "empty"),
        ("a.txt", b"a\0b", "not text"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
        ("a.txt.gz", gzip.compress(b"words " * 1000)[:30], "damaged compression"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z archive"),
        ("Users.xml", b"<users>\n<row Id='1'/>", "no posts, but another table of their dump"),
        ("x_pb2.py", b"x = 1", "generated"),
        ("yarn.lock", b"x", "lock file"),
    ],
)
def test_what_becomes_no_piece_is_one_drop_that_says_why(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    (found,) = pieces(put(tmp_path, name, data))
    assert isinstance(found, Drop)
    assert found.reason == reason


def test_a_compression_bomb_is_unpacked_no_further_than_a_record_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libertas.gather.formats.pieces.PIECE_BYTES", 1000)
    path = put(tmp_path, "a.txt.gz", gzip.compress(b"x" * 10_000_000))
    assert pieces(path) == [Drop("pack", "too large for a record", path.stat().st_size)]


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(content_type: str) -> None:
        raise ModuleNotFoundError("No module named 'pypdfium2'", name="pypdfium2")

    monkeypatch.setattr(formats, "_document_reader", missing)
    with pytest.raises(UsageError, match=r"application/pdf is read with pypdfium2.*pip install 'libertas\[formats\]'"):
        reader_of("application/pdf")


def test_pages_and_plain_text_need_no_reader() -> None:
    assert reader_of("text/html") is None
    assert reader_of("text/plain") is None
    assert reader_of("application/zip") is None
