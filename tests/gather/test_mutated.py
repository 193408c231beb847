"""Damaged and hostile archives: nothing fails, nothing is passed over, and what lies beside damage is still read."""

import gzip
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from archives import DATE, HTTP, bodies, lost, place_of, resource, response, saved, unaccounted
from mutants import PACKS, SENTENCE, mutant

from libertas.document import Document
from libertas.engine import CRASHED
from libertas.errors import UsageError
from libertas.gather import compression, warc
from libertas.gather.coding import PAYLOAD_BYTES
from libertas.gather.config import GatherConfig
from libertas.gather.documents import gather
from libertas.gather.extracted import ReadMode
from libertas.gather.record import Recipe, document_of
from libertas.gather.warc import Lost, Record

RECIPE = Recipe(mode=ReadMode(metadata=True))


def read_or_refused(path: Path) -> tuple[list[Record | Lost], str]:
    try:
        return list(warc.records(path, complain=False)), ""
    except UsageError as error:
        return [], str(error)


def require_account(path: Path, *, extracting: bool = True) -> list[Record | Lost]:
    """Reads an archive and checks all that holds for any bytes at all."""
    items, refusal = read_or_refused(path)
    if refusal:
        assert " begins with " in refusal, "only what is no archive is refused"
        assert "\n" not in refusal
        return []
    assert unaccounted(path.read_bytes(), items) == b""
    for before, after in pairwise(place_of(item) for item in items):
        assert after == before or after[0] >= before[1], "items come in order, and overlap only within a member"
    for item in items:
        if isinstance(item, Record):
            assert warc.reread(path, item.ref).body == item.body
        if extracting:
            result = document_of(item, RECIPE)
            assert isinstance(result, Document) or result.drop.reason != CRASHED, result
    return items


def require_mutant(seed: int, folder: Path) -> None:
    made = mutant(seed)
    path = saved(folder, made.data, name="a.warc")
    items = require_account(path)
    whole = Counter((item.type, item.uri, item.body) for item in items if isinstance(item, Record))
    for record in made.untouched:
        (folder / "b.warc").write_bytes(record)
        (alone,) = warc.records(folder / "b.warc")
        assert isinstance(alone, Record)
        assert whole[alone.type, alone.uri, alone.body] == 1, f"{made.how}: lost {alone.uri}"


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_of_any_mutant_every_byte_is_accounted_for_and_what_is_whole_is_read(tmp_path: Path, start: int) -> None:
    for seed in range(start, start + 50):
        require_mutant(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_ten_thousand_mutants_every_byte_is_accounted_for(tmp_path: Path) -> None:
    for seed in range(300, 10_000):
        require_mutant(seed, tmp_path)


def test_of_a_corpus_of_mutants_documents_and_drops_are_as_many_as_records_and_losses(tmp_path: Path) -> None:
    archives, expected = [], 0
    for seed in range(20):
        path = saved(tmp_path, mutant(seed).data, name=f"{seed}.warc")
        items = require_account(path, extracting=False)
        if any(isinstance(item, Record) for item in items):
            archives.append(path)
            expected += len(items)
    corpus = gather(GatherConfig(archives=tuple(archives), out=tmp_path / "corpus", workers=1))
    counts = corpus.manifest.counts
    assert counts["documents"]["in"] == expected
    assert counts["documents"]["out"] + counts["documents"]["dropped"] == expected
    assert sum(counts["dropped"].values()) == counts["documents"]["dropped"]
    assert counts["documents"]["out"] > 0


def require_member_lost(folder: Path, name: str, most: int) -> None:
    head = b"WARC/1.1\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:uuid:b>\r\nContent-Length: 999999999\r\n\r\n"
    bomb = PACKS[name](head + bytes(most + 1))
    items = require_account(saved(folder, bomb, PACKS[name](gzip.decompress(resource(b"behind it")))))
    assert lost(items) == [("member too large", 0, len(bomb))]
    assert bodies(items) == [b"behind it"]
    assert isinstance(items[0], Lost)
    assert items[0].record_id == "urn:uuid:b"


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4"])
def test_a_member_that_expands_without_measure_is_lost_and_the_next_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "MEMBER_BYTES", 1 << 22)
    require_member_lost(tmp_path, name, 1 << 22)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4"])
def test_so_is_one_of_the_real_limit(tmp_path: Path, name: str) -> None:
    require_member_lost(tmp_path, name, compression.MEMBER_BYTES)


def test_bombs_within_bombs_are_lost(tmp_path: Path) -> None:
    inner = gzip.compress(bytes(PAYLOAD_BYTES + 1), compresslevel=9, mtime=0)
    twice = gzip.compress(inner, compresslevel=9, mtime=0)
    pages = [
        response(twice, "http://a.example/1", "Content-Encoding: gzip, gzip"),
        response(inner * 9, "http://a.example/2", "Content-Encoding: gzip"),
        response(gzip.compress(b"", mtime=0) * 5000, "http://a.example/3", "Content-Encoding: gzip"),
        response(twice, "http://a.example/4", "Content-Encoding: " + "gzip, " * 200 + "gzip"),
    ]
    items = require_account(saved(tmp_path, *pages, resource(b"behind them")))
    assert [reason for reason, _, _ in lost(items)] == [
        "payload too large",
        "payload too large",
        "content coding cannot be undone",
        "content coding cannot be undone",
    ]
    assert bodies(items) == [b"behind them"]


PROSE = f"<p>{SENTENCE * 8}</p>"
ENTITIES = '<!DOCTYPE lolz [<!ENTITY a0 "lol">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30)
)


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 50_000 + PROSE,
        "<div>" * 3000 + PROSE + "</div>" * 3000 + PROSE,
        "<b><i>" * 2000 + PROSE,
        "<table><tr><td>" * 2000 + PROSE,
        "<blockquote><ul><li>" * 2000 + PROSE,
        f'<table><tr><td colspan="9000000000000000" rowspan="{10**30}">{PROSE}</td><td>x</td></tr></table>',
        f'<ol start="{10**40}"><li value="-{10**40}">{PROSE}</li></ol>',
        "<p " + " ".join(f'a{i}="{i}"' for i in range(5000)) + f">{PROSE}</p>",
        "<p title='" + "x" * 1_000_000 + f"'>{PROSE}",
        PROSE + "&amp;" * 50_000 + "&#99999999999;&#0;&#xD800;&nosuch;",
        ENTITIES + "]><html><body>&a29;" + PROSE,
        PROSE + "<!--" * 20_000,
        PROSE + "<![CDATA[" * 20_000,
        PROSE + "</p>" * 50_000,
        PROSE + "<" * 100_000,
        "<script>" * 5000 + PROSE,
        f"<meta charset='x-no-such'>{PROSE}" + "\x00\x01\ufffe\u202e" * 1000,
        PROSE + "<p>" + "e\u0301\u0316" * 20_000,
        "<math>" + "<mrow>" * 2000 + "<mi>x</mi>" + PROSE,
        PROSE + "<p>$" + "{" * 50_000 + "$ and \\(" + "\\frac" * 20_000,
    ],
    ids=range(20),
)
@pytest.mark.parametrize("markdown", [False, True])
def test_a_hostile_page_becomes_a_document_or_a_drop(tmp_path: Path, page: str, markdown: bool) -> None:
    (item,) = warc.records(saved(tmp_path, response(page.encode(), headers="Content-Type: text/html; charset=utf-8")))
    result = document_of(item, Recipe(mode=ReadMode(markdown=markdown, links=markdown, comments=True, metadata=True)))
    if isinstance(result, Document):
        assert len(result.text) <= 2 * len(page), "nothing expands"
    else:
        assert result.drop.reason != CRASHED, result


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "application/xhtml+xml", "application/jats+xml"])
def test_entities_of_entities_are_not_expanded(tmp_path: Path, kind: str) -> None:
    page = f'<?xml version="1.0"?>{ENTITIES}]><article><body><p>&a29;</p>{PROSE}</body></article>'
    (item,) = warc.records(saved(tmp_path, response(page.encode(), headers=f"Content-Type: {kind}")))
    result = document_of(item, RECIPE)
    if isinstance(result, Document):
        assert len(result.text) <= 2 * len(page)
    else:
        assert result.drop.reason != CRASHED, result


@pytest.mark.parametrize(
    "charset", ["utf-8", "utf-16", "utf-32", "utf-7", "gb18030", "iso-2022-jp", "x-no-such", "'", "\u00fc", "cp037", ""]
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16", "latin-1", "cp1251", "shift_jis"])
def test_a_wrong_charset_costs_letters_and_nothing_else(tmp_path: Path, charset: str, coding: str) -> None:
    page = f"<html><head><title>t</title></head><body>{PROSE}<p>Größe, размер, 大きさ</p></body></html>"
    members = [
        response(page.encode(coding, "replace"), headers=f"Content-Type: text/html; charset={charset}"),
        resource(page.encode(coding, "replace"), kind=f"text/plain; charset={charset}"),
    ]
    items = require_account(saved(tmp_path, *members))
    documents = [document_of(item, RECIPE) for item in items]
    assert len(documents) == 2
    if coding != "utf-16" and charset in ("utf-8", "x-no-such", ""):
        assert all(isinstance(d, Document) and SENTENCE.strip() in d.text for d in documents)


LARGE = 200_000_000
LIMITED = """
import resource, sys
from pathlib import Path
from libertas.gather import warc
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[2]),) * 2)
for item in warc.records(Path(sys.argv[1])):
    print(*((item.drop.reason, item.offset, item.length) if isinstance(item, warc.Lost) else ("record", item.uri)))
"""
"""Reads an archive with no more memory of its own than is allowed; mapped files do not count."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is one of Linux")
@pytest.mark.parametrize(("packed", "megabytes"), [(False, 64), (True, 640)])
def test_a_record_of_200_mb_is_lost_within_a_limit_of_memory_and_the_next_is_read(
    tmp_path: Path, packed: bool, megabytes: int
) -> None:
    head = f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:l>\r\nWARC-Date: {DATE}\r\n"
    head += f"Content-Type: {HTTP}\r\nContent-Length: {LARGE}\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    block = b"green bottles " * (LARGE // 14 + 1)
    large = (head.encode() + block)[: head.index("HTTP/1.1") + LARGE] + b"\r\n\r\n"
    small = resource(b"behind it", "urn:file:behind")
    path = tmp_path / "a.warc"
    first = gzip.compress(large, compresslevel=1, mtime=0) if packed else large
    path.write_bytes(first + (small if packed else gzip.decompress(small)))
    command = [sys.executable, "-c", LIMITED, str(path), str(megabytes << 20)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    length = len(first) if packed else len(large) - 4  # the blank lines behind it are padding
    assert done.stdout.splitlines() == [f"record too large 0 {length}", "record urn:file:behind"]
