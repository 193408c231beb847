"""ai.txt: what a site says of all its pages, wherever in the archive it stands."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archives import response, saved
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego
from website import PAGES, Site, html

from libertas.corpus import Corpus
from libertas.gather import ai_txt, shards, warc
from libertas.gather.ai_txt import (
    AI_TXT_BYTES,
    MOST_RULES,
    PATTERN_CHARACTERS,
    AiRule,
    is_ai_txt,
    opt_outs_of_ai_txt,
    origin_of,
    rules_of_ai_txt,
)
from libertas.gather.config import CrawlConfig, GatherConfig
from libertas.gather.crawl import crawl
from libertas.gather.documents import DROPS, gather

SITE = "http://a.example"
SPOKEN = b"User-Agent: *\nDisallow: /\n"
SIGNAL = "ai.txt *: disallow /"


def page(number: int, site: str = SITE, headers: str = "Content-Type: text/html") -> bytes:
    body = f"<html><p>There are {number} green bottles standing on the wall.</p></html>".encode()
    return response(body, f"{site}/{number}", headers)


def spoken(body: bytes = SPOKEN, site: str = SITE, kind: str = "text/plain") -> bytes:
    return response(body, f"{site}/ai.txt", f"Content-Type: {kind}")


def made(folder: Path, *members: bytes, **changes: Any) -> Corpus:
    path = saved(folder, *members)
    return gather(GatherConfig(archives=(path,), out=folder / "c", **{"workers": 1, **changes}))


def said(corpus: Corpus) -> dict[str, list[str]]:
    return {d.meta["url"]: d.meta.get("opt_out", []) for d in corpus}


def reasons(corpus: Corpus) -> list[tuple[str, str]]:
    rows = pq.read_table(corpus.folder / DROPS).to_pylist()
    return [(row["uri"], row["reason"]) for row in rows]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_page_of_a_site_carries_what_its_ai_txt_says_wherever_that_stands(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    members = (page(1), spoken(), page(2))
    corpus = made(tmp_path, *(members[i] for i in order))
    assert said(corpus) == {f"{SITE}/1": [SIGNAL], f"{SITE}/2": [SIGNAL]}
    assert reasons(corpus) == [(f"{SITE}/ai.txt", "ai.txt")]
    assert corpus.manifest.counts["documents"] == {"in": 3, "out": 2, "dropped": 1}
    assert [corpus.fetch(d.id).meta for d in corpus] == [d.meta for d in corpus]


def test_an_ai_txt_speaks_for_no_other_host_scheme_or_port(tmp_path: Path) -> None:
    others = ("http://b.example", "http://www.a.example", "https://a.example", "http://a.example:8080")
    corpus = made(
        tmp_path, spoken(), *(page(n, other) for n, other in enumerate(others)), page(9, "http://A.example:80")
    )
    assert said(corpus) == {f"{other}/{n}": [] for n, other in enumerate(others)} | {"http://A.example:80/9": [SIGNAL]}


def test_signals_of_the_site_stand_beside_those_of_the_page(tmp_path: Path) -> None:
    robots = "Content-Type: text/html\r\nX-Robots-Tag: noai"
    late = made(tmp_path, page(1, headers=robots), spoken())
    assert said(late) == {f"{SITE}/1": ["X-Robots-Tag: noai", SIGNAL]}
    (document,) = late
    assert list(document.meta)[-1] == "warc"


def test_of_two_ai_txt_of_a_site_all_rules_count_on_all_its_pages(tmp_path: Path) -> None:
    corpus = made(tmp_path, spoken(), page(1), spoken(b"User-agent: GPTBot\nDisallow: *.txt\n"), page(2))
    both = ["ai.txt *: disallow /", "ai.txt GPTBot: disallow *.txt"]
    assert said(corpus) == {f"{SITE}/1": both, f"{SITE}/2": both}
    assert len(reasons(corpus)) == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><h1>Not found</h1>Disallow: /</html>", "text/html"),
        (b"# A site\n\n> Training: deny\n", "text/plain"),
        (bytes(range(256)) * 9, "application/octet-stream"),
        (b"User-agent: *\nDisallow:\nAllow: /\n", "text/plain"),
        (b"disallow /", "text/plain"),
        (b"", "text/plain"),
    ],
)
def test_what_holds_no_rule_says_nothing_and_is_no_document(tmp_path: Path, body: bytes, kind: str) -> None:
    corpus = made(tmp_path, spoken(body, kind=kind), page(1))
    assert said(corpus) == {f"{SITE}/1": []}
    assert reasons(corpus) == [(f"{SITE}/ai.txt", "ai.txt")]


def test_an_ai_txt_that_is_absent_or_was_cut_off_on_the_way_says_nothing(tmp_path: Path) -> None:
    http, kind = b"HTTP/1.1 %s\r\n\r\nDisallow: /", "application/http; msgtype=response"
    absent = warc.written("response", f"{SITE}/ai.txt", "", "urn:uuid:a", kind, http % b"404 Not Found")
    cut = (("WARC-Truncated", "disconnect"),)
    torn = warc.written("response", f"{SITE}/ai.txt", "", "urn:uuid:b", kind, http % b"200 OK", cut)
    corpus = made(tmp_path, absent, torn, page(1))
    assert said(corpus) == {f"{SITE}/1": []}
    assert [reason for _, reason in reasons(corpus)] == ["HTTP status", "cut off on the way"]


def test_of_a_huge_ai_txt_the_whole_lines_at_its_beginning_count(tmp_path: Path) -> None:
    start = b"Disallow: /1\n" + b"#" * (AI_TXT_BYTES - 25) + b"\n"
    assert len(start) == AI_TXT_BYTES - 11
    corpus = made(tmp_path, spoken(start + b"Disallow: /private\n" + b"#" * 10_000_000), page(1))
    assert said(corpus) == {f"{SITE}/1": ["ai.txt *: disallow /1"]}
    assert rules_of_ai_txt(b"#" * AI_TXT_BYTES + b"\nDisallow: /") == []


def test_rules_beyond_what_can_be_remembered_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ai_txt, "MOST_RULES_OF_ALL", 1)
    other = "http://b.example"
    corpus = made(tmp_path, spoken(), spoken(site=other), page(1), page(2, other))
    assert said(corpus) == {f"{SITE}/1": [SIGNAL], f"{other}/2": []}
    assert reasons(corpus)[1] == (f"{other}/ai.txt", "ai.txt without room to remember it")


def test_workers_and_a_repeated_record_change_nothing(tmp_path: Path) -> None:
    members = [page(n, f"http://{n % 7}.example") for n in range(120)]
    members[60:60] = [spoken(site="http://3.example"), spoken(site="http://5.example")]
    shards = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        corpus = made(folder, *members, members[0], workers=workers)
        assert sum(signals == [SIGNAL] for signals in said(corpus).values()) == 34
        assert reasons(corpus)[2][1] == "same record again"
        assert corpus.manifest.counts["documents"] == {"in": 123, "out": 120, "dropped": 3}
        shards.append([(f.path, f.hash) for f in corpus.manifest.files])
    assert shards[0] == shards[1]


def test_a_run_that_is_killed_before_its_documents_are_marked_again_marks_them_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shards, "_rewritten", dying)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, page(1), spoken())
    assert said(made(tmp_path, page(1), spoken())) == {f"{SITE}/1": [SIGNAL]}


def test_rules_are_read_as_robots_txt_is() -> None:
    body = (
        "\ufeff# a comment\nUser-Agent: *\nDisallow: *.txt # all texts\nAllow: /\nDisallow:\n\n"
        f"user-agent: GPTBot\r\nUser-agent: SomeBot\nDISALLOW: /\nDisallow: /{'x' * PATTERN_CHARACTERS}\n"
    )
    assert rules_of_ai_txt(body.encode()) == [
        AiRule("*", False, "*.txt"),
        AiRule("*", True, "/"),
        AiRule("GPTBot", False, "/"),
        AiRule("SomeBot", False, "/"),
    ]
    assert rules_of_ai_txt(b"Disallow: /x") == [AiRule("*", False, "/x")]
    assert len(rules_of_ai_txt(b"".join(b"Disallow: /%d\n" % n for n in range(1000)))) == MOST_RULES
    assert len(rules_of_ai_txt(b"User-agent: x\n" * 30_000 + b"Disallow: /\n" * 9)) == MOST_RULES


def test_a_rule_counts_for_the_addresses_it_matches_and_a_type_of_files_for_all() -> None:
    rules = rules_of_ai_txt(
        b"Disallow: /\nAllow: /open/\nDisallow: *.pdf\nUser-agent: GPTBot\nDisallow: /open/%7Ea*z$\n"
    )
    assert opt_outs_of_ai_txt(rules, f"{SITE}/blog/1") == ["ai.txt *: disallow *.pdf", SIGNAL]
    assert opt_outs_of_ai_txt(rules, f"{SITE}") == ["ai.txt *: disallow *.pdf", SIGNAL]
    assert opt_outs_of_ai_txt(rules, f"{SITE}/open/~a?z") == [
        "ai.txt *: disallow *.pdf",
        "ai.txt GPTBot: disallow /open/%7Ea*z$",
    ]
    assert opt_outs_of_ai_txt(rules, f"{SITE}/open/~az1") == ["ai.txt *: disallow *.pdf"]


@given(st.text("ab*", max_size=6), st.booleans(), st.text("ab*", max_size=5), st.booleans(), st.text("ab/", max_size=6))
def test_the_rules_for_an_address_are_those_that_a_reader_of_robots_txt_finds(
    pattern: str, ends: bool, open_pattern: str, open_ends: bool, path: str
) -> None:
    body = f"User-agent: *\nDisallow: /{pattern}{'$' * ends}\nAllow: /{open_pattern}{'$' * open_ends}\n"
    forbidden = opt_outs_of_ai_txt(rules_of_ai_txt(body.encode()), f"{SITE}/{path.replace('//', '/')}") != []
    assert forbidden is not Protego.parse(body).can_fetch(f"{SITE}/{path.replace('//', '/')}", "x")


@pytest.mark.parametrize(
    ("uri", "yes"),
    [
        ("http://a.example/ai.txt", True),
        ("https://a.example:8443/ai.txt", True),
        ("http://a.example/b/ai.txt", False),
        ("http://a.example/.well-known/ai.txt", False),
        ("http://a.example/?x=/ai.txt", False),
        ("http://[broken/ai.txt", False),
        ("file:///ai.txt", False),
        ("urn:file:/ai.txt", False),
    ],
)
def test_an_ai_txt_stands_at_the_root_of_a_site_on_the_web(uri: str, yes: bool) -> None:
    assert is_ai_txt(uri) is yes


def test_an_origin_has_one_spelling() -> None:
    assert origin_of("HTTP://me@A.example/x") == origin_of("http://a.example:80") == "http://a.example:80"
    assert origin_of("https://a.example/") == "https://a.example:443"
    assert {origin_of(uri) for uri in ("ftp://a.example/", "http:///x", "http://a:x/", "urn:a:b", "")} == {""}


def test_a_crawl_asks_for_ai_txt_before_the_pages_and_a_corpus_of_it_carries_the_signals(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "/ai.txt", SPOKEN)
    monkeypatch.setitem(PAGES, "/b", html("B", "/ai.txt", "/robots.txt"))
    crawl(CrawlConfig(url=site.url, out=tmp_path / "crawl", delay=0.0))
    assert site.asked[:3] == ["/robots.txt", "/ai.txt", "/"]
    assert site.times["/ai.txt"] == site.times["/robots.txt"] == 1
    corpus = gather(GatherConfig(archives=(tmp_path / "crawl",), out=tmp_path / "c", workers=1))
    assert len(said(corpus)) > 5
    assert {tuple(signals) for signals in said(corpus).values()} == {(SIGNAL,)}


def test_a_crawl_does_not_ask_for_an_ai_txt_that_robots_txt_keeps_from_it(site: Site, tmp_path: Path) -> None:
    site.robots = b"User-agent: *\nDisallow: /ai.txt\n"
    crawl(CrawlConfig(url=site.url, out=tmp_path / "c", delay=0.0, pages=1))
    assert site.asked == ["/robots.txt", "/"]


def test_a_site_whose_robots_txt_leads_to_its_first_page_is_still_crawled(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.raw["/robots.txt"] = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    crawl(CrawlConfig(url=site.url, out=tmp_path / "c", delay=0.0, pages=3))
    assert "/b" in site.asked
