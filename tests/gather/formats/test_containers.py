"""Compressed files, lines and XML, read from beginning to end."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from libertas.gather.formats.containers import (
    BROKEN_STREAM,
    DEEPEST_XML,
    HEAD_BYTES,
    DamagedXml,
    decompressed,
    head_of,
    numbered_lines,
    xml_elements,
)

WORDS = b"".join(b"line %d of many\n" % n for n in range(20_000))
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


def elements(xml: bytes, *wanted: str) -> list[tuple[str, dict[str, str], str]]:
    return list(xml_elements(io.BytesIO(xml), frozenset(wanted)))


@pytest.mark.parametrize("coding", CODINGS)
def test_every_compression_is_taken_off_by_its_first_bytes(coding: str, tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(CODINGS[coding](WORDS))
    with decompressed(path) as stream:
        assert stream.read() == WORDS
    assert head_of(path) == WORDS[:HEAD_BYTES]


@pytest.mark.parametrize("coding", [c for c in CODINGS if c != "plain"])
def test_a_file_that_is_cut_off_is_not_taken_for_a_whole_one(coding: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    packed = CODINGS[coding](WORDS)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with decompressed(path) as stream, pytest.raises(BROKEN_STREAM):
        list(iter(lambda: stream.read1(1 << 16), b""))
    assert WORDS.startswith(head_of(path))


def test_several_gzip_members_and_several_bzip2_streams_are_one_file(tmp_path: Path) -> None:
    for coding in (gzip.compress, bz2.compress):
        path = tmp_path / "members"
        path.write_bytes(coding(b"one ") + coding(b"two"))
        with decompressed(path) as stream:
            assert stream.read() == b"one two"


def test_lines_are_numbered_from_one_and_lose_their_ends() -> None:
    assert list(numbered_lines(io.BytesIO(b"a\r\n\nc"))) == [(1, b"a"), (2, b""), (3, b"c")]


def test_a_line_longer_than_a_piece_is_cut_off_and_the_next_one_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.containers.PIECE_BYTES", 10)
    monkeypatch.setattr("libertas.gather.formats.containers.READ_BYTES", 7)
    lines = list(numbered_lines(io.BytesIO(b"x" * 100 + b"\nshort\n")))
    assert lines == [(1, b"x" * 11), (2, b"short")]


def test_wanted_elements_come_as_they_end_with_attributes_and_own_text() -> None:
    found = elements(b'<r v="1"><a k="2">one<b>not</b> two</a><c/></r>', "r/a", "r/c")
    assert found == [("r", {"v": "1"}, ""), ("r/a", {"k": "2"}, "one two"), ("r/c", {}, "")]


def test_an_entity_bomb_is_refused_at_its_document_type() -> None:
    bomb = b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>'
    with pytest.raises(DamagedXml, match="line 1: it has a document type"):
        elements(bomb, "r")


def test_xml_is_read_down_to_its_deepest_level_and_no_further() -> None:
    deep = b"<a>" * DEEPEST_XML + b"x" + b"</a>" * DEEPEST_XML
    where = "/".join("a" * DEEPEST_XML)
    assert elements(deep, where)[-1] == (where, {}, "x")
    with pytest.raises(DamagedXml, match="nested too deeply"):
        elements(b"<a>" + deep + b"</a>", where)


def test_what_stands_before_damaged_xml_is_given_first() -> None:
    reading = xml_elements(io.BytesIO(b"<r>\n<a>one</a>\n<a>two</b>"), frozenset({"r/a"}))
    assert next(reading) == ("r", {}, "")
    assert next(reading) == ("r/a", {}, "one")
    with pytest.raises(DamagedXml, match="line 3: mismatched tag"):
        next(reading)


def test_xml_that_is_cut_off_is_damaged() -> None:
    with pytest.raises(DamagedXml, match="line 1: no element found"):
        elements(b"<r><a>one</a>", "r/a")


def test_long_text_of_an_element_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.containers.PIECE_BYTES", 100)
    (_, (_, _, text)) = elements(b"<r>" + b"x\n" * 100_000 + b"</r>", "r")
    assert 100 <= len(text) < 200_000
