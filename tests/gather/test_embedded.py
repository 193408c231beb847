"""What every Python carries, the same in each run and without traces of the machine."""

import os
import sys
from pathlib import Path

import pytest

from libertas.gather import warc
from libertas.gather.config import PYTHON_DOCS, PYTHON_REFERENCE, PYTHON_SOURCE, CrawlConfig, PackConfig
from libertas.gather.crawl import ARCHIVE, crawl
from libertas.gather.embedded import ENVIRONMENT, documentation_server, language_reference, standard_library
from libertas.gather.pack import ARCHIVE as PACKED
from libertas.gather.pack import pack
from libertas.gather.wire import fetch


def bodies(path: Path) -> dict[str, tuple[str, bytes]]:
    read = [r for r in warc.records(path) if isinstance(r, warc.Record) and r.type in ("response", "resource")]
    return {r.uri: (r.ref.record_id, r.body) for r in read}


def page(port: int, name: str) -> bytes:
    return fetch(f"http://pydoc.localhost/{name}.html", "test", 30, 10**8, port).body


def test_a_page_is_the_same_in_every_server_and_after_every_other_page() -> None:
    names = ("collections", "ctypes", "logging", "difflib")
    with documentation_server() as first:
        forward = {n: page(first, n) for n in names}
    with documentation_server() as second:
        backward = {n: page(second, n) for n in reversed(names)}
    assert forward == backward
    assert all(f"<title>Pydoc: package {n}".encode() in forward[n] for n in ("collections", "ctypes", "logging"))
    assert not any(b"0x7f" in body for body in forward.values())


def test_the_server_knows_nothing_of_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_MINE", "hunter2hunter2")
    with documentation_server() as port:
        body = page(port, "os").decode()
    assert "hunter2hunter2" not in body
    assert "A_SECRET_OF_MINE" not in body
    assert ENVIRONMENT["HOME"] in body
    assert sys.prefix not in body
    assert sys.base_prefix not in body


@pytest.mark.slow
def test_two_crawls_of_the_documentation_have_the_same_ids_and_no_trace_of_the_machine(tmp_path: Path) -> None:
    first, second = (bodies(crawl(CrawlConfig(url=PYTHON_DOCS, out=tmp_path / n)) / ARCHIVE) for n in "ab")
    assert first == second
    assert len(first) == 202
    traces = [v.encode() for v in (str(Path.home()), os.uname().release, sys.executable, str(Path.cwd())) if len(v) > 4]
    assert [u for u, (_, body) in first.items() if any(t in body for t in traces)] == []


def test_the_standard_library_is_packed_without_tests(tmp_path: Path) -> None:
    files = dict(standard_library())
    assert {"json/decoder.py", "argparse.py"} < files.keys()
    assert not any(n.startswith(("test/", "idlelib/", "site-packages/", "pydoc_data/")) for n in files)
    assert list(files) == sorted(files, key=lambda n: Path(n).parts)


def test_the_language_reference_is_packed_topic_by_topic(tmp_path: Path) -> None:
    out = pack(PackConfig(paths=(PYTHON_REFERENCE,), out=tmp_path / "p"))
    texts = {uri: body.decode() for uri, (_, body) in bodies(out / PACKED).items()}
    assert texts == {f"urn:python:reference:{name}": text for name, text in language_reference()}
    assert "while" in "".join(texts)


def test_sources_can_be_limited(tmp_path: Path) -> None:
    out = pack(PackConfig(paths=(PYTHON_SOURCE,), out=tmp_path / "p", megabytes=0.2))
    packed = bodies(out / PACKED)
    files = dict(standard_library())
    assert all(body == files[uri.removeprefix("urn:python:source:")].read_bytes() for uri, (_, body) in packed.items())
    assert 150_000 < sum(len(body) for _, body in packed.values()) <= 200_000
