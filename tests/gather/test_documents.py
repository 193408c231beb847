"""Archives to a corpus: nothing vanishes, and workers change nothing."""

import os
from collections import Counter
from dataclasses import replace
from gzip import compress, decompress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from making import MadeConfig

from libertas.corpus import Corpus
from libertas.document import Drop, document_id
from libertas.errors import UsageError
from libertas.gather import documents, warc
from libertas.gather import record as record_module
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import DROPS, gather, recipe_of
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.language import language_meta
from libertas.gather.pack import pack
from libertas.gather.record import Dropped, Recipe, document_of
from libertas.gather.shards import Note
from libertas.lineage.artifact import Draft
from libertas.lineage.walk import source_files

DATE = "2026-01-31T12:00:00Z"
PAGE = "<html><head><title>Bottles {n}</title></head><body><p>There are {n} green bottles standing on the wall.</p>"


def response(
    uri: str, body: str, status: str = "200 OK", kind: str = "text/html", truncated: str = "", headers: str = ""
) -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}\r\n{body}".encode()
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
    assert {k: v for k, v in first.meta.items() if k != "warc"} == {
        "url": "http://a.example/0",
        "component": "bottles",
        "title": "Bottles 0",
        "date": DATE,
        "content_type": "text/html",
        "digest": "sha1 ok",
        **language_meta(first.text),
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


def test_the_counts_are_those_of_the_documents_and_of_the_drops(tmp_path: Path) -> None:
    corpus = made(tmp_path / "c", archive(tmp_path), archive(tmp_path, 5, "b.warc.gz"))
    counts, rows = corpus.manifest.counts, pq.read_table(tmp_path / "c" / DROPS).to_pylist()
    assert counts["documents"] == {"in": 26, "out": len(corpus), "dropped": len(rows)}
    assert len(corpus) + len(rows) == 26  # 12 records and 14
    assert counts["languages"] == dict(Counter(d.meta["language"] for d in corpus))
    assert counts["text_bytes"] == sum(len(d.text.encode()) for d in corpus)
    assert counts["dropped"] == Counter(r["reason"] for r in rows)


def test_the_count_of_a_language_is_its_own_whatever_it_is_called(tmp_path: Path) -> None:
    notes = [Note(fingerprint="", archive=n, documents=2, dropped=Counter(records=3)) for n in "ab"]
    notes[0].languages = notes[1].languages = Counter(code=1, records=1)
    draft = Draft(kind="corpus", out=tmp_path / "c", config=MadeConfig(out=tmp_path), inputs={}, code="libertas.corpus")
    documents._count(draft, notes)
    assert draft.counts["languages"] == {"code": 2, "records": 2}
    assert draft.counts["documents"] == {"in": 10, "out": 4, "dropped": 6}


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


def test_an_archive_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    one = archive(tmp_path)
    (tmp_path / "a.paths").write_text(f"./{one.name}\n")
    (tmp_path / "b.paths").write_text("https://a.example/2026/a.warc.gz\nhttps://a.example/2026/a.warc.gz\n")
    for archives in ((one, one), (one, tmp_path / "a.paths"), (tmp_path / "b.paths",)):
        with pytest.raises(UsageError, match="is named twice; expected each archive once") as error:
            made(tmp_path / "c", *archives)
        assert "\n" not in str(error.value)


def test_two_packed_archives_of_one_name_make_one_corpus_whose_documents_lead_back(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nThe notes of {name}, which are about nothing else.\n")
        pack(PackConfig(paths=(str(tmp_path / f"{name}.md"),), out=tmp_path / name))
    corpus = made(tmp_path / "c", tmp_path / "x", tmp_path / "y")
    refs = [document.warc for document in corpus]
    assert {ref.file for ref in refs if ref} == {"pack.warc.gz"}
    for ref, name in zip(refs, ("x", "y"), strict=True):
        assert ref is not None
        assert f"notes of {name}".encode() in warc.read_record(tmp_path / name / ref.file, ref)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.warc.gz", b"", "a.warc.gz"),
        ("a.warc", b"no archive at all\n" * 9, "a.warc"),
        ("a.warc.gz", compress(b""), "a.warc.gz"),
        ("a.paths", b"\n \n", "lists 0 paths"),
        ("a.paths.gz", b"\x1f\x8b\x08", "cannot be read as a list"),
        ("a.paths", b"gone.warc.gz\n", "gone.warc.gz"),
        ("a.cdxj", b"", "a.cdxj"),
    ],
)
def test_an_input_with_nothing_in_it_is_refused_in_one_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        made(tmp_path / "c", path)
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []


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
        ({"engine": "spark"}, "engine is 'spark'; expected local or ray"),
        ({"only": "maths"}, "only is 'maths'"),
        ({"links": True}, "links is set without markdown"),
        ({"page_seconds": 0.0}, "page_seconds is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        GatherConfig(**{"archives": (tmp_path,), "out": tmp_path, **changes})


def one_record(body: str, kind: str = "text/html", headers: str = "") -> warc.Record:
    """A response, as the reader hands it out."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc.gz"
        path.write_bytes(response("http://a.example/x", body, kind=kind, headers=headers))
        (record,) = warc.records(path)
    assert isinstance(record, warc.Record)
    return record


def test_settings_say_how_pages_are_read(tmp_path: Path) -> None:
    config = GatherConfig(archives=(tmp_path,), out=tmp_path, component="x", only="math")
    plain = ReadMode(metadata=True)
    assert recipe_of(config) == Recipe(component="x", mode=plain, only="math")
    for name in ("markdown", "comments", "agreement"):
        assert recipe_of(replace(config, **{name: True})).mode == replace(plain, **{name: True})
    assert recipe_of(replace(config, markdown=True, links=True)).mode == replace(plain, markdown=True, links=True)


STORY = "The quick brown fox jumps over the lazy dog, while all the other animals of the forest are looking at it. "
ARTICLE = (
    f"<html><body><article><p><strong>Foxes.</strong> {STORY * 3}</p><p>See "
    f"<a href='http://b.example/dogs'>the dogs</a>. {STORY}</p><p>{STORY * 2}</p></article>"
    "<div class='comments'><p>I saw it too, and it was a very big fox!</p></div>"
)


def test_settings_reach_the_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(response("http://a.example/x", ARTICLE))

    def document(**settings: Any) -> Any:
        name = "-".join(settings) or "plain"
        return next(iter(made(tmp_path / name, path, **settings)))

    plain, markdown, linked = document(), document(markdown=True), document(markdown=True, links=True)
    assert plain.text.startswith("Foxes. The quick")
    assert "agreement" not in plain.meta
    assert markdown.text.startswith("**Foxes.** The quick")
    assert "b.example" not in markdown.text
    assert "[the dogs](http://b.example/dogs)" in linked.text
    assert "very big fox" in document(comments=True).text
    assert 0 < document(agreement=True).meta["agreement"] <= 1


def test_of_mathematics_only_what_is_mathematical_and_english_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(only="math")
    item = one_record("Theorem one. " * 20, "text/plain")
    for language, score, outcome in (
        ("en", 0.95, None),
        ("en", 0.2, ("math", "not mathematical", 0.2)),
        ("de", 0.95, ("math", "not in English", "de")),
    ):
        monkeypatch.setattr(record_module, "language_meta", lambda *_, said=language: {"language": said})
        monkeypatch.setattr(record_module, "math_score", lambda _, said=score: said)
        result = document_of(item, recipe)
        if isinstance(result, Dropped):
            assert (result.drop.rule, result.drop.reason, result.drop.value) == outcome
        else:
            assert (result.meta["math_score"], outcome) == (score, None)


def test_with_formulas_a_lower_score_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "math_score", lambda _: 0.5)
    text = "The sum of the angles of a triangle in the plane is two right angles. " * 3
    assert record_module._unfit_for_math(text, {"language": "en", "formulas": 3}) is None
    assert record_module._unfit_for_math(text, {"language": "en"}) == Drop("math", "not mathematical", 0.5)


def test_what_headers_and_page_reserve_stands_in_the_document() -> None:
    page = f"<html><head><meta name=robots content='noai'></head><body><p>{STORY}</p></body></html>"
    item = one_record(page, headers="X-Robots-Tag: noarchive\r\ntdm-reservation: 1\r\n")
    document = document_of(item, Recipe(mode=ReadMode(metadata=True)))
    assert not isinstance(document, Dropped)
    signals = ["HTTP tdm-reservation: 1", "X-Robots-Tag: noarchive", "meta robots: noai"]
    assert document.meta["opt_out"] == signals
    without = document_of(one_record(f"<p>{STORY}</p>"), Recipe(mode=ReadMode(metadata=True)))
    assert not isinstance(without, Dropped)
    assert "opt_out" not in without.meta


def test_what_an_archive_says_goes_before_what_a_page_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"url": "http://evil.example/", "date": "x", "language": "tlh", "warc": {}, "digest": "fine", "author": "A"}
    monkeypatch.setattr(record_module, "extract", lambda *_: Extracted(STORY, "T", said))
    document = document_of(one_record("x"), Recipe())
    assert not isinstance(document, Dropped)
    assert (document.meta["url"], document.meta["date"]) == ("http://a.example/x", DATE)
    assert document.meta["declared_language"] == "tlh"
    assert document.meta["language"] == language_meta(STORY)["language"]
    assert (document.meta["digest"], document.meta["author"]) == ("sha1 ok", "A")
    assert document.warc is not None


def test_program_source_is_in_no_human_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        record_module, "extract", lambda *_: Extracted("fn f() {}", "", {"programming_language": "rust"})
    )
    document = document_of(one_record("x"), Recipe())
    assert not isinstance(document, Dropped)
    assert (document.meta["language"], document.meta["programming_language"]) == ("code", "rust")


def test_a_payload_is_judged_by_the_digest_that_its_record_names(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    sound = decompress(response("http://a.example/1", PAGE.format(n=1)))
    altered = decompress(response("http://a.example/2", PAGE.format(n=2))).replace(b"green bottles", b"brown bottles")
    silent = decompress(response("http://a.example/3", PAGE.format(n=3))).replace(b"Digest", b"Figure")
    path.write_bytes(sound + altered + silent)
    verdicts = {d.meta["url"][-1]: d.meta.get("digest") for d in made(tmp_path / "c", path)}
    assert verdicts == {"1": "sha1 ok", "2": "sha1 mismatch", "3": None}


def test_real_pages_become_documents_and_each_leads_back_to_its_bytes(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "web").glob("cc-sample-*.warc.gz"))
    corpus = made(tmp_path / "c", *paths, workers=2)
    counts = corpus.manifest.counts["documents"]
    assert counts["in"] == counts["out"] + counts["dropped"] == 82
    assert counts["out"] == 37
    by_name = {p.name: p for p in paths}
    for document in corpus:
        assert document.warc is not None
        body = warc.read_record(by_name[document.warc.file], document.warc)
        assert document.id == document_id(document.warc.record_id, warc.digest(body))
