"""Crawling: polite, in order, byte for byte, and able to go on after a kill."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from website import PAGES, Site

from libertas.errors import UsageError
from libertas.gather import crawl as crawler
from libertas.gather import warc
from libertas.gather.config import CrawlConfig
from libertas.gather.crawl import ARCHIVE, SECONDS, crawl
from libertas.lineage.manifest import read_manifest


def config(site: Site, out: Path, **changes: Any) -> CrawlConfig:
    return CrawlConfig(url=site.url, out=out, **{"delay": 0.0, "exclude": ("/skip",), **changes})


def responses(out: Path) -> list[warc.Record]:
    read = list(warc.records(out / ARCHIVE))
    assert all(isinstance(r, warc.Record) for r in read)
    return [r for r in read if isinstance(r, warc.Record) and r.type == "response"]


def paths(out: Path, site: Site) -> list[tuple[str, int | None]]:
    return [("/" + r.uri.removeprefix(site.url), r.status) for r in responses(out)]


def test_pages_are_visited_breadth_first_and_everything_that_answered_is_recorded(site: Site, tmp_path: Path) -> None:
    out = crawl(config(site, tmp_path / "c"))
    assert paths(out, site) == [
        ("/robots.txt", 200),
        ("/ai.txt", 404),
        ("/", 200),
        ("/b", 200),
        ("/a", 200),
        ("/chunked", 200),
        ("/moved", 302),
        ("/new", 200),
        ("/missing", 404),
        ("/away", 302),
        ("/busy", 503),
        ("/busy", 200),
        ("/deep", 200),
        ("/from-new", 200),
    ]
    counts = read_manifest(out).counts
    assert counts["pages"] == 8
    assert counts["statuses"] == {"200": 9, "302": 2, "404": 2, "503": 1}
    assert counts["skipped"] == {"excluded": 1, "out of scope": 2, "robots": 1}
    assert counts["stopped"] == "every link was visited"


def test_nothing_is_asked_for_that_is_forbidden_unlinked_or_known(site: Site, tmp_path: Path) -> None:
    crawl(config(site, tmp_path / "c"))
    assert {"/private/x", "/skip/x", "/unlinked"}.isdisjoint(site.asked)
    assert [p for p in site.asked if p != "/busy"] == list(dict.fromkeys(p for p in site.asked if p != "/busy"))
    assert site.agents == {CrawlConfig(url=site.url, out=tmp_path).user_agent}


def test_the_record_holds_the_bytes_of_the_wire(site: Site, tmp_path: Path) -> None:
    out = crawl(config(site, tmp_path / "c"))
    (page,) = [r for r in responses(out) if r.uri.endswith("/chunked")]
    raw = gzip.decompress((out / ARCHIVE).read_bytes()[page.ref.offset :][: page.ref.length])
    assert b"Transfer-Encoding: chunked\r\n" in raw
    assert b"\r\n\r\na\r\n<html><hea\r\n" in raw
    assert raw.endswith(b"\r\n0\r\n\r\n\r\n\r\n")
    assert page.body.startswith(b"<html><head><title>Chunked</title>")


def test_the_archive_is_valid_for_another_reader_and_pairs_requests_with_responses(site: Site, tmp_path: Path) -> None:
    out = crawl(config(site, tmp_path / "c"))
    seen = []
    with (out / ARCHIVE).open("rb") as file:
        for record in WarcioIterator(file, check_digests="raise"):
            seen.append((record.rec_type, record.rec_headers))
            record.raw_stream.read()
    asked = [h.get_header("WARC-Concurrent-To") for kind, h in seen if kind == "request"]
    answered = [h.get_header("WARC-Record-ID") for kind, h in seen if kind == "response"]
    assert asked == answered
    assert len({h.get_header("WARC-Record-ID") for _, h in seen}) == len(seen) == 29


def test_the_same_pages_have_the_same_ids_in_every_crawl(site: Site, tmp_path: Path) -> None:
    first = [r.ref.record_id for r in responses(crawl(config(site, tmp_path / "c")))]
    site.times.clear()
    assert [r.ref.record_id for r in responses(crawl(config(site, tmp_path / "d")))] == first


@pytest.mark.parametrize(
    ("changes", "pages", "stopped"),
    [
        ({"pages": 3}, 3, "reached the limit of 3 pages"),
        ({"megabytes": 0.001}, 1, "reached the limit of 0.001 MB"),
        ({"minutes": 1e-9}, 0, "reached the limit"),
    ],
)
def test_limits_end_the_crawl_and_are_named(
    site: Site, tmp_path: Path, changes: dict[str, float], pages: int, stopped: str
) -> None:
    if pages == 0:
        with pytest.raises(UsageError, match=stopped):
            crawl(config(site, tmp_path / "c", **changes))
    else:
        counts = read_manifest(crawl(config(site, tmp_path / "c", **changes))).counts
        assert (counts["pages"], counts["stopped"]) == (pages, stopped)


@pytest.mark.parametrize("torn", [0, 1, 40, 300])
def test_a_killed_crawl_goes_on_and_ends_with_the_records_of_an_unbroken_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    whole = [r.ref.record_id for r in responses(crawl(config(site, tmp_path / "whole")))]
    site.times.clear()
    site.asked.clear()
    real, left = crawler._record, iter(range(5))

    def dying(state: Any, url: str, exchange: Any) -> None:
        if next(left, None) is None:
            position = state.file.tell()
            real(state, url, exchange)
            state.file.truncate(position + torn)
            raise KeyboardInterrupt
        real(state, url, exchange)

    monkeypatch.setattr(crawler, "_record", dying)
    with pytest.raises(KeyboardInterrupt):
        crawl(config(site, tmp_path / "c"))
    assert not (tmp_path / "c").exists()
    before = list(site.asked)
    monkeypatch.setattr(crawler, "_record", real)
    out = crawl(config(site, tmp_path / "c"))
    assert [r.ref.record_id for r in responses(out)] == whole
    assert set(before[:5]).isdisjoint(site.asked[len(before) :])
    assert read_manifest(out).counts == read_manifest(tmp_path / "whole").counts


def interrupted(site: Site, out: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> list[str]:
    """Start a crawl that is killed after so many responses; returns what was asked for."""
    real, left = crawler._record, iter(range(after))

    def dying(state: Any, url: str, exchange: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(state, url, exchange)

    site.asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(crawler, "_record", dying)
        with pytest.raises(KeyboardInterrupt):
            crawl(config(site, out))
    asked = list(site.asked)
    site.asked.clear()
    return asked


def test_a_response_that_cannot_be_decoded_does_not_make_a_resumed_crawl_fetch_again_what_lies_behind_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.raw["/b"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n\r\n\x00\x01\x02"
    asked = interrupted(site, tmp_path / "c", monkeypatch, after=5)
    assert asked[:5] == ["/robots.txt", "/ai.txt", "/", "/b", "/a"]
    out = crawl(config(site, tmp_path / "c"))
    assert set(asked[:5]).isdisjoint(site.asked)
    lost = [r for r in warc.records(out / ARCHIVE) if isinstance(r, warc.Lost)]
    assert [(r.uri, r.drop.reason) for r in lost] == [(f"{site.url}b", "content coding cannot be undone")]
    site.times.clear()
    assert read_manifest(out).counts == read_manifest(crawl(config(site, tmp_path / "whole"))).counts


def test_the_limit_of_minutes_counts_what_was_spent_before_an_interruption(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(site, tmp_path / "c", monkeypatch, after=5)
    clock = tmp_path / "c.partial" / SECONDS
    assert 0 < float(clock.read_text(encoding="utf-8")) < 60
    clock.write_text("1799.5", encoding="utf-8")
    monkeypatch.setattr(crawler, "_wait", lambda *_: 1.0)
    out = crawl(config(site, tmp_path / "c"))
    assert site.asked == []
    counts = read_manifest(out).counts
    assert (counts["stopped"], counts["pages"]) == ("reached the limit of 30 minutes", 3)
    assert [p.name for p in out.iterdir() if p.name == SECONDS] == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10000\r\n\r\n<html><p>fiftee",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n<html><p>fiftee\r\n1",
    ],
)
def test_an_answer_that_the_server_cut_short_is_recorded_as_cut_and_is_no_page(
    site: Site, tmp_path: Path, answer: bytes
) -> None:
    site.raw["/deep"] = answer
    out = crawl(config(site, tmp_path / "c"))
    assert {r.uri.removeprefix(site.url): r.truncated for r in responses(out) if r.truncated} == {"deep": "disconnect"}
    counts = read_manifest(out).counts
    assert (counts["pages"], counts["failed"]) == (7, 1)


def test_a_site_whose_only_page_is_cut_short_gives_no_page(site: Site, tmp_path: Path) -> None:
    site.raw["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\nfifteen bytes.."
    with pytest.raises(UsageError, match=r"gave no page: http://127\.0\.0\.1:\d+/ ended early, after 57 bytes"):
        crawl(config(site, tmp_path / "c"))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
        b"HTTP/1.0 200 OK\nContent-Type: text/html\n\n",
        b"HTTP/1.1 100 Continue\n\nHTTP/1.0 200 OK\nContent-Type: text/html\n\n",
    ],
)
def test_the_final_answer_counts_and_the_record_keeps_what_came_over_the_wire(
    site: Site, tmp_path: Path, head: bytes
) -> None:
    page = b"<html><p>One.</p>\r\n\r\n<a href='/unlinked'>two</a>"
    site.raw["/deep"] = head + page
    out = crawl(config(site, tmp_path / "c"))
    (found,) = [r for r in responses(out) if r.uri.endswith("/deep")]
    assert (found.status, found.content_type, found.body) == (200, "text/html", page)
    assert warc.read_record(out / ARCHIVE, found.ref) == page
    raw = gzip.decompress((out / ARCHIVE).read_bytes()[found.ref.offset :][: found.ref.length])
    assert raw.endswith(b"\r\n\r\n" + head + page + b"\r\n\r\n")
    assert "/unlinked" in site.asked
    assert read_manifest(out).counts["pages"] == 9
    with (out / ARCHIVE).open("rb") as file:
        for record in WarcioIterator(file, check_digests="raise"):
            record.raw_stream.read()


@pytest.mark.timeout(60)
def test_interim_answers_without_end_are_given_up(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.raw["/deep"] = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000
    out = crawl(config(site, tmp_path / "c", response_megabytes=0.1))
    assert read_manifest(out).counts["failed"] == 1


def test_a_finished_crawl_is_not_made_again(site: Site, tmp_path: Path) -> None:
    crawl(config(site, tmp_path / "c"))
    asked = len(site.asked)
    crawl(config(site, tmp_path / "c", delay=5.0))
    assert len(site.asked) == asked


def test_a_server_that_forbids_everything_is_left_alone(site: Site, tmp_path: Path) -> None:
    site.robots = b"User-agent: libertas\nDisallow: /\n"
    with pytest.raises(UsageError, match=r"gave no page: http://127\.0\.0\.1:\d+/robots\.txt does not allow"):
        crawl(config(site, tmp_path / "c"))
    assert site.asked == ["/robots.txt"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False)])
def test_robots_txt_that_is_absent_allows_and_one_that_is_broken_forbids(
    site: Site, tmp_path: Path, status: int, allowed: bool
) -> None:
    site.robots_status = status
    if allowed:
        crawl(config(site, tmp_path / "c"))
    else:
        with pytest.raises(UsageError, match="does not allow"):
            crawl(config(site, tmp_path / "c"))
    assert ("/" in site.asked) is allowed


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /*.gif$", "/a.gif", False),
        ("User-agent: *\nDisallow: /*.gif$", "/a.gif?b", True),
        ("User-agent: *\nDisallow: /a*c", "/abbc/d", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /\nAllow: /open/", "/open/a", True),
        ("User-agent: *\nAllow: /\nDisallow: /shut/", "/shut/a", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/b", False),
        ("User-agent: libertas\nDisallow: /a\n\nUser-agent: Libertas\nDisallow: /b", "/b", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: libertas\nDisallow: /b", "/a", True),
        ("User-agent: *\nDisallow: /\n\nUser-agent: libertas\nDisallow:", "/a", True),
        ("User-agent: other\nUser-agent: libertas\nDisallow: /a", "/a", False),
        ("User-agent: libertas/0.1\nDisallow: /a", "/a", False),
        ("User-agent: crawler\nDisallow: /\n\nUser-agent: research\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /%7Ea", "/~a", False),
        ("\ufeffUser-agent: *\nDisallow: /a # not this", "/a", False),
        ("<html>what is this?</html>", "/a", True),
    ],
)
def test_robots_txt_is_read_as_rfc_9309_says(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, path: str, allowed: bool
) -> None:
    monkeypatch.setitem(PAGES, path, b"<html>Here</html>")
    site.robots = rules.encode()
    if allowed:
        crawl(CrawlConfig(url=site.url + path[1:], out=tmp_path / "c", delay=0, pages=1))
    else:
        with pytest.raises(UsageError, match=r"robots\.txt does not allow"):
            crawl(CrawlConfig(url=site.url + path[1:], out=tmp_path / "c", delay=0, pages=1))
    assert (path in site.asked) is allowed


def test_the_crawl_delay_of_our_own_group_is_ours(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.robots = b"User-agent: *\nCrawl-delay: 9\n\nUser-agent: libertas\nDisallow: /x\nCrawl-delay: 7\n"
    slept: list[float] = []
    monkeypatch.setattr(crawler.time, "sleep", slept.append)
    crawl(config(site, tmp_path / "c", pages=1))
    assert [round(s) for s in slept if s > 0.5] == [7, 7]


def test_a_crawl_delay_longer_than_the_time_left_ends_the_crawl(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.robots = b"User-agent: *\nCrawl-delay: 86400\n"
    slept: list[float] = []
    monkeypatch.setattr(crawler.time, "sleep", slept.append)
    with pytest.raises(UsageError, match="gave no page: reached the limit of 30 minutes"):
        crawl(config(site, tmp_path / "c"))
    assert max(slept) == 0


def test_crawl_delay_of_the_site_wins_over_a_shorter_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.robots = b"User-agent: *\nCrawl-delay: 7\n"
    slept: list[float] = []
    monkeypatch.setattr(crawler.time, "sleep", slept.append)
    crawl(config(site, tmp_path / "c", pages=2))
    assert [round(s) for s in slept if s > 0.5] == [7, 7, 7]


def test_a_host_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:1/ gave no page: .* does not answer"):
        crawl(CrawlConfig(url="http://127.0.0.1:1/", out=tmp_path / "c", delay=0))


def test_a_long_response_is_cut_off_and_says_so(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "/deep", b"<html>" + b"x" * 500_000)
    out = crawl(config(site, tmp_path / "c", response_megabytes=0.1))
    (page,) = [r for r in responses(out) if r.uri.endswith("/deep")]
    assert page.truncated == "length"
    assert 100_000 <= len(page.body) < 200_000


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("HTTP://Example.COM:80/a b#c", "http://example.com/a%20b"),
        ("https://example.com:443?q=ü", "https://example.com/?q=%C3%BC"),
        ("http://example.com:8080", "http://example.com:8080/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("mailto:a@b.c", None),
        ("http://", None),
        ("http://a:notaport/", None),
    ],
)
def test_addresses_have_one_spelling(url: str, plain: str | None) -> None:
    assert crawler._plain_address(url) == plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "example.com"}, "url is 'example.com'; expected http"),
        ({"pages": 0}, "pages is 0; expected a number above 0"),
        ({"delay": -1}, "delay is -1"),
        ({"exclude": ("search",)}, "exclude has 'search'"),
        ({"user_agent": "a\nb"}, "user_agent is"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        CrawlConfig(**{"url": "http://a.example/", "out": tmp_path, **changes})
