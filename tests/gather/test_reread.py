"""Every document can be made again from the bytes that its address names."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from archives import lz4, resource, response, saved

from libertas.corpus import Corpus
from libertas.gather import warc
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather, recipe_of
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted
from libertas.gather.pack import ARCHIVE, pack

PROSE = "The quick brown fox jumps over the lazy dog while the other animals of the forest are looking at it. "
PAGES = {
    "prose": (f"<title>Fox &amp; dog</title><nav><a href=/>Home</a></nav><h1>Fox</h1><p>{PROSE}</p><p>{PROSE}</p>", ""),
    "math": (
        f'<title>M</title><script src="/MathJax.js"></script><p>{PROSE} \\(x^2\\) for $5</p><p>\\[a<br>b\\]</p>',
        "",
    ),
    "table": (f"<p>{PROSE}</p><table><tr><td>one<td>two</table><ul><li>a<li><b>b</b></ul><pre>x = 1\n  y</pre>", ""),
    "comments": (f'<main><p>{PROSE * 3}</p></main><div id="comments"><p>{PROSE}</p></div>', ""),
    "latin": (f"<title>größer</title><p>{PROSE} größer als 1 €</p>", "windows-1252"),
    "japanese": ("<title>日本語</title><p>日本語の文章です。吾輩は猫である。名前はまだ無い。</p>", "shift_jis"),
    "everywhere": ("<nav><p>Home</p></nav>", ""),
}
DUMP = (
    "<mediawiki><siteinfo><base>https://w.org/wiki/M</base></siteinfo><page><title>Fox</title><ns>0</ns><id>1</id>"
    "<revision><text>'''Foxes''' eat [[Mouse|mice]].\n== Where ==\n* here <math>x^2</math></text></revision></page>"
    "</mediawiki>"
)
QUESTION = (
    '<posts>\n<row Id="1" PostTypeId="1" Title="Why?" AcceptedAnswerId="2" Body="&lt;p&gt;I wonder.&lt;/p&gt;"/>\n'
    '<row Id="2" PostTypeId="2" ParentId="1" Score="1" Body="&lt;p&gt;Because $x$.&lt;/p&gt;"/>\n</posts>'
)
PAPER = r"""\documentclass{article}\title{On foxes}\newcommand{\fox}{\mathcal{F}}
\begin{document}\maketitle
\section{One} A fox $\fox$ jumps. % never
\begin{equation} \fox = 1 \end{equation}
\end{document}"""
OTHERS = {
    "a.jsonl": b'{"text": "row one", "title": "One"}\n{"text": "row two"}\n',
    "b.mbox": b"From a@b.c Thu Jan  1 10:00:00 2004\nSubject: Foxes\n\nA mail.\n> quoted\n",
    "c.xml": DUMP.encode(),
    "d.srt": "1\n00:00:01,000 --> 00:00:02,000\nschön\n".encode("latin-1"),
    "e.tex": PAPER.encode(),
    "f.txt.gz": gzip.compress(b"Plain text.\n"),
    "g.py": b'"""Foxes."""\nx = 1\n',
    "math.stackexchange.com/Posts.xml": QUESTION.encode(),
}


def book() -> bytes:
    """An EPUB of one chapter (OCF 3.3, EPUB 3.3)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("mimetype", "application/epub+zip")
        out.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        out.writestr(
            "b.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Foxes</dc:title></metadata><manifest>'
            '<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
        )
        out.writestr(
            "c.xhtml", f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>I</h1><p>{PROSE}</p></body></html>'
        )
    return packed.getvalue()


def page(name: str, site: str = "a") -> bytes:
    body, encoding = PAGES[name]
    kind = f"text/html; charset={encoding}" if encoding else "text/html"
    headers = f"Content-Type: {kind}\r\nX-Robots-Tag: noai"
    return response(body.encode(encoding or "utf-8"), f"http://{name}.{site}.example/", headers)


def arc() -> list[bytes]:
    """The same pages as an ARC file: each record a gzip member of its own."""
    version = b"1 0 x\nURL IP-address Archive-date Content-type Archive-length\n"
    members = [b"filedesc://a.arc 0.0.0.0 20080430204825 text/plain %d\n%s" % (len(version), version)]
    for name, (body, encoding) in PAGES.items():
        sent = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body.encode(encoding or "utf-8")
        line = f"\nhttp://arc-{name}.example/ 192.0.2.1 20080430204826 text/html {len(sent)}\n"
        members.append(line.encode() + sent)
    return [gzip.compress(member) for member in members]


def archives(folder: Path) -> list[Path]:
    """Pages in every kind of archive, and everything that is packed."""
    plain = {site: [gzip.decompress(page(name, site)) for name in PAGES] for site in "bde"}
    dictionary = zstandard.ZstdCompressionDict(b"".join(plain["d"]), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    raw = dictionary.as_bytes()
    head = b"\x5d\x2a\x4d\x18" + len(raw).to_bytes(4, "little") + raw
    coded = gzip.compress(PAGES["prose"][0].encode())
    kind = "Content-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked"
    chunked = b"%x\r\n" % len(coded) + coded + b"\r\n0\r\n\r\n"
    sources = folder / "sources"
    for name, data in {**OTHERS, "h.epub": book()}.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes(data)
    return [
        saved(folder, *map(page, PAGES), response(chunked, "http://coded.example/", kind), name="a.warc.gz"),
        saved(folder, *plain["b"], name="b.warc"),
        saved(folder, *arc(), name="c.arc.gz"),
        saved(
            folder, head, *map(zstandard.ZstdCompressor(dict_data=dictionary).compress, plain["d"]), name="d.warc.zst"
        ),
        saved(folder, *map(lz4, plain["e"]), name="e.warc.lz4"),
        saved(folder, resource(b"Only text.\n"), resource(b"\xef\xbb\xbf# A\n", "urn:file:b.md"), name="f.warc.gz"),
        pack(PackConfig(paths=(str(sources),), out=folder / "packed")),
    ]


def gathered(out: Path, paths: list[Path], **settings: Any) -> tuple[Corpus, GatherConfig]:
    config = GatherConfig(archives=tuple(paths), out=out, **{"workers": 1, **settings})
    return gather(config), config


def assert_every_document_can_be_made_again(corpus: Corpus, config: GatherConfig) -> int:
    """Compares text, title and all that the page says of itself; how many documents there were."""
    paths = [p / ARCHIVE if p.is_dir() else p for p in config.archives]
    files = {p.name: p for p in paths}
    count = 0
    for document in corpus:
        assert document.warc is not None
        record = warc.reread(files[document.warc.file], document.warc)
        again = extract(record.body, record.content_type, record.charset, recipe_of(config).mode, record.uri)
        assert isinstance(again, Extracted)
        assert again.text == document.text
        assert again.title == document.meta.get("title", "")
        said = {name: value for name, value in again.meta.items() if name not in ("language", "opt_out")}
        assert {name: document.meta[name] for name in said if name not in ("url", "date", "digest")} == {
            name: value for name, value in said.items() if name not in ("url", "date", "digest")
        }
        count += 1
    return count


SETTINGS = [{}, {"markdown": True}, {"markdown": True, "links": True, "comments": True, "agreement": True}]


@pytest.mark.parametrize("settings", SETTINGS, ids=["text", "markdown", "all"])
def test_documents_of_every_kind_of_archive_and_source_can_be_made_again(
    settings: dict[str, bool], tmp_path: Path
) -> None:
    corpus, config = gathered(tmp_path / "c", archives(tmp_path), **settings)
    texts = {document.meta["url"]: document.text for document in corpus}
    assert len(texts) == 5 * len(PAGES) + 3 + len(OTHERS) + 2  # five archives of all pages; the table has two rows
    assert "$$a b$$" in texts["http://math.a.example/"]
    for site in "abde":
        assert "größer als 1 €" in texts[f"http://latin.{site}.example/"]
        assert texts[f"http://japanese.{site}.example/"] == "日本語の文章です。吾輩は猫である。名前はまだ無い。"
    assert assert_every_document_can_be_made_again(corpus, config) == corpus.manifest.counts["documents"]["out"]


def test_workers_and_the_archive_that_is_read_change_nothing(tmp_path: Path) -> None:
    paths = archives(tmp_path)
    alone = {d.id: d.text for d in gathered(tmp_path / "one", paths[:1])[0]}
    corpus, config = gathered(tmp_path / "all", paths, workers=2)
    assert alone.items() <= {d.id: d.text for d in corpus}.items()
    assert assert_every_document_can_be_made_again(corpus, config) == len(list(corpus))


@pytest.mark.parametrize("markdown", [False, True])
def test_real_pages_can_be_made_again(shared_data: Path, tmp_path: Path, markdown: bool) -> None:
    paths = sorted((shared_data / "web").glob("cc-sample-*.warc.gz"))
    corpus, config = gathered(tmp_path / "c", paths, markdown=markdown)
    assert assert_every_document_can_be_made_again(corpus, config) == 37


@pytest.mark.slow
def test_a_thousand_real_pages_can_be_made_again(shared_data: Path, tmp_path: Path) -> None:
    corpus, config = gathered(tmp_path / "c", [shared_data / "web" / "extraction-dev.warc.gz"], markdown=True)
    count = assert_every_document_can_be_made_again(corpus, config)
    assert count == corpus.manifest.counts["documents"]["out"] > 950
