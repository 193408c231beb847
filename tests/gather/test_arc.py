"""ARC files, the format before WARC: each record is found at its place, under its address, with its date."""

import gzip
from pathlib import Path

import pytest
from archives import bodies, lost, lz4, saved, unaccounted
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from libertas.gather import warc
from libertas.gather.arc import header_of
from libertas.gather.warc import Lost, Record

VERSION = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>ten green bottles</p>"


def entry(block: bytes, uri: str = "http://a.example/", kind: str = "text/html", date: str = "20080430204825") -> bytes:
    return f"{uri} 207.241.229.39 {date} {kind} {len(block)}\n".encode() + block + b"\n"


def first() -> bytes:
    return entry(VERSION, "filedesc://a.arc", "text/plain")


def test_records_of_an_arc_file_come_in_order_with_their_place(tmp_path: Path) -> None:
    members = [first(), entry(PAGE), entry(b"20080430\na.example. 60 IN A 1.2.3.4\n", "dns:a.example", "text/dns")]
    read = list(warc.records(saved(tmp_path, *members, name="a.arc")))
    found = [(r.type, r.uri, r.status, r.content_type, r.charset) for r in read if isinstance(r, Record)]
    assert found == [
        ("warcinfo", "filedesc://a.arc", None, "text/plain", None),
        ("response", "http://a.example/", 200, "text/html", "iso-8859-1"),
        ("response", "dns:a.example", None, "text/dns", None),
    ]
    assert bodies(read) == [VERSION, b"<p>ten green bottles</p>", b"20080430\na.example. 60 IN A 1.2.3.4\n"]
    starts = [sum(map(len, members[:i])) for i in range(3)]
    assert [(r.ref.offset, r.ref.length) for r in read if isinstance(r, Record)] == [
        (at, len(member) - 1) for at, member in zip(starts, members, strict=True)  # the line end behind it is padding
    ]  # fmt: skip
    assert unaccounted(b"".join(members), read) == b""


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lz4])
def test_each_record_is_read_again_under_the_id_that_follows_from_it(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = saved(tmp_path, *(pack(m) for m in (first(), entry(PAGE), entry(PAGE, date="20080501000000"))))
    read = [item for item in warc.records(path) if isinstance(item, Record)]
    assert [warc.reread(path, r.ref) for r in read] == read
    assert len({r.ref.record_id for r in read}) == 3
    assert read == list(warc.records(path))


def test_warcio_finds_the_same_addresses_and_bodies(tmp_path: Path) -> None:
    path = saved(tmp_path, *(gzip.compress(m) for m in (first(), entry(PAGE), entry(PAGE, "http://b.example/?q=1"))))
    with path.open("rb") as file:
        theirs = [
            (r.rec_headers.get_header("uri"), r.content_stream().read())
            for r in ArchiveIterator(file)
            if r.rec_type == "response"
        ]
    ours = [(r.uri, r.body) for r in warc.records(path) if isinstance(r, Record) and r.type == "response"]
    assert ours == theirs
    assert len(ours) == 2


@pytest.mark.parametrize(
    ("line", "uri", "date", "kind"),
    [
        ("http://a/ 1.2.3.4 20080430204825 text/html 7", "http://a/", "2008-04-30T20:48:25Z", "text/html"),
        ("http://a/b c d 1.2.3.4 20080430204825 text/html 7", "http://a/b c d", "2008-04-30T20:48:25Z", "text/html"),
        ("http://a/ ::1 200804302048 text/html 7", "http://a/", "2008-04-30T20:48:00Z", "text/html"),
        ("http://a/ 0.0.0.0 20080430 no-type 7", "http://a/", "2008-04-30T00:00:00Z", "no-type"),
        ("http://a/ 1.2.3.4 20080430204825 text/html; a=b 7", "http://a/", "2008-04-30T20:48:25Z", "text/html;"),
        ("http://a/ 1.2.3.4 20080430204825  7", "http://a/", "2008-04-30T20:48:25Z", ""),
        ("http://a/ - 20080430204825 text/html 200 sum - 99 a.arc 7", "http://a/", "2008-04-30T20:48:25Z", "text/html"),
    ],
)
def test_the_header_line_is_read_from_the_date_outwards(line: str, uri: str, date: str, kind: str) -> None:
    for end in (b"\n", b"\r\n"):
        found = header_of(line.encode() + end + b"the block")
        assert found is not None
        assert (found.uri, found.date, found.content_type, found.length) == (uri, date, kind, 7)
        assert found.size == len(line) + len(end)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"http://a/ 1.2.3.4 20080430204825 text/html 7",
        b"http://a/ 1.2.3.4 20080430204825 text/html seven\n",
        b"http://a/ 1.2.3.4 20080430204825 text/html " + b"9" * 19 + b"\n",
        b"http://a/ 1.2.3.4 yesterday text/html 7\n",
        b"http://a/ host 20080430204825 text/html 7\n",
        b"no address 1.2.3.4 20080430204825 text/html 7\n",
        b"http://" + b"a" * (1 << 14) + b" 1.2.3.4 20080430204825 text/html 7\n",
    ],
)
def test_another_line_is_no_header(line: bytes) -> None:
    assert header_of(line) is None


@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40),
    date=st.datetimes().map(lambda moment: f"{moment:%Y%m%d%H%M%S}".zfill(14)),
    length=st.integers(0, 10**17),
)
def test_reading_a_header_line_inverts_writing_it(path: str, date: str, length: int) -> None:
    found = header_of(f"http://a.example/{path} 1.2.3.4 {date} text/html {length}\n".encode())
    assert found is not None
    assert (found.uri, found.length) == (f"http://a.example/{path}", length)
    assert "".join(c for c in found.date if c.isdigit()) == date


@given(head=st.binary(max_size=80))
def test_no_bytes_make_the_line_fail_in_another_way(head: bytes) -> None:
    for line in (head, b"http://a/ " + head + b" 1.2.3.4 20080430204825 a 7\n", b"a:" + head + b" 20080430 7\n"):
        found = header_of(line)
        assert found is None or found.size <= len(line)


def test_a_length_that_reaches_into_the_next_record_is_wrong_and_the_next_record_is_read(tmp_path: Path) -> None:
    wrong = entry(PAGE).replace(f" {len(PAGE)}\n".encode(), f" {len(PAGE) + 60}\n".encode())
    members = [first(), wrong, entry(PAGE, "http://b.example/")]
    read = list(warc.records(saved(tmp_path, *members, name="a.arc")))
    assert [r.uri for r in read if isinstance(r, Record)] == ["filedesc://a.arc", "http://b.example/"]
    assert lost(read) == [("wrong Content-Length", len(members[0]), len(wrong))]
    assert [r.uri for r in read if isinstance(r, Lost)] == ["http://a.example/"]


def test_a_torn_tail_of_an_arc_file_is_lost_under_its_address(tmp_path: Path) -> None:
    whole, torn = first(), entry(PAGE)
    for cut in range(len(torn) - len(PAGE) - 1, len(torn) - 1):
        read = list(warc.records(saved(tmp_path, whole, torn[:cut], name="a.arc")))
        assert lost(read) == [("truncated record", len(whole), cut)]
        assert isinstance(read[1], Lost)
        assert read[1].uri == "http://a.example/"


def test_a_page_that_quotes_a_header_line_is_not_cut_there(tmp_path: Path) -> None:
    quoting = PAGE + b"\nhttp://c.example/ 1.2.3.4 20080430204825 text/html 3\nabc\n"
    read = list(warc.records(saved(tmp_path, first(), entry(quoting), entry(PAGE), name="a.arc")))
    assert [r.uri for r in read if isinstance(r, Record)] == ["filedesc://a.arc"] + ["http://a.example/"] * 2
    assert lost(read) == []
