"""Archives: every byte accounted for, read again from its address, written so that other readers agree."""

import gzip
import io
import re
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from archives import DATE, HTTP, PAGE, bodies, lost, lz4, resource, response, saved, unaccounted
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from libertas.document import WarcRef
from libertas.errors import BrokenLineage, UsageError
from libertas.gather import warc
from libertas.gather.coding import PAYLOAD_BYTES
from libertas.gather.digests import sha1
from libertas.gather.warc import Lost, Record


def test_records_come_back_in_order_with_their_place_on_disk(tmp_path: Path) -> None:
    members = [warc.warcinfo(DATE, "x"), response(PAGE), resource(b"one"), resource(b"two", "urn:file:b.txt")]
    read = list(warc.records(saved(tmp_path, *members)))
    assert [r.type for r in read if isinstance(r, Record)] == ["warcinfo", "response", "resource", "resource"]
    starts = [sum(map(len, members[:i])) for i in range(4)]
    assert [(r.ref.offset, r.ref.length) for r in read if isinstance(r, Record)] == [
        (s, len(m)) for s, m in zip(starts, members, strict=True)
    ]
    page = read[1]
    assert isinstance(page, Record)
    assert (page.body, page.status, page.content_type, page.date) == (PAGE, 200, "text/html", DATE)


@given(texts=st.lists(st.binary(max_size=300), min_size=1, max_size=5), plain=st.booleans())
def test_reading_a_record_again_inverts_writing_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], plain: bool
) -> None:
    members = [resource(b, f"urn:file:{i}") for i, b in enumerate(texts)]
    if plain:
        members = [gzip.decompress(m) for m in members]
    path = saved(tmp_path_factory.mktemp("w"), *members, name="a.warc")
    read = list(warc.records(path))
    assert [warc.read_record(path, r.ref) for r in read if isinstance(r, Record)] == texts


def test_another_reader_finds_the_same_records_and_correct_digests(tmp_path: Path) -> None:
    path = saved(
        tmp_path, warc.warcinfo(DATE, "x"), response(PAGE), resource("größe".encode(), "urn:python:source:a/b.py")
    )
    with path.open("rb") as file:
        seen = []
        for record in WarcioIterator(file, check_digests="raise"):
            record.content_stream().read()
            assert record.digest_checker.passed in (True, None)
            seen.append((record.rec_type, record.rec_headers.get_header("WARC-Target-URI")))
    assert seen == [
        ("warcinfo", None),
        ("response", "http://a.example/"),
        ("resource", "urn:python:source:a/b.py"),
    ]
    blocks = [r.verify_block_digest() for r in FastIterator(str(path), parse_http=False)]
    payloads = [r.verify_payload_digest() for r in FastIterator(str(path), parse_http=True) if r.is_http]
    assert (blocks, payloads) == ([True] * 3, [True])


def test_record_ids_follow_from_what_the_record_holds() -> None:
    assert warc.record_id("response", "http://a/", "b3:1") == warc.record_id("response", "http://a/", "b3:1")
    ids = {
        warc.record_id(*p)
        for p in [("r", "u", "d"), ("q", "u", "d"), ("r", "v", "d"), ("r", "u", "e"), ("r", "u", "d", 1)]
    }
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Encoding: gzip", gzip.compress(PAGE, mtime=0)),
        ("Content-Encoding: deflate", zlib.compress(PAGE)),
        ("Transfer-Encoding: chunked", b"5\r\n" + PAGE[:5] + b"\r\n2D\r\n" + PAGE[5:] + b"\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", PAGE),
        ("Content-Encoding: gzip", PAGE),
        ("Content-Encoding: of-my-own", PAGE),
    ],
)
def test_the_payload_is_what_remains_when_coding_is_off_or_was_never_on(headers: str, body: bytes) -> None:
    assert len(PAGE) == 5 + 0x2D
    assert warc.payload_of(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body) == PAGE


@pytest.mark.parametrize(
    ("http", "payload"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nyes", b"yes"),
        (b"HTTP/1.1 100\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nyes", b"yes"),
        (b"HTTP/1.0 200 OK\nA: b\n\nyes\r\n\r\nno", b"yes\r\n\r\nno"),
        (b"HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n3\r\nyes\r\n0\r\n\r\n", b"yes"),
        (b"HTTP/1.0 200 OK\r\nA: b\n\r\nyes", b"yes"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nyes", b"HTTP/1.1 100 Continue\r\n\r\nyes"),
        (b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\nyes", b"yes"),
    ],
)
def test_the_payload_is_that_of_the_final_answer_whatever_ends_its_lines(http: bytes, payload: bytes) -> None:
    assert warc.payload_of(http) == payload


def test_a_text_that_begins_like_an_interim_answer_is_left_as_it_is(tmp_path: Path) -> None:
    text = b"HTTP/1.1 100 Continue\n\nis what a server says.\n"
    (record,) = warc.records(saved(tmp_path, resource(text)))
    assert isinstance(record, Record)
    assert record.body == text


def test_the_payload_digest_is_that_of_the_body_as_it_was_sent_and_absent_where_readers_disagree() -> None:
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    record = gzip.decompress(warc.written("response", "http://a/", DATE, "urn:uuid:1", HTTP, head + chunked))
    assert f"\r\nWARC-Payload-Digest: {sha1(chunked)}\r\n".encode() in record
    for odd in (b"HTTP/1.1 100 Continue\r\n\r\n" + head, head.replace(b"\r\n", b"\n")):
        record = gzip.decompress(warc.written("response", "http://a/", DATE, "urn:uuid:1", HTTP, odd + chunked))
        assert b"WARC-Payload-Digest" not in record
        assert f"\r\nWARC-Block-Digest: {sha1(odd + chunked)}\r\n".encode() in record


def test_an_archive_is_unbroken_up_to_where_the_file_is_torn_not_where_a_body_is_odd(tmp_path: Path) -> None:
    members = [resource(b"one"), response(b"\x00\x01\x02", headers="Content-Encoding: br"), response(PAGE)]
    stored = list(warc.unbroken(saved(tmp_path, *members, members[0][:-9])))
    assert [(r.type, r.end) for r in stored] == [
        ("resource", len(members[0])),
        ("response", len(members[0] + members[1])),
        ("response", len(b"".join(members))),
    ]
    assert stored[1].block.endswith(b"\r\n\r\n\x00\x01\x02")


def test_a_body_in_an_unknown_coding_is_lost_with_its_address(tmp_path: Path) -> None:
    path = saved(tmp_path, resource(b"fine"), response(b"\x00\x01\x02", headers="Content-Encoding: br"))
    lost = list(warc.records(path))[1]
    assert isinstance(lost, Lost)
    assert (lost.drop.reason, lost.uri) == ("content coding cannot be undone", "http://a.example/")


def test_a_torn_tail_is_lost_and_everything_before_it_is_kept(tmp_path: Path) -> None:
    whole = [resource(b"one"), response(PAGE * 50)]
    data = b"".join(whole)
    for cut in range(len(whole[0]) + 1, len(data)):
        *kept, last = warc.records(saved(tmp_path, data[:cut]))
        assert [r.body for r in kept if isinstance(r, Record)] == [b"one"]
        assert isinstance(last, Lost)
        assert (last.drop.reason, last.offset) == ("truncated record", len(whole[0]))


def test_a_torn_tail_of_a_plain_archive_is_lost_as_well(tmp_path: Path) -> None:
    first, second = gzip.decompress(resource(b"one")), gzip.decompress(resource(b"two" * 9, "urn:file:b.txt"))
    *_, last = warc.records(saved(tmp_path, first, second[:-10], name="a.warc"))
    assert isinstance(last, Lost)
    assert (last.drop.reason, last.offset, last.uri) == ("truncated record", len(first), "urn:file:b.txt")


def test_a_damaged_member_is_lost_and_reading_goes_on_behind_it(tmp_path: Path) -> None:
    members = [resource(bytes([65 + i]) * 400, f"urn:file:{i}") for i in range(3)]
    broken = bytearray(members[1])
    broken[len(broken) // 2] ^= 0xFF
    read = list(warc.records(saved(tmp_path, members[0], bytes(broken), members[2])))
    assert [r.body[:1] for r in read if isinstance(r, Record)] == [b"A", b"C"]
    assert [(r.offset, r.drop.reason) for r in read if isinstance(r, Lost)] == [
        (len(members[0]), "damaged compression")
    ]


def test_rubbish_between_plain_records_is_lost_and_named(tmp_path: Path) -> None:
    one, two = gzip.decompress(resource(b"one")), gzip.decompress(resource(b"two"))
    read = list(warc.records(saved(tmp_path, one, b"what is this?\r\n", two, name="a.warc")))
    assert bodies(read) == [b"one", b"two"]
    assert lost(read) == [("not a WARC record", len(one), 15)]
    assert unaccounted(one + b"what is this?\r\n" + two, read) == b""


def test_many_records_in_one_member_are_found_by_their_id(tmp_path: Path) -> None:
    plain = b"".join(gzip.decompress(resource(b, f"urn:file:{i}")) for i, b in enumerate((b"one", b"two", b"three")))
    for data in (gzip.compress(plain), zstandard.ZstdCompressor().compress(plain)):
        path = saved(tmp_path, data)
        read = [r for r in warc.records(path) if isinstance(r, Record)]
        assert [r.ref.offset for r in read] == [0, 0, 0]
        assert [warc.read_record(path, r.ref) for r in read] == [b"one", b"two", b"three"]


def test_a_changed_byte_breaks_the_lineage_and_is_named(tmp_path: Path) -> None:
    member = gzip.decompress(resource(b"the truth"))
    path = saved(tmp_path, member, name="a.warc")
    (record,) = [r for r in warc.records(path) if isinstance(r, Record)]
    saved(tmp_path, member.replace(b"truth", b"trust"), name="a.warc")
    with pytest.raises(
        BrokenLineage, match=r"a\.warc at offset 0: record urn:uuid:\S+ should have payload b3:\w+, found b3:"
    ):
        warc.read_record(path, record.ref)
    path.unlink()
    with pytest.raises(BrokenLineage, match="cannot be read"):
        warc.read_record(path, record.ref)


def test_a_wrong_address_breaks_the_lineage(tmp_path: Path) -> None:
    path = saved(tmp_path, resource(b"one"), resource(b"two", "urn:file:b.txt"))
    first, second = (r.ref for r in warc.records(path) if isinstance(r, Record))
    wrong = WarcRef(first.file, second.offset, second.length, first.record_id, first.payload_digest)
    with pytest.raises(BrokenLineage, match="no such record"):
        warc.read_record(path, wrong)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is empty \(0 bytes\); expected a WARC file"),
        (b"<html>no archive</html>", r"begins with b'<html>no archive</ht'; expected 'WARC/1.0'"),
        (gzip.compress(b"just text", mtime=0), "has no readable record: not a WARC record at offset 0"),
        (b"\x1f\x8b\x08" + b"\xff" * 50, "has no readable record: damaged compression at offset 0"),
        (resource(b"x" * 99)[:60], "has no readable record: truncated record at offset 0"),
        (b"filedesc://x.arc 0.0.0.0 2026 text/plain 9\n", r"begins with b'filedesc://x.arc 0.0'; expected .* an ARC"),
        (b"\x04\x22\x4d\x18rest", "has no readable record: truncated record at offset 0"),
        (b"\x28\xb5\x2f\xfd\xff\xff\xff\xff", "has no readable record"),
        (b"WARC/1.0\r\nno end", "has no readable record: truncated record"),
    ],
)
def test_what_is_no_archive_is_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        list(warc.records(saved(tmp_path, data)))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.warc\.gz is no file"):
        list(warc.records(tmp_path / "none.warc.gz"))


@given(data=st.binary(min_size=1, max_size=200), gz=st.booleans())
def test_no_bytes_make_the_reader_fail_in_another_way(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, gz: bool
) -> None:
    record = gzip.decompress(resource(b"one"))
    for content in (data, b"WARC/1.0\r\n" + data, record + data, record[: len(data)] + data):
        path = saved(tmp_path_factory.mktemp("w"), gzip.compress(content) if gz else content)
        with suppress(UsageError):
            list(warc.records(path))


def test_bodies_equal_those_of_warcio_on_a_real_archive(shared_data: Path) -> None:
    path = shared_data / "web" / "cc-sample-0000.warc.gz"
    ours = [(r.ref.record_id, r.body) for r in warc.records(path) if isinstance(r, Record) and r.type == "response"]
    with path.open("rb") as file:
        theirs = [
            (r.rec_headers.get_header("WARC-Record-ID").strip("<>"), r.content_stream().read())
            for r in WarcioIterator(io.BytesIO(file.read()))
            if r.rec_type == "response"
        ]
    assert ours == theirs


def only(path: Path) -> Record:
    (record,) = warc.records(path)
    assert isinstance(record, Record)
    return record


def test_the_headers_of_an_answer_are_kept_with_names_in_lower_case(tmp_path: Path) -> None:
    headers = "Content-Type: text/html; charset=Latin1\r\nX-Robots-Tag: noai\r\nX-Robots-Tag: a,\r\n  b"
    record = only(saved(tmp_path, response(PAGE, headers=headers)))
    assert record.headers == (
        ("content-type", "text/html; charset=Latin1"),
        ("x-robots-tag", "noai"),
        ("x-robots-tag", "a, b"),
    )
    assert (record.content_type, record.charset) == ("text/html", "latin1")


def test_a_record_says_whether_its_own_digest_fits_and_a_changed_one_is_still_read(tmp_path: Path) -> None:
    whole = gzip.decompress(response(PAGE))
    assert only(saved(tmp_path, whole)).digest_verdict == "sha1 ok"
    assert only(saved(tmp_path, whole.replace(b"green", b"black"))).digest_verdict == "sha1 mismatch"
    bare = re.sub(rb"WARC-(Payload|Block)-Digest: [^\r]*\r\n", b"", whole)
    assert only(saved(tmp_path, bare)).digest_verdict is None


def test_a_record_is_read_again_with_all_that_it_had(tmp_path: Path) -> None:
    path = saved(tmp_path, resource(b"one"), response(PAGE))
    for record in warc.records(path):
        assert isinstance(record, Record)
        assert warc.reread(path, record.ref) == record


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("Content-Encoding: gzip", gzip.compress(PAGE, mtime=0)[:-12]),
        ("Content-Encoding: deflate", zlib.compress(PAGE)[:-8]),
        ("Transfer-Encoding: chunked", b"ff\r\n" + PAGE[:20]),
        ("Content-Encoding: zstd", zstandard.ZstdCompressor(write_checksum=True).compress(PAGE * 9000)[:-9]),
    ],
)
def test_of_a_coding_that_ends_too_early_the_beginning_is_kept_and_called_cut(
    tmp_path: Path, coding: str, sent: bytes
) -> None:
    record = only(saved(tmp_path, response(sent, headers=coding)))
    assert record.truncated == "coding"
    assert (PAGE * 9000).startswith(record.body)


def test_a_text_that_only_begins_like_gzip_and_does_not_say_so_stays_as_it_lies(tmp_path: Path) -> None:
    packed = gzip.compress(PAGE, mtime=0)
    for sent in (packed[:-9], packed[:12] + b"\xff" * 40, b"\x1f\x8b\x08 is how gzip begins"):
        record = only(saved(tmp_path, response(sent)))
        assert (record.body, record.truncated) == (sent, None)
    assert only(saved(tmp_path, response(packed))).body == PAGE


def test_a_body_that_expands_without_measure_is_lost_with_its_place_and_the_next_is_read(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(PAYLOAD_BYTES + 1), compresslevel=9, mtime=0)
    members = [response(bomb, headers="Content-Encoding: gzip"), resource(b"behind it")]
    read = list(warc.records(saved(tmp_path, *members)))
    assert lost(read) == [("payload too large", 0, len(members[0]))]
    assert bodies(read) == [b"behind it"]


def test_an_archive_of_lz4_frames_is_read_like_one_of_gzip_members(tmp_path: Path) -> None:
    members = [resource(b"one"), response(PAGE), resource(b"two" * 99, "urn:file:b.txt")]
    target = saved(tmp_path, *(lz4(gzip.decompress(m)) for m in members), name="a.warc.lz4")
    read = list(warc.records(target))
    assert bodies(read) == [b"one", PAGE, b"two" * 99]
    assert unaccounted(target.read_bytes(), read) == b""
    for record in read:
        assert isinstance(record, Record)
        assert warc.reread(target, record.ref) == record
