"""Unusual and broken archives from the wild, one assertion about each; warcio is the oracle wherever it can read."""

import gzip
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from archives import lost, unaccounted
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.warc import Lost, Record

FILES = {
    "odd": {
        "blackbook-truncated.arc",
        "clueweb-quirk.warc.gz",
        "example-bad-non-chunked.warc.gz",
        "example-digest.warc",
        "example-iana.org-chunked.warc",
        "example-resource.warc.gz",
        "example-wget-bad-target-uri.warc.gz",
        "example.arc.gz",
        "post-test.warc.gz",
        "records.warc",
        "records.warc.lz4",
        "wget.warc.gz",
    },
    "damaged": {"clipped.warc.gz", "example-trunc.warc"},
}


def test_every_file_of_both_folders_has_a_test_here(shared_data: Path) -> None:
    assert {folder: {f.name for f in (shared_data / "web" / folder).iterdir()} for folder in FILES} == FILES


def read(path: Path) -> list[Record]:
    """The records of an archive in which nothing is lost; each is found again, and no byte is left over."""
    items = list(warc.records(path))
    assert lost(items) == []
    assert unaccounted(path.read_bytes(), items) == b""
    records = [item for item in items if isinstance(item, Record)]
    assert [warc.reread(path, r.ref) for r in records] == records
    return records


def types(records: list[Record]) -> dict[str, int]:
    return dict(Counter(r.type for r in records))


def by_warcio(path: Path) -> list[tuple[str, str, int, bytes]]:
    """Type, address, offset and body of each record."""
    found = []
    with path.open("rb") as file:
        reader = ArchiveIterator(file, arc2warc=True)
        for record in reader:
            uri = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>")
            body = record.content_stream().read()
            found.append((record.rec_type, uri, reader.get_record_offset(), body))
    return found


def ours(records: list[Record]) -> list[tuple[str, str, int, bytes]]:
    return [(r.type, r.uri, r.ref.offset, r.body) for r in records]


def test_blackbook_the_arc_file_is_read_to_its_end(shared_data: Path) -> None:
    path = shared_data / "web/odd/blackbook-truncated.arc"
    records, data = read(path), path.read_bytes()
    assert [(r.type, r.uri, r.ref.offset) for r in records] == [
        ("warcinfo", "filedesc://IAH-20080430204825-00000-blackbook-truncated.arc", 0),
        ("response", "dns:www.archive.org", 1399),
        ("response", "http://www.archive.org/robots.txt", 1515),
        ("response", "http://www.archive.org/", 2376),
        ("response", "http://www.archive.org/index.php", 3124),
        ("response", "http://www.archive.org/images/logoc.jpg", 32203),
        ("response", "http://www.archive.org/images/go-button-gateway.gif", 34252),
        ("response", "http://www.archive.org/images/star.png", 35773),
        ("response", "http://www.archive.org/services/collection-rss.php", 36420),
    ]
    assert [r.status for r in records] == [None, None] + [200] * 7
    assert {r.date[:13] for r in records} == {"2008-04-30T20"}
    for record in records:  # the line says how long the block is, and a body ends where its block ends
        line = re.compile(rb"[^\n]* (\d+)\n").match(data, record.ref.offset)
        assert line is not None
        assert data[line.end() : line.end() + int(line[1])].endswith(record.body)
    assert records[-1].body.startswith(b"<?xml")
    assert records[5].body.startswith(b"\xff\xd8")


def test_clueweb_with_its_quirk_in_the_headers_is_whole(shared_data: Path) -> None:
    path = shared_data / "web/odd/clueweb-quirk.warc.gz"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 1, "response": 29}
    assert {r.digest_verdict for r in records[1:]} == {"sha1 ok"}
    assert {(r.status, r.content_type, r.charset) for r in records[1:]} == {(200, "text/html", "euc-jp")}
    assert {r.uri.split("/")[2] for r in records[1:]} == {"www.uraharajuku.st"}


def test_many_records_in_one_member_are_all_read_where_warcio_refuses_the_file(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "web/odd/example-bad-non-chunked.warc.gz"
    with pytest.raises(ArchiveLoadFailed, match="non-chunked"):
        by_warcio(path)
    plain = tmp_path / "plain.warc"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    records = read(path)
    whole = [(kind, uri, body) for kind, uri, _, body in by_warcio(plain)]
    assert [(r.type, r.uri, r.body) for r in records] == whole
    assert types(records) == {"warcinfo": 2, "response": 1, "request": 2, "revisit": 1}
    assert {(r.ref.offset, r.ref.length) for r in records} == {(0, 2113)}
    assert {r.uri for r in records} == {"", "http://example.com/"}


def test_records_whose_digest_is_wrong_or_spelled_in_odd_ways_are_read_and_judged(shared_data: Path) -> None:
    path = shared_data / "web/odd/example-digest.warc"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"request": 4}
    assert {r.uri for r in records} == {"http://example.com/"}
    assert [r.digest_verdict for r in records] == ["sha1 mismatch", "sha1 ok", "sha1 ok", "sha1 ok"]


def test_a_chunked_page_is_put_together(shared_data: Path) -> None:
    path = shared_data / "web/odd/example-iana.org-chunked.warc"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 1, "response": 1, "request": 1}
    page = records[1]
    assert (page.uri, page.truncated, page.digest_verdict) == ("http://www.iana.org/", None, "sha1 ok")
    assert ("transfer-encoding", "chunked") in page.headers
    assert page.body.rstrip().endswith(b"</html>")


def test_a_page_kept_as_a_resource_has_no_status(shared_data: Path) -> None:
    path = shared_data / "web/odd/example-resource.warc.gz"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 2, "resource": 1}
    page = records[2]
    assert (page.uri, page.status, page.headers) == ("http://example.com/", None, ())
    assert (page.content_type, page.charset, page.digest_verdict) == ("text/html", "utf-8", "sha1 ok")


def test_addresses_in_angle_brackets_are_taken_out_of_them(shared_data: Path) -> None:
    path = shared_data / "web/odd/example-wget-bad-target-uri.warc.gz"
    assert b"WARC-Target-URI: <http://example.com/>" in gzip.decompress(path.read_bytes())
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 1, "request": 1, "response": 1, "metadata": 1, "resource": 2}
    assert [r.uri for r in records][1:4] == [
        "http://example.com/",
        "http://example.com/",
        "metadata://gnu.org/software/wget/warc/MANIFEST.txt",
    ]
    assert {r.digest_verdict for r in records} == {"sha1 ok"}


def test_a_compressed_arc_file_gives_the_page_that_warcio_finds(shared_data: Path) -> None:
    path = shared_data / "web/odd/example.arc.gz"
    records = read(path)
    assert [(r.type, r.uri, r.ref.offset) for r in records] == [
        ("warcinfo", "filedesc://live-web-example.arc.gz", 0),
        ("response", "http://example.com/", 171),
    ]
    assert ours(records)[1:] == by_warcio(path)[1:]
    assert (records[1].status, records[1].content_type) == (200, "text/html")


def test_answers_to_post_are_read_with_their_requests(shared_data: Path) -> None:
    path = shared_data / "web/odd/post-test.warc.gz"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"response": 3, "request": 3}
    assert next(r.body for r in records if r.type == "request") == b"foo=bar&test=abc"
    assert [r.uri for r in records if r.type == "response"][2] == "http://httpbin.org/post?foo=bar"
    assert {r.digest_verdict for r in records} == {"sha1 ok"}


def test_a_plain_archive_of_common_crawl_is_whole(shared_data: Path) -> None:
    path = shared_data / "web/odd/records.warc"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 1, "request": 17, "response": 16, "metadata": 16}
    assert {r.digest_verdict for r in records if r.type == "response"} == {"sha1 ok"}
    assert len({r.uri for r in records}) == 18  # of 17 pages, and none of the archive itself


def test_the_same_archive_in_lz4_holds_the_same_records(shared_data: Path) -> None:
    packed, plain = (read(shared_data / "web/odd" / name) for name in ("records.warc.lz4", "records.warc"))
    assert [replace(r, ref=plain[0].ref) for r in packed] == [replace(r, ref=plain[0].ref) for r in plain]
    assert [(r.ref.record_id, r.ref.payload_digest) for r in packed] == [
        (r.ref.record_id, r.ref.payload_digest) for r in plain
    ]


def test_an_archive_of_wget_with_redirects_is_whole(shared_data: Path) -> None:
    path = shared_data / "web/odd/wget.warc.gz"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 1, "request": 16, "response": 16, "resource": 3}
    assert Counter(r.status for r in records if r.type == "response") == {302: 7, 200: 7, 301: 2}
    assert {r.digest_verdict for r in records} == {"sha1 ok"}


def test_a_clipped_archive_is_refused_and_its_only_record_lost_under_its_address(shared_data: Path) -> None:
    path = shared_data / "web/damaged/clipped.warc.gz"
    with pytest.raises(UsageError, match="no readable record: truncated record at offset 0") as caught:
        list(warc.records(path))
    assert "\n" not in str(caught.value)
    items = list(warc.records(path, complain=False))
    assert lost(items) == [("truncated record", 0, path.stat().st_size)]
    assert unaccounted(path.read_bytes(), items) == b""
    assert isinstance(items[0], Lost)
    assert items[0].record_id == "urn:uuid:f3dfa8fa-f031-4a38-90cc-1dcee3d07bb5"
    with path.open("rb") as file:
        (record,) = ArchiveIterator(file)
        assert items[0].uri == record.rec_headers.get_header("WARC-Target-URI")


def test_a_page_whose_chunks_end_too_early_is_kept_and_called_cut(shared_data: Path) -> None:
    path = shared_data / "web/damaged/example-trunc.warc"
    records = read(path)
    assert ours(records) == by_warcio(path)
    assert types(records) == {"warcinfo": 2, "response": 1, "request": 1}
    page = records[2]
    assert (page.uri, page.ref.offset, page.truncated) == ("http://example.com/", 1197, "coding")
    assert (len(page.body), page.digest_verdict) == (1270, "sha1 mismatch")
    assert [r.truncated for r in records if r is not page] == [None, None, None]
