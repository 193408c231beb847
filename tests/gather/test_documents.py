"""Archives to a corpus: nothing vanishes, and workers change nothing."""

import os
from collections import Counter
from gzip import decompress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from libertas.corpus import Corpus
from libertas.document import document_id
from libertas.errors import UsageError
from libertas.gather import documents, warc
from libertas.gather.config import GatherConfig
from libertas.gather.documents import DROPS, gather
from libertas.lineage.walk import source_files

DATE = "2026-01-31T12:00:00Z"
PAGE = "<html><head><title>Bottles {n}</title></head><body><p>There are {n} green bottles standing on the wall.</p>"


def response(uri: str, body: str, status: str = "200 OK", kind: str = "text/html", truncated: str = "") -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n{body}".encode()
    identifier = warc.record_id("response", uri, body)
    cut = (("WARC-Truncated", truncated),) if truncated else ()
    return warc.written("response", uri, DATE, identifier, "application/http; msgtype=response", http, cut)


def archive(folder: Path, pages: int = 3, name: str = "a.warc.gz") -> Path:
    page = response("http://a.example/1", PAGE.format(n=1))
    members = [
        warc.warcinfo(DATE, "x"),
        warc.written("request", "http://a.example/", DATE, "urn:uuid:q", "application/http; msgtype=request", b"GET"),
        *(response(f"http://a.example/{n}", PAGE.format(n=n)) for n in range(pages)),
        page,
        response("http://a.example/none", "no such page", "404 Not Found"),
        response("http://a.example/robots.txt", "User-agent: *", kind="text/plain"),
        response("http://a.example/image", "PNG", kind="image/png"),
        warc.written("resource", "urn:file:a.py", DATE, "urn:uuid:r", "text/x-python", b"x = 1\n"),
        warc.written("metadata", "http://a.example/", DATE, "urn:uuid:m", "text/plain", b"via: x"),
        page[:-20],
    ]
    path = folder / name
    path.write_bytes(b"".join(members))
    return path


def made(folder: Path, *archives: Path, **changes: Any) -> Corpus:
    return gather(GatherConfig(archives=archives, out=folder, **{"workers": 1, **changes}))


def test_each_record_is_a_document_or_a_drop_with_its_reason(tmp_path: Path) -> None:
    corpus = made(tmp_path / "c", archive(tmp_path))
    rows = pq.read_table(tmp_path / "c" / DROPS).to_pylist()
    assert Counter(r["reason"] for r in rows) == {
        "warcinfo record": 1,
        "request record": 1,
        "same record again": 1,
        "HTTP status": 1,
        "robots.txt": 1,
        "not text": 1,
        "metadata record": 1,
        "truncated record": 1,
    }
    assert corpus.manifest.counts["documents"] == {"in": 12, "out": 4, "dropped": 8}
    assert corpus.manifest.counts["dropped"] == Counter(r["reason"] for r in rows)
    (status,) = [r for r in rows if r["reason"] == "HTTP status"]
    assert (status["value"], status["uri"], status["file"]) == ("404", "http://a.example/none", "a.warc.gz")


def test_a_document_says_where_it_comes_from(tmp_path: Path) -> None:
    path = archive(tmp_path)
    corpus = made(tmp_path / "c", path, component="bottles")
    first, *_, last = corpus
    assert first.text == "There are 0 green bottles standing on the wall."
    reference = first.warc
    assert reference is not None
    assert first.id == document_id(reference.record_id, reference.payload_digest)
    assert warc.read_record(path, reference) == PAGE.format(n=0).encode()
    meta = {k: v for k, v in first.meta.items() if k not in ("warc", "language_score")}
    assert meta == {
        "url": "http://a.example/0",
        "component": "bottles",
        "language": "en",
        "title": "Bottles 0",
        "date": DATE,
        "content_type": "text/html",
    }
    assert (last.text, last.meta["language"]) == ("x = 1\n", "code")
    assert source_files(tmp_path / "c") == {"a.warc.gz": [path]}


def test_a_page_that_was_cut_off_on_the_way_is_no_document_but_one_cut_at_a_length_is(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    cuts = ("", "length", "disconnect", "time")
    path.write_bytes(b"".join(response(f"http://a.example/{c}", PAGE.format(n=c), truncated=c) for c in cuts))
    corpus = made(tmp_path / "c", path)
    assert [(d.meta["url"], d.meta.get("truncated")) for d in corpus] == [
        ("http://a.example/", None),
        ("http://a.example/length", "length"),
    ]
    rows = pq.read_table(tmp_path / "c" / DROPS).to_pylist()
    assert [(r["uri"], r["reason"], r["value"]) for r in rows] == [
        ("http://a.example/disconnect", "cut off on the way", "disconnect"),
        ("http://a.example/time", "cut off on the way", "time"),
    ]


def test_records_that_are_truncated_or_damaged_are_told_of_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, torn = archive(tmp_path, name="whole.warc.gz"), archive(tmp_path, name="a[red]b.warc.gz")
    page = response("http://a.example/1", PAGE.format(n=1))
    whole.write_bytes(whole.read_bytes()[: -len(page) + 20])
    made(tmp_path / "c", whole)
    assert capsys.readouterr().err == ""
    made(tmp_path / "d", torn)
    where = tmp_path / "d" / DROPS
    assert capsys.readouterr().err == (f"1 record of a[red]b.warc.gz was truncated or damaged; reasons in {where}\n")
    bad = tmp_path / "bad.warc.gz"
    broken = bytearray(page)
    broken[len(page) // 2] ^= 0xFF
    bad.write_bytes(response("http://a.example/2", PAGE.format(n=2)) + bytes(broken) + page[:-20])
    made(tmp_path / "e", torn, bad)
    assert capsys.readouterr().err.startswith(
        "3 records of 2 archives (a[red]b.warc.gz first) were truncated or damaged"
    )


def test_the_count_of_a_language_is_its_own_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "identify", lambda _: ("records", 1.0))
    counts = made(tmp_path / "c", archive(tmp_path)).manifest.counts
    assert counts["languages"] == {"code": 1, "records": 3}
    assert counts["documents"] == {"in": 12, "out": 4, "dropped": 8}


def test_an_archive_whose_name_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.warc.gz")
    try:
        archive(tmp_path).rename(path)
    except OSError:
        pytest.skip("the file system takes no such name")
    with pytest.raises(UsageError, match=r"caf\\xe9\.warc\.gz has a name that is not valid UTF-8; .*; rename it"):
        made(tmp_path / "c", path)


def test_workers_change_no_byte_of_the_corpus(tmp_path: Path) -> None:
    path = archive(tmp_path, pages=100)
    corpora = [made(tmp_path / str(workers), path, workers=workers) for workers in (1, 2)]
    assert corpora[0].manifest.files == corpora[1].manifest.files
    assert corpora[0].manifest.content == corpora[1].manifest.content


def test_a_document_keeps_its_id_when_its_archive_is_written_anew(tmp_path: Path) -> None:
    one = archive(tmp_path)
    other = tmp_path / "b.warc"
    other.write_bytes(decompress(one.read_bytes()[: -len(response("http://a.example/1", PAGE.format(n=1))) + 20]))
    assert made(tmp_path / "c", one).ids() == made(tmp_path / "d", other).ids()


def test_an_archive_without_a_document_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(warc.warcinfo(DATE, "x") + response("http://a.example/none", "nothing", "404 Not Found"))
    with pytest.raises(
        UsageError, match=r"a\.warc\.gz has 2 records and no document: 1 .*; expected text/html"
    ) as error:
        made(tmp_path / "c", path)
    assert "1 HTTP status" in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.warc.gz"]


def test_two_archives_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match="have the same file name"):
        made(tmp_path / "c", archive(tmp_path), archive(tmp_path / "x"))


def test_a_corpus_is_no_archive(tmp_path: Path) -> None:
    corpus = made(tmp_path / "c", archive(tmp_path))
    with pytest.raises(UsageError, match="c is a corpus; expected an archive"):
        made(tmp_path / "d", corpus.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archives": ()}, "archives is empty"),
        ({"workers": 0}, "workers is 0"),
        ({"component": "a b"}, "component is 'a b'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        GatherConfig(**{"archives": (tmp_path,), "out": tmp_path, **changes})


def test_real_pages_become_documents_and_each_leads_back_to_its_bytes(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "web").glob("cc-sample-*.warc.gz"))
    corpus = made(tmp_path / "c", *paths, workers=2)
    counts = corpus.manifest.counts["documents"]
    assert (counts["out"], counts["in"]) == (37, 82)
    by_name = {p.name: p for p in paths}
    for document in corpus:
        assert document.warc is not None
        body = warc.read_record(by_name[document.warc.file], document.warc)
        assert document.id == document_id(document.warc.record_id, warc.digest(body))
