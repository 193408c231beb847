"""Pages that hang, crash or eat memory become drops; the pages beside them are documents as ever."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from libertas.corpus import read_shard
from libertas.document import Document
from libertas.engine import Limits, Pool
from libertas.errors import LibertasError
from libertas.gather import record as record_module
from libertas.gather import warc
from libertas.gather.record import Dropped, Recipe, document_of
from libertas.gather.shards import ArchiveTask, Note, gather_archive

DATE = "2026-01-31T12:00:00Z"
LIMITS = Limits(seconds=0.5, memory=1 << 30)
RECIPE = Recipe()


def read_with_trouble(item: warc.Record | warc.Lost) -> Document | Dropped:
    """A reader of pages that some addresses are too much for."""
    if isinstance(item, warc.Lost):
        return document_of(item, RECIPE)
    if item.uri.endswith("/hang"):
        while True:
            pass
    if item.uri.endswith("/abort"):
        os.abort()
    if item.uri.endswith("/eat"):
        bytearray(4 << 30)
    if item.uri.endswith("/leave"):
        os._exit(0)
    meta = {"url": item.uri, "language": "en", "warc": item.ref.to_json()}
    return Document(item.ref.record_id, item.body.decode(), meta)


def archive_of(path: Path, *names: str) -> Path:
    members = [
        warc.written("resource", f"http://a.example/{n}", DATE, f"urn:x:{n}", "text/plain", f"Here is {n}.".encode())
        for n in names
    ]
    path.write_bytes(b"".join(members))
    return path


def gathered(
    folder: Path, path: Path, read: Callable[[warc.Record | warc.Lost], Document | Dropped], workers: int
) -> tuple[Note, list[str], dict[str, tuple[str, str | None]]]:
    """Note, texts, and reason and value of the drops by the last part of their address."""
    corpus = folder / "corpus"
    corpus.mkdir()
    task = ArchiveTask(
        number=0,
        archive=str(path),
        prefix="",
        corpus=corpus,
        notes=folder / "notes",
        fingerprint="f",
        recipe=RECIPE,
        limits=LIMITS,
    )
    with Pool(read, workers, LIMITS) as pool:
        note = gather_archive(task, pool, lambda _batch, _results: None)
    drops = pq.read_table(task.drops).to_pylist()
    reasons = {row["uri"].rpartition("/")[2]: (row["reason"], row["value"]) for row in drops}
    return note, [document.text for document in read_shard(task.shard)], reasons


@pytest.mark.parametrize("workers", [1, 2])
def test_pages_that_end_their_reader_are_drops_and_their_neighbours_documents(workers: int, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.warc.gz", "a", "hang", "b", "abort", "c", "eat", "d", "leave", "e")
    note, texts, drops = gathered(tmp_path, path, read_with_trouble, workers)
    assert texts == [f"Here is {name}." for name in "abcde"]
    assert drops == {
        "hang": ("took too long", "13"),  # the value is the length of the payload
        "abort": ("crashed the parser", "14"),
        "eat": ("too much memory", "12"),
        "leave": ("crashed the parser", "14"),
    }
    assert (note.documents, note.records) == (5, 9)


def test_a_page_on_which_the_reader_raises_is_a_drop_that_has_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("too deep " * 100)

    monkeypatch.setattr(record_module, "extract", fail)
    result = document_of(a_record(), RECIPE)
    assert isinstance(result, Dropped)
    assert (result.drop.rule, result.drop.reason) == ("extract", "crashed the parser")
    assert str(result.drop.value).startswith("RecursionError: too deep too deep")
    assert len(str(result.drop.value)) == 200


@pytest.mark.parametrize("error", [MemoryError(), LibertasError("the model is not there")])
def test_what_is_not_the_fault_of_a_page_is_no_drop(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(record_module, "extract", fail)
    with pytest.raises(type(error)):
        document_of(a_record(), RECIPE)


def a_record() -> warc.Record:
    """A plain text of its own, as the reader of archives hands it out."""
    ref = warc.WarcRef("a.warc.gz", 0, 10, "urn:x:1", "blake3:0")
    return warc.Record(ref, "resource", "http://a.example/1", DATE, None, "text/plain", None, None, b"Some text.")
